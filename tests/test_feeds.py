"""Status feeds: the documented shapes over HTTP, and that anything else is no answer and keeps the last good one."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import Cast
from tests.conftest import Clock
from widget import clock as clocks
from widget import feeds, polling, stalls
from widget.attempts import Stage
from widget.database import Database
from widget.feeds import Feed, FeedView, Indicator, NoAnswer, Shape
from widget.stalls import SeenBy, StallKind

LEASE = timedelta(minutes=3)

STATUSPAGE: dict[str, Any] = {
    "page": {"id": "x1", "name": "Example Pay", "url": "https://status.example"},
    "status": {"indicator": "major", "description": "Partial System Outage"},
    "components": [
        {"id": "c1", "name": "API", "status": "major_outage", "position": 1},
        {"id": "c2", "name": "Dashboard", "status": "operational", "position": 2},
    ],
    "incidents": [],
}
STATUSPAGE_BODY = json.dumps(STATUSPAGE).encode()
STRIPE: dict[str, Any] = {
    "UptimeStatus": "degraded",
    "message": "We are investigating elevated errors.",
    "uptimeData": [
        {"key": "api", "title": "API", "warning": {"level": "degraded"}},
        {"key": "dashboard", "title": "Dashboard", "warning": None},
    ],
}
INSTATUS: dict[str, Any] = {
    "page": {"name": "Mollie", "url": "https://status.mollie.com", "status": "HASISSUES"},
    "activeIncidents": [
        {"name": "Card payments", "started": "2026-11-20", "status": "INVESTIGATING", "impact": "MAJOROUTAGE"}
    ],
}
PAYPAL: dict[str, Any] = {
    "result": [
        {"id": 1, "name": "Checkout", "status": {"production": "Service Outage", "sandbox": "Operational"}},
        {"id": 2, "name": "Payouts", "status": {"production": "Operational", "sandbox": "Service Outage"}},
        {"id": 3, "name": "Sandbox tools", "status": {"sandbox": "Service Disruption"}},
    ]
}
SHAPES = [
    (Shape.STATUSPAGE, STATUSPAGE, Indicator.MAJOR, "Partial System Outage", ["API: major outage"]),
    (Shape.STRIPE, STRIPE, Indicator.MINOR, "We are investigating elevated errors.", ["API"]),
    (Shape.INSTATUS, INSTATUS, Indicator.MAJOR, "There are issues", ["Card payments"]),
    (Shape.PAYPAL, PAYPAL, Indicator.MAJOR, "Service outage", ["Checkout: service outage"]),
]
WELL = [
    (Shape.STATUSPAGE, STATUSPAGE | {"status": {"indicator": "none", "description": "All Systems Operational"}}),
    (Shape.STRIPE, {"UptimeStatus": "up", "uptimeData": [{"key": "api", "title": "API", "warning": None}]}),
    (Shape.INSTATUS, {"page": {"name": "Mollie", "url": "https://status.mollie.com", "status": "UP"}}),
    (Shape.PAYPAL, {"result": [{"name": "Checkout", "status": {"production": "operational"}}]}),
]


class StatusPage:
    """A status page on loopback that answers what a test puts into it, well or badly."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"{}", {"ETag": '"1"'}
        self.asked: list[dict[str, str]] = []
        self.before_answer: Callable[[Any], None] = lambda _handler: None
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked.append(dict(self.headers))
                page.before_answer(self)
                is_known = self.headers.get("If-None-Match") == page.headers.get("ETag") and page.status == 200
                self.send_response(304 if is_known else page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0" if is_known else str(len(page.body)))
                self.end_headers()
                if not is_known:
                    self.wfile.write(page.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/summary.json"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def says(self, answer: Any, etag: str = '"1"') -> None:
        self.status, self.body, self.headers = 200, json.dumps(answer).encode(), {"ETag": etag}

    def stop(self) -> None:
        """Twice does no harm."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def page() -> Iterator[StatusPage]:
    made = StatusPage()
    yield made
    made.stop()


class Watcher:
    """A shop whose provider has this status page, and a worker that asks it."""

    def __init__(self, database: Database, page: StatusPage, shape: Shape = Shape.STATUSPAGE) -> None:
        self.database, self.providers = database, {"demo": {"status_feed": {"shape": shape.value, "url": page.url}}}
        with database.write() as session:
            self.cast = Cast(session, profile={"providers": self.providers})

    def try_to_pay(self) -> None:
        with self.database.write() as session:
            self.cast.session = session
            self.cast.attempt()

    def get_stuck(self, provider: str | None = "demo") -> None:
        with self.database.write() as session:
            self.cast.session = session
            attempt = self.cast.attempt()
            attempt.provider = provider
            stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clocks.now())

    def ask(self, worker: str = "w1") -> bool:
        return polling.ask_due_feeds(self.database, worker, LEASE)

    def seen(self) -> FeedView:
        with self.database.read() as session:
            found = feeds.view(session, "demo", self.providers, clocks.now())
        assert found is not None
        return found

    def feed(self) -> Feed:
        with self.database.read() as session:
            return session.scalars(sa.select(Feed)).one()


@pytest.fixture
def watcher(database: Database, page: StatusPage, clock: Clock) -> Watcher:
    return Watcher(database, page)


@pytest.mark.parametrize(("shape", "answer", "indicator", "said", "parts"), SHAPES, ids=[each[0] for each in SHAPES])
def test_each_documented_shape_is_read_over_http(
    sqlite_database: Database,
    page: StatusPage,
    shape: Shape,
    answer: dict[str, Any],
    indicator: Indicator,
    said: str,
    parts: list[str],
) -> None:
    page.says(answer)
    watcher = Watcher(sqlite_database, page, shape)
    watcher.ask()

    seen = watcher.seen()

    assert (seen.indicator, seen.said, list(seen.parts), seen.trouble) == (indicator, said, parts, None)
    assert not seen.is_stale


@pytest.mark.parametrize(("shape", "answer"), WELL, ids=[each[0] for each in WELL])
def test_a_provider_that_is_well_says_so(shape: Shape, answer: dict[str, Any]) -> None:
    found = feeds.read(shape, json.dumps(answer).encode())

    assert (found.indicator, found.parts) == (Indicator.NONE, ()) or shape is Shape.STATUSPAGE
    assert found.indicator is Indicator.NONE


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<!doctype html><title>OK</title>",
        b'{"status":"up"}',
        b"\xff\xfe",
        b'{"result":[]}',
    ],
)
def test_what_is_not_the_documented_shape_is_no_answer(shape: Shape, body: bytes) -> None:
    with pytest.raises(NoAnswer):
        feeds.read(shape, body)


@pytest.mark.parametrize("shape", Shape)
def test_the_answer_of_another_kind_of_page_is_no_answer(shape: Shape) -> None:
    for other, answer, *_ in SHAPES:
        if other is not shape:
            with pytest.raises(NoAnswer):
                feeds.read(shape, json.dumps(answer).encode())


@pytest.mark.parametrize("word", ["sunny", "", None, 1, ["major"]])
def test_an_indicator_that_is_not_documented_is_no_answer(word: Any) -> None:
    with pytest.raises(NoAnswer):
        feeds.read(
            Shape.STATUSPAGE, json.dumps(STATUSPAGE | {"status": {"indicator": word, "description": "x"}}).encode()
        )


def _break_off(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    handler.wfile.flush()
    handler.connection.close()


@pytest.mark.parametrize(
    ("status", "body", "headers", "trouble"),
    [
        (200, b"<!doctype html><h1>All fine</h1>", {}, "not in the documented shape"),
        (302, b"", {"Location": "http://127.0.0.1:9/"}, "status 302"),
        (500, b"{}", {}, "status 500"),
        (404, STATUSPAGE_BODY, {}, "status 404"),
        (200, b"[" + b"1," * 600_000, {}, "longer than"),
    ],
)
def test_a_bad_answer_keeps_the_last_good_one_with_its_time(
    sqlite_database: Database,
    page: StatusPage,
    clock: Clock,
    status: int,
    body: bytes,
    headers: dict[str, str],
    trouble: str,
) -> None:
    watcher = Watcher(sqlite_database, page)
    page.says(STATUSPAGE)
    watcher.ask()
    answered_at = clocks.now()
    clock.forward(timedelta(hours=2))
    page.status, page.body, page.headers = status, body, headers

    assert watcher.ask()

    seen = watcher.seen()
    assert (seen.indicator, seen.answered_at, seen.is_stale) == (Indicator.MAJOR, answered_at, True)
    assert trouble in (seen.trouble or "")
    assert not seen.tells_outage


def test_an_answer_that_breaks_off_is_none(sqlite_database: Database, page: StatusPage, clock: Clock) -> None:
    watcher = Watcher(sqlite_database, page)
    page.before_answer = _break_off
    watcher.ask()

    assert watcher.seen().indicator is None
    assert watcher.seen().trouble


def test_a_page_that_drips_is_given_up(
    sqlite_database: Database, page: StatusPage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(sqlite_database, page)
    monkeypatch.setattr(polling, "WHOLE_SECONDS", 0.3)

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            handler.wfile.write(b"1\r\n{\r\n")
            time.sleep(0.05)

    page.before_answer = drip
    began = time.monotonic()
    watcher.ask()

    assert watcher.seen().trouble == "It did not answer in time."
    assert time.monotonic() - began < 4


def test_a_server_that_is_away_is_no_answer(sqlite_database: Database, page: StatusPage, clock: Clock) -> None:
    watcher = Watcher(sqlite_database, page)
    page.stop()

    assert watcher.ask()
    assert "could not be reached" in (watcher.seen().trouble or "")


def test_an_unchanged_answer_is_not_sent_again(watcher: Watcher, page: StatusPage, clock: Clock) -> None:
    page.says(STATUSPAGE)
    watcher.ask()
    clock.forward(timedelta(hours=1, minutes=1))
    watcher.ask()

    assert page.asked[1]["If-None-Match"] == '"1"'
    assert watcher.seen().indicator is Indicator.MAJOR
    assert watcher.seen().answered_at == clocks.now()


def test_a_quiet_shop_asks_by_the_hour_and_a_busy_one_every_two_minutes(
    watcher: Watcher, page: StatusPage, clock: Clock
) -> None:
    page.says(STATUSPAGE)
    watcher.ask()
    clock.forward(timedelta(minutes=30))
    assert not watcher.ask()

    for _ in range(3):
        watcher.try_to_pay()
        clock.forward(timedelta(minutes=2, seconds=1))
        assert watcher.ask()
    assert len(page.asked) == 4


@pytest.mark.parametrize("provider", ["demo", None])
def test_a_stall_makes_the_feed_of_its_provider_due_at_once(
    watcher: Watcher, page: StatusPage, clock: Clock, provider: str | None
) -> None:
    page.says(STATUSPAGE | {"status": {"indicator": "none", "description": "All well"}})
    watcher.ask()
    clock.forward(timedelta(minutes=30))
    assert not watcher.ask()

    # Just after the shops were looked through, so that the next look is a minute away.
    clock.forward(timedelta(seconds=1))
    page.says(STATUSPAGE)
    watcher.get_stuck(provider)

    assert watcher.ask()
    assert watcher.seen().answered_at == clocks.now()


def test_stalls_one_after_another_ask_every_two_minutes_and_no_later(
    watcher: Watcher, page: StatusPage, clock: Clock
) -> None:
    page.says(STATUSPAGE)
    watcher.ask()
    began, asked_at = clocks.now(), []
    while clocks.now() - began < timedelta(minutes=10):
        watcher.get_stuck()
        clock.forward(timedelta(seconds=7))
        if watcher.ask():
            asked_at.append(clocks.now())

    gaps = [later - earlier for earlier, later in pairwise([began, *asked_at])]
    assert min(gaps) >= timedelta(minutes=2)
    assert max(gaps) < timedelta(minutes=2, seconds=7)


def test_a_stall_at_another_provider_asks_nothing(watcher: Watcher, page: StatusPage, clock: Clock) -> None:
    page.says(STATUSPAGE)
    watcher.ask()
    clock.forward(timedelta(minutes=30))
    watcher.ask()
    clock.forward(timedelta(seconds=1))
    watcher.get_stuck("stripe")

    assert not watcher.ask()
    assert len(page.asked) == 1


def test_trouble_is_asked_more_and_more_rarely_even_by_a_busy_shop(
    watcher: Watcher, page: StatusPage, clock: Clock
) -> None:
    page.status = 500
    for _ in range(60):
        watcher.try_to_pay()
        watcher.ask()
        clock.forward(timedelta(minutes=2, seconds=1))

    assert 5 <= len(page.asked) <= 9


def test_two_workers_never_ask_the_same_feed_at_once(watcher: Watcher, page: StatusPage) -> None:
    page.says(STATUSPAGE)
    others: list[bool] = []
    page.before_answer = lambda _handler: others.append(watcher.ask("w2"))

    assert watcher.ask("w1")

    assert others == [False]
    assert len(page.asked) == 1


def test_a_feed_that_no_shop_needs_any_more_is_left_alone(watcher: Watcher, page: StatusPage, clock: Clock) -> None:
    page.says(STATUSPAGE)
    watcher.ask()
    with watcher.database.write() as session:
        session.merge(watcher.cast.shop).disabled_at = clocks.now()
    clock.forward(timedelta(hours=2))

    assert not watcher.ask()
    assert len(page.asked) == 1


def test_a_feed_that_a_shop_named_itself_is_not_shown_to_other_shops(watcher: Watcher, page: StatusPage) -> None:
    page.says(STATUSPAGE)
    watcher.ask()

    with watcher.database.read() as session:
        assert feeds.view(session, "demo", {"demo": {}}, clocks.now()) is None
        assert feeds.view(session, "demo", {"demo": {"status_feed": False}}, clocks.now()) is None
        assert feeds.view(session, "stripe", watcher.providers, clocks.now()) is None
    assert watcher.feed().provider == ""


def test_a_shop_may_refuse_the_usual_feed(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        usual = Cast(session, profile={"providers": {"stripe": {}}}).shop.settled
        refused = Cast(session, site="other", profile={"providers": {"stripe": {"status_feed": False}}}).shop.settled

    assert [name for name, _ in polling.sources_of(usual)] == ["stripe"]
    assert list(polling.sources_of(refused)) == []
