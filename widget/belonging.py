"""Belonging: whether a payment that a provider tells of is of this order, and may be told to whoever asks."""

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, siblings
from widget.attempts import Attempt
from widget.ledger import Payment, Source
from widget.orders import Order
from widget.providers import Answer, ChargeState, Paid

_OF_ANOTHER = "The payment that the page has named is of another order."


def belonging(session: Session, order: Order | None, answer: Answer, provider: str | None) -> Answer:
    """The answer, without payments that nothing but a page ties to this order and that do not fit to it.

    Such a payment counts when it is of just the order's amount, or of a part of one that is paid in legs, was not taken
    before the order was first seen, and bears no number of another order.
    """
    if (
        order is None
        or answer.state is ChargeState.UNKNOWN
        or (answer.state is ChargeState.NOT_CHARGED and answer.is_of_order)
    ):
        return answer
    if answer.state is ChargeState.NOT_CHARGED:
        return (
            Answer(ChargeState.UNKNOWN, detail=_OF_ANOTHER)
            if _is_of_another(session, answer.names, order, provider)
            else answer
        )
    named = Paid(answer.payment or "", answer.money or order.due, answer.is_proven, answer.taken_at, answer.names)
    charged = tuple(each for each in answer.charged if _fits(session, each, order, provider))
    if _fits(session, named, order, provider):
        return replace(answer, charged=_several(charged))
    if answer.state is ChargeState.CHARGED and charged:
        best = charged[0]
        return replace(
            answer, payment=best.payment, money=best.money, is_proven=best.is_proven, charged=_several(charged)
        )
    return Answer(
        ChargeState.UNKNOWN, detail="A page has named this payment. Nothing else shows that it is of this order."
    )


def may_be_told(attempt: Attempt, order: Order | None, answer: Answer) -> Answer:
    """The answer, unless it would tell a stranger what an order is worth.

    Of an unsigned order the number may be guessed. It counts when the payment is the one that the page itself has
    named, or is of just the amount that the page has told.
    """
    if order is None or order.is_verified or answer.money is None or answer.money == order.due:
        return answer
    if answer.payment is not None and answer.payment == attempt.payment:
        return answer
    return Answer(ChargeState.UNKNOWN, detail="The payment does not fit to what the page has told of this order.")


def _fits(session: Session, paid: Paid, order: Order, provider: str | None) -> bool:
    if paid.is_proven:
        return True
    if paid.taken_at is None or paid.taken_at < _first_seen(session, order) - siblings.MADE_BEFORE_SEEN:
        return False
    is_part = paid.money.currency == order.currency and paid.money.minor < order.amount
    is_leg = is_part and attempts.is_split(session, order)
    return (paid.money == order.due or is_leg) and not _is_of_another(session, paid.names, order, provider)


def _first_seen(session: Session, order: Order) -> datetime:
    first = session.scalar(sa.select(sa.func.min(Attempt.started_at)).where(Attempt.order_id == order.id))
    return min(order.created_at, first or order.created_at)


def _is_of_another(session: Session, names: str | None, order: Order, provider: str | None) -> bool:
    """Whether the text where shops write the number of an order is the number of another one.

    A shop that writes our numbers there at this provider writes them everywhere; one that never does has numbers of its
    own there. Payments of our own links bear them in any case.
    """
    if names is None:
        return False
    others = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=names)
    theirs = {"shop_id": order.shop_id, "source": Source.PROVIDER.value, "provider": provider, "is_proven": True}
    links = sa.select(Payment.payment).filter_by(shop_id=order.shop_id, source=Source.LINK.value)
    ours = links.where(Payment.payment.is_not(None))
    marked = sa.select(Payment.id).filter_by(**theirs).where(Payment.payment.not_in(ours))
    return any(session.scalar(each.limit(1)) is not None for each in (others, marked))


def _several(charged: tuple[Paid, ...]) -> tuple[Paid, ...]:
    return charged if len(charged) > 1 else ()
