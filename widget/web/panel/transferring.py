"""A bank transfer: what to enter at the bank, saying that it was sent, and taking that back."""

from datetime import datetime

from flask import Response, request
from sqlalchemy.orm import Session

from widget import cashier, clock, enquiry, hooks, links, orders, transfers
from widget.errors import Refused
from widget.hooks import Event
from widget.language import N_
from widget.orders import Order
from widget.shops import Shop
from widget.transfers import Transfer
from widget.web import reader
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import asking, knowledge, screen
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show
from widget.web.panel.knowledge import Knowledge


def offered(session: Session, known: Knowledge) -> Response:
    return _screen(session, known.case)


@blueprint.post("/help/<token>/transfer/announce")
@limiter.limit("20/minute", key_func=by_link)
def announce(token: str) -> Response:
    """The customer has sent it: from now on nothing else that pays is offered, and no page of ours stays open.

    The screen may have been open for long, so the provider is asked again. Whatever it says, and though a page cannot
    be closed at once (the worker goes on with that): refusing to hear of a transfer that was sent would lead the
    customer to pay once more, and hearing of it opens nothing.
    """
    attempt_id = attempt_id_of(token)
    enquiry.ask(services().database, services().pace, attempt_id)
    cashier.clear(services().database, services().pace, attempt_id, gives_up=True)
    with services().database.write() as session:
        case = case_of(session, attempt_id, token)
        if case.order is not None:
            orders.locked(session, case.order.id)
        known = knowledge.of(session, case)
        if case.order is None or case.is_paid or known.is_suspect:
            return screen.choices(session, case, checks=0)
        announced = transfers.announce(session, case.order, _transfer_id(), known.now, case.attempt)
        links.revoke_all(session, case.order, known.now, case.attempt)
        _tell_shop(session, case.shop, case.order, announced, known.now)
        return _screen(session, case)


@blueprint.post("/help/<token>/transfer/take-back")
@limiter.limit("20/minute", key_func=by_link)
def take_back(token: str) -> Response:
    """It was not sent after all."""
    attempt_id = attempt_id_of(token)
    with services().database.write() as session:
        case = case_of(session, attempt_id, token)
        if case.order is not None:
            order = orders.locked(session, case.order.id)
            transfers.take_back(session, order, _transfer_id(), clock.now(), case.attempt)
    return asking.choices_afresh(attempt_id, token)


def _tell_shop(session: Session, shop: Shop, order: Order, announced: Transfer, now: datetime) -> None:
    """Its server may keep the order for as long as a bank takes. Nobody vouches for an unsigned one."""
    if order.is_verified:
        due = {"amount": announced.amount, "currency": announced.currency, "reference": announced.reference}
        hooks.owe(session, shop, Event.TRANSFER, announced.reference, {"order": order.reference} | due, now)


def _transfer_id() -> int:
    """Which transfer the form is about; the number of none, where it says nothing sensible."""
    told = request.form.get("transfer", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 19 else 0


def _screen(session: Session, case: Case) -> Response:
    if case.order is None:
        raise Refused(N_("The amount of this order is not known. Report it, and a person will help."))
    order = orders.locked(session, case.order.id)
    told = transfers.instructions(session, case.shop, case.attempt, order, clock.now(), reader.locale())
    return show("transfer", case, transfer=told, warning=knowledge.of(session, case).warning)
