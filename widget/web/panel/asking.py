"""The panel asks what happened to the money, and goes on asking while nobody knows."""

from flask import Response, request

from widget import clock, enquiry, returns
from widget.tokens import Purpose
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import screen
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import attempt_id_of, case_of

FOLLOWED_FOR_SECONDS = 60 * 60


@blueprint.get("/help/<token>")
@limiter.limit("120/minute", key_func=by_link)
def page(token: str) -> Response:
    attempt_id = attempt_id_of(token)
    # Whoever scans mails opens every link, so this alone does not mean that the customer has seen the answer.
    enquiry.ask(services().database, services().pace, attempt_id, is_looked_at=False)
    with services().database.read() as session:
        case = case_of(session, attempt_id, token)
        return screen.choices(session, case, checks=0, greeting=screen.greeting(session, case))


def choices_afresh(attempt_id: int, token: str) -> Response:
    """The ways out after something was undone: what was said of the money before it may be long ago."""
    enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.write() as session:
        return screen.choices(session, case_of(session, attempt_id, token), checks=0)


@blueprint.post("/help/<token>/check")
@limiter.limit("120/minute", key_func=by_link)
def check(token: str) -> Response:
    """Ask the provider, then show what it said and what can be done now: to somebody who is there."""
    attempt_id = attempt_id_of(token)
    enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.write() as session:
        case = case_of(session, attempt_id, token)
        returns.attend(session, case.attempt, clock.now())
        greeting = screen.greeting(session, case) if "greet" in request.form else None
        return screen.choices(session, case, checks=_checks(), greeting=greeting)


@blueprint.get("/help/<token>/live")
@limiter.limit("120/minute", key_func=by_link)
def live(token: str) -> Response | tuple[str, int]:
    """Asked every few seconds by an open panel: nothing (204) until the order is paid, wherever that happened.

    Once it shows that, nothing again until a further payment becomes known.
    """
    attempt_id, signed_at = services().tokens.read_with_age(Purpose.HELP, token)
    with services().database.read() as session:
        case = case_of(session, int(attempt_id), token)
        if case.is_paid and (news := screen.paid_news(session, case, request.args.get("shown"))):
            return news
    # 286 is htmx's word for "stop polling".
    return "", 204 if clock.now().timestamp() - signed_at < FOLLOWED_FOR_SECONDS else 286


def _checks() -> int:
    value = request.form.get("checks", "0")
    return min(int(value), 100) if value.isascii() and value.isdecimal() and len(value) < 5 else 0
