"""Reversals: a payment that its provider has given back in full is none any more. A part of it is no matter."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from widget import mispayments, provider_events, tellings
from widget.orders import Order
from widget.providers import Answer, ChargeState, Happened
from widget.tellings import Payment


def note(session: Session, order: Order, answer: Answer, provider: str, put_at: datetime) -> None:
    """Keep which of the order's payments the provider has given back, by its answer to a question put at `put_at`.

    One that it calls charged again has come back: a refund may fail. The order must be locked, with all rows of its
    number; and this comes before what the answer says is charged, which may have been paid in its place.
    """
    if answer.state not in {ChargeState.CHARGED, ChargeState.NOT_CHARGED}:
        return
    charged = _charged(answer)
    known: dict[str, list[Payment]] = {}
    for each in tellings.by_provider(session, order, provider):
        known.setdefault(each.payment or "", []).append(each)
    heard = provider_events.heard(session, order.shop_id, None, *known)
    for payment, rows in known.items():
        if payment in charged:
            if _stand(rows, put_at):
                session.flush()
                mispayments.taken_again(session, order, rows[0], put_at)
        elif _is_given_back(payment, rows, answer, heard) and all(each.reversed_at is None for each in rows):
            for each in rows:
                each.reversed_at = put_at
            session.flush()
            mispayments.given_back(session, order, rows[0], put_at)


def _charged(answer: Answer) -> set[str]:
    listed = {each.payment for each in answer.charged}
    return listed | ({answer.payment} if answer.payment and answer.state is ChargeState.CHARGED else set())


def _stand(rows: Collection[Payment], put_at: datetime) -> bool:
    """Whether it had been given back, as far as we knew, and counts again."""
    found = [each for each in rows if each.reversed_at is not None and each.reversed_at < put_at]
    for each in found:
        each.reversed_at = None
    return bool(found)


def _is_given_back(payment: str, rows: Collection[Payment], answer: Answer, heard: Collection[Happened]) -> bool:
    """The provider says it of this very payment; or it has told of the refund, and does not list the payment now.

    Several events may tell of one refund, so their sum counts only where it has looked at the payment as well.
    """
    if answer.state is ChargeState.NOT_CHARGED and answer.is_reversed and answer.payment == payment:
        return True
    refunds = [each.money.minor for each in heard if each.kind == "refund" and each.payment == payment and each.money]
    was_looked_at = answer.is_of_order or payment in answer.asked
    told = sum(refunds) if was_looked_at else max(refunds, default=0)
    return told >= max(each.amount for each in rows)
