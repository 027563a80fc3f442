"""What every page of the desk shares: who is signed in, their shops, and how a page or a part of it is answered."""

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from sqlalchemy.orm import Session

from widget import agents, clock, followups, hooks, tickets, transfers
from widget.errors import NotFound
from widget.shops import Shop
from widget.web.context import services
from widget.web.desk import board, signin, unreported, words
from widget.web.desk.lines import lines_of
from widget.web.desk.places import VIEWS, Place, place_of

MAX_LINES = 100

blueprint = Blueprint("desk", __name__, url_prefix="/desk")
blueprint.add_url_rule("/login", view_func=signin.login, methods=["GET", "POST"])
blueprint.add_url_rule("/logout", view_func=signin.logout, methods=["POST"])


@blueprint.before_request
def _only_signed_in() -> Any:
    if request.endpoint == "desk.login" or signin.is_signed_in():
        return None
    return signed_out(401) if request.headers.get("HX-Request") else signin.to_login()


@blueprint.after_request
def _keep_private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.errorhandler(RateLimitExceeded)
def _on_too_many(_error: RateLimitExceeded) -> Response:
    # Signing in is the one limited thing here.
    return signin.too_many()


@blueprint.errorhandler(CSRFError)
def _on_csrf(_error: CSRFError) -> Response:
    return signed_out(400)


@blueprint.errorhandler(NotFound)
def _on_not_found(error: NotFound) -> Response:
    """The desk with the reason where the ticket would be, so that the agent can search on."""
    if not signin.is_signed_in():
        return make_response(render_template("desk/signed_out.html", typed=""), 404)
    if wants_pane():
        return make_response(render_template("desk/missing.html", reason=error.detail, place=place_of(request)), 404)
    with services().database.read() as session:
        return whole_desk(session, shops_of_agent(session), "desk/missing.html", 404, reason=error.detail)


def shops_of_agent(session: Session) -> dict[int, Shop]:
    """The shops of whoever is signed in, by id. Nothing else exists on their desk."""
    return {shop.id: shop for shop in agents.shops_of(session, signin.agent().id)}


def wants_pane() -> bool:
    """Whether the desk's own page asks for the reading pane alone; going back in history asks for the whole page."""
    return request.headers.get("HX-Target") == "pane"


def queue_parts(session: Session, shops: dict[int, Shop], place: Place, selected: str | None) -> dict[str, Any]:
    """What the rail and the list show. One line more than is shown is read, to know whether there are more."""
    ids = list(shops)
    found = tickets.queue(session, ids, statuses=place.statuses, search=place.search, limit=MAX_LINES + 1)
    return {
        **rail_parts(session, shops, place),
        "unreported": unreported.found(session, shops, place.search, clock.now()),
        "lines": lines_of(session, shops, found[:MAX_LINES], clock.now()),
        "has_more": len(found) > MAX_LINES,
        "max_lines": MAX_LINES,
        "selected": selected,
        "has_shops": bool(shops),
    }


def rail_parts(session: Session, shops: dict[int, Shop], place: Place | None) -> dict[str, Any]:
    ids = list(shops)
    return {
        "agent": signin.agent(),
        "place": place,
        "views": VIEWS,
        "counts": words.counts_of_views(tickets.counts(session, ids)),
        "dead_count": followups.count_dead(session, ids) + hooks.count_dead(session, ids),
        "awaited_count": transfers.count_awaited(session, ids),
        "alarm_count": board.alarms(session, list(shops.values()), clock.now()),
    }


def whole_desk(
    session: Session, shops: dict[int, Shop], pane: str, status: int = 200, *, selected: str | None = None, **parts: Any
) -> Response:
    """The page with all three areas; `pane` is the template of the reading pane."""
    place = place_of(request)
    shown = queue_parts(session, shops, place, selected)
    return make_response(render_template("desk/desk.html", pane=pane, **shown, **parts), status)


def signed_out(status: int) -> Response:
    """Say that the session has ended without losing what was typed: htmx puts this beside the pane, not into it."""
    if request.headers.get("HX-Request"):
        response = make_response(render_template("desk/signed_out_alert.html"), status)
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#alert", "innerHTML"
        return response
    return make_response(render_template("desk/signed_out.html", typed=request.form.get("words", "")), status)
