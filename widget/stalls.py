"""Stalls: the verdict that an attempt is stuck, who saw it and when."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.attempts import Attempt, Stage
from widget.database import Base, Id, Instant, JsonObject, Key, insert_once, to


class StallKind(StrEnum):
    FROZEN = "frozen"  # the page's main thread is blocked
    NO_ANSWER = "no_answer"  # nothing that the page asked for since Pay has come back
    UNSETTLED = "unsettled"  # answers came, but the payment promise never settled
    SDK = "sdk"  # the provider's script is blocked, missing, hanging or without its global
    WALLET = "wallet"  # Apple Pay, Google Pay or Samsung Pay is unavailable or failed
    CHALLENGE = "challenge"  # 3-D Secure was not completed, or its frame was denied
    NO_RETURN = "no_return"  # left for the provider and never came back
    POPUP = "popup"  # the browser blocked the provider's window
    SPLIT = "split"  # a later leg failed after an earlier one was paid
    DECLINED = "declined"
    DECLINED_AGAIN = "declined_again"
    ERROR = "error"  # the shop or the provider reported a failure that is no decline
    DEAD_BUTTON = "dead_button"  # Pay was pressed and nothing at all happened
    RAGE = "rage"  # Pay was pressed again and again without progress
    OFFLINE = "offline"  # the connection was lost or flapping
    STORAGE = "storage"  # the browser keeps the checkout from storing anything
    IN_APP = "in_app"  # inside another app's browser
    CLOCK = "clock"  # the customer's clock is off
    DOUBLE = "double"  # the same order is being paid twice at once
    CLOSED = "closed"  # the tab was closed in the middle of a payment
    SILENT = "silent"  # gone without goodbye: crashed, killed, cut off
    ASKED = "asked"  # nothing was detected; the shopper opened the panel by hand


class SeenBy(StrEnum):
    PAGE = "page"
    FRAME = "frame"
    WORKER = "worker"
    SERVER = "server"
    SHOPPER = "shopper"


class Stall(Base):
    __tablename__ = "stalls"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts", index=False)
    kind: Mapped[Key]
    stage: Mapped[Key]
    seen_by: Mapped[Key]
    # What it was seen by: the measured facts an engineer can check.
    evidence: Mapped[JsonObject] = mapped_column(default=dict)
    at: Mapped[Instant]
    # The verdict was taken back: the attempt that seemed gone showed life again.
    withdrawn_at: Mapped[Instant | None]

    __table_args__ = (sa.UniqueConstraint("attempt_id", "kind", "stage"),)


def record(session: Session, attempt: Attempt, kind: StallKind, stage: Stage, seen_by: SeenBy, at: datetime) -> None:
    """Keep the first sight of each kind in each stage."""
    values = {"attempt_id": attempt.id, "kind": kind.value, "stage": stage.value, "seen_by": seen_by.value, "at": at}
    insert_once(session, Stall, values, unique=["attempt_id", "kind", "stage"])


def of(session: Session, attempt_id: int) -> list[Stall]:
    """The stalls of an attempt, the latest first."""
    return list(session.scalars(sa.select(Stall).filter_by(attempt_id=attempt_id).order_by(Stall.at.desc())))
