"""A page that is frozen: our frame helps in the middle of it where the browser allows that; the server knows anyway."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.engines import Conditions, Engine, Tab
from tests.engines.tab import Launcher
from tests.lab.cases import corpus
from tests.lab.lab import Lab, Seen
from tests.stage import wait_until

_FREEZES_AFTER_SECONDS, _FREEZES_FOR_MS = 2.0, 13_000
_KNOWN_WITHIN = 3.0
_GONE_KNOWN_WITHIN = 15.0
_LINK = "const link = document.querySelector('#frozen'); return Boolean(link && link.offsetHeight)"
_ARMED = "return document.readyState === 'complete' && document.querySelector('#pill').offsetHeight > 0"
Launchers = Callable[[str], Launcher]
Start = Callable[[str], Engine]


@pytest.fixture
def start_engine(launcher: Launchers) -> Iterator[Start]:
    running: list[Engine] = []

    def started(name: str) -> Engine:
        running.append(launcher(name)(Conditions(alone=True)))
        return running[-1]

    yield started
    for engine in running:
        engine.stop()


@pytest.mark.parametrize(
    ("engine", "served"),
    [
        ("chromium", "elsewhere"),
        ("firefox", "elsewhere"),
        # The next two only where the browser gives a frame of the same site a process of its own.
        ("chromium", "sibling"),
        ("chromium", "own"),
    ],
)
def test_a_frozen_page_offers_help_that_opens_while_it_is_frozen(
    engine: str, served: str, lab: Lab, start_engine: Start
) -> None:
    browser = start_engine(engine)
    tab, run, frozen_at = freeze(lab, browser, served)

    wait_until(lambda: tab.in_frame(_LINK), "the link for a frozen page")
    shown_after = time.time() - frozen_at
    tab.click_in_frame("#frozen")
    wait_until(lambda: any("/help/" in address for address in browser.addresses(besides=tab)), "the help in a new tab")

    assert shown_after <= _KNOWN_WITHIN
    assert time.time() - frozen_at < _FREEZES_FOR_MS / 1000, "the page was not frozen any more"
    assert known_after(lab, run, frozen_at) <= _KNOWN_WITHIN


@pytest.mark.parametrize("served", ["sibling", "own"])
def test_where_firefox_freezes_the_frame_too_the_worker_tells_of_it(served: str, lab: Lab, start_engine: Start) -> None:
    _, run, frozen_at = freeze(lab, start_engine("firefox"), served)

    stall = first_stall(lab, run)
    assert (stall.kind, stall.seen_by) == ("frozen", "worker")
    assert stall.known_at.timestamp() - frozen_at <= _KNOWN_WITHIN


@pytest.mark.parametrize("served", ["elsewhere", "sibling"])
def test_where_webkit_freezes_all_of_it_the_server_knows(served: str, lab: Lab, start_engine: Start) -> None:
    _, run, frozen_at = freeze(lab, start_engine("webkit"), served)

    assert known_after(lab, run, frozen_at) <= _GONE_KNOWN_WITHIN


@pytest.mark.parametrize(
    ("engine", "served", "protection"),
    [
        ("chromium", "elsewhere", "own process"),
        ("chromium", "sibling", "own process"),
        ("chromium", "own", "own process"),
        ("firefox", "elsewhere", "own process"),
        ("firefox", "sibling", "worker"),
        ("firefox", "own", "worker"),
        ("webkit", "elsewhere", "server only"),
    ],
)
def test_the_frame_says_which_protection_the_browser_grants(
    engine: str, served: str, protection: str, lab: Lab, start_engine: Start
) -> None:
    tab, run = opened(lab, start_engine(engine), served)
    tab.click("#pay")

    assert wait_until(lambda: lab.fact(run, "protection"), "the frame's facts") == protection


@pytest.mark.parametrize("engine", ["chromium", "firefox", "webkit"])
def test_a_killed_browser_is_known_to_the_server(engine: str, lab: Lab, start_engine: Start) -> None:
    browser = start_engine(engine)
    tab, run = opened(lab, browser, "never")
    tab.click("#pay")
    wait_until(lambda: lab.attempts(run), "the attempt")

    killed_at = time.time()
    browser.kill()

    stall = first_stall(lab, run)
    assert (stall.kind, stall.seen_by) == ("silent", "server")
    assert stall.known_at.timestamp() - killed_at <= _GONE_KNOWN_WITHIN


def opened(lab: Lab, browser: Engine, served: str) -> tuple[Tab, str]:
    """The checkout of the freezing case, armed, and the name of this run of it."""
    case = next(case for case in corpus("freeze") if case.id == f"freeze_{served}")
    run = f"{case.id}.{time.monotonic_ns()}"
    lab.values[run] = {"FREEZES_FOR": str(_FREEZES_FOR_MS)}
    tab = browser.tab()
    tab.open(lab.checkout_url(case, run, slot=0))
    wait_until(lambda: is_armed(tab), "the frame")
    # The page still has to hear the frame's first words.
    time.sleep(0.5)
    return tab, run


def is_armed(tab: Tab) -> bool:
    try:
        return bool(tab.in_frame(_ARMED))
    except Exception:
        # Whatever a driver says about a frame that is being loaded.
        return False


def freeze(lab: Lab, browser: Engine, served: str) -> tuple[Tab, str, float]:
    """Press Pay, upon which the page freezes for some seconds. The third is when it does, by the page's own clock."""
    tab, run = opened(lab, browser, served)
    tab.click("#pay")
    frozen_at = float(tab.evaluate("return window.pressedAt")) / 1000 + _FREEZES_AFTER_SECONDS
    tab.hold_frame()
    assert time.time() < frozen_at, "the driver came too late to see the freeze begin"
    return tab, run, frozen_at


def first_stall(lab: Lab, run: str) -> Seen:
    return wait_until(lambda: [each for each in lab.seen(run) if each.kind in {"frozen", "silent"}], "a verdict")[0]


def known_after(lab: Lab, run: str, since: float) -> float:
    return first_stall(lab, run).known_at.timestamp() - since
