"""Disputes: a customer's bank takes a payment back, or warns that it may. A ticket tells agents by when to answer."""

import re
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, orders, tickets
from widget.money import Money
from widget.orders import Order
from widget.provider_events import ProviderEvent
from widget.shops import Shop
from widget.tickets import Status, Topic

KIND = "dispute"
# A provider's own look at a payment. Nobody disputes it.
_REVIEWS = re.compile(r"review\.")
_WARNINGS = re.compile(r"early_fraud_warning|NOTIFICATION_OF_FRAUD")
_ENDS = re.compile(
    r"dispute\.(closed|funds_reinstated)|DISPUTE\.RESOLVED|CHARGEBACK_REVERSED|PREARBITRATION_(WON|LOST)"
    r"|DEFENSE_PERIOD_ENDED|TIMEFRAME_EXPIRED"
)


def note(session: Session, event: ProviderEvent, reference: str, now: datetime) -> bool:
    """Open the ticket of this order about its dispute, or join it. Told again, nothing changes.

    Returns whether it was news. A dispute of an order that we never saw, and a provider's own review, have no ticket.
    """
    if event.kind != KIND or _REVIEWS.match(event.status or ""):
        return False
    order = _order(session, event.shop_id, reference)
    if order is None:
        return False
    order = orders.locked_by_reference(session, order)
    is_over = _ENDS.search(event.status or "") is not None
    if is_over and tickets.about(session, order, Topic.DISPUTE) is None:
        return False
    shop = session.get_one(Shop, event.shop_id)
    ticket = tickets.open_about(session, shop, order, Topic.DISPUTE, attempts.locale_of(session, shop, order), now)
    if not tickets.note_once(session, ticket, _words(event, order, is_over=is_over), now):
        return False
    if Status(ticket.status).is_done:
        tickets.move(session, ticket, Status.OPEN, now, because="the provider told of a dispute")
    return True


def _words(event: ProviderEvent, order: Order, *, is_over: bool) -> str:
    provider = event.provider.replace("_", " ").capitalize()
    payment = f"payment {event.payment}" if event.payment else "a payment"
    amount = _amount(event)
    about = f"{payment} of {amount}" if amount else f"{payment} (the order is for {order.due.shown('en')})"
    if is_over:
        return f"{provider} has ended the dispute about {about}: {event.status}. Look there how it was decided."
    reason = f"Reason: {event.code.replace('_', ' ')}." if event.code else "It told no reason."
    deadline = event.detail if event.detail.startswith("Answer by") else ""
    if _WARNINGS.search(event.status or ""):
        what = f"{provider} warns that {about} may be fraud. It is not disputed yet."
        step = "Look at the order before you send anything. A refund now can spare you the dispute."
    else:
        what = f"{provider} tells that {about} is disputed."
        step = f"Answer at {provider} with what proves the order. A refund before it is decided may cost you twice."
        deadline = deadline or f"Look at {provider} by when you have to answer."
    return " ".join(part for part in (what, reason, deadline, step) if part)


def _amount(event: ProviderEvent) -> str | None:
    has_money = event.amount is not None and event.currency is not None
    return Money(event.amount or 0, event.currency or "").shown("en") if has_money else None


def _order(session: Session, shop_id: int, reference: str) -> Order | None:
    """The row that the shop vouches for, else the first of this number."""
    of_number = sa.select(Order).filter_by(shop_id=shop_id, reference=reference)
    return session.scalars(of_number.order_by(Order.is_verified.desc(), Order.id).limit(1)).first()
