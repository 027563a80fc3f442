"""The queue: the desk's front page, and the list alone for the page that keeps itself up to date."""

import re
from urllib.parse import urlsplit

from flask import Response, make_response, render_template, request

from widget.errors import NotFound
from widget.web.context import services
from widget.web.desk.blueprint import blueprint, queue_parts, shops_of_agent, whole_desk
from widget.web.desk.places import place_of

_TICKET_PATH = re.compile(r"/desk/tickets/([0-9A-Z-]{1,20})\Z")


@blueprint.get("/")
def queue() -> Response:
    with services().database.read() as session:
        return whole_desk(session, shops_of_agent(session), "desk/unselected.html")


@blueprint.get("/queue")
def queue_alone() -> Response:
    """The list and the rail's counts, asked for every few seconds by the page that is open."""
    with services().database.read() as session:
        parts = queue_parts(session, shops_of_agent(session), place_of(request), _open_in_browser())
    return make_response(render_template("desk/queue_alone.html", **parts))


@blueprint.get("/<path:_address>")
def nowhere(_address: str) -> Response:
    """An address of the desk with a slip in it: its agent is to stay at the desk."""
    raise NotFound("The desk has no page at this address.")


def _open_in_browser() -> str | None:
    """The reference of the ticket that the asking page shows; htmx tells the page's address."""
    try:
        path = urlsplit(request.headers.get("HX-Current-URL", "")).path
    except ValueError:
        return None
    found = _TICKET_PATH.match(path)
    return found[1] if found else None
