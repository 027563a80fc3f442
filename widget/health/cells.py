"""Cells: outcomes added up by span of time, method and kind of browser; and the marks that are still to be added."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, JsonObject, Key, insert_new, to
from widget.shops import Shop

CELL_SECONDS = 300
FINE_FOR, KEPT_FOR = timedelta(hours=2), timedelta(days=8)
_SLOTS_PER_HOUR = 3600 // CELL_SECONDS
_BATCH = 2_000
_PLACE = ("shop_id", "since", "method", "provider", "browser", "os", "device")


class Outcome(StrEnum):
    WORKED = "worked"
    FAILED = "failed"
    DECLINED = "declined"


class HealthCell(Base):
    """What ended in one span of time for one method, provider, browser, system and device; "" where it is not known.

    Only technical failures count as failed. A decline is the bank's answer: the way to it worked.
    """

    __tablename__ = "health_cells"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    since: Mapped[Instant]
    method: Mapped[Key]
    provider: Mapped[Key]
    browser: Mapped[Key]
    os: Mapped[Key]
    device: Mapped[Key]
    worked: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    declined: Mapped[int] = mapped_column(default=0)
    # Time from Pay to the outcome: bucket number (as in `deadlines`) -> count.
    latency: Mapped[JsonObject] = mapped_column(default=dict)

    # Its index begins with shop and time, which is how cells are looked for. Another one by time alone would lure
    # PostgreSQL into reading the cells of all shops.
    __table_args__ = (sa.UniqueConstraint("shop_id", "since", "method", "provider", "browser", "os", "device"),)


class HealthMark(Base):
    """One outcome that is not in its cell yet. Rows are only added and removed, so nobody waits for a busy cell."""

    __tablename__ = "health_marks"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops")
    since: Mapped[Instant]
    method: Mapped[Key]
    provider: Mapped[Key]
    browser: Mapped[Key]
    os: Mapped[Key]
    device: Mapped[Key]
    outcome: Mapped[Key]
    # 1, or -1 where an earlier mark of the same attempt is taken back.
    count: Mapped[int]
    # The bucket of the time from Pay to the outcome, where that is known.
    bucket: Mapped[int | None]


def tally(session: Session, limit: int = _BATCH) -> int:
    """Add marks to their cells; the worker does so every round. Returns how many there were.

    Cells are taken in the same order by every worker, in a transaction of their own, so nobody waits for long.
    """
    waiting = sa.select(HealthMark).order_by(HealthMark.id).limit(limit).with_for_update(skip_locked=True)
    marks = list(session.scalars(waiting))
    added: dict[tuple[Any, ...], _Cell] = {}
    for mark in marks:
        added.setdefault(_place(mark), _Cell()).add(mark)
    dialect = session.get_bind().dialect.name
    for place in sorted(added):
        _pour(session, dialect, dict(zip(_PLACE, place, strict=True)), added[place])
    session.execute(sa.delete(HealthMark).where(HealthMark.id.in_([mark.id for mark in marks])))
    return len(marks)


def forget_old(session: Session, now: datetime) -> None:
    """Forget what is too old to matter, and keep what is older than two hours by the hour; the worker does so."""
    for shop_id in session.scalars(sa.select(Shop.id).order_by(Shop.id)).all():
        merge_old(session, shop_id, now)
        old = sa.delete(HealthCell).where(HealthCell.shop_id == shop_id, HealthCell.since < now - KEPT_FOR)
        session.execute(old)


def merge_old(session: Session, shop_id: int, now: datetime, limit: int = _BATCH) -> int:
    """Add older cells to those of their hour: a day is then read six times as fast. Returns how many there were."""
    last = slot_of(now - FINE_FOR) // _SLOTS_PER_HOUR
    hours = [
        (moment_of(hour * _SLOTS_PER_HOUR), moment_of((hour + 1) * _SLOTS_PER_HOUR)) for hour in range(last - 26, last)
    ]
    is_fine = sa.or_(*(sa.and_(HealthCell.since > start, HealthCell.since < end) for start, end in hours))
    order = [getattr(HealthCell, name) for name in _PLACE]
    held = (
        sa.select(HealthCell)
        .where(HealthCell.shop_id == shop_id, is_fine)
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    fine = list(session.scalars(held))
    added: dict[tuple[Any, ...], _Cell] = {}
    for cell in fine:
        hour = moment_of(slot_of(cell.since) // _SLOTS_PER_HOUR * _SLOTS_PER_HOUR)
        added.setdefault((cell.shop_id, hour, *_place(cell)[2:]), _Cell()).merge(cell)
    dialect = session.get_bind().dialect.name
    for place in sorted(added):
        _pour(session, dialect, dict(zip(_PLACE, place, strict=True)), added[place])
    session.execute(sa.delete(HealthCell).where(HealthCell.id.in_([cell.id for cell in fine])))
    return len(fine)


def slot_of(at: datetime) -> int:
    return int(at.timestamp()) // CELL_SECONDS


def moment_of(slot: int) -> datetime:
    """When the cells of this slot begin."""
    return datetime.fromtimestamp(slot * CELL_SECONDS, UTC)


@dataclass(slots=True)
class _Cell:
    counts: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)

    def merge(self, cell: HealthCell) -> None:
        self.counts.update({outcome.value: getattr(cell, outcome.value) for outcome in Outcome})
        self.latency.update({int(bucket): number for bucket, number in cell.latency.items()})

    def add(self, mark: HealthMark) -> None:
        self.counts[mark.outcome] += mark.count
        if mark.bucket is not None:
            self.latency[mark.bucket] += mark.count


def _place(mark: HealthMark | HealthCell) -> tuple[Any, ...]:
    return tuple(getattr(mark, name) for name in _PLACE)


def _pour(session: Session, dialect: str, place: dict[str, Any], cell: _Cell) -> None:
    """Make the cell if need be, hold its row, and add to what it has by then."""
    empty = {"worked": 0, "failed": 0, "declined": 0, "latency": {}}
    session.execute(insert_new(dialect, HealthCell, _PLACE), place | empty)
    held = sa.select(HealthCell).filter_by(**place).with_for_update().execution_options(populate_existing=True)
    row = session.scalars(held).one()
    row.worked += cell.counts[Outcome.WORKED]
    row.failed += cell.counts[Outcome.FAILED]
    row.declined += cell.counts[Outcome.DECLINED]
    if cell.latency:
        known = Counter({int(bucket): number for bucket, number in row.latency.items()})
        known.update(cell.latency)
        row.latency = {str(bucket): number for bucket, number in sorted(known.items())}
    session.flush()
