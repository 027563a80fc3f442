"""The customer's private page about their ticket: where it stands, what was said, and room to say more."""

from flask import Blueprint, Response, make_response, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import certainty, clock, tickets
from widget.errors import Malformed
from widget.language import Said
from widget.shops import Shop
from widget.tickets import Ticket
from widget.tokens import Purpose
from widget.web import reader
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("status", __name__)


@blueprint.get("/status/<token>")
@limiter.limit("60/minute", key_func=by_link)
def page(token: str) -> Response:
    with services().database.read() as session:
        return _show(session, _ticket(session, token), token)


@blueprint.post("/status/<token>")
@limiter.limit("10/minute", key_func=by_link)
def say(token: str) -> Response | Redirect:
    words = request.form.get("words", "")
    try:
        with services().database.write() as session:
            tickets.hear(session, _ticket(session, token), words, clock.now())
    except Malformed as error:
        with services().database.read() as session:
            return _show(session, _ticket(session, token), token, words=words, error=error.said)
    return redirect(f"/status/{token}#said", 303)


def _ticket(session: Session, token: str) -> Ticket:
    return tickets.by_id(session, int(services().tokens.read(Purpose.STATUS, token)))


def _show(
    session: Session, ticket: Ticket, token: str, *, words: str = "", error: str | Said | None = None
) -> Response:
    shop, order = session.get_one(Shop, ticket.shop_id), tickets.order_of(session, ticket)
    reader.use(shop, ticket.locale)
    page = render_template(
        "public/status.html",
        shop=shop,
        profile=shop.settled,
        ticket=ticket,
        order=order,
        messages=tickets.messages_of(session, ticket, notes=False),
        token=token,
        words_typed=words,
        error=error,
        again=services().addresses.again(ticket),
        may_pay=certainty.may_pay_whole(session, tickets.attempt_of(session, ticket), order, clock.now()),
        is_answer_late=ticket.answered_at is None and ticket.answer_due_at < clock.now(),
    )
    return make_response(page, 422 if error else 200)
