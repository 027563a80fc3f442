"""POST /api/v1/beacons: authenticate, parse, store, answer 204. Nothing is thought about here."""

from typing import TYPE_CHECKING

from flask import Blueprint
from limits import parse as parse_limit
from werkzeug.wsgi import get_input_stream

from widget import beacons, clock, guard
from widget.beacons import Arrival
from widget.redaction import mask_card_numbers
from widget.web import door
from widget.web.context import Services
from widget.web.inbox import Inbox
from widget.web.limits import hit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

blueprint = Blueprint("beacons", __name__)

PATH = "/api/v1/beacons"
# A checkout sends a handful; a shop's whole traffic fits many times over.
PER_ATTEMPT = parse_limit("120/minute")
PER_SITE = parse_limit("600/second")
PER_ADDRESS = parse_limit("1200/minute")
MAX_AGENT_CHARS = 500


class Door(door.Door):
    path = PATH

    def __init__(self, inside: "WSGIApplication", services: Services) -> None:
        super().__init__(inside, services)
        self._inbox = Inbox(services.database)
        self._key = services.settings.signing_key

    def _take_in(self, environ: "WSGIEnvironment") -> None:
        now = clock.now()
        raw = get_input_stream(environ, max_content_length=beacons.MAX_BYTES).read()
        parsed = beacons.parse(raw, now)
        site = self._site(parsed.beacon.site, environ)
        hit(PER_ATTEMPT, "beacon", parsed.beacon.attempt.key)
        hit(PER_SITE, "beacon", site.site)
        address = environ.get("REMOTE_ADDR") or ""
        hit(PER_ADDRESS, "beacon", address)
        agent = mask_card_numbers((environ.get("HTTP_USER_AGENT") or "")[:MAX_AGENT_CHARS])
        self._inbox.put(Arrival(site.shop_id, parsed, agent or None, now, guard.hash_of(self._key, address)))


blueprint.post(PATH)(door.refuse)
