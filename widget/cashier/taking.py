"""Taking: where a payment link stands, which what became of its page decides."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from widget import casework, clock, links, orders, payments
from widget.attempts import Attempt
from widget.casework import Pace
from widget.cashier import pages
from widget.database import Database
from widget.errors import LinkExpired, Refused
from widget.links import PaymentLink
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState
from widget.shops import Shop


class Step(StrEnum):
    """What a customer who holds a payment link is to be told, or sent to."""

    GO = "go"  # to the page that takes the money
    OPEN = "open"  # nothing was taken; the money can be taken now
    DONE = "done"
    PART = "part"  # this link has taken its money, and the order comes to more
    CUSTOMER = "customer"  # a payment is open in a window of the customer's, who alone can leave it
    CONFIRM = "confirm"  # a payment is being worked on at the provider or the bank, and cannot be given up by us
    WAIT = "wait"  # money may have moved, so nothing may be paid now
    HELD = "held"  # the amount is reserved; the shop takes it later
    UNANSWERED = "unanswered"  # the provider could not make its page; nothing was taken
    OVER = "over"  # this link takes nothing


@dataclass(frozen=True, slots=True)
class Taking:
    """`url` goes with GO, `why` (a message id) with OVER, `provider` with CUSTOMER and CONFIRM.

    `was_declined` says that a try on the page failed, `status` is the provider's own word where money may move.
    """

    step: Step
    url: str | None = None
    why: str | None = None
    was_declined: bool = False
    provider: str | None = None
    status: str | None = None


def look(database: Database, pace: Pace, key: str) -> Taking:
    """What became of this link's page, and whether the link takes anything now. Settles the order when it was paid."""
    with database.read() as session:
        link = links.by_key(session, key)
        page, is_over = pages.page_of(session, link), links.is_over(link, session.get_one(Order, link.order_id))
    if page is not None and is_over:
        page = replace(page, was_closed=pages.close(database, page))
    answer = pages.state_of(database, page, may_take=not is_over) if page is not None else None
    with database.write() as session:
        link = links.by_key(session, key)
        order = orders.locked_by_reference(session, session.get_one(Order, link.order_id))
        if answer is not None:
            _conclude(session, link, order, answer, pace, is_final=page is not None and page.is_last_of(link))
        return _step_after(session, link, order, answer)


def _conclude(session: Session, link: PaymentLink, order: Order, answer: Answer, pace: Pace, *, is_final: bool) -> None:
    now = clock.now()
    if answer.state is ChargeState.CHARGED:
        _settle(session, link, order, answer, pace)
    elif answer.state is ChargeState.NOT_CHARGED:
        links.nothing_moved(link, order, now, is_final=is_final)
    elif order.paid_at is None:
        _keep(session, link, order, answer, now)


def _keep(session: Session, link: PaymentLink, order: Order, answer: Answer, now: datetime) -> None:
    """Money may have moved: nothing else may take any. Where nobody can say for long, that is for agents to look up."""
    is_silent = answer.state is ChargeState.UNKNOWN
    if is_silent and not link.may_have_taken:
        # Meanwhile the page was closed, and its provider has said that nothing was taken.
        return
    if is_silent and (links.is_given_up(link, now) or link.released_at is not None):
        links.nothing_moved(link, order, now, is_final=links.is_given_up(link, now))
        return
    links.keep_for_money(link, order, now)
    if is_silent and links.is_overdue(link, now):
        attempt, shop = session.get_one(Attempt, link.attempt_id), session.get_one(Shop, order.shop_id)
        casework.charge_not_known(session, shop, attempt, now)


def _settle(session: Session, link: PaymentLink, order: Order, answer: Answer, pace: Pace) -> None:
    now, shop = clock.now(), session.get_one(Shop, order.shop_id)
    links.finish_paying(link, order, answer.payment or link.hosted_id or "", now)
    money, payment = answer.money or link.due, answer.payment
    told = Told(f"link:{link.key}", Source.LINK, money, payment=payment, provider=link.provider)
    payments.record(session, shop, order, told, pace, now)


def _step_after(session: Session, link: PaymentLink, order: Order, answer: Answer | None) -> Taking:
    if order.paid_at is not None:
        return Taking(Step.DONE)
    if link.paid_at is not None:
        return Taking(Step.PART)
    if answer is not None and answer.state is not ChargeState.NOT_CHARGED:
        if answer.state is ChargeState.UNKNOWN and link.released_at is not None:
            return Taking(Step.OVER, why=links.WITHDRAWN, status=answer.status)
        return Taking(Step.HELD if answer.state is ChargeState.HELD else Step.WAIT, status=answer.status)
    try:
        links.check_payable(session, link, order, clock.now())
    except (LinkExpired, Refused) as error:
        return Taking(Step.OVER, why=error.detail)
    return Taking(Step.OPEN, was_declined=answer is not None and answer.code is not None)
