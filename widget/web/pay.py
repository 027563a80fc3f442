"""The manual payment link: one order, one amount, once."""

import structlog
from flask import Blueprint, Response, make_response, render_template
from sqlalchemy.orm import Session

from widget import charges, clock, enquiry, links, orders, payments
from widget.attempts import Attempt
from widget.errors import LinkExpired, Refused
from widget.links import PaymentLink
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import ChargeState, Paid, Provider, ProviderDown, adapter_for
from widget.shops import Shop
from widget.tokens import Purpose
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("pay", __name__)
log = structlog.get_logger()


@blueprint.get("/pay/<token>")
@limiter.limit("60/minute", key_func=by_link)
def page(token: str) -> Response:
    with services().database.read() as session:
        link = _link(session, token)
        order = session.get_one(Order, link.order_id)
        if order.paid_at is not None or link.paid_at is not None:
            return _show(session, link, "done", was_paid_before=True)
        try:
            links.check_payable(session, link, order, clock.now())
        except (LinkExpired, Refused) as error:
            return _show(session, link, "over", why=error.detail, status=error.status)
        return _show(session, link, "open", token=token)


@blueprint.post("/pay/<token>")
@limiter.limit("20/minute", key_func=by_link)
def take(token: str) -> Response:
    """Pay the order. Every step may be repeated: the provider knows the link's idempotency key."""
    database = services().database
    with database.read() as session:
        attempt_id = _link(session, token).attempt_id
    # The first attempt may have been charged after all; then nothing more is taken.
    enquiry.ask(database, services().pace, attempt_id)
    with database.write() as session:
        link = _link(session, token)
        order = orders.locked(session, link.order_id)
        if order.paid_at is not None:
            return _show(session, link, "done", was_paid_before=link.paid_at is None)
        # Whether another link is taking the money is for this link to find out when it starts.
        attempt = session.get_one(Attempt, attempt_id)
        if charges.last_word(session, attempt, order, clock.now()) is not ChargeState.NOT_CHARGED:
            return _show(session, link, "wait", token=token, status=409)
        try:
            links.start_paying(session, link, order, clock.now())
        except (LinkExpired, Refused) as error:
            return _show(session, link, "over", why=error.detail, status=error.status)
        provider = _provider(session, link)
        reference, due, key = order.reference, link.due, f"link:{link.key}"
    try:
        paid = provider.pay(reference, due, key)
    except ProviderDown as error:
        log.warning("link_payment_unanswered", reason=str(error))
        with database.read() as session:
            return _show(session, _link(session, token), "unanswered", token=token, status=502)
    return _finish(token, paid)


def _finish(token: str, paid: Paid) -> Response:
    now = clock.now()
    with services().database.write() as session:
        link = _link(session, token)
        order = orders.locked(session, link.order_id)
        shop = session.get_one(Shop, order.shop_id)
        links.finish_paying(link, order, paid.payment, now)
        told = Told(f"link:{link.key}", Source.LINK, paid.money, payment=paid.payment)
        payments.record(session, shop, order, told, services().pace, now)
        return _show(session, link, "done", was_paid_before=False)


def _link(session: Session, token: str) -> PaymentLink:
    return links.by_key(session, str(services().tokens.read(Purpose.PAY, token)))


def _provider(session: Session, link: PaymentLink) -> Provider:
    attempt = session.get_one(Attempt, link.attempt_id)
    shop = session.get_one(Shop, attempt.shop_id)
    provider = adapter_for(enquiry.provider_of(shop, attempt), shop.settled.providers)
    if provider is None:
        raise Refused("This shop cannot take payments by link at the moment. Nothing was taken.")
    return provider


def _show(session: Session, link: PaymentLink, state: str, *, status: int = 200, **values: object) -> Response:
    order = session.get_one(Order, link.order_id)
    shop = session.get_one(Shop, order.shop_id)
    page = render_template(
        "public/pay.html", shop=shop, profile=shop.settled, order=order, link=link, state=state, **values
    )
    return make_response(page, status)
