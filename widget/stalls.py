"""Stalls: the verdict that an attempt is stuck, who saw it and when."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget.attempts import Attempt, Stage
from widget.database import Base, Id, Instant, Key, insert_once, to


class StallKind(StrEnum):
    NO_ANSWER = "no_answer"  # a payment promise that never settles
    DECLINED = "declined"
    ERROR = "error"  # the shop or the provider reported a failure that is no decline
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
    at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("attempt_id", "kind", "stage"),)


def record(session: Session, attempt: Attempt, kind: StallKind, stage: Stage, seen_by: SeenBy, at: datetime) -> None:
    """Keep the first sight of each kind in each stage."""
    values = {"attempt_id": attempt.id, "kind": kind.value, "stage": stage.value, "seen_by": seen_by.value, "at": at}
    insert_once(session, Stall, values, unique=["attempt_id", "kind", "stage"])


def of(session: Session, attempt_id: int) -> list[Stall]:
    """The stalls of an attempt, the latest first."""
    return list(session.scalars(sa.select(Stall).filter_by(attempt_id=attempt_id).order_by(Stall.at.desc())))
