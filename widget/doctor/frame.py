"""The frame on the page: let in by both policies, shown, and in a process that a frozen page does not stop."""

import json
import time
from typing import Any

from playwright.sync_api import Error, Frame

from widget.doctor.checks import Check, broken, skipped, well
from widget.doctor.policy import allowing
from widget.doctor.protection import Relation, granted, relation_of
from widget.doctor.proxy import passing
from widget.doctor.visit import Visit, wait_for
from widget.shops import Shop, origin_of

ANSWERS_WITHIN_SECONDS = 10.0
REFUSED_WITHIN_SECONDS = 2.0
# The frame must notice the freeze and say so while it lasts, with room for a busy machine.
FROZEN_AFTER_SECONDS = 2.25
_LONGER_SECONDS = 2.5
# What is answered so late may have been answered after the thaw.
_MARGIN_SECONDS = 0.25

_ATTRIBUTES = "() => ({ ...document.body.dataset })"
_IS_FROZEN_SHOWN = "() => { const link = document.getElementById('frozen'); return !!link && !link.hidden; }"
_FREEZE = """
(ms) => void setTimeout(() => { const end = performance.now() + ms; while (performance.now() < end); }, 0)
"""


def origin_allowed(visit: Visit, shop: Shop) -> Check:
    name, origin = "origin", origin_of(visit.page.url)
    allowed = shop.settled.allowed_origins
    if origin in allowed:
        return well(name, f"{origin} is allowed")
    options = " ".join(f"--origin {each}" for each in (*allowed, origin))
    return broken(name, f"{origin} is not allowed for {shop.site}.", f"Run: unjam shop-set {shop.site} {options}")


def mounts(visit: Visit, public_url: str, shop: Shop, *, is_allowed: bool) -> Check:
    """Whether the frame is on the page and shows its pill, which it does once both sides have spoken."""
    name, address = "frame", f"{public_url}/frame/{shop.site}"
    seconds = ANSWERS_WITHIN_SECONDS if is_allowed else REFUSED_WITHIN_SECONDS
    is_shown = wait_for(lambda: _is_shown(visit, address) or _refusal(visit, address), seconds)
    if is_shown is True:
        return well(name, "the frame is on the page and answers")
    if isinstance(is_shown, tuple):
        return broken(name, *is_shown)
    if not is_allowed:
        return skipped(name, "the browser refuses it until the origin is allowed")
    return broken(
        name,
        "The frame is on the page but does not answer.",
        f"{passing('/static/')} The console of {address} says more.",
    )


def _is_shown(visit: Visit, address: str) -> bool:
    frame = visit.frame_at(address)
    try:
        return frame is not None and frame.frame_element().is_visible()
    except Error:
        return False


def _refusal(visit: Visit, address: str) -> tuple[str, str] | None:
    origin = origin_of(address)
    refusal = visit.refused("frame-src", origin)
    if refusal is not None:
        return "The page's content security policy blocks the frame.", allowing(refusal, origin)
    answer = visit.answers.get(address)
    if answer is not None and "x-frame-options" in answer.headers:
        mend = (
            "Remove X-Frame-Options for /frame/ in the proxy in front of Unjam; our own policy names who may embed it."
        )
        return f"{address} is answered with X-Frame-Options.", mend
    if answer is not None and answer.status >= 400:
        return (
            f"{address} answers {answer.status}.",
            f"{passing('/frame/')} Where that is there, the log of Unjam says why.",
        )
    failure = visit.failures.get(address, "")
    # A frame that its own policy refuses fails too, but it has answered.
    is_unanswered = failure and answer is None and "BLOCKED_BY_RESPONSE" not in failure
    return (f"{address} does not load: {failure}.", passing("/frame/")) if is_unanswered else None


def protection(visit: Visit, address: str) -> Check:
    """What a shopper has of us while the page is frozen, in each browser, by where we are served from."""
    relation = _relation(visit, address)
    return well("protection", f"{relation}. {granted(relation)}")


def survives(visit: Visit, address: str) -> Check:
    """Freeze the page for real, and look whether the frame goes on and offers help meanwhile."""
    name, frame = "process", visit.frame_at(address)
    if frame is None:
        return skipped(name, "there is no frame")
    is_alive, shown_after = _freeze(visit, frame, _frozen_after(frame.evaluate(_ATTRIBUTES)))
    if shown_after is not None:
        return well(name, f"the frame offered help {shown_after:.1f} s after the page froze")
    if is_alive:
        words = "The frame goes on while the page is frozen, but shows no link to help."
        return broken(name, words, f"{passing('/static/')} The console of {address} says more.")
    answer = visit.answers.get(address)
    if _relation(visit, address) != "cross-site" and answer and "origin-agent-cluster" not in answer.headers:
        mend = "Let the proxy in front of Unjam pass on the header Origin-Agent-Cluster: ?1"
    else:
        mend = "Serve Unjam from another registrable domain than the shop's, and set UNJAM_PUBLIC_URL to it."
    return broken(name, "The frame stops when the page freezes.", mend)


def _relation(visit: Visit, address: str) -> Relation:
    frame = visit.frame_at(address)
    said = frame.evaluate(_ATTRIBUTES).get("relation", "") if frame else ""
    return relation_of(said, address, visit.page.url)


def _frozen_after(said: dict[str, Any]) -> float:
    try:
        return float(json.loads(said["deadlines"])["frozen"])
    except (KeyError, TypeError, ValueError):
        return FROZEN_AFTER_SECONDS


def _freeze(visit: Visit, frame: Frame, frozen_after: float) -> tuple[bool, float | None]:
    """Whether the frame went on, and after how many seconds it showed its link, while the page was frozen."""
    lasts = frozen_after + _LONGER_SECONDS
    visit.page.evaluate(_FREEZE, lasts * 1000)
    began, is_alive = time.monotonic(), False
    while True:
        is_shown = frame.evaluate(_IS_FROZEN_SHOWN)
        since = time.monotonic() - began
        if since > lasts - _MARGIN_SECONDS:
            return is_alive, None
        is_alive = True
        if is_shown:
            return True, since
        time.sleep(0.05)
