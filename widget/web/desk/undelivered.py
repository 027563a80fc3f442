"""Mail that could not be delivered: why, and another round of tries."""

from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from widget import clock, followups
from widget.shops import Shop
from widget.web.context import services
from widget.web.desk import words
from widget.web.desk.blueprint import blueprint, rail_parts, shops_of_agent
from widget.web.desk.words import Clockface

_WIDEST_ID = 2**62


@blueprint.get("/undelivered")
def undelivered() -> str:
    with services().database.read() as session:
        shops = shops_of_agent(session)
        letters = followups.dead_letters(session, list(shops))
        clocks = {shop_id: _clockface(shop) for shop_id, shop in shops.items()}
        rail = rail_parts(session, shops, None)
    return render_template("desk/undelivered.html", letters=letters, clocks=clocks, words=words, **rail)


@blueprint.post("/undelivered/<int:follow_up_id>/retry")
def retry_undelivered(follow_up_id: int) -> Redirect:
    with services().database.write() as session:
        shop_ids = list(shops_of_agent(session))
        found = followups.retry(session, min(follow_up_id, _WIDEST_ID), shop_ids, clock.now())
    flash(f"The e-mail of {found.about} will be tried again now.")
    return redirect(url_for("desk.undelivered"), 303)


def _clockface(shop: Shop) -> Clockface:
    return Clockface(clock.now(), ZoneInfo(shop.settled.time_zone))
