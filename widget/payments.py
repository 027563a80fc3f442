"""Payments: an order was paid. Recorded once per key, it ends everything that was still asking for money."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import attempts, casework, offers, orders, pulses, signals, tickets
from widget.attempts import Attempt, Stage
from widget.casework import Pace
from widget.database import Base, Currency, Id, Instant, Key, Minor, Word, insert_once, to
from widget.errors import Replayed
from widget.money import Money
from widget.orders import Order
from widget.shops import Shop


class Source(StrEnum):
    SHOP = "shop"  # the shop's server told us
    PAGE = "page"  # the shop's page saw its own payment succeed
    LINK = "link"  # our manual payment link
    PROVIDER = "provider"  # the provider said so when asked


class Payment(Base):
    __tablename__ = "payments"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    order_id: Mapped[int] = to("orders")
    # The caller's idempotency key; the same payment told twice is one row.
    key: Mapped[Word]
    source: Mapped[Key]
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    method: Mapped[Key | None]
    payment: Mapped[Word | None]
    at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("shop_id", "key"),)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody told us about a payment. `payment` is the provider's id."""

    key: str
    source: Source
    money: Money
    method: str | None = None
    payment: str | None = None


def record(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> bool:
    """Keep a payment and settle the order when it is covered. Returns False when this key was recorded before.

    Raises Replayed when the key was used for another order or amount.
    """
    order = orders.locked_by_reference(session, order)
    values = {
        "shop_id": shop.id,
        "order_id": order.id,
        "key": told.key,
        "source": told.source.value,
        "amount": told.money.minor,
        "currency": told.money.currency,
        "method": told.method,
        "payment": told.payment,
        "at": now,
    }
    if insert_once(session, Payment, values, unique=["shop_id", "key"]) is None:
        _check_same(session, shop, order, told)
        return False
    if _is_covered(session, order):
        for each in orders.settle(session, order, now):
            _settle(session, shop, each, told, pace, now)
    else:
        _note_shortfall(session, order, told, now)
        _note_leg(session, shop, order, told, pace, now)
    return True


def settle_legs(session: Session, shop: Shop, order: Order, attempt: Attempt, pace: Pace, now: datetime) -> None:
    """One leg was paid. That settles nothing until every leg of the order is paid; then it is settled once."""
    paid = {each.leg for each in attempts.paid_legs(session, order)}
    if attempt.due is not None and attempt.legs is not None and paid >= set(range(1, attempt.legs + 1)):
        told = Told(f"legs:{order.id}:{attempt.due.minor}", Source.PAGE, attempt.due)
        record(session, shop, order, told, pace, now)


def of(session: Session, order: Order) -> list[Payment]:
    return list(session.scalars(sa.select(Payment).filter_by(order_id=order.id).order_by(Payment.id)))


def _check_same(session: Session, shop: Shop, order: Order, told: Told) -> None:
    known = session.scalars(sa.select(Payment).filter_by(shop_id=shop.id, key=told.key)).one()
    if (known.order_id, known.amount, known.currency) != (order.id, told.money.minor, told.money.currency):
        raise Replayed("This idempotency key was used for another payment. Use a new key for each payment.")


def _is_covered(session: Session, order: Order) -> bool:
    """Whether one channel alone reports the whole amount; the same payment told by two channels is not added up."""
    totals = session.execute(
        sa.select(Payment.source, sa.func.sum(Payment.amount))
        .where(Payment.order_id == order.id, Payment.currency == order.currency)
        .group_by(Payment.source)
    )
    return order.paid_at is not None or any(total >= order.amount for _, total in totals)


def _settle(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> None:
    offers.credit(session, order, now)
    for attempt in session.scalars(sa.select(Attempt).filter_by(order_id=order.id)):
        if attempt.stage != Stage.PAID:
            attempts.settle(attempt)
            pulses.end(session, shop.id, attempt.key)
            signals.note(session, attempt, "paid", now, source=told.source.value, payment=told.payment)
    for ticket in tickets.unfinished_of(session, order):
        casework.settle(session, shop, ticket, pace, now)


def _note_leg(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> None:
    """A payment of a part may be the leg whose page never told how it ended."""
    if told.payment is None:
        return
    legs = sa.select(Attempt).filter_by(order_id=order.id, payment=told.payment).where(Attempt.legs > 1)
    for leg in session.scalars(legs.where(Attempt.stage != Stage.PAID.value)):
        attempts.settle(leg)
        signals.note(session, leg, "paid", now, source=told.source.value, payment=told.payment)
        settle_legs(session, shop, order, leg, pace, now)


def _note_shortfall(session: Session, order: Order, told: Told, now: datetime) -> None:
    words = f"A payment of {told.money.shown('en')} came in; the order is for {order.due.shown('en')}."
    for ticket in tickets.unfinished_of(session, order):
        tickets.add_system_note(session, ticket, words, now)
