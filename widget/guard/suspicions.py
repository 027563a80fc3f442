"""Suspicions: subjects that look like an attack, with the numbers that say so. They end by themselves."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, JsonObject, Key, insert_once, to
from widget.guard.patterns import Finding

# A subject that goes on is written down again this often, not at each of its tries.
NOTED_EVERY = timedelta(seconds=30)
# What an agent has lifted stays lifted this long, whatever the numbers say.
LIFTED_FOR = timedelta(hours=24)
KEPT_FOR = timedelta(days=30)


class Suspicion(Base):
    """A subject that looks like card testing, with the numbers that say so."""

    __tablename__ = "suspicions"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    subject: Mapped[Key]
    pattern: Mapped[Key]
    numbers: Mapped[JsonObject] = mapped_column(default=dict)
    flagged_at: Mapped[Instant]
    seen_at: Mapped[Instant]
    until: Mapped[Instant]
    # An agent says that these are honest customers.
    lifted_at: Mapped[Instant | None]
    lifted_by: Mapped[int | None] = mapped_column(sa.ForeignKey("agents.id", ondelete="SET NULL"))

    __table_args__ = (sa.UniqueConstraint("shop_id", "subject", "pattern"), sa.Index("ix_suspicions_until", "until"))


def flag(session: Session, shop_id: int, subject: str, finding: Finding, now: datetime) -> bool:
    """Write the suspicion down, or that it goes on. Returns whether it is new."""
    identity = {"shop_id": shop_id, "subject": subject, "pattern": finding.pattern.name}
    until = now + finding.pattern.lasts
    values = identity | {"numbers": finding.numbers, "flagged_at": now, "seen_at": now, "until": until}
    known = session.scalars(sa.select(Suspicion).filter_by(**identity)).one_or_none()
    if known is None:
        return insert_once(session, Suspicion, values, unique=list(identity)) is not None
    if known.seen_at > now - NOTED_EVERY or _is_lifted(known, now):
        return False
    # Whoever else writes this row at this moment writes the same, so nobody waits for it.
    row = session.scalars(sa.select(Suspicion).filter_by(id=known.id).with_for_update(skip_locked=True)).one_or_none()
    return row is not None and _go_on(row, finding, now, until)


def standing(session: Session, shop_id: int, subjects: Sequence[str], now: datetime) -> list[Suspicion]:
    """What these subjects are suspected of now, the longest lasting first."""
    query = sa.select(Suspicion).where(
        Suspicion.shop_id == shop_id,
        Suspicion.subject.in_(subjects),
        Suspicion.until > now,
        Suspicion.lifted_at.is_(None),
    )
    return list(session.scalars(query.order_by(Suspicion.until.desc())))


def forget_old(session: Session, now: datetime) -> None:
    session.execute(sa.delete(Suspicion).where(Suspicion.until < now - KEPT_FOR))


def _go_on(row: Suspicion, finding: Finding, now: datetime, until: datetime) -> bool:
    is_new = row.until <= now or row.lifted_at is not None
    if is_new:
        row.flagged_at, row.lifted_at, row.lifted_by = now, None, None
    row.numbers, row.seen_at, row.until = finding.numbers, now, until
    return is_new


def _is_lifted(suspicion: Suspicion, now: datetime) -> bool:
    return suspicion.lifted_at is not None and suspicion.lifted_at > now - LIFTED_FOR
