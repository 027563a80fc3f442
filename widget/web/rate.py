"""The rating page. Mail scanners open links and even submit the forms they find, so looking changes nothing and only an
answer that a person chose is recorded."""

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from widget import clock, ratings, tickets
from widget.errors import LinkExpired, LinkInvalid, Malformed
from widget.shops import Shop
from widget.tickets import Ticket
from widget.tokens import Purpose
from widget.web import reader
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("rate", __name__)

# Nobody reads a question and answers it faster; such a POST is shown the answer to confirm instead.
FASTEST_PERSON_SECONDS = 2.0


@blueprint.get("/rate/<token>")
@limiter.limit("60/minute", key_func=by_link)
def page(token: str) -> Response:
    with services().database.read() as session:
        return _show(session, _ticket(session, token), token)


@blueprint.post("/rate/<token>")
@limiter.limit("10/minute", key_func=by_link)
def answer(token: str) -> Response:
    score, comment = request.form.get("score", ""), request.form.get("comment", "")
    with services().database.write() as session:
        ticket = _ticket(session, token)
        reader.use(session.get_one(Shop, ticket.shop_id), ticket.locale)
        if score not in {str(known) for known in ratings.SCORES}:
            return _show(session, ticket, token, comment=comment, error=_("Choose one of the five answers."))
        if not _is_from_a_person(token):
            return _show(session, ticket, token, score=int(score), comment=comment, confirm=True)
        try:
            ratings.answer(session, ticket, int(score), comment, clock.now())
        except Malformed as error:
            return _show(session, ticket, token, score=int(score), comment=comment, error=reader.say(error.said))
        return _show(session, ticket, token, thanks=True)


def _is_from_a_person(token: str) -> bool:
    """Whether the form was fetched for this link and read for a moment before it came back."""
    try:
        subject, fetched_at = services().tokens.read_with_age(Purpose.FORM, request.form.get("nonce", ""))
    except (LinkInvalid, LinkExpired):
        return False
    # The signature's clock counts whole seconds, so a form fetched at 0.9 s seems a second older than it is.
    waited = clock.now().timestamp() - fetched_at - 1
    return bool(subject == _nonce_subject(token)) and waited >= FASTEST_PERSON_SECONDS - 1


def _nonce_subject(token: str) -> str:
    return f"rate:{token[-27:]}"


def _ticket(session: Session, token: str) -> Ticket:
    return tickets.by_id(session, int(services().tokens.read(Purpose.RATE, token)))


def _show(session: Session, ticket: Ticket, token: str, *, error: str | None = None, **values: object) -> Response:
    shop = session.get_one(Shop, ticket.shop_id)
    reader.use(shop, ticket.locale)
    page = render_template(
        "public/rate.html",
        shop=shop,
        profile=shop.settled,
        ticket=ticket,
        rating=ratings.of(session, ticket),
        scores=ratings.SCORES,
        token=token,
        nonce=services().tokens.sign(Purpose.FORM, _nonce_subject(token)),
        error=error,
        **values,
    )
    return make_response(page, 422 if error else 200)
