"""Opening an attempt, and finding the row of its order: what a page shows, or the shop's own server tells of."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import ledger, orders
from widget.attempts.attempt import Attempt, Stage
from widget.attempts.context import AttemptContext
from widget.database import insert_once
from widget.money import Money
from widget.orders import Order, OrderContext
from widget.shops import Shop


def open_for(session: Session, shop: Shop, context: AttemptContext, now: datetime) -> Attempt:
    """The attempt with this key, made on first sight; later contexts fill in what was not known yet."""
    order = _order_for(session, shop, context.order, now) if context.order else None
    insert_once(
        session,
        Attempt,
        {
            "shop_id": shop.id,
            "key": context.key,
            "stage": Stage.STARTED.value,
            "stage_seq": -1,
            "facts": {},
            "started_at": now,
            "last_seen_at": now,
        },
        unique=["shop_id", "key"],
    )
    attempt = session.scalars(sa.select(Attempt).filter_by(shop_id=shop.id, key=context.key)).one()
    if order is None and attempt.order_id is not None:
        # With every row of its number, as a payment does: this page's last word may be one.
        orders.locked_by_reference(session, session.get_one(Order, attempt.order_id))
    if order is not None and context.order is not None and attempt.order_id is None:
        attempt.order_id = order.id
        attempt.amount, attempt.currency = context.order.amount, context.order.currency
        attempt.email = context.order.email or None
    attempt.method = shop.settled.method_id(context.method) or attempt.method
    attempt.provider = context.provider or attempt.provider
    attempt.payment = context.payment or attempt.payment
    if context.legs is not None:
        attempt.leg, attempt.legs = context.leg, context.legs
    attempt.last_seen_at = max(attempt.last_seen_at, now)
    return attempt


def _order_for(session: Session, shop: Shop, context: OrderContext, now: datetime) -> Order:
    """The order, unpaid again where the shop's first signature says that what was told of was a part of it."""
    order = orders.open_for(session, shop, context, now)
    if order.paid_at is not None and sa.inspect(order).attrs.amount.history.has_changes():
        told = ledger.of(session, order)
        if told and not ledger.is_covered(told, order.due):
            order.paid_at = None
    return order


def told_by_shop(session: Session, shop: Shop, reference: str, due: Money, payment: str | None, now: datetime) -> Order:
    """The order that the shop's own server tells a payment of: the verified one, made on first sight.

    At a shop that signs nothing it is the unsigned row of which this is a part: of which a page saw a leg paid, or has
    named this payment. Anybody may claim an amount, so that alone makes no row the shop's.
    """
    number = {"shop_id": shop.id, "reference": reference}
    if orders.signs(session, shop.id) or _is_asked_for(session, number, due):
        return orders.told_by_shop(session, shop, reference, due, now)
    is_part = sa.and_(Attempt.legs > 1, Attempt.stage == Stage.PAID.value)
    if payment is not None:
        is_part = sa.or_(is_part, Attempt.payment == payment)
    larger = sa.select(Order).filter_by(**number, currency=due.currency).where(Order.amount > due.minor)
    found = list(session.scalars(larger.where(sa.exists().where(Attempt.order_id == Order.id, is_part)).limit(2)))
    return found[0] if len(found) == 1 else orders.told_by_shop(session, shop, reference, due, now)


def _is_asked_for(session: Session, number: dict[str, Any], due: Money) -> bool:
    """Whether there is a row for just this amount, or one that the shop vouches for."""
    is_exact = sa.and_(Order.amount == due.minor, Order.currency == due.currency)
    rows = sa.select(Order.id).filter_by(**number).where(sa.or_(Order.is_verified, is_exact))
    return session.scalar(rows.limit(1)) is not None
