"""Live: which methods work now and on what, what the providers say of themselves, and who looks like a card tester."""

from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import clock, guard
from widget.health import HealthMark
from widget.shops import Shop
from widget.web.context import services
from widget.web.desk import signin, words
from widget.web.desk.blueprint import blueprint, rail_parts, shops_of_agent
from widget.web.desk.board import IS_BEHIND_AFTER, board_of
from widget.web.desk.words import Clockface

_WIDEST_ID = 2**62


@blueprint.get("/live")
def live() -> Response:
    """The page, or only its moving part for the page that keeps itself up to date."""
    now = clock.now()
    with services().database.read() as session:
        shops = shops_of_agent(session)
        parts = {
            "boards": [board_of(session, shop, now) for shop in shops.values()],
            "suspicions": guard.flagged(session, list(shops), now),
            "clocks": {shop_id: _clockface(shop) for shop_id, shop in shops.items()},
            "shops": shops,
            "is_behind": _is_behind(session, list(shops)),
            "now": now,
            "words": words,
        }
        if request.headers.get("HX-Target") == "live":
            return make_response(render_template("desk/live_board.html", **parts))
        rail = rail_parts(session, shops, None)
    return make_response(render_template("desk/live.html", here="live", **parts, **rail))


@blueprint.post("/live/suspicions/<int:suspicion_id>/lift")
def lift(suspicion_id: int) -> Redirect:
    """These are honest customers: they get the whole help again."""
    with services().database.write() as session:
        agent, shop_ids = signin.agent(), list(shops_of_agent(session))
        guard.lift(session, min(suspicion_id, _WIDEST_ID), agent, shop_ids, clock.now())
    flash("They count as honest customers now and get the whole help again.")
    return redirect(url_for("desk.live"), 303)


def _is_behind(session: Session, shop_ids: list[int]) -> bool:
    """Whether outcomes have waited so long that no worker can be running."""
    oldest = session.scalar(sa.select(sa.func.min(HealthMark.since)).where(HealthMark.shop_id.in_(shop_ids)))
    return oldest is not None and clock.now() - oldest > IS_BEHIND_AFTER


def _clockface(shop: Shop) -> Clockface:
    return Clockface(clock.now(), ZoneInfo(shop.settled.time_zone))
