"""Payments: an order was paid. Recorded once per key, it ends everything that was still asking for money."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import (
    attempts,
    audit,
    casework,
    hooks,
    ledger,
    links,
    mispayments,
    offers,
    orders,
    pulses,
    signals,
    tickets,
    transfers,
    watches,
)
from widget.attempts import Attempt, Stage
from widget.audit import AuditRow
from widget.casework import Pace
from widget.database import insert_once
from widget.errors import Replayed
from widget.hooks import Event
from widget.ledger import Payment, Source, Told, of
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop
from widget.stalls import Stall

__all__ = ["OfAnother", "Payment", "Source", "Told", "of", "record", "settle_legs"]


class OfAnother(Exception):
    """The payment is recorded for another order of this shop."""


# Who the shop's own server has not heard it from.
_NEWS_TO_SHOP = frozenset({Source.PROVIDER, Source.LINK})
# Whose word means that the shop has seen the payment itself.
_SHOP_KNOWS = frozenset({Source.PAGE, Source.SHOP})
# Who shows it to the customer on a page.
_SEEN_BY_CUSTOMER = frozenset({Source.PAGE, Source.LINK})


def record(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> bool:
    """Keep a payment and settle the order when it is covered. Returns False when this key was recorded before.

    Raises Replayed when the key was used for another order or amount, and OfAnother when the provider's payment was
    told of for another order of this shop: then nothing is kept but a note. The shop's server is believed, and so are
    pages of our own links, which were made for this order.
    """
    order = orders.locked_by_reference(session, order)
    if told.source is Source.PROVIDER:
        _check_own(session, shop, order, told, now)
    values = {
        "shop_id": shop.id,
        "order_id": order.id,
        "key": told.key,
        "source": told.source.value,
        "amount": told.money.minor,
        "currency": told.money.currency,
        "method": told.method,
        "provider": told.provider,
        "payment": told.payment,
        "is_proven": told.is_proven,
        "at": now,
    }
    before = of(session, order)
    if insert_once(session, Payment, values, unique=["shop_id", "key"]) is None:
        _prove(session, order, _recorded(session, shop, order, told), told, now)
        return False
    was_paid = order.paid_at is not None
    _act_on(session, shop, order, told, pace, now)
    was_only_named = bool(before) and not any(each.is_proven for each in before)
    if order.paid_at is not None and (not was_paid or was_only_named):
        _owe_paid(session, order, told, now)
    if told.source in _SHOP_KNOWS:
        mispayments.is_known(session, order, "The shop itself tells that this order is paid.", now)
    if told.source.is_proof:
        mispayments.look_for(session, shop, _vouched_for(session, order), told, now)
    return True


def _act_on(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> None:
    """Settle the order if it is covered now; else note what came in."""
    is_paid = order.paid_at is not None or links.has_completed(session, order)
    if not is_paid and not ledger.is_covered(of(session, order), order.due):
        _note_shortfall(session, order, told, now)
        _note_leg(session, shop, order, told, pace, now)
        return
    known = of(session, order)
    for each in orders.settle(session, order, now):
        offers.credit(session, each, known, now)
        _settle(session, shop, each, told, pace, now)
        links.revoke_all(session, each, now)
        transfers.cancel_open(session, each, now)


def settle_legs(session: Session, shop: Shop, order: Order, attempt: Attempt, pace: Pace, now: datetime) -> None:
    """One leg was paid. That settles nothing until every leg of the order is paid; then it is settled once."""
    paid = {each.leg for each in attempts.paid_legs(session, order)}
    if attempt.due is not None and attempt.legs is not None and paid >= set(range(1, attempt.legs + 1)):
        told = Told(f"legs:{order.id}:{attempt.due.minor}", Source.PAGE, attempt.due)
        record(session, shop, order, told, pace, now)


def _check_own(session: Session, shop: Shop, order: Order, told: Told, now: datetime) -> None:
    # Two orders that name one payment at the same moment come one after another.
    session.execute(sa.select(Shop.id).where(Shop.id == shop.id).with_for_update(key_share=True))
    other = ledger.elsewhere(session, order, told)
    if other is None or any(_is_told(each, told) for each in of(session, order)):
        return
    about = f"{order.reference}: {told.payment}"
    known = sa.select(AuditRow.id).filter_by(shop_id=shop.id, what="payment_of_another", about=about)
    if session.scalar(known.limit(1)) is None:
        audit.note(session, "payment_of_another", about, shop_id=shop.id, address=None, now=now, recorded=other.id)
    words = f"Payment {told.payment} is recorded for another order, so it was not taken for this one. Look it up there."
    for ticket in tickets.unfinished_of(session, order):
        tickets.note_once(session, ticket, words, now)
    raise OfAnother(words)


def _is_told(known: Payment, told: Told) -> bool:
    return (known.source, known.payment) == (told.source, told.payment)


def _recorded(session: Session, shop: Shop, order: Order, told: Told) -> Payment:
    known = session.scalars(sa.select(Payment).filter_by(shop_id=shop.id, key=told.key)).one()
    if (known.order_id, known.amount, known.currency) != (order.id, told.money.minor, told.money.currency):
        raise Replayed("This idempotency key was used for another payment. Use a new key for each payment.")
    return known


def _prove(session: Session, order: Order, known: Payment, told: Told, now: datetime) -> None:
    """What a page alone had named, the provider now calls this order's: that is news to the shop."""
    if known.is_proven or not told.is_proven:
        return
    known.is_proven = True
    mispayments.is_known(session, order, f"The provider says that payment {told.payment} is for this order.", now)
    if order.paid_at is not None:
        _owe_paid(session, order, told, now)


def _owe_paid(session: Session, order: Order, told: Told, now: datetime) -> None:
    """Once for each row of the number: a stranger who pays his own must not use up the word about the real one.

    Of a payment that only a page ties to the order another word is sent, and a person compares it: by "paid" alone the
    shop would ship an order for another one's money.
    """
    if told.source not in _NEWS_TO_SHOP:
        return
    shop = session.get_one(Shop, order.shop_id)
    if told.is_proven:
        hooks.owe(session, shop, Event.PAID, str(order.id), _named(order, told), now)
    elif _was_stuck(session, order) and not any(each.source in _SHOP_KNOWS for each in of(session, order)):
        hooks.owe(session, shop, Event.MAYBE_PAID, str(order.id), _named(order, told), now)
        mispayments.only_named(session, shop, order, told, now)


def _was_stuck(session: Session, order: Order) -> bool:
    """Whether a try at this order got stuck, so that its page may never tell the shop."""
    stuck = sa.select(Stall.id).join(Attempt, Attempt.id == Stall.attempt_id).where(Attempt.order_id == order.id)
    return session.scalar(stuck.where(Stall.withdrawn_at.is_(None)).limit(1)) is not None


def _settle(session: Session, shop: Shop, order: Order, told: Told, pace: Pace, now: datetime) -> None:
    for attempt in session.scalars(sa.select(Attempt).filter_by(order_id=order.id)):
        is_told = told.source in _SEEN_BY_CUSTOMER
        watch = watches.of(session, attempt.id, is_to_be_changed=True)
        casework.charge_known(session, attempt, watch, ChargeState.CHARGED, now, is_told=is_told)
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


def _named(order: Order, told: Told) -> dict[str, object]:
    """What the shop's server is told of a payment: amounts in minor units, nothing personal."""
    return {
        "order": order.reference,
        "amount": told.money.minor,
        "currency": told.money.currency,
        "payment": told.payment,
        "provider": told.provider,
        "told_by": told.source.value,
        "is_verified": order.is_verified,
    }


def _vouched_for(session: Session, order: Order) -> Order:
    """The row of this number and amount that the shop has signed, where there is one; else the order itself."""
    same = {"shop_id": order.shop_id, "reference": order.reference, "amount": order.amount, "currency": order.currency}
    return session.scalars(sa.select(Order).filter_by(**same, is_verified=True)).one_or_none() or order
