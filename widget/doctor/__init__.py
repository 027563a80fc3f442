"""`unjam doctor`: open a shop's checkout like a customer, and say check by check whether Unjam works there."""

from collections.abc import Iterator
from dataclasses import dataclass

from playwright.sync_api import Browser, Error

from widget import clock, shops
from widget.database import Database
from widget.doctor import attempt, frame, providers, selectors, signature, tag
from widget.doctor.checks import Check, Unable, Verdict, broken, skipped, well
from widget.doctor.entrance import WAYS_IN, Entrance, without_query
from widget.doctor.signature import Secrets
from widget.doctor.tag import Tag
from widget.doctor.traces import Traces
from widget.doctor.visit import Visit, a_browser, new_mark, opened
from widget.providers import scripts
from widget.settings import Settings
from widget.shops import KeyKind, Shop, origin_of

__all__ = ["Check", "Entrance", "Unable", "Verdict", "a_browser", "examine"]

# Every check, in the order in which they are said. What comes to nothing is said to be skipped.
NAMES = (
    *("page", "clock", "tag", "script", "origin", "frame", "beacons", "heartbeats", "process", "protection"),
    *("order", "button", "success", "error", "provider"),
)
CLOCK_MAY_BE_OFF_SECONDS = 30
NO_ENTRANCE = Entrance()


def examine(
    browser: Browser,
    settings: Settings,
    database: Database,
    address: str,
    site: str | None,
    entrance: Entrance = NO_ENTRANCE,
) -> Iterator[Check]:
    """Each check as soon as it is made. Presses nothing on the page and leaves nothing in the database.

    Raises Unable when the address, or a page of the entrance, cannot be opened.
    """
    try:
        origin_of(address)
    except ValueError:
        raise Unable(f"{address} is no address of a page: begin it with https://") from None
    said: list[Check] = []
    mark = new_mark()
    traces = Traces(database, mark)
    try:
        with opened(browser, address, entrance, mark) as visit:
            try:
                for check in _examined(Patient(visit, settings, database, traces), site):
                    said.append(check)
                    yield check
            except Error as error:
                raise Unable(f"The browser lost the page: {str(error).splitlines()[0]}. Try once more.") from error
            finally:
                visit.page.close()
    finally:
        traces.remove()
    first = next((each.name for each in said if each.is_broken), "page")
    for name in NAMES:
        if name not in {each.name for each in said}:
            yield skipped(name, f"mend “{first}” first")


@dataclass(frozen=True, slots=True)
class Patient:
    """What one examination works with."""

    visit: Visit
    settings: Settings
    database: Database
    traces: Traces

    @property
    def public_url(self) -> str:
        return self.settings.public_url


def _examined(patient: Patient, site: str | None) -> Iterator[Check]:
    visit = patient.visit
    tags = tag.tags_on(visit, patient.public_url)
    yield _page(visit, has_tag=bool(tags))
    yield _clock(visit)
    with patient.database.read() as session:
        known = {shop.site: shop for shop in shops.all_of_them(session)}
    found = tag.found(tags, known, patient.public_url, site)
    yield found
    if not tags:
        return
    shop = known.get(tags[0].data.get("site", ""))
    if shop is not None and not found.is_broken:
        yield from _alive(patient, shop, tags[0])
        yield signature.examine(tags[0].data, _secrets(patient.database, shop), shop.site)
    yield selectors.pay_button(visit.page, tags[0].data)
    yield selectors.success_pattern(visit.page.url, tags[0].data)
    yield selectors.error_message(visit.page, tags[0].data)
    yield providers.watched(visit, dict(scripts.watched_for(shop.settled.providers if shop else ())))


def _alive(patient: Patient, shop: Shop, ours: Tag) -> Iterator[Check]:
    """The checks that need the script to run."""
    visit = patient.visit
    script = tag.runs(visit, ours, shop.site)
    yield script
    allowed = frame.origin_allowed(visit, shop)
    yield allowed
    if script.is_broken:
        return
    mounted = frame.mounts(visit, patient.public_url, shop, is_allowed=not allowed.is_broken)
    yield mounted
    if allowed.is_broken:
        return
    address = f"{patient.public_url}/frame/{shop.site}"
    yield attempt.beacons_arrive(visit, patient.traces, patient.public_url)
    if mounted.verdict is Verdict.OK:
        yield attempt.heartbeats_arrive(patient.traces)
        yield frame.survives(visit, address)
        yield frame.protection(visit, address)
    attempt.end(visit)


def _page(visit: Visit, *, has_tag: bool) -> Check:
    name, address = "page", without_query(visit.page.url)
    if visit.status is None or visit.status >= 400:
        return broken(name, f"{address} answers {visit.status}.", f"Give the address of the checkout. {WAYS_IN}")
    if visit.was_led_away and not has_tag:
        words = f"{without_query(visit.asked)} leads to {address}, where there is no Unjam tag."
        return broken(name, words, f"Give the address at which the checkout itself opens. {WAYS_IN}")
    return well(name, f"{address} answers {visit.status}")


def _secrets(database: Database, shop: Shop) -> Secrets:
    """The shop's signing secrets: those that are accepted now, and those that were."""
    with database.read() as session:
        theirs, now = (session, shop.id, KeyKind.SIGNING), clock.now()
        return Secrets(shops.live_secrets(*theirs, now), shops.retired_secrets(*theirs, now))


def _clock(visit: Visit) -> Check:
    name, off = "clock", visit.seconds_off()
    if off is None:
        return skipped(name, "the shop's server does not say what time it is")
    if abs(off) > CLOCK_MAY_BE_OFF_SECONDS:
        words = f"The clocks of this machine and of the shop's server differ by {abs(off):.0f} s."
        return broken(name, words, "Run on the machine whose clock is wrong: timedatectl set-ntp true")
    return well(name, "the clocks of this machine and of the shop's server agree")
