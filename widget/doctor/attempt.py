"""A made-up attempt on the shop's page: whether its beacons and its heartbeats really reach the database."""

from widget.doctor.checks import Check, broken, well
from widget.doctor.policy import allowing
from widget.doctor.proxy import passing
from widget.doctor.traces import Traces
from widget.doctor.visit import Visit, wait_for

METHOD = "doctor"
ARRIVES_WITHIN_SECONDS = 10.0
# Servers hold a shop's origins for five seconds: what was allowed just now may be refused once.
TRIES = 2

# Past Pay, as beats come only then, and in the stage with the longest deadline. Its order is one that the server drops,
# so that it has nothing to do with the order on the tag.
_BEGIN = """
(method) => {
  const none = { order: "", amount: 0, currency: "" };
  const attempt = window.Unjam.attempt({ method, order: none });
  attempt.stage("authenticating");
  window.unjamDoctor.attempt = attempt;
}
"""
_END = "() => window.unjamDoctor?.attempt?.left()"


def end(visit: Visit) -> None:
    visit.page.evaluate(_END)


def beacons_arrive(visit: Visit, traces: Traces, public_url: str) -> Check:
    """Begin the attempt, and look whether the page's own word of it arrives."""
    name = "beacons"
    for _ in range(TRIES):
        visit.page.evaluate(_BEGIN, METHOD)
        wait_for(lambda: traces.has_beacon(METHOD) or _refusal(visit, public_url), ARRIVES_WITHIN_SECONDS)
        if traces.has_beacon(METHOD):
            return well(name, "a beacon has reached the database")
    refusal = _refusal(visit, public_url)
    return broken(name, *(refusal or ("No beacon reaches the database.", _unheard(visit, public_url))))


def heartbeats_arrive(traces: Traces) -> Check:
    name = "heartbeats"
    if wait_for(traces.has_pulse, ARRIVES_WITHIN_SECONDS):
        return well(name, "heartbeats of the page have reached the database")
    mend = "Let the proxy in front of Unjam pass on POST /api/v1/pulses with its query."
    return broken(name, "No heartbeat of the page reaches the database.", mend)


def _refusal(visit: Visit, public_url: str) -> tuple[str, str] | None:
    refusal = visit.refused("connect-src", public_url)
    if refusal is None:
        return None
    return "The page's content security policy blocks the beacons.", allowing(refusal, public_url)


def _unheard(visit: Visit, public_url: str) -> str:
    answer = visit.answers.get(f"{public_url}/api/v1/beacons")
    if answer is not None and answer.status >= 400:
        return f"{public_url}/api/v1/beacons answers {answer.status}. {passing('/api/')}"
    return f"Is UNJAM_DATABASE_URL here the one that {public_url} uses? Let its proxy pass on POST /api/v1/beacons."
