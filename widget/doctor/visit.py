"""One visit of a shop's checkout page by a headless browser, and everything that went wrong in it."""

import os
import re
import secrets
import shutil
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Frame,
    Page,
    Request,
    Response,
    sync_playwright,
)

from widget import clock
from widget.doctor.checks import Unable
from widget.doctor.entrance import Entrance, without_query
from widget.doctor.policy import Violation
from widget.shops import origin_of

Found = TypeVar("Found")

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
OPENS_WITHIN_MS = 30_000
PROBE_WITHIN_MS = 5_000
LOOK_EVERY_SECONDS = 0.1
# The tag of a single-page shop is there only after its own scripts have run.
TAG_WITHIN_SECONDS = 5.0
OUR_SCRIPT = re.compile(r"/embed(-[0-9a-f]{12})?\.js$")

_LISTEN = """
(() => {
  const seen = [];
  Object.defineProperty(window, "unjamDoctor", { value: seen });
  addEventListener("securitypolicyviolation", (event) => {
    if (event.disposition !== "enforce") return;
    seen.push({ directive: event.effectiveDirective, blocked: event.blockedURI, policy: event.originalPolicy });
  }, true);
})();
"""
_SCRIPTS = """
() => [...document.querySelectorAll("script")].map((one) => ({
  src: one.src, type: one.type, data: { ...one.dataset }, has_integrity: !!one.integrity, cross_origin: one.crossOrigin,
}))
"""


@dataclass
class Visit:
    """A page that was opened at the address `asked`, with what its browser reported."""

    page: Page
    asked: str
    status: int | None = None
    answered_at: datetime | None = None
    headers: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)

    @property
    def was_led_away(self) -> bool:
        """Whether another page stands there than was asked for."""
        asked, found = ((origin_of(each), urlsplit(each).path.rstrip("/")) for each in (self.asked, self.page.url))
        return asked != found

    def scripts(self) -> list[dict[str, Any]]:
        """The script elements of the page as they stand now."""
        found: list[dict[str, Any]] = self.page.evaluate(_SCRIPTS)
        return found

    def violations(self) -> list[Violation]:
        return [Violation(**each) for each in self.page.evaluate("() => window.unjamDoctor || []")]

    def refused(self, directive: str, address: str) -> Violation | None:
        """What the page's own policy kept from being loaded from this address."""
        return next((each for each in self.violations() if each.concerns(directive, address)), None)

    def complained(self, *parts: str) -> bool:
        """Whether the console holds one message with all of these parts."""
        return any(all(part in text for part in parts) for text in self.complaints)

    def frame_at(self, address: str) -> Frame | None:
        return next((each for each in self.page.frames if each.url.startswith(address)), None)

    def status_of(self, address: str) -> int | None:
        """What is answered there to somebody who is no browser; None when nothing is."""
        try:
            return self.page.context.request.get(address, timeout=PROBE_WITHIN_MS).status
        except Error:
            return None

    def seconds_off(self) -> float | None:
        """How much later the shop's server says it is than we do; None when it says nothing."""
        try:
            said = parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError):
            return None
        return (said - self.answered_at).total_seconds() if self.answered_at else None


@contextmanager
def a_browser(program: str | None) -> Iterator[Browser]:
    """A headless Chromium of this machine. Raises Unable when there is none or it does not start."""
    found = shutil.which(program) if program else next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        where = f"There is no program {program}" if program else "There is no Chromium on this machine"
        raise Unable(f"{where}. Install it (on Debian: apt install chromium) or name one with --browser PATH.")
    with sync_playwright() as playwright:
        try:
            # As root, Chromium starts only without its sandbox.
            browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=os.geteuid() != 0)
        except Error as error:
            first = str(error).splitlines()[0]
            raise Unable(f"{found} does not start: {first} Name another one with --browser PATH.") from error
        yield browser
        browser.close()


def new_mark() -> str:
    """What tells the browser of one visit from all others."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))


@contextmanager
def opened(browser: Browser, address: str, entrance: Entrance, mark: str) -> Iterator[Visit]:
    """The page as a new visitor with this entrance sees it. `mark` is in the browser's user-agent text.

    Raises Unable when nothing answers there.
    """
    context = browser.new_context(
        user_agent=f"{_agent_of(browser)} UnjamDoctor/{mark}",
        # What a service worker asks for would go without our headers.
        service_workers="block" if entrance.headers else "allow",
    )
    try:
        page = context.new_page()
        entrance.prepare(context, page, address)
        for each in entrance.first:
            _pass_through(page, each)
        yield _open(page, address)
    finally:
        context.close()


def _pass_through(page: Page, address: str) -> None:
    answer = _go_to(page, address, without_query(address))
    if answer is None or answer.status >= 400:
        status = answer.status if answer else "nothing"
        raise Unable(f"{without_query(address)} (--first) answers {status}. Check the address.")
    # What the page still waits for is broken off now, before anybody listens; what the tab stores is kept.
    page.goto("about:blank")


def _open(page: Page, address: str) -> Visit:
    page.context.add_init_script(_LISTEN)
    visit = Visit(page, address)
    page.on("console", lambda message: _hear(visit, message))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("requestfailed", lambda request: _note_failure(visit, request))
    page.on("response", lambda response: visit.answers.__setitem__(response.url, response))
    response = _go_to(page, address, address)
    if response is not None:
        visit.status, visit.headers, visit.answered_at = response.status, response.headers, clock.now()
    wait_for(lambda: any(OUR_SCRIPT.search(each["src"].split("?")[0]) for each in visit.scripts()), TAG_WITHIN_SECONDS)
    return visit


def _go_to(page: Page, address: str, called: str) -> Response | None:
    """Open an address, which messages call `called`. Raises Unable when nothing answers there."""
    try:
        return page.goto(address, wait_until="load", timeout=OPENS_WITHIN_MS)
    except Error as error:
        reason = re.search(r"net::\w+", str(error))
        why = reason.group() if reason else str(error).splitlines()[0]
        raise Unable(f"{called} cannot be opened: {why}. Check the address.") from error


def wait_for(look: Callable[[], Found | None], seconds: float) -> Found | None:
    """What `look` finds as soon as it finds something, or None when the time is over."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_SECONDS)
    return found or None


def _agent_of(browser: Browser) -> str:
    # Shops turn away what calls itself headless.
    page = browser.new_page()
    try:
        agent: str = page.evaluate("() => navigator.userAgent")
    finally:
        page.close()
    return agent.replace("HeadlessChrome", "Chrome")


def _hear(visit: Visit, message: ConsoleMessage) -> None:
    if message.type in {"error", "warning"}:
        visit.complaints.append(message.text)


def _note_failure(visit: Visit, request: Request) -> None:
    visit.failures[request.url] = request.failure or "it failed"
