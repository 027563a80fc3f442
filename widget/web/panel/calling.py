"""Ask us to call you: a number, a time within the shop's hours, and a ticket that says so."""

from datetime import datetime

from flask import Response, request
from sqlalchemy.orm import Session

from widget import casework, clock
from widget.errors import Malformed
from widget.language import N_
from widget.offers import OfferKind
from widget.web import reader
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import asking, fields, hours, knowledge, writing
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show
from widget.web.panel.knowledge import Knowledge


def offered(_session: Session, known: Knowledge) -> Response:
    return _form(known.case)


@blueprint.post("/help/<token>/call-back")
@limiter.limit("10/minute", key_func=by_link)
def call_back(token: str) -> Response:
    """Open the ticket, or join the one that is there, with the number and the time."""
    attempt_id = attempt_id_of(token)
    try:
        with services().database.write() as session:
            case = case_of(session, attempt_id, token)
            if knowledge.of(session, case).offers(OfferKind.CALL_BACK):
                return _keep(session, case)
    except Malformed as error:
        with services().database.read() as session:
            return _form(case_of(session, attempt_id, token), error=reader.say(error.said))
    return asking.choices_afresh(attempt_id, token)


def _keep(session: Session, case: Case) -> Response:
    email, phone = fields.email(request.form.get("email", "")), fields.phone(request.form.get("phone", ""))
    call_at, words = _picked(case), request.form.get("words", "")
    ticket = writing.within_limits(
        session,
        case,
        email,
        lambda: casework.call_back(
            session,
            case.shop,
            case.attempt,
            email=email,
            phone=phone,
            call_at=call_at,
            words=words,
            locale=reader.locale(),
            pace=services().pace,
            now=clock.now(),
        ),
    )
    return show("called", case, ticket=ticket, status_url=services().addresses.status(ticket))


def _picked(case: Case) -> datetime:
    """The time that was picked, if it is still one of those that can be."""
    at = fields.moment(request.form.get("at", ""))
    if at is None or at not in hours.call_times(case.shop.settled, clock.now()):
        raise Malformed(N_("Choose when we should call you."))
    return at


def _form(case: Case, *, error: str | None = None) -> Response:
    times = hours.call_times(case.shop.settled, clock.now())
    typed = {name: request.form.get(name, "") for name in ("phone", "email", "at", "words")}
    typed["email"] = typed["email"] or case.attempt.email or ""
    return show("call_back", case, status=422 if error else 200, times=times, typed=typed, error=error)
