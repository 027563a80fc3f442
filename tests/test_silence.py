"""The dead-man's switch: silence becomes a stall by itself, and nobody is called silent who was only not heard."""

import json
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from limits import parse as parse_limit

from tests.cast import ORIGIN, PACE, Cast, key
from tests.conftest import Clock
from tests.processes import Running, free_port, start
from tests.stage import wait_until
from widget import clock as real_clock
from widget import payments, pulses, silence, stalls
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.deadlines import SHIPPED
from widget.followups import FollowUp
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.pulses import Presence, Pulse
from widget.settings import Settings
from widget.shops import Shop
from widget.silence import Suspect, verdict
from widget.stalls import Stall, StallKind
from widget.tokens import Purpose, Tokens
from widget.worker import Worker, worker_for

SUBMITTED, AUTHENTICATING, CONFIRMING = Stage.SUBMITTED, Stage.AUTHENTICATING, Stage.CONFIRMING
SEEN, HIDDEN, AWAY = Presence.SEEN, Presence.HIDDEN, Presence.AWAY
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("presence", "stage", "seconds", "kind"),
    [
        (SEEN, SUBMITTED, 10, None),
        (SEEN, SUBMITTED, 10.1, StallKind.SILENT),
        (SEEN, AUTHENTICATING, 10.1, StallKind.SILENT),
        (SEEN, CONFIRMING, 10.1, StallKind.SILENT),
        (SEEN, Stage.STARTED, 9999, None),
        (SEEN, Stage.PAID, 9999, None),
        (SEEN, Stage.FAILED, 9999, None),
        (HIDDEN, SUBMITTED, 1800, None),
        (HIDDEN, CONFIRMING, 1800.1, StallKind.SILENT),
        (AWAY, SUBMITTED, 60, None),
        (AWAY, SUBMITTED, 60.1, StallKind.CLOSED),
        (AWAY, CONFIRMING, 60.1, StallKind.CLOSED),
        (AWAY, AUTHENTICATING, 900, None),
        (AWAY, AUTHENTICATING, 900.1, StallKind.NO_RETURN),
        (SEEN, SUBMITTED, -3600, None),
    ],
)
def test_what_silence_means(presence: Presence, stage: Stage, seconds: float, kind: StallKind | None) -> None:
    assert verdict(presence, stage, seconds, SHIPPED) is kind


class Tab:
    """A payment page, its frame and the server that listens to them, second by second."""

    def __init__(self, client: FlaskClient, database: Database, clock: Clock, worker: Worker) -> None:
        self.client, self.database, self.clock, self.worker = client, database, clock, worker
        with database.write() as session:
            self.cast = Cast(session)
        self.context = self.cast.context().model_dump()
        self.key, self.seq = key(), 0
        self.frame = Tokens(Settings(environment="test").signing_key).sign(Purpose.FRAME, "demo")

    def says(self, name: str, **data: object) -> None:
        beacon = {
            "v": 1,
            "id": key(),
            "site": "demo",
            "attempt": {"key": self.key, "order": self.context, "method": "card", "provider": "demo"},
            "signals": [{"seq": self.seq, "name": name, "data": data}],
        }
        self.seq += 1
        answer = self.client.post("/api/v1/beacons", data=json.dumps(beacon), headers={"Origin": ORIGIN})
        assert answer.status_code == 204, answer.text

    def beats(self, presence: str = "seen") -> None:
        body = {"site": "demo", "keys": [self.key], "presence": presence}
        answer = self.client.post("/api/v1/pulses", data=json.dumps(body), headers={"Origin": ORIGIN})
        assert answer.status_code == 204, answer.text

    def passes(self, seconds: int, *, beating: str | None = None, step: int = 1, listening: bool = True) -> None:
        """Time passes while the worker works and, unless it is down, the server listens."""
        for second in range(0, seconds, step):
            if beating and second % 4 == 0:
                self.beats(beating)
            if listening:
                self.listens()
            self.worker.work_once()
            self.clock.forward(step * SECOND)
        if listening:
            self.listens()
        self.worker.work_once()

    def listens(self) -> None:
        with self.database.write_rows() as connection:
            pulses.listen(connection, self.clock.now)

    def stalls(self) -> list[tuple[str, str, str]]:
        with self.database.read() as session:
            mine = session.scalars(sa.select(Attempt).filter_by(key=self.key)).one_or_none()
            standing = stalls.of(session, mine.id) if mine is not None else []
            return [(each.kind, each.stage, each.seen_by) for each in standing]

    def evidence(self) -> dict[str, object]:
        with self.database.read() as session:
            return session.scalars(sa.select(Stall)).one().evidence

    def pulse(self) -> Pulse | None:
        with self.database.read() as session:
            return session.scalar(sa.select(Pulse).filter_by(attempt_key=self.key))

    def mails(self) -> list[FollowUp]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(FollowUp).filter_by(kind="interrupted")))


@pytest.fixture
def tab(client: FlaskClient, settings: Settings, database: Database, clock: Clock) -> Tab:
    tab = Tab(client, database, clock, worker_for(settings, database))
    tab.listens()
    tab.says("stage", stage="submitted")
    return tab


SILENT = [("silent", "submitted", "server")]


def test_a_tab_that_is_killed_is_known_within_fifteen_seconds(tab: Tab) -> None:
    tab.passes(8, beating="seen")
    assert tab.stalls() == []
    tab.passes(12)
    assert tab.stalls() == SILENT
    assert tab.evidence() == {"silent_seconds": 11, "presence": "seen"}


def test_a_page_that_beats_is_never_silent(tab: Tab) -> None:
    tab.passes(120, beating="seen")
    assert tab.stalls() == []


def test_one_lost_pulse_is_no_silence(tab: Tab) -> None:
    tab.beats()
    tab.passes(8)
    tab.passes(4, beating="seen")
    assert tab.stalls() == []


def test_a_page_that_pulses_again_was_not_silent(tab: Tab) -> None:
    tab.beats()
    tab.passes(15)
    assert tab.stalls() == SILENT
    tab.passes(3, beating="seen")
    assert tab.stalls() == []


def test_a_page_that_falls_silent_twice_is_silent_again(tab: Tab) -> None:
    tab.beats()
    tab.passes(15)
    tab.passes(3, beating="seen")
    tab.passes(15)
    assert tab.stalls() == SILENT


def test_a_hidden_page_may_be_quiet_for_half_an_hour(tab: Tab) -> None:
    tab.beats("hidden")
    tab.passes(1795, step=5)
    assert tab.stalls() == []
    tab.passes(15, step=5)
    assert tab.stalls() == SILENT


@pytest.mark.parametrize(
    ("stage", "quiet", "kind"),
    [("submitted", 60, "closed"), ("confirming", 60, "closed"), ("authenticating", 900, "no_return")],
)
def test_a_goodbye_in_the_middle_of_a_payment_is_waited_for_before_it_counts(
    tab: Tab, stage: str, quiet: int, kind: str
) -> None:
    tab.says("stage", stage=stage)
    tab.beats()
    tab.says("left", stage=stage)
    tab.passes(quiet - 5, step=5)
    assert tab.stalls() == []
    tab.passes(10, step=5)
    assert tab.stalls() == [(kind, stage, "server")]


def test_a_goodbye_wins_over_a_pulse_that_was_under_way(tab: Tab) -> None:
    tab.says("stage", stage="authenticating")
    tab.says("left", stage="authenticating")
    tab.worker.work_once()
    tab.clock.forward(SECOND)
    tab.beats()
    tab.passes(60, step=5)
    assert tab.stalls() == []


def test_an_attempt_that_the_page_dropped_by_itself_is_not_waited_for(tab: Tab) -> None:
    tab.beats()
    tab.says("left", stage="submitted", stays=True)
    tab.passes(4)
    tab.beats()  # one that was late
    tab.passes(120, step=5)
    assert tab.stalls() == []


@pytest.mark.parametrize("outcome", ["paid", "failed"])
def test_an_outcome_ends_the_waiting(tab: Tab, outcome: str) -> None:
    tab.beats()
    tab.says(outcome, code="x")
    tab.worker.work_once()
    tab.beats()  # one that was late
    tab.passes(100, step=5)
    assert [each for each in tab.stalls() if each[2] == "server" and each[0] in {"silent", "closed"}] == []
    assert tab.pulse() is None


def test_before_pay_nobody_is_missed(client: FlaskClient, settings: Settings, database: Database, clock: Clock) -> None:
    tab = Tab(client, database, clock, worker_for(settings, database))
    tab.says("stage", stage="started")
    tab.passes(3, beating="seen")
    tab.passes(300, step=5)
    assert tab.stalls() == []


def test_a_beacon_not_yet_digested_is_heard_before_the_verdict(tab: Tab) -> None:
    tab.beats()
    tab.listens()
    tab.worker.work_once()
    tab.clock.forward(11 * SECOND)
    tab.says("paid")
    tab.passes(2)
    assert tab.stalls() == []


def test_while_no_server_listens_nobody_is_called_silent(tab: Tab) -> None:
    tab.beats()
    tab.passes(2)
    tab.passes(300, step=5, listening=False)
    assert tab.stalls() == []
    tab.passes(9)  # listening again: the page has its whole time to be heard
    assert tab.stalls() == []
    tab.passes(4)
    assert tab.stalls() == SILENT


def test_a_worker_that_was_down_judges_by_what_the_server_heard(tab: Tab) -> None:
    for second in range(60):
        if second % 4 == 0:
            tab.beats()
        tab.listens()
        tab.clock.forward(SECOND)
    tab.worker.work_once()
    assert tab.stalls() == []


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_clock_that_jumps_makes_nobody_silent(tab: Tab, jump: timedelta) -> None:
    tab.passes(8, beating="seen")
    tab.clock.forward(jump)
    tab.passes(30, beating="seen")
    assert tab.stalls() == []


def test_a_worker_whose_clock_is_ahead_gives_no_early_verdict(tab: Tab) -> None:
    tab.beats()
    tab.listens()
    tab.clock.forward(timedelta(minutes=5))
    tab.worker.work_once()
    assert tab.stalls() == []


def test_a_page_whose_frame_is_blocked_is_missed_a_minute_after_its_deadline(tab: Tab) -> None:
    tab.passes(65, step=5)
    assert tab.stalls() == []
    tab.passes(20, step=5)
    assert tab.stalls() == SILENT


def test_a_page_without_frame_that_said_goodbye_is_closed_not_silent(tab: Tab) -> None:
    tab.says("left", stage="submitted")
    tab.passes(200, step=5)
    assert tab.stalls() == [("closed", "submitted", "server")]


def test_a_shops_own_limits_count(tab: Tab) -> None:
    with tab.database.write() as session:
        shop = session.scalars(sa.select(Shop)).one()
        shop.profile = shop.profile | {"deadlines": {"silent": 30}}
    tab.beats()
    tab.passes(28)
    assert tab.stalls() == []
    tab.passes(4)
    assert tab.stalls() == SILENT


def test_two_workers_give_one_verdict(tab: Tab, settings: Settings) -> None:
    tab.beats()
    tab.passes(9)
    tab.clock.forward(3 * SECOND)
    tab.listens()
    other = worker_for(settings, tab.database)
    other.work_once()
    tab.worker.work_once()
    assert tab.stalls() == SILENT


def test_an_error_in_one_row_does_not_stop_the_others(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, broken = silence.judge, Suspect(key(), 1, None)

    def judge_or_break(session, suspect, pace, now):  # type: ignore[no-untyped-def]
        if suspect is broken:
            raise KeyError("row")
        return judge(session, suspect, pace, now)

    found = silence.suspects
    monkeypatch.setattr(silence, "judge", judge_or_break)
    monkeypatch.setattr(silence, "suspects", lambda session, now: [broken, *found(session, now)])
    tab.beats()
    tab.passes(13)
    assert tab.stalls() == SILENT


def test_a_payment_the_shop_tells_of_ends_the_waiting(tab: Tab) -> None:
    tab.beats()
    tab.worker.work_once()
    with tab.database.write() as session:
        shop = session.scalars(sa.select(Shop)).one()
        attempt = session.scalars(sa.select(Attempt)).one()
        order = session.get_one(Order, attempt.order_id)
        payments.record(session, shop, order, Told("k", Source.SHOP, Money(124900, "ZAR")), PACE, tab.clock.now)
    tab.passes(30)
    assert tab.stalls() == []


def test_very_old_pulses_are_forgotten(tab: Tab) -> None:
    tab.key = key()
    tab.beats()
    tab.clock.forward(pulses.KEPT_FOR + SECOND)
    tab.worker.work_once()
    assert tab.pulse() is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 204),
        ({"keys": [key() for _ in range(10)]}, 204),
        ({"keys": [key() for _ in range(11)]}, 422),
        ({"keys": []}, 422),
        ({"keys": ["' OR 1=1"]}, 422),
        ({"keys": ["listening"]}, 422),
        ({"presence": "dead"}, 422),
        ({"site": "stranger"}, 404),
    ],
)
def test_a_pulse_is_checked(tab: Tab, change: dict[str, object], status: int) -> None:
    body = {"site": "demo", "keys": [tab.key], "presence": "seen"} | change
    answer = tab.client.post("/api/v1/pulses", data=json.dumps(body), headers={"Origin": ORIGIN})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"site":1e999}', b"x" * 5000])
def test_hostile_pulses_are_refused_in_words(tab: Tab, raw: bytes) -> None:
    answer = tab.client.post("/api/v1/pulses", data=raw, headers={"Origin": ORIGIN})
    assert answer.status_code in {413, 422}
    assert answer.mimetype == "application/problem+json"


def test_a_pulse_from_a_strangers_page_needs_the_frames_token(tab: Tab) -> None:
    body = json.dumps({"site": "demo", "keys": [tab.key], "presence": "seen"})
    for query in ("", "?frame=x", "?frame=" + Tokens("other").sign(Purpose.FRAME, "demo")):
        assert tab.client.post("/api/v1/pulses" + query, data=body, headers={"Origin": "null"}).status_code == 403
    answer = tab.client.post(f"/api/v1/pulses?frame={tab.frame}", data=body, headers={"Origin": "null"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "null")


@pytest.fixture
def quick(database_url: str, tmp_path: Path) -> Iterator[tuple[Database, dict[str, str], Path, str]]:
    """A shop of which a page is silent after six seconds, for real servers."""
    database = Database(database_url)
    with database.write() as session:
        cast = Cast(session, profile={"deadlines": {"silent": 6}})
        attempt = cast.attempt()
        attempt.stage = Stage.SUBMITTED.value
    env = {"UNJAM_ENVIRONMENT": "test", "UNJAM_DATABASE_URL": database_url}
    yield database, env, tmp_path / "unjam.log", attempt.key
    database.dispose()


def send_pulse(server: Running, attempt_key: str) -> None:
    connection = HTTPConnection("127.0.0.1", server.port or 0, timeout=10)
    body = json.dumps({"site": "demo", "keys": [attempt_key], "presence": "seen"})
    connection.request("POST", "/api/v1/pulses", body, {"Origin": ORIGIN})
    assert connection.getresponse().status == 204
    connection.close()


def is_silent(database: Database) -> bool:
    with database.read() as session:
        return session.scalar(sa.select(Stall.id).filter_by(kind="silent")) is not None


def test_a_killed_server_makes_nobody_silent_who_beats_on(quick: tuple[Database, dict[str, str], Path, str]) -> None:
    database, env, log, attempt_key = quick
    port = free_port()
    server = start("serve", env=env, log=log, port=port)
    try:
        send_pulse(server, attempt_key)
        server.kill()
        wait_until(lambda: real_clock.now() > heard_last(database) + 8 * SECOND, "time without a server")
        server = start("serve", env=env, log=log, port=port)
        send_pulse(server, attempt_key)
        assert not is_silent(database)
        wait_until(lambda: is_silent(database), "the verdict once nobody beats any more")
    finally:
        server.kill()


def heard_last(database: Database):  # type: ignore[no-untyped-def]
    with database.read() as session:
        return session.scalars(sa.select(Pulse.at).where(Pulse.attempt_key != "listening")).one()


def test_a_pulse_of_no_attempt_is_forgotten_soon_and_one_of_an_attempt_is_kept(tab: Tab) -> None:
    mine = tab.key
    tab.beats()
    tab.key = key()
    tab.beats()
    tab.worker.work_once()
    tab.clock.forward(pulses.ORPHANS_KEPT_FOR + SECOND)
    tab.listens()
    with tab.database.write() as session:
        pulses.forget_old(session, tab.clock.now)
        assert set(session.scalars(sa.select(Pulse.attempt_key))) == {mine, "listening"}


def test_many_keys_in_one_request_count_as_many_pulses(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("widget.web.pulses.PER_ADDRESS", parse_limit("25/minute"))
    answers = []
    for _ in range(3):
        body = {"site": "demo", "keys": [key() for _ in range(10)], "presence": "seen"}
        answers.append(tab.client.post("/api/v1/pulses", data=json.dumps(body), headers={"Origin": ORIGIN}).status_code)
    assert answers == [204, 204, 429]


def test_a_round_of_the_worker_reads_no_pulses_but_those_it_needs(sqlite_database: Database, clock: Clock) -> None:
    with sqlite_database.write() as session:
        Cast(session)
    asked: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, *_rest):  # type: ignore[no-untyped-def]
        asked.append((statement, parameters))

    sa.event.listen(sqlite_database.engine, "before_cursor_execute", note)
    with sqlite_database.write() as session:
        pulses.listen(session.connection(), clock.now)
        pulses.heard(session, 1, key(), SEEN, clock.now)
        asked.clear()
        pulses.revived(session, limit=10)
        silence.suspects(session, clock.now)
    rounds = list(asked)
    with sqlite_database.engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values).all() for one, values in rounds]
    steps = [str(row[3]) for plan in plans for row in plan]
    of_pulses = [step for step in steps if "pulses" in step]
    assert of_pulses
    assert [step for step in of_pulses if "USING" not in step] == []
    assert any("ix_pulses_revived" in step for step in of_pulses)
    assert any("ix_pulses_waiting (shop_id=? AND at<?)" in step for step in of_pulses)
