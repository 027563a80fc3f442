"""The script on the shop's page, under its everyday address and under versioned, immutable ones."""

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request

from widget.paths import STATIC

blueprint = Blueprint("script", __name__)

BUILT = STATIC / "dist" / "embed.js"
# Builds of earlier releases, which shops have pinned: `make keep-embed` puts them here, and nothing takes them away.
KEPT = STATIC / "dist" / "kept"

# The everyday address never changes, so a fixed embed must reach every shop soon.
EMBED_CACHE_SECONDS = 300
IMMUTABLE_SECONDS = 365 * 24 * 3600
VERSION = re.compile(r"[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Build:
    """One build of the script: what it is, and how a tag pins it."""

    source: bytes
    # The first 12 hex digits of its SHA-256, which stand in its address.
    version: str
    integrity: str


@blueprint.get("/embed.js")
def script() -> Response:
    return _javascript(current(), f"public, max-age={EMBED_CACHE_SECONDS}")


@blueprint.get("/embed-<version>.js")
def pinned(version: str) -> Response:
    """A build that never changes. What lies under another name than its own hash is not served."""
    build = _by_version(version)
    if build is None:
        # Plain text, so that a browser runs nothing, and not kept, since a release may bring this build in a moment.
        missing = Response("There is no such version of the script. `unjam embed SITE` prints the tag.\n", 404)
        missing.mimetype = "text/plain"
        return _shared(missing, "no-store")
    return _javascript(build, f"public, max-age={IMMUTABLE_SECONDS}, immutable")


def current() -> Build:
    """The build that is served under the everyday address."""
    return build_of(BUILT)


def build_of(path: Path) -> Build:
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, _changed_at: int) -> Build:
    source = path.read_bytes()
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(source).digest()).decode()
    return Build(source, hashlib.sha256(source).hexdigest()[:12], integrity)


def _by_version(version: str) -> Build | None:
    if not VERSION.match(version):
        return None
    for path in (BUILT, KEPT / f"embed-{version}.js"):
        if path.is_file() and (build := build_of(path)).version == version:
            return build
    return None


def _javascript(build: Build, caching: str) -> Response:
    response = Response(build.source, mimetype="text/javascript")
    response.set_etag(build.version)
    response = _shared(response, caching)
    response.make_conditional(request)
    return response


def _shared(response: Response, caching: str) -> Response:
    """Any shop's page may load it, also with `crossorigin`, which checking its integrity needs."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = caching
    return response
