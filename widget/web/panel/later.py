"""Pay later: the customer is reminded at the time they chose, and the order is kept where its shop can be told."""

from datetime import datetime

from flask import Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from widget import clock, enquiry, followups, holds, orders
from widget.errors import Malformed, Refused
from widget.followups import Kind
from widget.language import N_
from widget.offers import OfferKind
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import asking, fields, knowledge, screen, writing
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show
from widget.web.panel.knowledge import Knowledge


def offered(session: Session, known: Knowledge) -> Response:
    return _form(session, known)


@blueprint.post("/help/<token>/later")
@limiter.limit("10/minute", key_func=by_link)
def keep(token: str) -> Response:
    """Keep the order and promise the reminder. Asked again, the new time and address count."""
    attempt_id = attempt_id_of(token)
    # The answer from when the form was opened may be too old to be relied on.
    enquiry.ask(services().database, services().pace, attempt_id)
    try:
        with services().database.write() as session:
            case = case_of(session, attempt_id, token)
            order = orders.locked(session, case.order.id) if case.order else None
            known = knowledge.of(session, case)
            if order is None or not known.offers(OfferKind.LATER):
                return screen.choices(session, case, checks=0)
            email, at = fields.email(request.form.get("email", "")), _picked(case)
            writing.count(session, case, email)
            hold = holds.keep(session, case.shop, case.attempt, order, email=email, remind_at=at, now=known.now)
            about = f"hold:{hold.id}:{int(hold.remind_at.timestamp())}"
            followups.owe_to_attempt(
                session, case.attempt, Kind.LATER, about=about, due_at=hold.remind_at, now=known.now
            )
            return show("kept", case, hold=hold, is_kept=known.asks_shop_to_keep)
    except (Malformed, Refused) as error:
        with services().database.read() as session:
            return _form(session, knowledge.of(session, case_of(session, attempt_id, token)), error=_(error.detail))


@blueprint.post("/help/<token>/later/release")
@limiter.limit("10/minute", key_func=by_link)
def release(token: str) -> Response:
    """The customer does not want the order to be kept any more."""
    attempt_id = attempt_id_of(token)
    with services().database.write() as session:
        case = case_of(session, attempt_id, token)
        if case.order is not None:
            holds.release(session, case.attempt, orders.locked(session, case.order.id), clock.now())
    return asking.choices_afresh(attempt_id, token)


def _picked(case: Case) -> datetime:
    """When to remind. The form may have been open for a while, so any moment within the time of the hold will do."""
    at, now = fields.moment(request.form.get("at", "")), clock.now()
    if at is None or at > holds.ends_at(case.shop, now):
        raise Malformed(N_("Choose when we should remind you."))
    return at


def _form(session: Session, known: Knowledge, *, error: str | None = None) -> Response:
    case, hold = known.case, holds.seen_by(session, known.case.attempt, known.case.order)
    typed = {name: request.form.get(name, "") for name in ("email", "at")}
    typed["email"] = typed["email"] or (hold.email if hold else None) or case.attempt.email or ""
    times = holds.reminder_times(case.shop, known.now)
    until = hold.until if hold else holds.ends_at(case.shop, known.now)
    return show(
        "later",
        case,
        status=422 if error else 200,
        times=times,
        until=until,
        is_kept=known.asks_shop_to_keep,
        typed=typed,
        warning=known.warning,
        error=error,
    )
