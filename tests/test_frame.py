"""Our frame on a shop's page: what it is given, how it talks, and what it does while that page is frozen."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Frame, Page, expect
from werkzeug.serving import make_server

from tests.browsers import OpenPage
from tests.cast import Cast
from tests.processes import free_port
from tests.stage import press, wait_until
from widget.browsers import FACTS
from widget.database import Database
from widget.providers.scripts import watched_for
from widget.settings import Settings
from widget.shops import by_site
from widget.tokens import Purpose, Tokens
from widget.web.app import create_app

FREEZE_MS = 6000
SHOWN_WITHIN_SECONDS = 3
KEY = "a" * 32
ORDER = {"order": "D-1001", "amount": 124900, "currency": "ZAR"}

# A shop's page that speaks our protocol from the other side, and no more than that.
HOST = """<!doctype html><title>Shop</title><meta name="viewport" content="width=device-width"><h1>Checkout</h1><script>
var host = { heard: [], keys: [], stages: {}, seen: true, css: "" };
const src = new URL("%(src)s");
var frame = document.createElement("iframe");
const style = (css) => { frame.style.cssText = css.replace(/;/g, "!important;"); };
frame.title = "Payment help";
if ("%(sandbox)s") frame.setAttribute("sandbox", "%(sandbox)s");
style("position:fixed;bottom:0;visibility:hidden;");
frame.addEventListener("load", () => {
  const talk = new MessageChannel(), pulse = new MessageChannel();
  host.talk = talk.port1;
  host.pulse = pulse.port1;
  host.talk.onmessage = ({ data }) => {
    host.heard.push(data);
    if (data.type === "resize") style(host.css = data.css);
  };
  const target = "%(sandbox)s" ? "*" : src.origin;
  frame.contentWindow.postMessage({ unjam: 1, type: "hello" }, target, [talk.port2, pulse.port2]);
});
frame.src = src.href;
document.body.append(frame);
host.say = (type, data) => host.talk.postMessage({ type, ...data });
host.beat = () => host.pulse.postMessage({
  stages: Object.fromEntries(host.keys.map((key) => [key, host.stages[key]])), seen: host.seen });
host.pay = (key, order) => {
  host.say("attempt", { attempt: { key, order, method: "card" }, facts: { viewport: "1x1", page: "/checkout" } });
  host.say("stage", { key, stage: "submitted" });
  host.keys = [key];
  host.stages = { [key]: "submitted" };
  host.beat();
  host.timer = setInterval(host.beat, 250);
};
host.end = (key) => {
  clearInterval(host.timer);
  host.keys = [];
  host.beat();
  host.say("paid", { key });
};
host.silence = () => clearInterval(host.timer);
host.freeze = (ms) => setTimeout(() => {
  host.froze = Date.now();
  while (Date.now() < host.froze + ms);
}, 20);
</script>"""
SANDBOX = (
    "allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


@dataclass
class Sent:
    """One request to our API: when it came, where from, and what it said."""

    at: float
    path: str
    origin: str | None
    token: str
    body: dict[str, Any]


@dataclass
class Unjam:
    """Our server, and the shop's page in a browser. `sent` is what reached the API."""

    url: str
    shop_port: int
    open_page: OpenPage
    sent: list[Sent] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def shop(self, relation: str = "cross-site", script: str = "", **options: Any) -> Page:
        """A checkout that stands to us as Sec-Fetch-Site would say; "sandboxed" is our own origin with a sandbox."""
        page: Page = self.open_page(**options)
        page.add_init_script(script)
        hosts = {"cross-site": f"http://127.0.0.1:{self.shop_port}", "same-site": f"http://localhost:{self.shop_port}"}
        page.goto(f"{hosts.get(relation, self.url)}/shop?{'sandboxed' if relation == 'sandboxed' else ''}")
        wait_for(page, "host.heard.some((said) => said.type === 'resize')")
        return page

    def signals(self, name: str) -> list[Sent]:
        return [sent for sent in self.sent if any(each["name"] == name for each in sent.body.get("signals", []))]

    def wait_for_signal(self, name: str) -> Sent:
        return wait_until(lambda: self.signals(name), f"a signal {name}")[0]

    def wait_for_pulses(self, count: int = 1) -> list[Sent]:
        def found() -> list[Sent] | None:
            pulses = [sent for sent in self.sent if sent.path == "/api/v1/pulses"]
            return pulses if len(pulses) >= count else None

        return wait_until(found, f"{count} pulses")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What the frame does does not depend on the database."""
    return sqlite_url


@pytest.fixture
def unjam(settings: Settings, database: Database, open_page: OpenPage) -> Iterator[Unjam]:
    """Both servers answer /shop, so that the shop's page can be of any origin."""
    port, shop_port = free_port(), free_port()
    unjam = Unjam(f"http://localhost:{port}", shop_port, open_page)
    origins = (f"http://127.0.0.1:{shop_port}", f"http://localhost:{shop_port}", unjam.url)
    with database.write() as session:
        Cast(session, profile={"allowed_origins": origins, "providers": {}})
    app = create_app(settings.model_copy(update={"public_url": unjam.url}), database)
    watched = watched_by(unjam, app)
    servers = [make_server("127.0.0.1", each, watched, threaded=True) for each in (port, shop_port)]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield unjam
    for server in servers:
        server.shutdown()
        server.server_close()


def watched_by(unjam: Unjam, app: Flask) -> Callable[..., Iterable[bytes]]:
    """The application behind the shop's page and behind a note of all that is posted to the API."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        unjam.asked.append(path)
        if path == "/shop":
            said = {"src": f"{unjam.url}/frame/demo", "sandbox": SANDBOX if environ["QUERY_STRING"] else ""}
            start_response("200 OK", [("Content-Type", "text/html")])
            return [(HOST % said).encode()]
        if environ["REQUEST_METHOD"] == "POST" and (path.startswith("/api/") or path == "/panel"):
            raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = BytesIO(raw)
            token = environ["QUERY_STRING"].removeprefix("frame=")
            unjam.sent.append(Sent(time.monotonic(), path, environ.get("HTTP_ORIGIN"), token, json.loads(raw)))
        return app(environ, start_response)

    return answer


def wait_for(page: Page, condition: str) -> None:
    page.wait_for_function(condition)


def frame_of(page: Page) -> Frame:
    return next(frame for frame in page.frames if "/frame/" in frame.url)


def pay(page: Page) -> Frame:
    """An attempt begins; returns the frame once it has taken precautions."""
    frame = frame_of(page)
    page.evaluate("([key, order]) => host.pay(key, order)", [KEY, ORDER])
    frame.wait_for_selector("body.is-armed", state="attached")
    wait_for(page, "host.heard.filter((said) => said.type === 'resize').length > 1")
    return frame


def spot_of(page: Page) -> tuple[float, float]:
    """The middle of the pill, asked for while the page can still be asked."""
    box = page.locator("iframe").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def heard(page: Page, kind: str) -> list[dict[str, Any]]:
    """What the frame has told the shop's page."""
    found: list[dict[str, Any]] = page.evaluate("(kind) => host.heard.filter((said) => said.type === kind)", kind)
    return found


def test_the_frame_lies_over_the_page_whatever_the_shops_sheet_says(unjam: Unjam) -> None:
    page = unjam.shop()
    page.add_style_tag(content="iframe { position: static !important; border: 9px solid; float: left; width: 100%; }")
    looks = "({position, borderTopWidth, zIndex}) => [position, borderTopWidth, zIndex]"
    assert page.evaluate(f"({looks})(getComputedStyle(frame))") == ["fixed", "0px", "2147483647"]


@pytest.mark.parametrize("relation", ["cross-site", "same-site", "sandboxed"])
def test_a_frozen_page_is_told_and_its_link_opens_help_during_the_freeze(unjam: Unjam, relation: str) -> None:
    page = unjam.shop(relation)
    frame, spot = pay(page), spot_of(page)
    frame.evaluate(
        "new MutationObserver(() => { window.shownAt ??= Date.now(); }).observe(frozen, { attributes: true })"
    )
    page.evaluate(f"host.freeze({FREEZE_MS})")
    frame.wait_for_selector("#frozen:not([hidden])", timeout=FREEZE_MS)
    with page.context.expect_page(timeout=FREEZE_MS) as opened:
        page.mouse.click(*spot)
    opened.value.wait_for_url(f"{unjam.url}/**")
    opened_at = time.time() * 1000
    froze = page.evaluate("host.froze")
    assert frame.evaluate("shownAt") - froze < SHOWN_WITHIN_SECONDS * 1000
    assert opened_at - froze < FREEZE_MS
    assert f"/rescue/demo/{KEY}" in unjam.asked


@pytest.mark.parametrize("relation", ["cross-site", "same-site", "sandboxed"])
def test_the_worker_reports_a_freeze_at_once_and_its_end(unjam: Unjam, relation: str) -> None:
    page = unjam.shop(relation)
    pay(page)
    began = time.monotonic()
    page.evaluate("host.freeze(3200)")
    stall, thawed = unjam.wait_for_signal("stall"), unjam.wait_for_signal("thawed")
    assert stall.at - began < 3
    assert stall.body["source"] == "worker"
    assert stall.body["attempt"] == {"key": KEY, "order": ORDER, "method": "card"}
    said = stall.body["signals"][0]["data"]
    assert (said["kind"], said["stage"], said["seen_by"]) == ("frozen", "submitted", "worker")
    assert 2250 <= said["evidence"]["silent_ms"] < 3000
    assert thawed.body["signals"][0]["data"]["frozen_ms"] >= 3000


def test_the_frame_calms_down_by_itself_when_the_page_goes_on(unjam: Unjam) -> None:
    page = unjam.shop()
    frame = pay(page)
    page.evaluate("host.freeze(3200)")
    frame.wait_for_selector("#frozen:not([hidden])")
    frame.wait_for_selector("#frozen", state="hidden")
    expect(frame.get_by_role("button", name="Payment help")).to_be_visible()
    expect(frame.get_by_role("status")).to_have_text("")


def test_the_words_of_a_freeze_fit_into_the_room_that_the_pill_has_reserved(unjam: Unjam) -> None:
    page = unjam.shop(viewport={"width": 375, "height": 740})
    frame = pay(page)
    page.evaluate("host.silence()")
    frame.wait_for_selector("#frozen:not([hidden])")
    link, pill = (frame.evaluate(f"{name}.getBoundingClientRect().toJSON()") for name in ("frozen", "pill"))
    assert link["height"] == pill["height"]
    assert link["left"] >= pill["left"] - 1
    assert link["right"] <= pill["right"]


def test_the_words_of_a_freeze_fit_into_a_pill_that_had_no_time_to_grow(unjam: Unjam) -> None:
    page = unjam.shop(viewport={"width": 375, "height": 740})
    frame = frame_of(page)
    page.evaluate("([key, order]) => { host.pay(key, order); host.freeze(4000); }", [KEY, ORDER])
    frame.wait_for_selector("#frozen:not([hidden])")
    link = frame.evaluate("frozen.getBoundingClientRect().toJSON()")
    assert frame.evaluate("innerWidth") < 200
    assert link["left"] >= 0
    assert link["top"] >= 0
    assert frame.evaluate("frozen.scrollWidth <= frozen.clientWidth && frozen.scrollHeight <= frozen.clientHeight")


def test_an_open_panel_goes_on_during_a_freeze_and_says_so(unjam: Unjam) -> None:
    page = unjam.shop()
    frame = pay(page)
    frame.get_by_role("button", name="Payment help").click()
    frame.wait_for_selector("#screen h1")
    page.evaluate("host.silence()")
    notice = frame.wait_for_selector("[data-frozen]")
    assert notice is not None
    assert "frozen" in notice.inner_text()
    link = frame.locator("[data-frozen] a")
    expect(link).to_have_attribute("href", f"{unjam.url}/rescue/demo/{KEY}")
    page.evaluate("host.beat()")
    frame.wait_for_selector("[data-frozen]", state="detached")
    expect(frame.locator("#screen h1")).to_be_visible()


def test_a_page_that_is_slow_before_pay_is_not_called_frozen(unjam: Unjam) -> None:
    page = unjam.shop()
    page.evaluate(
        "host.keys = ['b'.repeat(32)]; host.stages = { [host.keys[0]]: 'sdk' }; host.beat(); host.freeze(3000)"
    )
    page.evaluate("1")
    page.evaluate("([key, order]) => host.pay(key, order)", [KEY, ORDER])
    assert {key for sent in unjam.wait_for_pulses() for key in sent.body["keys"]} == {KEY}
    assert unjam.signals("stall") == []


def test_without_a_worker_the_frame_counts_by_itself(unjam: Unjam) -> None:
    page = unjam.shop(script="delete window.Worker;")
    frame = pay(page)
    page.evaluate("host.freeze(4000)")
    frame.wait_for_selector("#frozen:not([hidden])", timeout=4000)
    assert unjam.wait_for_signal("stall").body["source"] == "frame"


def test_the_frame_reports_the_facts_of_the_device_when_pay_is_pressed(unjam: Unjam) -> None:
    page = unjam.shop()
    assert unjam.sent == []
    frame = pay(page)
    told = wait_until(lambda: [sent for sent in unjam.sent if sent.body.get("facts")], "facts")[0]
    facts = told.body["facts"]
    assert (told.body["source"], told.body["signals"]) == ("frame", [])
    assert facts["language"] == frame.evaluate("navigator.language")
    assert facts["page"] == "/checkout"
    assert abs(facts["clock_skew"]) < 2
    assert facts["protection"] == "own process"
    assert "Chromium" in facts["browser_versions"]
    assert set(facts) <= FACTS.keys()


@pytest.mark.parametrize(
    ("relation", "granted"),
    [
        ("cross-site", "own process"),
        ("same-site", "own process"),
        ("sandboxed", "own process"),
        ("same-origin", "worker"),
    ],
)
def test_it_says_which_protection_the_browser_grants(unjam: Unjam, relation: str, granted: str) -> None:
    pay(unjam.shop(relation))
    told = wait_until(lambda: [sent for sent in unjam.sent if sent.body.get("facts")], "facts")[0]
    assert told.body["facts"]["protection"] == granted


def test_a_sandboxed_frame_does_the_whole_job(unjam: Unjam) -> None:
    page = unjam.shop("sandboxed")
    frame = pay(page)
    frame.get_by_role("button", name="Payment help").click()
    expect(frame.locator("#screen h1")).not_to_have_text("Were you charged?", timeout=8000)
    press(frame.get_by_role("button", name=re.compile("Report")))
    frame.get_by_label(re.compile("mail", re.IGNORECASE)).fill("sam@example.com")
    press(frame.get_by_role("button", name="Send the report"))
    expect(frame.locator("#screen h1")).to_have_text("We have your report")
    assert {sent.origin for sent in unjam.sent} == {"null"}


def test_a_return_opens_the_panel_without_taking_the_focus(unjam: Unjam) -> None:
    page = unjam.shop()
    page.route("**/panel", lambda route: route.fulfill(body="<h1>Your payment was interrupted</h1>"))
    page.evaluate(f"host.say('back', {{ key: '{KEY}' }})")
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Your payment was interrupted")).to_be_visible()
    expect(frame.get_by_role("status")).to_have_text("You are back. Payment help is open.")
    assert frame.evaluate("document.activeElement === document.body")
    assert page.evaluate("document.activeElement === document.body")


def test_a_return_to_an_order_that_is_paid_says_so_and_is_forgotten(unjam: Unjam) -> None:
    page = unjam.shop()
    paid = {"HX-Trigger": '{"unjam:paid": {"order": "D-1001"}}'}
    page.route("**/panel", lambda route: route.fulfill(body="<h1>You have paid</h1>", headers=paid))
    page.evaluate(f"host.say('back', {{ key: '{KEY}' }})")
    expect(frame_of(page).get_by_role("heading", name="You have paid")).to_be_visible()
    wait_for(page, "host.heard.some((said) => said.type === 'forget')")
    assert heard(page, "paid") == [{"type": "paid", "order": "D-1001"}]


def test_a_return_that_needs_no_words_is_forgotten(unjam: Unjam) -> None:
    page = unjam.shop()
    page.route("**/panel", lambda route: route.fulfill(status=204))
    page.evaluate(f"host.say('back', {{ key: '{KEY}' }})")
    wait_for(page, "host.heard.some((said) => said.type === 'forget')")
    assert frame_of(page).evaluate("panel.hidden")


def test_a_return_while_the_server_is_down_stays_quiet_and_remembered(unjam: Unjam) -> None:
    page = unjam.shop()
    page.route("**/panel", lambda route: route.fulfill(status=503))
    with page.expect_response("**/panel"):
        page.evaluate(f"host.say('back', {{ key: '{KEY}' }})")
    pay(page)
    assert frame_of(page).evaluate("panel.hidden")
    assert heard(page, "forget") == []


@pytest.mark.parametrize("missing", ["frame.css", "frame.js"])
def test_a_frame_that_arrives_in_part_stays_unseen(unjam: Unjam, missing: str) -> None:
    page = unjam.open_page()
    page.route(f"**/{missing}*", lambda route: route.abort())
    page.goto(f"http://127.0.0.1:{unjam.shop_port}/shop")
    wait_for(page, "host.talk")
    frame_of(page).evaluate("1")
    assert page.evaluate("host.heard") == []
    expect(page.locator("iframe")).to_be_hidden()


def test_without_its_worker_and_device_files_the_frame_still_helps(unjam: Unjam) -> None:
    page = unjam.open_page()
    page.route(re.compile("worker.js|device.js"), lambda route: route.abort())
    page.goto(f"http://127.0.0.1:{unjam.shop_port}/shop")
    wait_for(page, "host.heard.some((said) => said.type === 'resize')")
    frame = frame_of(page)
    page.evaluate("([key, order]) => host.pay(key, order)", [KEY, ORDER])
    frame.get_by_role("button", name="Payment help").click()
    expect(frame.locator("#screen h1")).to_be_visible()


def test_a_page_that_is_not_the_shops_gets_no_answer(unjam: Unjam, database: Database) -> None:
    with database.write() as session:
        shop = by_site(session, "demo")
        shop.profile = shop.profile | {"allowed_origins": ["https://shop.example"]}
    # The policy would keep the frame from loading at all, so it is opened from a page of our own origin.
    page = unjam.open_page()
    page.goto(f"{unjam.url}/shop")
    wait_for(page, "host.talk")
    frame_of(page).evaluate("1")
    assert page.evaluate("host.heard") == []


@pytest.mark.parametrize(
    ("viewport", "box"),
    [
        ({"width": 375, "height": 740}, {"x": 0, "width": 375, "right": 375, "bottom": 740}),
        ({"width": 1280, "height": 860}, {"x": 864, "width": 400, "right": 1264, "bottom": 844}),
    ],
)
def test_the_panel_is_a_sheet_on_a_phone_and_a_card_elsewhere(
    unjam: Unjam, viewport: dict[str, int], box: dict[str, float]
) -> None:
    page = unjam.shop(viewport=viewport)
    page.evaluate("host.say('open')")
    frame_of(page).wait_for_selector("#screen h1")
    wait_for(page, "frame.offsetWidth > 300")
    seen = page.evaluate("frame.getBoundingClientRect().toJSON()")
    assert {name: seen[name] for name in box} == box


class Beats:
    """The code of the worker on a page whose clock the test moves, with the requests it would make."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.clock.install(time=0)
        page.goto(f"{url}/static/icon.svg")
        page.evaluate(
            """async () => {
                window.sent = [];
                window.told = [];
                window.fetch = async (url, { body }) => {
                    sent.push([new URL(url).pathname, JSON.parse(body)]);
                    return { status: 204 };
                };
                const { port1, port2 } = new MessageChannel();
                window.port = port1;
                const { serve } = await import("/static/worker.js");
                const setup = { base: location.origin, site: "demo", token: "t", frozenSeconds: 2.25 };
                setup.source = "worker";
                serve((said) => told.push(said.type))({ type: "setup", setup, port: port2 });
                port2.addEventListener("message", () => window.wasHeard?.());
            }"""
        )

    def beat(self, seen: bool = True, key: str = KEY) -> None:
        """One beat, heard."""
        self.page.evaluate(
            """([key, seen]) => new Promise((done) => {
                window.wasHeard = done;
                port.postMessage({ stages: key ? { [key]: "submitted" } : {}, seen });
            })""",
            [key, seen],
        )

    def beats_for(self, seconds: float, every_ms: int = 250, seen: bool = True) -> None:
        for _ in range(int(seconds * 1000 / every_ms)):
            self.page.clock.run_for(every_ms)
            self.beat(seen)

    def sent(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(
            "(path) => sent.filter((each) => each[0] === path).map((each) => each[1])", f"/api/v1/{path}"
        )
        return found

    def told(self) -> list[str]:
        found: list[str] = self.page.evaluate("told")
        return found


@pytest.fixture
def beats(unjam: Unjam) -> Beats:
    return Beats(unjam.open_page(), unjam.url)


def test_a_page_that_beats_no_more_is_frozen_after_its_limit(beats: Beats) -> None:
    beats.beat()
    beats.page.clock.run_for(2000)
    assert "frozen" not in beats.told()
    beats.page.clock.run_for(400)
    assert beats.told() == ["alive", "frozen"]
    assert len(beats.sent("beacons")) == 1


def test_a_laptop_that_slept_is_not_a_freeze(beats: Beats) -> None:
    beats.beats_for(1)
    beats.page.clock.fast_forward(3600_000)
    beats.beats_for(1)
    assert beats.told() == ["alive", "asleep"]
    assert [each["signals"][0]["name"] for each in beats.sent("beacons")] == ["asleep"]
    assert beats.sent("beacons")[0]["signals"][0]["data"]["seconds"] >= 3600


def test_a_hidden_page_whose_timers_are_throttled_is_not_a_freeze(beats: Beats) -> None:
    beats.beat(seen=False)
    beats.beats_for(180, every_ms=60_000, seen=False)
    assert beats.told() == ["alive"]
    assert {each["presence"] for each in beats.sent("pulses")} == {"hidden"}


def test_a_page_that_beats_late_on_a_slow_machine_is_not_a_freeze(beats: Beats) -> None:
    beats.beats_for(20, every_ms=2000)
    assert beats.told() == ["alive"]


def test_the_first_pulse_goes_out_at_the_first_beat_and_then_every_four_seconds(beats: Beats) -> None:
    beats.beat()
    assert beats.sent("pulses") == [{"site": "demo", "keys": [KEY], "presence": "seen"}]
    beats.beats_for(12)
    assert len(beats.sent("pulses")) == 4


def test_a_change_of_presence_and_another_attempt_pulse_at_once(beats: Beats) -> None:
    beats.beat()
    beats.beat(seen=False)
    beats.beat(seen=False, key="b" * 32)
    assert [(each["keys"][0][0], each["presence"]) for each in beats.sent("pulses")] == [
        ("a", "seen"),
        ("a", "hidden"),
        ("b", "hidden"),
    ]


def test_a_frozen_page_gives_no_pulse_and_a_second_freeze_is_reported_again(beats: Beats) -> None:
    beats.beat()
    beats.page.clock.run_for(60_000)
    assert len(beats.sent("pulses")) == 1
    beats.beat()
    beats.page.clock.run_for(5_000)
    names = [each["signals"][0]["name"] for each in beats.sent("beacons")]
    assert names == ["stall", "thawed", "stall"]
    assert beats.told() == ["alive", "frozen", "alive", "frozen"]


def test_no_timer_runs_when_no_attempt_does(beats: Beats) -> None:
    beats.page.evaluate(
        """() => {
            window.running = new Set();
            const [begin, end] = [setInterval, clearInterval];
            window.setInterval = (...all) => { const id = begin(...all); running.add(id); return id; };
            window.clearInterval = (id) => { running.delete(id); end(id); };
        }"""
    )
    beats.beat()
    assert beats.page.evaluate("running.size") == 1
    beats.beat(key="")
    assert beats.page.evaluate("running.size") == 0
    assert beats.told() == ["alive", "idle"]


def test_a_report_that_did_not_get_through_is_tried_again(beats: Beats) -> None:
    beats.page.evaluate(
        """() => {
            const works = fetch;
            let failures = 1;
            window.fetch = (url, said) => {
                works(url, said);
                const fails = url.includes("beacons") && failures-- > 0;
                return fails ? Promise.reject(Error()) : Promise.resolve({ status: 204 });
            };
        }"""
    )
    beats.beat()
    beats.page.clock.run_for(2500)
    beats.page.clock.run_for(1500)
    ids = [each["id"] for each in beats.sent("beacons")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_the_frame_is_given_all_it_needs(client: FlaskClient, database: Database, settings: Settings) -> None:
    with database.write() as session:
        Cast(session, profile={"providers": {"stripe": {}}, "deadlines": {"submitted": 4}})
    response = client.get("/frame/demo", headers={"Sec-Fetch-Site": "same-site"})
    given = {name: unescape(value) for name, value in re.findall(r'data-([a-z]+)="([^"]*)"', response.text)}
    assert Tokens(settings.signing_key).read(Purpose.FRAME, given["token"]) == "demo"
    assert given["relation"] == "same-site"
    assert given["rescue"] == "/rescue/demo/"
    assert json.loads(given["deadlines"])["submitted"] == 4
    assert ["js.stripe.com", "Stripe"] in json.loads(given["sdks"])
    assert "worker-src 'self' blob:;" in response.headers["Content-Security-Policy"]
    assert response.headers["Origin-Agent-Cluster"] == "?1"


@pytest.mark.parametrize("said", ["none", "", "<b>", "Cross-Site"])
def test_a_relation_that_no_browser_says_is_unknown(client: FlaskClient, database: Database, said: str) -> None:
    with database.write() as session:
        Cast(session)
    assert 'data-relation=""' in client.get("/frame/demo", headers={"Sec-Fetch-Site": said}).text


def test_the_scripts_watched_are_those_of_the_shops_providers_and_of_the_wallets() -> None:
    hosts = {host for host, _ in watched_for({"stripe": {}})}
    assert "js.stripe.com" in hosts
    assert "pay.google.com" in hosts
    assert "js.yoco.com" not in hosts
    assert "js.yoco.com" in {host for host, _ in watched_for({})}


@pytest.mark.parametrize(
    "path", ["/panel", "/help/x", "/rescue/demo/x", "/start/demo", "/api/v1/beacons", "/api/v1/pulses"]
)
def test_a_sandboxed_frame_may_ask_and_read(client: FlaskClient, path: str) -> None:
    asked = {"Origin": "null", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "hx-request"}
    headers = client.options(path, headers=asked).headers
    assert headers["Access-Control-Allow-Origin"] == "null"
    assert "HX-Request" in headers["Access-Control-Allow-Headers"]
    assert "Origin" in headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", ["/desk/login", "/desk", "/api/v1/payments", "/status/x", "/pay/x", "/rate/x", "/"])
def test_nobody_else_may_read_the_rest(client: FlaskClient, path: str) -> None:
    assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": "null"}).headers
    assert "Access-Control-Allow-Origin" not in client.options(path, headers={"Origin": "null"}).headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8001", "NULL"])
def test_other_origins_are_not_let_in_by_the_panel(client: FlaskClient, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in client.options("/panel", headers={"Origin": origin}).headers


def test_static_files_may_be_fetched_by_everybody(client: FlaskClient) -> None:
    with client.get("/static/worker.js") as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
