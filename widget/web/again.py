"""Trying again out of an e-mail, and going on with an order on another device."""

from flask import Blueprint, Response, make_response, redirect, render_template
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import attempts, charges, clock, enquiry, links, orders, tickets
from widget.attempts import Attempt
from widget.orders import Order
from widget.shops import Shop
from widget.tokens import Purpose
from widget.web import security
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("again", __name__)


@blueprint.get("/again/<token>")
@limiter.limit("60/minute", key_func=by_link)
def again(token: str) -> Response:
    with services().database.read() as session:
        return _show(session, _attempt_of_ticket(session, token), "again")


@blueprint.post("/again/<token>")
@limiter.limit("20/minute", key_func=by_link)
def pay_again(token: str) -> Response | Redirect:
    """A fresh payment link where the provider takes one, else the shop's checkout; never while money may have moved."""
    with services().database.read() as session:
        attempt_id = _attempt_of_ticket(session, token).id
    return _go_on(attempt_id, "again", by_payment_link=True)


@blueprint.get("/continue/<token>")
@limiter.limit("60/minute", key_func=by_link)
def continue_here(token: str) -> Response:
    with services().database.read() as session:
        return _show(session, _attempt_handed_over(session, token), "continue")


@blueprint.post("/continue/<token>")
@limiter.limit("20/minute", key_func=by_link)
def go_on_here(token: str) -> Response | Redirect:
    with services().database.read() as session:
        attempt_id = _attempt_handed_over(session, token).id
    return _go_on(attempt_id, "continue", by_payment_link=False)


def _go_on(attempt_id: int, way: str, *, by_payment_link: bool) -> Response | Redirect:
    enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.write() as session:
        attempt = attempts.by_id(session, attempt_id)
        order = attempts.order_of(session, attempt)
        if order is not None:
            order = orders.locked(session, order.id)
        if order is None or not charges.may_pay_whole(session, attempt, order, clock.now()):
            state = charges.certain_state(session, attempt, order, clock.now())
            return _show(session, attempt, way, state=state.value)
        return redirect(_address(session, attempt, order, by_payment_link=by_payment_link), 303)


def _address(session: Session, attempt: Attempt, order: Order, *, by_payment_link: bool) -> str:
    shop = session.get_one(Shop, attempt.shop_id)
    takes_links = enquiry.provider_of(shop, attempt) in shop.settled.providers
    checkout = shop.settled.checkout_for(order.reference)
    if checkout is None or (by_payment_link and takes_links):
        link = links.link_for(session, shop, attempt, orders.locked(session, order.id), clock.now())
        return services().addresses.pay(link)
    return checkout


def _attempt_of_ticket(session: Session, token: str) -> Attempt:
    ticket = tickets.by_id(session, int(services().tokens.read(Purpose.AGAIN, token)))
    return tickets.attempt_of(session, ticket)


def _attempt_handed_over(session: Session, token: str) -> Attempt:
    return attempts.by_id(session, int(services().tokens.read(Purpose.CONTINUE, token)))


def _show(session: Session, attempt: Attempt, way: str, *, state: str | None = None) -> Response:
    shop = session.get_one(Shop, attempt.shop_id)
    order = attempts.order_of(session, attempt)
    profile = shop.settled
    charge = charges.latest(session, attempt.id)
    is_part_paid = bool(attempts.paid_legs(session, order)) or bool(charge and charge.is_part_of(order))
    page = render_template(
        "public/again.html",
        shop=shop,
        profile=profile,
        order=order,
        way=way,
        state=state,
        is_part_paid=is_part_paid,
    )
    response = make_response(page)
    if profile.checkout_url:
        # Browsers apply form-action to the redirect that answers the form, too.
        form_action = " ".join(("'self'", *profile.allowed_origins))
        response.headers["Content-Security-Policy"] = security.policy(form_action=form_action)
    return response
