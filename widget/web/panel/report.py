"""Report it: the way out that is always there. It ends in a ticket."""

from flask import Response, request
from sqlalchemy.orm import Session

from widget import casework, clock, evidence
from widget.errors import Malformed
from widget.web import reader
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import fields, writing
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show


@blueprint.post("/help/<token>/report")
@limiter.limit("20/minute", key_func=by_link)
def report(token: str) -> Response:
    """Open the ticket, or join the one that is there."""
    attempt_id = attempt_id_of(token)
    email, words = request.form.get("email", ""), request.form.get("words", "")
    database, pace = services().database, services().pace
    try:
        with database.write() as session:
            case = case_of(session, attempt_id, token)
            address = fields.email(email)
            ticket = writing.within_limits(
                session,
                case,
                address,
                lambda: casework.report(
                    session,
                    case.shop,
                    case.attempt,
                    email=address,
                    words=words,
                    locale=reader.locale(),
                    pace=pace,
                    now=clock.now(),
                ),
            )
            return show("reported", case, ticket=ticket, status_url=services().addresses.status(ticket))
    except Malformed as error:
        with database.read() as session:
            case = case_of(session, attempt_id, token)
            return form(session, case, typed_email=email, words=words, error=reader.say(error.said))


def form(
    session: Session, case: Case, *, typed_email: str | None = None, words: str = "", error: str | None = None
) -> Response:
    found = evidence.gather(session, case.shop, case.attempt, reader.locale())
    prefilled = case.attempt.email or "" if typed_email is None else typed_email
    status = 422 if error else 200
    return show("report", case, status=status, evidence=found, email=prefilled, words=words, error=error)
