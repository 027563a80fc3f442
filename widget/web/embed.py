"""What a shop's page loads from us: the script, the frame with its pill, and the shop's look."""

from flask import Blueprint, Response, make_response, render_template, send_from_directory

from widget import attempts, clock, shops
from widget.look import stylesheet
from widget.paths import STATIC
from widget.web import security
from widget.web.context import services

blueprint = Blueprint("embed", __name__)

# The address of the tag never changes, so a fixed embed must reach every shop soon.
EMBED_CACHE_SECONDS = 300


@blueprint.get("/embed.js")
def script() -> Response:
    response = send_from_directory(STATIC / "dist", "embed.js", max_age=EMBED_CACHE_SECONDS)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


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
    response.headers["Cache-Control"] = f"public, max-age={EMBED_CACHE_SECONDS}"
    return response
