"""Signals: single things observed during an attempt, in the order they happened. Together they are its timeline."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget.attempts import Attempt
from widget.database import Base, Id, Instant, JsonObject, Key, insert_once, to


class Signal(Base):
    __tablename__ = "signals"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts", index=False)
    # From the browser: 0, 1, 2 … within the attempt. What the server observes counts down from -1.
    seq: Mapped[int]
    name: Mapped[Key]
    at: Mapped[Instant]
    data: Mapped[JsonObject]

    __table_args__ = (sa.UniqueConstraint("attempt_id", "seq"),)


# What happened at the same moment is told as it was numbered, up from 0 or down from -1.
_IN_ORDER = sa.func.abs(Signal.seq)


def record(session: Session, attempt: Attempt, *, seq: int, name: str, at: datetime, data: dict[str, Any]) -> bool:
    """Keep a signal once. Returns False for one that is already there (a beacon sent twice)."""
    values = {"attempt_id": attempt.id, "seq": seq, "name": name, "at": at, "data": data}
    return insert_once(session, Signal, values, unique=["attempt_id", "seq"]) is not None


def note(session: Session, attempt: Attempt, name: str, at: datetime, **data: Any) -> None:
    """Record what the server itself observed."""
    number(session, attempt, name, at, data)


def number(session: Session, attempt: Attempt, name: str, at: datetime, data: dict[str, Any]) -> int:
    """Record what the page did not number itself. Returns the number it got: -1, -2 … within the attempt."""
    while True:
        lowest = session.scalar(sa.select(sa.func.min(Signal.seq)).where(Signal.attempt_id == attempt.id))
        seq = min(lowest or 0, 0) - 1
        # Another worker that takes the same number at this moment is waited for, and then the next one is free.
        if record(session, attempt, seq=seq, name=name, at=at, data=data):
            return seq


def named(session: Session, attempt_ids: Iterable[int], names: Iterable[str], limit: int) -> list[Signal]:
    """Signals of these names, in the order they happened; no more than `limit`, whatever a hostile page has sent."""
    query = sa.select(Signal).where(Signal.attempt_id.in_(list(attempt_ids)), Signal.name.in_(list(names)))
    return list(session.scalars(query.order_by(Signal.at, _IN_ORDER).limit(limit)))


def timeline(session: Session, attempt_id: int) -> list[Signal]:
    return list(session.scalars(sa.select(Signal).filter_by(attempt_id=attempt_id).order_by(Signal.at, _IN_ORDER)))
