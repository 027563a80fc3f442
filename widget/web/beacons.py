"""POST /api/v1/beacons: authenticate, parse, store, answer 204. Nothing is thought about here.

A beacon is taken in at a door in front of Flask, whose routing, hooks and context would cost as much again as all that
is done here. What the door refuses goes on to Flask, so that there is still one place where failures become HTTP.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from flask import Blueprint, request
from limits import parse as parse_limit
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wsgi import get_input_stream

from widget import beacons, clock
from widget.beacons import Arrival
from widget.errors import LinkExpired, LinkInvalid, UnknownSite, WrongOrigin
from widget.redaction import mask_card_numbers
from widget.tokens import Purpose, Tokens
from widget.web.context import Services
from widget.web.inbox import Inbox
from widget.web.limits import hit
from widget.web.sites import Site, Sites

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

blueprint = Blueprint("beacons", __name__)

PATH = "/api/v1/beacons"
# A checkout sends a handful; a shop's whole traffic fits many times over.
PER_ATTEMPT = parse_limit("120/minute")
PER_SITE = parse_limit("600/second")
PER_ADDRESS = parse_limit("1200/minute")
MAX_AGENT_CHARS = 500
_REFUSAL = "unjam.beacon_refusal"


class Door:
    """WSGI middleware that takes in beacons and passes everything else on."""

    def __init__(self, inside: "WSGIApplication", services: Services) -> None:
        self._inside, self._tokens = inside, services.tokens
        self._sites, self._inbox = Sites(services.database), Inbox(services.database)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or environ.get("REQUEST_METHOD") != "POST":
            return self._inside(environ, start_response)
        try:
            self._take_in(environ)
        except Exception as refusal:  # whatever it is, Flask's error handlers say it
            environ[_REFUSAL] = refusal
            return self._inside(environ, start_response)
        start_response("204 No Content", cors(environ))
        return []

    def _take_in(self, environ: "WSGIEnvironment") -> None:
        now = clock.now()
        raw = get_input_stream(environ, max_content_length=beacons.MAX_BYTES).read()
        parsed = beacons.parse(raw, now)
        site = self._sites.by_key(parsed.beacon.site)
        if site is None:
            raise UnknownSite("Check the data-site value of the script tag against `unjam shops`.")
        if not may_speak(environ, site, self._tokens):
            raise WrongOrigin("Add the checkout's origin with `unjam shop-set SITE --origin https://…`.")
        hit(PER_ATTEMPT, "beacon", parsed.beacon.attempt.key)
        hit(PER_SITE, "beacon", site.site)
        hit(PER_ADDRESS, "beacon", environ.get("REMOTE_ADDR") or "")
        agent = mask_card_numbers((environ.get("HTTP_USER_AGENT") or "")[:MAX_AGENT_CHARS])
        self._inbox.put(Arrival(site.shop_id, parsed, agent or None, now))


def may_speak(environ: "WSGIEnvironment", site: Site, tokens: Tokens) -> bool:
    """Whether this comes from the shop's page, by its origin, or from our frame in it, by the frame's token.

    The frame may be sandboxed and so have no origin of its own; only it can read the token in it.
    """
    if environ.get("HTTP_ORIGIN") in site.origins:
        return True
    token = parse_qs(environ.get("QUERY_STRING") or "").get("frame", [""])[0]
    try:
        return bool(token) and tokens.read(Purpose.FRAME, token) == site.site
    except (LinkExpired, LinkInvalid):
        return False


def cors(environ: "WSGIEnvironment") -> list[tuple[str, str]]:
    """Lets a sandboxed frame, whose origin is `null`, read that it was heard. No credentials are involved."""
    return [("Access-Control-Allow-Origin", "null")] if environ.get("HTTP_ORIGIN") == "null" else []


@blueprint.post(PATH)
def refuse() -> str:
    """Where a refused beacon arrives, to be answered like every other failure."""
    refusal = request.environ.get(_REFUSAL)
    raise refusal if isinstance(refusal, Exception) else MethodNotAllowed
