"""Trying again out of an e-mail."""

from flask import Blueprint, Response, make_response, redirect, render_template
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import attempts, cashier, certainty, charges, clock, enquiry, guard, links, orders, tickets, transfers
from widget.attempts import Attempt
from widget.orders import Order
from widget.shops import Shop
from widget.tickets import Ticket
from widget.tokens import Purpose
from widget.web import reader, security, waiting
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("again", __name__)


@blueprint.get("/again/<token>")
@limiter.limit("60/minute", key_func=by_link)
def again(token: str) -> Response:
    with services().database.read() as session:
        return _show(session, _ticket(session, token))


@blueprint.post("/again/<token>")
@limiter.limit("20/minute", key_func=by_link)
def pay_again(token: str) -> Response | Redirect:
    """A fresh payment link where the provider takes one, else the shop's checkout; never while money may have moved."""
    with services().database.read() as session:
        attempt_id = tickets.attempt_of(session, _ticket(session, token)).id
    enquiry.ask(services().database, services().pace, attempt_id, fresh=True)
    is_free = cashier.clear(services().database, services().pace, attempt_id)
    if is_free:
        waiting.let_go(attempt_id)
    with services().database.write() as session:
        attempt, order = attempts.by_id(session, attempt_id), None
        if attempt.order_id is not None:
            order = orders.locked(session, attempt.order_id)
        if order is not None and transfers.is_announced(session, order, attempt):
            return _show(session, _ticket(session, token), state="transfer")
        if order is None or not is_free or not certainty.may_pay_whole(session, attempt, order, clock.now()):
            state = certainty.certain_state(session, attempt, order, clock.now()).value if is_free else "unknown"
            return _show(session, _ticket(session, token), state=state)
        address = _address(session, attempt, order)
        if address is None:
            return _show(session, _ticket(session, token), state="nowhere")
        return redirect(address, 303)


def _address(session: Session, attempt: Attempt, order: Order) -> str | None:
    """Where this order can be paid now. Who seems to try cards gets no link of ours, only the shop's own checkout."""
    shop = session.get_one(Shop, attempt.shop_id)
    checkout = shop.settled.checkout_for(order.reference)
    takes_links = links.takes_links(shop.settled, attempt.provider)
    if not takes_links or guard.is_suspect(session, attempt, clock.now()):
        return checkout
    return services().addresses.pay(links.link_for(session, shop, attempt, order, clock.now()))


def _ticket(session: Session, token: str) -> Ticket:
    return tickets.by_id(session, int(services().tokens.read(Purpose.AGAIN, token)))


def _show(session: Session, ticket: Ticket, *, state: str | None = None) -> Response:
    attempt = tickets.attempt_of(session, ticket)
    shop = session.get_one(Shop, attempt.shop_id)
    order = attempts.order_of(session, attempt)
    reader.use(shop, ticket.locale)
    charge = charges.latest(session, attempt.id)
    page = render_template(
        "public/again.html",
        shop=shop,
        profile=shop.settled,
        order=order,
        state=state,
        is_part_paid=certainty.is_part_paid(session, order) or bool(charge and charge.is_part_of(order)),
        warning=waiting.warning(certainty.truth_of(session, attempt, order, clock.now())),
        is_open_now=shop.settled.is_open(clock.now()),
    )
    response = make_response(page)
    if shop.settled.checkout_url:
        # Browsers apply form-action to the redirect that answers the form, too.
        form_action = " ".join(("'self'", *shop.settled.allowed_origins))
        response.headers["Content-Security-Policy"] = security.policy(form_action=form_action)
    return response
