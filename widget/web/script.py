"""The script on the shop's page, under its everyday address and under versioned, immutable ones."""

from flask import Blueprint, Response, send_from_directory

from widget.paths import STATIC

blueprint = Blueprint("script", __name__)

# The everyday address never changes, so a fixed embed must reach every shop soon.
EMBED_CACHE_SECONDS = 300


@blueprint.get("/embed.js")
def script() -> Response:
    response = send_from_directory(STATIC / "dist", "embed.js", max_age=EMBED_CACHE_SECONDS)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
