"""Leases: a row that is work belongs to one worker for a while; after a crash the next one gets it in the end."""

from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Instant, Key


class Leased:
    """The columns of a row that a worker claims. `next_try_at` is when a worker should next look at it."""

    next_try_at: Mapped[Instant]
    tries: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[Key | None]
    claimed_until: Mapped[Instant | None]


Work = TypeVar("Work", bound=Leased)


def claim(
    session: Session,
    model: type[Work],
    is_open: sa.ColumnElement[bool],
    worker: str,
    now: datetime,
    *,
    lease: timedelta,
    limit: int = 20,
) -> list[Work]:
    """Lease rows that are due and open. No two workers hold the same one, and a dead worker's come back in the end."""
    is_free = sa.or_(model.claimed_until.is_(None), model.claimed_until <= now)
    due = session.scalars(
        sa.select(model)
        .where(is_open, model.next_try_at <= now, is_free)
        .order_by(model.next_try_at, *sa.inspect(model).primary_key)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for each in due:
        each.claimed_by, each.claimed_until = worker, now + lease
    return list(due)


def is_held_by(row: Leased, worker: str, now: datetime) -> bool:
    """Whether this worker's lease still stands. Whether the row is still open is for its own module to say."""
    return row.claimed_by == worker and row.claimed_until is not None and row.claimed_until > now


def release(row: Leased) -> None:
    row.claimed_by = row.claimed_until = None


def release_all(session: Session, models: tuple[type[Leased], ...], worker: str) -> None:
    """A worker that stops in an orderly way gives back what it holds."""
    for model in models:
        mine = sa.update(model).where(model.claimed_by == worker)
        session.execute(mine.values(claimed_by=None, claimed_until=None))
