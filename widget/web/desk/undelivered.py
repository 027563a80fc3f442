"""What could not be delivered, mail to customers and events to shops: why, and another round of tries."""

from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from widget import clock, followups, hooks
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
        letters, events = followups.dead_letters(session, list(shops)), hooks.dead(session, list(shops))
        clocks = {shop_id: _clockface(shop) for shop_id, shop in shops.items()}
        rail = rail_parts(session, shops, None)
    parts = {"letters": letters, "events": events, "clocks": clocks, "shops": shops, "words": words}
    return render_template("desk/undelivered.html", here="undelivered", **parts, **rail)


@blueprint.post("/undelivered/<int:follow_up_id>/retry")
def retry_undelivered(follow_up_id: int) -> Redirect:
    with services().database.write() as session:
        shop_ids = list(shops_of_agent(session))
        found = followups.retry(session, min(follow_up_id, _WIDEST_ID), shop_ids, clock.now())
    flash(f"The e-mail of {found.about} will be tried again now.")
    return redirect(url_for("desk.undelivered"), 303)


@blueprint.post("/undelivered/events/<int:hook_id>/retry")
def retry_event(hook_id: int) -> Redirect:
    with services().database.write() as session:
        shop_ids = list(shops_of_agent(session))
        hooks.retry(session, min(hook_id, _WIDEST_ID), shop_ids, clock.now())
    flash("The shop’s server will be told again now.")
    return redirect(url_for("desk.undelivered"), 303)


def _clockface(shop: Shop) -> Clockface:
    return Clockface(clock.now(), ZoneInfo(shop.settled.time_zone))
