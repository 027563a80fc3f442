"""POST /api/v1/beacons: authenticate, parse, store, answer 204. Nothing is thought about here."""

from flask import Blueprint, request
from limits import parse as parse_limit

from widget import beacons, clock
from widget.errors import TooLarge, UnknownSite, WrongOrigin
from widget.web.context import services
from widget.web.limits import hit
from widget.web.sites import site_of

blueprint = Blueprint("beacons", __name__)

# A checkout sends a handful; a shop's whole traffic fits many times over.
PER_ATTEMPT = parse_limit("120/minute")
PER_SITE = parse_limit("600/second")
PER_ADDRESS = parse_limit("1200/minute")


@blueprint.post("/api/v1/beacons")
def receive() -> tuple[str, int]:
    if (request.content_length or 0) > beacons.MAX_BYTES:
        raise TooLarge(f"A beacon has at most {beacons.MAX_BYTES} bytes; send the signals in several.")
    now = clock.now()
    parsed = beacons.parse(request.get_data(cache=False), now)
    site = site_of(parsed.beacon.site)
    if site is None:
        raise UnknownSite("Check the data-site value of the script tag against `unjam shops`.")
    if request.headers.get("Origin") not in site.origins:
        raise WrongOrigin("Add the checkout's origin with `unjam shop-set SITE --origin https://…`.")
    hit(PER_ATTEMPT, "beacon", parsed.beacon.attempt.key)
    hit(PER_SITE, "beacon", site.site)
    hit(PER_ADDRESS, "beacon", request.remote_addr or "")
    with services().database.write() as session:
        beacons.accept(session, site.shop_id, parsed, _user_agent(), now)
    return "", 204


def _user_agent() -> str | None:
    return request.user_agent.string[:500] or None
