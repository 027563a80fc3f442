"""Mispayments: more or less was taken than an order is worth. Who is told of it, and what is to be done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, followups, hooks, ledger, tellings, tickets, watches
from widget.followups import Kind
from widget.hooks import Event
from widget.ledger import Balance, Payment, Taken, Told
from widget.money import Money
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop
from widget.tickets import Status, Ticket, Topic
from widget.watches import About, Watch


def look_for(session: Session, shop: Shop, order: Order, told: Told, now: datetime) -> None:
    """After each telling of a payment. The order must be locked, with all rows of its number.

    An order in legs is worth what all of them are together, so a payment of less than the whole is no mistake there.
    """
    balance = ledger.balance(session, order)
    _say_what_the_bank_says(session, order, told, now)
    if balance.superfluous:
        _paid_twice(session, shop, order, balance, now)
    elif attempts.is_split(session, order):
        return
    elif balance.excess is not None:
        _paid_too_much(session, shop, order, balance.excess, told, now)
    elif order.paid_at is None:
        _paid_too_little(session, shop, order, balance, told, now)


def only_named(session: Session, shop: Shop, order: Order, told: Told, now: datetime) -> None:
    """The order is paid by a payment that only its page ties to it: the customer may rest, a person compares it.

    It must have been settled before, or this would be settled with it.
    """
    ticket = tickets.open_about(session, shop, order, Topic.UNPROVEN, attempts.locale_of(session, shop, order), now)
    words = (
        f"The customer has paid, as it seems: the provider took payment {told.payment} of {told.money.shown('en')}, "
        "but only the page says that it is for this order. Compare it with the shop, then send the goods."
    )
    tickets.note_once(session, ticket, words, now)


def is_known(session: Session, order: Order, because: str, now: datetime) -> None:
    """Nobody needs to compare that payment any more."""
    ticket = tickets.about(session, order, Topic.UNPROVEN)
    if ticket is None or Status(ticket.status).is_done:
        return
    tickets.note_once(session, ticket, because, now)
    tickets.move(session, ticket, Status.RESOLVED, now, because="the payment is known to be for this order")


def doubted(session: Session, order: Order) -> tuple[str, ...]:
    """Ids that may be names of one payment, or of several: the provider is to be asked about each of them alone."""
    ticket = tickets.about(session, order, Topic.PAID_TWICE)
    if ticket is None or Status(ticket.status).is_done:
        return ()
    balance = ledger.balance(session, order)
    is_open = bool(balance.superfluous) and not balance.is_proven_twice
    return tuple(each.payment for each in balance.taken) if is_open else ()


def paid_once(session: Session, order: Order, payment: str, names: Sequence[str], now: datetime) -> None:
    """The provider finds this one payment under each of these ids: what looked like two was one by two names."""
    ticket = tickets.about(session, order, Topic.PAID_TWICE)
    told = doubted(session, order)
    if ticket is None or not told or not {*names, payment}.issuperset(told):
        return
    because = "the provider knows of one payment only"
    tickets.note_once(session, ticket, f"The provider knows of one payment only, {payment}. Refund nothing.", now)
    tickets.move(session, ticket, Status.RESOLVED, now, because=because)


def end_doubt(session: Session, watch: Watch, order: Order, now: datetime) -> None:
    """End the watch, held by the caller, that asks whether two names are two payments, once that is decided."""
    if watch.ended_at is None and watch.about == About.TWICE and not doubted(session, order):
        watches.end(watch, ChargeState.CHARGED.value, now)


def never_decided(session: Session, order: Order, now: datetime) -> None:
    """The provider was asked for as long as we ask, and has not said whether it was one payment or two."""
    ticket = tickets.about(session, order, Topic.PAID_TWICE)
    if ticket is not None and (names := doubted(session, order)):
        step = f"The provider has not said whether {' and '.join(names)} are one payment. Look for each of them there."
        tickets.note_once(session, ticket, step, now)


def given_back(session: Session, order: Order, payment: Payment, now: datetime) -> None:
    """The provider has given back the whole of this payment. Nobody is told any more to refund what was one too many.

    A customer whom we have told that the shop refunds it hears of that from an agent.
    """
    words = f"The provider says that payment {payment.payment} of {_said(_worth(payment))} was given back in full."
    numbers = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=order.reference)
    for ticket in session.scalars(sa.select(Ticket).where(Ticket.order_id.in_(numbers))):
        is_open = not Status(ticket.status).is_done
        if ticket.topic != Topic.PAID_TWICE or not is_open or _is_paid_twice(session, ticket):
            if is_open:
                tickets.note_once(session, ticket, words, now)
            continue
        followups.cancel(session, ticket, [Kind.PAID_TWICE], followups.GIVEN_BACK, now)
        if any(each.kind == Kind.PAID_TWICE and each.sent_at for each in followups.of(session, ticket)):
            tickets.note_once(session, ticket, f"{words} Tell the customer here, who was told that you refund it.", now)
        else:
            tickets.note_once(session, ticket, words, now)
            tickets.move(session, ticket, Status.RESOLVED, now, because="one payment was given back")


def taken_again(session: Session, order: Order, payment: Payment, now: datetime) -> None:
    """A refund has failed: of one payment too many somebody has to make it again, and the customer hears of it.

    Their ticket may have been resolved by the refund, and its e-mail taken back.
    """
    balance = ledger.balance(session, order)
    if not balance.superfluous:
        return
    words = f"The refund of payment {payment.payment} of {_said(_worth(payment))} has failed. {_refund_step(balance)}"
    numbers = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=order.reference)
    for ticket in session.scalars(sa.select(Ticket).where(Ticket.order_id.in_(numbers))):
        if ticket.topic == Topic.PAID_TWICE and tickets.note_once(session, ticket, words, now):
            _reopen(session, ticket, now, because="the refund has failed")
            if ticket.email:
                about = f"refund-failed:{payment.id}"
                followups.owe(session, ticket, Kind.PAID_TWICE, due_at=now, now=now, about=about)


def _is_paid_twice(session: Session, ticket: Ticket) -> bool:
    order = tickets.order_of(session, ticket)
    return order is not None and bool(ledger.balance(session, order).superfluous)


def _paid_twice(session: Session, shop: Shop, order: Order, balance: Balance, now: datetime) -> None:
    """Agents see it at once. The shop's server and the customer are told when it is proven.

    Two channels may name one payment differently. Where a provider can be asked, it is, before anybody is alarmed.
    """
    ticket = tickets.open_about(session, shop, order, Topic.PAID_TWICE, attempts.locale_of(session, shop, order), now)
    if not balance.is_proven_twice and shop.settled.providers:
        if tickets.note_once(session, ticket, _check_step(balance), now):
            watches.start(session, tickets.attempt_of(session, ticket), now, About.TWICE)
        return
    if tickets.note_once(session, ticket, _refund_step(balance), now):
        _reopen(session, ticket, now)
    data = {"order": order.reference, "amount": order.amount, "currency": order.currency}
    payments = [_listed(each, balance.superfluous) for each in balance.taken]
    hooks.owe(session, shop, Event.PAID_TWICE, f"{order.id}:{len(payments)}", data | {"payments": payments}, now)
    if ticket.email:
        followups.owe(session, ticket, Kind.PAID_TWICE, due_at=now, now=now)


def _say_what_the_bank_says(session: Session, order: Order, told: Told, now: datetime) -> None:
    """An agent typed what a transfer should have been, and the shop's server tells what came: that counts from now."""
    name = tellings.name_of(told.payment or "")
    known = [each for each in ledger.of(session, order) if tellings.name_of(each.payment or "") == name]
    typed = next((each for each in known if tellings.is_typed(each)), None)
    if (
        typed is None
        or typed.key == told.key
        or (typed.amount, typed.currency) == (told.money.minor, told.money.currency)
    ):
        return
    words = (
        f"Your server tells of {_said(told.money)} by {name}, which was recorded here by hand as "
        f"{_said(_worth(typed))}. What your server tells counts."
    )
    for ticket in session.scalars(sa.select(Ticket).filter_by(order_id=order.id)):
        tickets.note_once(session, ticket, words, now)


def _paid_too_much(session: Session, shop: Shop, order: Order, excess: Money, told: Told, now: datetime) -> None:
    if not order.is_verified:
        _maybe_too_much(session, order, excess, told, now)
        return
    ticket = tickets.open_about(session, shop, order, Topic.REFUND, attempts.locale_of(session, shop, order), now)
    taken = Money(order.amount + excess.minor, excess.currency)
    step = (
        f"{_said(taken)} was taken by payment {_name(told)}; the order is for {_said(order.due)}. "
        f"Refund {_said(excess)} through {_of(told.provider)}, then tell the customer here."
    )
    if tickets.note_once(session, ticket, step, now):
        _reopen(session, ticket, now)
    data = _difference(order, taken, told) | {"excess": excess.minor}
    hooks.owe(session, shop, Event.WRONG_AMOUNT, f"{order.id}:{taken.currency}:{taken.minor}", data, now)
    if ticket.email:
        # Each sum has a letter of its own: it may grow, or come back after it was taken for a mistake.
        about = f"ticket:{ticket.id}:{excess.minor}"
        followups.owe(session, ticket, Kind.PAID_TOO_MUCH, due_at=now, now=now, about=about)


def _maybe_too_much(session: Session, order: Order, excess: Money, told: Told, now: datetime) -> None:
    """Nobody vouches for what the page claims that this order is worth, so no refund may rest on it."""
    taken = Money(order.amount + excess.minor, excess.currency)
    words = (
        f"{_said(taken)} was taken by payment {_name(told)}. The page said {_said(order.due)}, and "
        "your server has not signed that. Compare it with the order in your shop before you refund anything."
    )
    for ticket in session.scalars(sa.select(Ticket).filter_by(order_id=order.id)):
        tickets.note_once(session, ticket, words, now)


def _paid_too_little(session: Session, shop: Shop, order: Order, balance: Balance, told: Told, now: datetime) -> None:
    """What was taken does not pay the order, or is in another currency. A ticket that is open hears of it."""
    missing = balance.missing
    if missing is None and told.money.currency == order.currency:
        return
    taken = Money(balance.amount, order.currency) if missing else told.money
    data = _difference(order, taken, told) | ({"missing": missing.minor} if missing else {})
    hooks.owe(session, shop, Event.WRONG_AMOUNT, f"{order.id}:{taken.currency}:{taken.minor}", data, now)


def _reopen(session: Session, ticket: Ticket, now: datetime, because: str = "another payment came in") -> None:
    if Status(ticket.status).is_done:
        tickets.move(session, ticket, Status.OPEN, now, because=because)


def _check_step(balance: Balance) -> str:
    return (
        f"Two payments were told of: {_list(balance.taken)}. They may be two names of one. We ask the provider; "
        "before you refund anything, look for both there."
    )


def _refund_step(balance: Balance) -> str:
    kept = [each for each in balance.taken if each not in balance.superfluous]
    ways = _of(*(each.provider for each in balance.superfluous))
    return (
        f"The order is for {_said(balance.due)} and is paid by {_list(kept)}. It was paid again by "
        f"{_list(balance.superfluous)}. Refund that through {ways}, then tell the customer here."
    )


def _list(taken: Sequence[Taken]) -> str:
    return " and ".join(f"{each.payment} ({_said(each.money)})" for each in taken)


def _of(*providers: str | None) -> str:
    named = sorted({each.replace("_", " ").capitalize() for each in providers if each})
    return " and ".join(named) or "the payment provider"


def _name(told: Told) -> str:
    return tellings.name_of(told.payment) if told.payment else "without an id"


def _worth(payment: Payment) -> Money:
    return Money(payment.amount, payment.currency)


def _said(money: Money) -> str:
    return money.shown("en")


def _listed(taken: Taken, spare: Sequence[Taken]) -> dict[str, Any]:
    return {
        "payment": taken.payment,
        "provider": taken.provider,
        "amount": taken.money.minor,
        "currency": taken.money.currency,
        "is_superfluous": taken in spare,
    }


def _difference(order: Order, taken: Money, told: Told) -> dict[str, Any]:
    """Both figures in minor units, each with its currency."""
    due = {"order": order.reference, "amount": order.amount, "currency": order.currency}
    return due | {"paid_amount": taken.minor, "paid_currency": taken.currency, "payment": told.payment}
