"""What a shop's page shows of us: the frame with its pill, and the shop's look."""

from flask import Blueprint, Response, make_response, render_template

from widget import attempts, clock, shops
from widget.look import stylesheet
from widget.web import security
from widget.web.context import services

blueprint = Blueprint("embed", __name__)

LOOK_CACHE_SECONDS = 300


@blueprint.get("/frame/<site>")
def frame(site: str) -> Response:
    with services().database.read() as session:
        shop = shops.by_site(session, site)
        deadlines = attempts.deadlines_of(shop)
    profile = shop.settled
    page = render_template(
        "public/frame.html",
        shop=shop,
        profile=profile,
        deadlines=deadlines,
        now_ms=int(clock.now().timestamp() * 1000),
    )
    response = make_response(page)
    ancestors = " ".join(("'self'", *profile.allowed_origins))
    response.headers["Content-Security-Policy"] = security.policy(ancestors=ancestors)
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
