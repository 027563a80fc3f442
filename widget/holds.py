"""Holds: the customer asked to be reminded, and to have the order kept where the shop can be told."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import hooks, transfers
from widget.agents import address_of
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Line, to
from widget.errors import Refused
from widget.hooks import Event
from widget.language import N_
from widget.orders import Order
from widget.shops import Shop

# Room for the reminder to be read and answered before the shop lets the order go.
REMINDS_BEFORE_END = timedelta(hours=1)
SOONEST_REMINDER = timedelta(minutes=30)
# Released in one round of the worker; the rest follows in the next.
BATCH = 200


class Hold(Base):
    __tablename__ = "holds"

    id: Mapped[Id]
    order_id: Mapped[int] = to("orders", index=False)
    attempt_id: Mapped[int] = to("attempts")
    email: Mapped[Line]
    until: Mapped[Instant]
    remind_at: Mapped[Instant]
    created_at: Mapped[Instant]
    released_at: Mapped[Instant | None]

    # A signed order is kept once, an unsigned one by each attempt for itself.
    __table_args__ = (sa.UniqueConstraint("order_id", "attempt_id"),)


def ends_at(shop: Shop, now: datetime) -> datetime:
    """Until when the shop would keep an order from now on. Raises Refused where it keeps none."""
    hours = shop.settled.hold_hours
    if hours is None:
        raise Refused(N_("This shop does not keep orders. Nothing was charged."))
    return now + timedelta(hours=hours)


def keep(
    session: Session, shop: Shop, attempt: Attempt, order: Order, *, email: str, remind_at: datetime, now: datetime
) -> Hold:
    """Keep this order, which must be locked; asked again, the address and the time of the reminder are the new ones.

    The order is kept no longer by asking twice. Raises Malformed for an unusable address and Refused where the shop
    keeps no orders, or this one is paid.
    """
    if order.paid_at is not None:
        raise Refused(N_("This order is already paid. There is nothing more to pay."))
    until, address = ends_at(shop, now), address_of(email)
    hold = session.scalars(_theirs(attempt, order).with_for_update()).first()
    if hold is None:
        hold = Hold(order_id=order.id, attempt_id=attempt.id, until=until, created_at=now)
        session.add(hold)
    if hold.released_at is not None:
        hold.released_at, hold.until, hold.created_at = None, until, now
    hold.attempt_id, hold.email = attempt.id, address
    hold.remind_at = _within(remind_at, hold.until, now)
    session.flush()
    _tell(session, shop, order, hold, Event.HELD, now)
    return hold


def by_id(session: Session, hold_id: int) -> Hold | None:
    """This hold, unless it was let go."""
    return session.scalar(sa.select(Hold).filter_by(id=hold_id, released_at=None))


def seen_by(session: Session, attempt: Attempt, order: Order | None) -> Hold | None:
    """The hold of this order, unless it was let go, that may be shown to this attempt, and changed by it.

    Of an order that nobody vouches for, that is the one that the attempt itself has asked for: another one may be a
    stranger's, who neither sees this one nor stands in its way.
    """
    if order is None:
        return None
    return session.scalars(_theirs(attempt, order).where(Hold.released_at.is_(None))).first()


def release(session: Session, attempt: Attempt, order: Order, now: datetime) -> bool:
    """Let the order go, as its customer wishes; whether it was held, as far as this attempt may know."""
    hold = seen_by(session, attempt, order)
    if hold is not None:
        _let_go(session, hold, order, now)
    return hold is not None


def release_due(session: Session, now: datetime) -> int:
    """Let go what is paid or was kept for long enough. Returns how many orders that were.

    An order whose customer has sent a transfer is kept for as long as that may take to arrive; a stranger's is not.
    """
    is_coming = sa.and_(Order.is_verified, transfers.is_coming(Order.id, now))
    is_over = sa.or_(sa.and_(Hold.until <= now, ~is_coming), Order.paid_at.is_not(None))
    due = (
        sa.select(Hold, Order)
        .join(Order, Order.id == Hold.order_id)
        .where(Hold.released_at.is_(None), is_over)
        .limit(BATCH)
        .with_for_update(of=Hold, skip_locked=True)
    )
    held = session.execute(due).all()
    for hold, order in held:
        _let_go(session, hold, order, now)
    return len(held)


def is_told_to_shop(shop: Shop, order: Order) -> bool:
    """Whether the shop's server learns of a hold of this order; else its customer is promised a reminder, no more."""
    return order.is_verified and shop.settled.hook_url is not None


def reminder_times(shop: Shop, now: datetime) -> list[datetime]:
    """When a reminder may be chosen: in an hour, this evening, tomorrow morning, the day after; in the shop's days."""
    until, zone = ends_at(shop, now), ZoneInfo(shop.settled.time_zone)
    local = now.astimezone(zone)
    evening, morning = (local.replace(hour=hour, minute=0, second=0, microsecond=0) for hour in (18, 9))
    wished = (now + timedelta(hours=1), evening, morning + timedelta(days=1), morning + timedelta(days=2))
    last = until - REMINDS_BEFORE_END
    times = sorted({at.astimezone(now.tzinfo) for at in wished if now + SOONEST_REMINDER <= at <= last})
    return times or [_within(now, until, now)]


def _theirs(attempt: Attempt, order: Order) -> sa.Select[Hold]:
    holds = sa.select(Hold).filter_by(order_id=order.id).order_by(Hold.id.desc()).limit(1)
    return holds if order.is_verified else holds.filter_by(attempt_id=attempt.id)


def _within(remind_at: datetime, until: datetime, now: datetime) -> datetime:
    latest = max(now, until - REMINDS_BEFORE_END)
    return min(max(remind_at, min(now + SOONEST_REMINDER, latest)), latest)


def _let_go(session: Session, hold: Hold, order: Order, now: datetime) -> None:
    hold.released_at = now
    _tell(session, session.get_one(Shop, order.shop_id), order, hold, Event.RELEASED, now)


def _tell(session: Session, shop: Shop, order: Order, hold: Hold, event: Event, now: datetime) -> None:
    """The shop's server learns what to keep and until when; only of orders that it has vouched for."""
    if not is_told_to_shop(shop, order):
        return
    body = {
        "order": order.reference,
        "until": hold.until.isoformat(timespec="seconds"),
        "paid": order.paid_at is not None,
    }
    hooks.owe(session, shop, event, f"{order.reference}:{int(hold.created_at.timestamp())}", body, now)
