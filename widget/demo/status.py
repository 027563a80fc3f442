"""The demo provider's status page, in the shape of Statuspage v2, and the switch for its outages."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request

from widget import clock

_WORDS = {
    "none": "All Systems Operational",
    "minor": "Minor Service Outage",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
}
_CARDS = {"none": "operational", "minor": "degraded_performance", "major": "partial_outage", "critical": "major_outage"}

blueprint = Blueprint("status", __name__, url_prefix="/status")


@blueprint.get("/api/v2/summary.json")
def summary() -> Response:
    indicator, at = _state()["indicator"], clock.now().isoformat(timespec="milliseconds")
    page = {"id": "veldbank", "name": "Veld Bank", "url": request.url_root, "time_zone": "Etc/UTC", "updated_at": at}
    parts = [_component("Cards", 1, _CARDS[indicator], at), _component("Payment links", 2, "operational", at)]
    status = {"indicator": indicator, "description": _WORDS[indicator]}
    return jsonify(page=page, status=status, components=parts, incidents=[], scheduled_maintenances=[])


@blueprint.post("")
def change() -> Response:
    """A control of the demo: begin or end an outage."""
    indicator = request.form.get("indicator", "")
    if indicator not in _WORDS:
        abort(400)
    _state()["indicator"] = indicator
    return jsonify(indicator=indicator)


def begin_outage() -> None:
    """A story of the demo: from now on the status page tells of one."""
    _state()["indicator"] = "major"


def _state() -> dict[str, str]:
    state: dict[str, str] = current_app.extensions.setdefault("demo_status", {"indicator": "none"})
    return state


def _component(name: str, position: int, status: str, at: str) -> dict[str, Any]:
    return {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "status": status,
        "created_at": at,
        "updated_at": at,
        "position": position,
        "description": None,
        "showcase": True,
        "group_id": None,
        "page_id": "veldbank",
        "group": False,
        "only_show_if_degraded": False,
    }
