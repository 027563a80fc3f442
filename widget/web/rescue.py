"""The rescue page: the way from a frozen page, by the key of its attempt, to the same help as a page of its own."""

import re

from flask import Blueprint, make_response, redirect, render_template, request
from flask import Response as Page
from limits import parse as parse_limit
from werkzeug.wrappers import Response

from widget import clock, digest, returns, shops, stalls
from widget.attempts import KEY_PATTERN, Stage
from widget.errors import UnknownSite
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose
from widget.web import reader
from widget.web.context import services
from widget.web.limits import hit

blueprint = Blueprint("rescue", __name__)

PER_KEY = parse_limit("30/minute")
PER_ADDRESS = parse_limit("120/minute")


@blueprint.get("/rescue/<site>/<key>")
def rescue(site: str, key: str) -> Response:
    """On to the help for this attempt. A key that is not known leads to a page that helps all the same."""
    hit(PER_ADDRESS, "rescue", request.remote_addr or "")
    hit(PER_KEY, "rescue", key[:40])
    shop, attempt_id = _found(site, key)
    if attempt_id is None:
        return _way_on(shop)
    token = services().tokens.sign(Purpose.HELP, attempt_id)
    return redirect(f"/help/{token}", 303)


def _found(site: str, key: str) -> tuple[Shop | None, int | None]:
    now = clock.now()
    with services().database.write() as session:
        try:
            shop = shops.by_site(session, site)
        except UnknownSite:
            return None, None
        if not re.fullmatch(KEY_PATTERN, key):
            return shop, None
        digest.digest_attempt(session, key, services().pace, now)
        attempt = returns.attempt_of(session, shop, key)
        if attempt is None:
            return shop, None
        if not stalls.of(session, attempt.id):
            stalls.record(session, attempt, StallKind.ASKED, Stage(attempt.stage), SeenBy.SHOPPER, now)
        return shop, attempt.id


def _way_on(shop: Shop | None) -> Page:
    """Says the same for every key that is not known, so that nothing can be learned by guessing."""
    profile = shop.settled if shop else None
    if shop is not None:
        reader.use(shop)
    return make_response(render_template("public/rescue.html", shop=shop, profile=profile), 404)
