"""Stalls: the verdict that an attempt is stuck, who saw it and when."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

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


# These say what became of money, and lead; those say only that somebody grew impatient, and follow.
_MONEY = {StallKind.SPLIT, StallKind.DOUBLE}
_IMPATIENCE = {StallKind.RAGE, StallKind.ASKED}


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


# Built once: every beacon asks for them, and to build it takes longer than to run it.
_STANDING = sa.select(Stall).where(Stall.attempt_id == sa.bindparam("attempt_id"), Stall.withdrawn_at.is_(None))


def record(
    session: Session,
    attempt: Attempt,
    kind: StallKind,
    stage: Stage,
    seen_by: SeenBy,
    at: datetime,
    evidence: dict[str, Any] | None = None,
) -> bool:
    """Keep the first sight of each kind in each stage; one that was withdrawn stands again.

    Returns whether it is news.
    """
    said = {"seen_by": seen_by.value, "at": at, "evidence": evidence or {}}
    unique = {"attempt_id": attempt.id, "kind": kind.value, "stage": stage.value}
    if insert_once(session, Stall, unique | said, unique=list(unique)) is not None:
        return True
    withdrawn = sa.select(Stall).filter_by(**unique).where(Stall.withdrawn_at.is_not(None))
    again = session.scalars(withdrawn.execution_options(populate_existing=True)).first()
    if again is None:
        return False
    again.seen_by, again.at, again.evidence, again.withdrawn_at = seen_by.value, at, evidence or {}, None
    return True


def revise(session: Session, stall: Stall, kind: StallKind, stage: Stage) -> None:
    """More is known now: the stall was of another kind. Where that one is kept already, they were the same."""
    if (stall.kind, stall.stage) == (kind.value, stage.value):
        return
    same = sa.select(Stall.id).filter_by(attempt_id=stall.attempt_id, kind=kind.value, stage=stage.value)
    if session.scalar(same) is not None:
        session.delete(stall)
    else:
        stall.kind, stall.stage = kind.value, stage.value
    session.flush()


def withdraw(session: Session, attempt_id: int, kinds: Iterable[StallKind], at: datetime) -> None:
    """Take back verdicts of these kinds that were given before this moment."""
    for stall in of(session, attempt_id):
        if stall.kind in set(kinds) and stall.at < at:
            stall.withdrawn_at = at


def of(session: Session, attempt_id: int) -> list[Stall]:
    """The stalls of an attempt that stand, the one that tells most first."""
    return by_weight(session.scalars(_STANDING, {"attempt_id": attempt_id}))


def by_weight(found: Iterable[Stall]) -> list[Stall]:
    """What concerns money first, then the latest."""
    latest_first = sorted(found, key=lambda stall: (stall.at, stall.id), reverse=True)
    return sorted(latest_first, key=lambda stall: (stall.kind not in _MONEY, stall.kind in _IMPATIENCE))
