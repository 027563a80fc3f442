"""What a shop's page shows of us: the frame with its pill, and the shop's look."""

from flask import Blueprint, Response, make_response, render_template, request

from widget import clock, deadlines, shops
from widget.look import stylesheet
from widget.providers import scripts
from widget.tokens import Purpose
from widget.web import reader, security
from widget.web.context import services

blueprint = Blueprint("embed", __name__)

LOOK_CACHE_SECONDS = 300
_RELATIONS = {"cross-site", "same-site", "same-origin"}


@blueprint.get("/frame/<site>")
def frame(site: str) -> Response:
    with services().database.read() as session:
        shop = shops.by_site(session, site)
        limits = deadlines.of(session, shop)
    profile = shop.settled
    reader.use(shop)
    page = render_template(
        "public/frame.html",
        shop=shop,
        profile=profile,
        deadlines=limits,
        now_ms=int(clock.now().timestamp() * 1000),
        token=services().tokens.sign(Purpose.FRAME, shop.site),
        relation=_relation(),
        sdks=scripts.watched_for(profile.providers),
    )
    response = make_response(page)
    ancestors = " ".join(("'self'", *profile.allowed_origins))
    response.headers["Content-Security-Policy"] = security.policy(ancestors=ancestors, worker="'self' blob:")
    # Gives the frame a process of its own in Chromium even when we are served from the shop's own site.
    response.headers["Origin-Agent-Cluster"] = "?1"
    return response


@blueprint.get("/look/<site>.css")
def look(site: str) -> Response:
    with services().database.read() as session:
        colour = shops.by_site(session, site).settled.colour
    response = Response(stylesheet(colour), mimetype="text/css")
    response.headers["Cache-Control"] = f"public, max-age={LOOK_CACHE_SECONDS}"
    return response


def _relation() -> str:
    """How near the shop's page is to us, as the browser says it; "" when it does not."""
    said = request.headers.get("Sec-Fetch-Site", "")
    return said if said in _RELATIONS else ""
