"""Sightings: what came from where, for as long as the longest pattern looks back. Rows are added and never changed.

A counter per address would be one hot row that every worker waits for; rows of their own hold up nobody, and counting
the same thing twice meets a unique key.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget.attempts import Attempt
from widget.database import Base, Currency, Id, Instant, Key, Minor, Word, insert_once, to
from widget.guard.patterns import LONGEST_WINDOW, Seen, window_of
from widget.orders import Order

KEPT_FOR = LONGEST_WINDOW + timedelta(hours=24)
# So many of the newest sightings are looked at; who reaches that in one window needs no exact count.
MAX_LOOKED_AT = 400


class Outcome(StrEnum):
    OPENED = "opened"  # the attempt was first heard of
    DECLINED = "declined"
    WORKED = "worked"


class Sighting(Base):
    """One outcome of one attempt, with the marks by which it is found again."""

    __tablename__ = "sightings"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    attempt_id: Mapped[int] = to("attempts")
    # The outcome with its number: an attempt may be declined several times, but each decline is counted once.
    key: Mapped[Key]
    outcome: Mapped[Key]
    address: Mapped[Key]
    device: Mapped[Key]
    order_id: Mapped[int | None]
    # As the shop writes it: whoever tries numbers in sequence is seen by that.
    reference: Mapped[Word | None]
    is_verified: Mapped[bool]
    amount: Mapped[Minor | None]
    currency: Mapped[Currency | None]
    at: Mapped[Instant]

    __table_args__ = (
        sa.UniqueConstraint("attempt_id", "key"),
        sa.Index("ix_sightings_visitor", "shop_id", "address", "device", "at"),
        sa.Index("ix_sightings_address", "shop_id", "address", "at"),
        sa.Index("ix_sightings_device", "shop_id", "device", "at"),
        sa.Index("ix_sightings_order", "order_id", "at"),
        sa.Index("ix_sightings_at", "at"),
    )


def keep(session: Session, attempt: Attempt, order: Order | None, outcome: Outcome, number: int, now: datetime) -> bool:
    """Count this outcome. Returns False when it was counted before, or when nobody knows where it came from."""
    if attempt.address is None:
        return False
    values = {
        "shop_id": attempt.shop_id,
        "attempt_id": attempt.id,
        "key": f"{outcome.value}:{number}",
        "outcome": outcome.value,
        "address": attempt.address,
        "device": attempt.device or "",
        "order_id": attempt.order_id,
        "reference": order.reference if order else None,
        "is_verified": bool(order and order.is_verified),
        "amount": attempt.amount,
        "currency": attempt.currency,
        "at": now,
    }
    return insert_once(session, Sighting, values, unique=["attempt_id", "key"]) is not None


def declines_of(session: Session, attempt: Attempt) -> int:
    """How many declines of this attempt are counted already."""
    declined = sa.select(sa.func.count()).select_from(Sighting)
    return session.scalar(declined.filter_by(attempt_id=attempt.id, outcome=Outcome.DECLINED.value)) or 0


def learn_device(session: Session, attempt: Attempt) -> None:
    """The attempt's device became better known; what was counted before is of that device too."""
    session.execute(sa.update(Sighting).where(Sighting.attempt_id == attempt.id).values(device=attempt.device or ""))


def visits(attempt: Attempt) -> sa.Select[int]:
    """The ids of the newest attempts that this one's device has begun from its address."""
    opened = sa.select(Sighting.attempt_id).where(
        Sighting.shop_id == attempt.shop_id,
        Sighting.address == attempt.address,
        Sighting.device == (attempt.device or ""),
        Sighting.outcome == Outcome.OPENED.value,
    )
    newest = opened.order_by(Sighting.at.desc()).limit(MAX_LOOKED_AT).subquery()
    return sa.select(newest.c.attempt_id)


def seen(session: Session, attempt: Attempt, subject: str, now: datetime) -> list[Seen]:
    """What came lately from this kind of subject of the attempt (see `patterns`), the newest of it."""
    device = attempt.device or ""
    which: dict[str, tuple[sa.ColumnElement[bool], ...]] = {
        "visitor": (Sighting.address == attempt.address, Sighting.device == device),
        "network": (Sighting.address == attempt.address,),
        "shape": (
            Sighting.device == device,
            Sighting.amount == attempt.amount,
            Sighting.currency == attempt.currency,
        ),
        "order": (Sighting.order_id == attempt.order_id,),
    }
    # Columns, not rows of the model: this runs at every decline, and under an attack over hundreds of them.
    query = sa.select(*_COLUMNS).where(Sighting.shop_id == attempt.shop_id, *which[subject])
    query = query.where(Sighting.at > now - window_of(subject)).order_by(Sighting.at.desc()).limit(MAX_LOOKED_AT)
    return [Seen(*row) for row in session.execute(query)]


def outcomes_elsewhere(session: Session, attempt: Attempt, since: datetime) -> tuple[int, int]:
    """How often other kinds of device were declined at this shop and how often they paid, of the newest ones."""
    newest = (
        sa.select(Sighting.outcome)
        .where(Sighting.shop_id == attempt.shop_id, Sighting.device != (attempt.device or ""), Sighting.at > since)
        .where(Sighting.outcome != Outcome.OPENED.value)
        .order_by(Sighting.at.desc())
        .limit(MAX_LOOKED_AT)
        .subquery()
    )
    rows = session.execute(sa.select(newest.c.outcome, sa.func.count()).group_by(newest.c.outcome))
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    return counts.get(Outcome.DECLINED, 0), counts.get(Outcome.WORKED, 0)


def has_paid(session: Session, attempt: Attempt) -> bool:
    """Whether this device has paid from this address lately."""
    paid = sa.select(Sighting.id).where(
        Sighting.shop_id == attempt.shop_id,
        Sighting.address == attempt.address,
        Sighting.device == (attempt.device or ""),
        Sighting.outcome == Outcome.WORKED.value,
    )
    return session.scalar(paid.limit(1)) is not None


def forget_old(session: Session, now: datetime) -> None:
    session.execute(sa.delete(Sighting).where(Sighting.at < now - KEPT_FOR))


# In the order of Seen's fields.
_COLUMNS = (
    Sighting.at,
    Sighting.outcome,
    Sighting.address,
    Sighting.device,
    Sighting.order_id,
    Sighting.reference,
    Sighting.is_verified,
    Sighting.amount,
)
