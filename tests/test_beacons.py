"""Beacons come in fast, are kept once, and become attempts, signals, stalls and payments."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.cast import ORIGIN, PACE, Cast, key
from tests.conftest import Clock
from widget import attempts, beacons, digest, health, signals, stalls, tickets
from widget.attempts import Attempt
from widget.beacons import Arrival, Beacon
from widget.database import Database
from widget.orders import Order
from widget.tokens import LIFETIMES, Purpose, Tokens


def beacon(cast: Cast | None = None, /, attempt: str | None = None, **changed: Any) -> dict[str, Any]:
    order = cast.context().model_dump() if cast else None
    context = {"key": attempt or key(), "method": "card", "provider": "demo"} | ({"order": order} if order else {})
    signals_in = [
        {"seq": 0, "at": 0, "name": "stage", "data": {"stage": "submitted"}},
        {"seq": 1, "at": 4000, "name": "stall", "data": {"kind": "no_answer", "stage": "submitted", "seen_by": "page"}},
    ]
    return {"v": 1, "id": key(), "site": "demo", "attempt": context, "facts": {}, "signals": signals_in} | changed


def send(client: FlaskClient, body: object, origin: str = ORIGIN) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(
        "/api/v1/beacons", data=raw, headers={"Origin": origin, "Content-Type": "text/plain"}
    ).status_code


def stored(database: Database) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Beacon)) or 0


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    with database.write() as session:
        return Cast(session)


def test_a_beacon_becomes_an_attempt_with_signals_and_a_stall(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock
) -> None:
    body = beacon(cast)
    assert send(client, body) == 204
    with database.write() as session:
        assert digest.digest_all(session, PACE, clock.now) == 1
        assert digest.digest_all(session, PACE, clock.now) == 0
    with database.read() as session:
        attempt = session.scalars(sa.select(Attempt)).one()
        assert (attempt.stage, attempt.method, attempt.amount) == ("submitted", "card", 124900)
        order = attempts.order_of(session, attempt)
        assert order is not None
        assert order.is_verified
        assert [each.name for each in signals.timeline(session, attempt.id)] == ["stage", "stall"]
        assert [(each.kind, each.stage) for each in stalls.of(session, attempt.id)] == [("no_answer", "submitted")]


def test_the_same_beacon_twice_is_kept_once_and_answered_alike(
    cast: Cast, client: FlaskClient, database: Database
) -> None:
    body = beacon(cast)
    assert [send(client, body), send(client, body)] == [204, 204]
    assert stored(database) == 1


def test_another_beacon_under_a_used_id_is_a_conflict(cast: Cast, client: FlaskClient, database: Database) -> None:
    body = beacon(cast)
    send(client, body)
    assert send(client, body | {"facts": {"language": "de"}}) == 409
    assert stored(database) == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b"[]", 422),
        (b'{"v":1}', 422),
        (b"[" * 50_000, 422),
        (b'{"v":1,"id":"' + b"a" * 70_000, 413),
        (b"x" * 10_000_000, 413),
    ],
)
def test_what_is_no_beacon_is_refused_with_problem_details(
    cast: Cast, client: FlaskClient, database: Database, raw: bytes, status: int
) -> None:
    answer = client.post("/api/v1/beacons", data=raw, headers={"Origin": ORIGIN})
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["status"] == status
    assert stored(database) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"id": "short"},
        {"extra": 1},
        {"signals": [{"seq": -1, "at": 0, "name": "stage"}]},
        {"signals": [{"seq": 0, "at": -5, "name": "stage"}]},
        {"signals": [{"seq": 0, "at": 0, "name": "<script>"}]},
        {"signals": [{"seq": 0, "at": 0, "name": "stage"}] * 201},
        {"signals": [{"seq": 0, "at": 1e12, "name": "stage"}]},
        {"signals": [{"seq": 0, "at": 0, "name": "stage", "data": []}]},
        {"source": "shop"},
        {"source": None},
        {"attempt": {"key": "no"}},
        {"attempt": {}},
        {"attempt": []},
    ],
)
def test_a_beacon_with_an_impossible_field_is_refused(
    cast: Cast, client: FlaskClient, database: Database, changed: dict[str, Any]
) -> None:
    assert send(client, beacon(cast) | changed) == 422
    assert stored(database) == 0


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"method": "Robert'); DROP TABLE"}, {"method": "robert____drop_table"}),
        ({"method": "Instant EFT", "provider": "Pay-Pal"}, {"method": "instant_eft", "provider": "pay_pal"}),
        ({"method": "x" * 60}, {"method": "x" * 40}),
        ({"method": "4111 1111 1111 1111"}, {"method": None}),
        ({"method": 7, "provider": ["x"]}, {"method": None, "provider": None}),
        ({"payment": "two words"}, {"payment": None}),
        ({"order": {"order": "1", "amount": -1, "currency": "EUR"}}, {"amount": None}),
        ({"order": {"order": "1", "amount": 1, "currency": "QQQ"}}, {"amount": None}),
        ({"order": {"order": "1\n2", "amount": 1, "currency": "EUR"}}, {"amount": None}),
        ({"order": "1"}, {"amount": None}),
        ({"order": {"order": "1", "amount": "1999", "currency": "eur"}}, {"amount": 1999, "currency": "EUR"}),
        ({"leg": 2, "legs": 2}, {"leg": 2, "legs": 2}),
        ({"leg": 3, "legs": 2}, {"leg": None, "legs": None}),
        ({"leg": 1}, {"leg": None, "legs": None}),
        ({"leg": "one", "legs": 2}, {"leg": None, "legs": None}),
        ({"leg": 0, "legs": 99}, {"leg": None, "legs": None}),
        ({"anything": {"else": 1}}, {"method": None}),
    ],
)
def test_what_a_page_says_oddly_about_its_attempt_is_dropped_and_the_rest_is_kept(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock, told: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert send(client, beacon() | {"attempt": {"key": key()} | told}) == 204
    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
        attempt = session.scalars(sa.select(Attempt)).one()
    assert attempt.stage == "submitted"
    assert {name: getattr(attempt, name) for name in kept} == kept


def test_what_is_dropped_from_a_beacon_is_not_stored_either(
    cast: Cast, client: FlaskClient, database: Database
) -> None:
    card = "4111111111111111"
    order = {"order": "1", "amount": 1, "currency": "EUR", "email": f"{card}@x.example"}
    for told in ({"order": order}, {"note": card}, {"method": card}):
        assert send(client, beacon() | {"attempt": {"key": key()} | told}) == 204
    with database.read() as session:
        assert [body for body in session.scalars(sa.select(Beacon.body)) if "4111" in body] == []


def frame_token(client: FlaskClient, site: str = "demo", purpose: Purpose = Purpose.FRAME) -> str:
    tokens: Tokens = client.application.extensions["unjam"].tokens
    return tokens.sign(purpose, site)


def test_a_frame_without_an_origin_reports_by_its_token(cast: Cast, client: FlaskClient, database: Database) -> None:
    answer = client.post(
        f"/api/v1/beacons?frame={frame_token(client)}",
        data=json.dumps(beacon(source="worker")),
        headers={"Origin": "null", "Content-Type": "text/plain"},
    )
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "null"
    assert stored(database) == 1


def test_a_token_of_another_shop_or_purpose_or_age_is_no_authority(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock
) -> None:
    late = frame_token(client)
    clock.forward(LIFETIMES[Purpose.FRAME] + timedelta(seconds=1))
    for token in (late, frame_token(client, "other"), frame_token(client, purpose=Purpose.HELP), "x", ""):
        url = f"/api/v1/beacons?frame={token}"
        assert client.post(url, data=json.dumps(beacon()), headers={"Origin": "null"}).status_code == 403
    assert stored(database) == 0


def test_an_unknown_site_and_a_foreign_origin_are_refused(cast: Cast, client: FlaskClient, database: Database) -> None:
    assert send(client, beacon(cast, site="nobody")) == 404
    assert send(client, beacon(cast), origin="https://evil.example") == 403
    assert client.post("/api/v1/beacons", json=beacon(cast)).status_code == 403
    assert stored(database) == 0


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 365 * 5000])
def test_a_beacon_dated_by_another_clock_is_stale(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock, minutes: int
) -> None:
    dated = clock.now.timestamp() * 1000 + minutes * 60_000
    assert send(client, beacon(cast, sent_at=dated)) == 422
    assert send(client, beacon(cast, sent_at=clock.now.timestamp() * 1000)) == 204
    assert stored(database) == 1


def test_an_attempt_that_sends_without_end_is_limited(cast: Cast, client: FlaskClient, database: Database) -> None:
    attempt = key()
    answers = [send(client, beacon(cast, attempt=attempt)) for _ in range(121)]
    assert answers == [204] * 120 + [429]
    assert send(client, beacon(cast)) == 204


def test_card_numbers_and_nul_characters_never_reach_the_database(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock
) -> None:
    said = {"code": "x", "message": "Card 4111 1111 1111 1111 \x00 was declined"}
    failed = [{"seq": 0, "at": 1, "name": "failed", "data": said}]
    assert send(client, beacon(cast, signals=failed, facts={"page": "/4111111111111111"})) == 204
    with database.write() as session:
        raw = session.scalars(sa.select(Beacon.body)).one()
        digest.digest_all(session, PACE, clock.now)
        attempt = session.scalars(sa.select(Attempt)).one()

    assert "4111" not in raw
    assert attempt.error_message == "Card [card number removed]  was declined"
    assert attempt.facts == {"page": "/[card number removed]"}


def test_a_forged_amount_is_unverified_and_leaves_the_signed_order_alone(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock
) -> None:
    send(client, beacon(cast))
    forged = cast.context().model_dump() | {"amount": 1}
    send(client, beacon(attempt=key()) | {"attempt": {"key": key(), "order": forged}})
    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
    with database.read() as session:
        found = {order.is_verified: order.amount for order in session.scalars(sa.select(Order))}

    assert found == {True: 124900, False: 1}


def test_beacons_that_nobody_signed_cannot_close_a_method_for_others(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock
) -> None:
    for number in range(6):
        order = {"order": f"W-{number}", "amount": 1000 + number, "currency": "ZAR"}
        assert send(client, beacon() | {"attempt": {"key": key(), "method": "card", "order": order}}) == 204

    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
        health.tally(session)

    with database.read() as session:
        rates = health.rates(session, cast.shop.id, clock.now)
        assert rates.of("card").failed == 1
        assert rates.works_now("card")


def arrive(session: Session, cast: Cast, clock: Clock, body: dict[str, Any]) -> bool:
    parsed = beacons.parse(json.dumps(body).encode(), clock.now)
    return beacons.accept(session.connection(), [Arrival(cast.shop.id, parsed, None, clock.now)]) == [True]


def test_a_late_signal_never_turns_a_stage_back(database: Database, cast: Cast, clock: Clock) -> None:
    attempt_key = key()
    late = [{"seq": 0, "at": 0, "name": "stage", "data": {"stage": "submitted"}}]
    soon = [{"seq": 5, "at": 9, "name": "stage", "data": {"stage": "confirming"}}]
    with database.write() as session:
        for told in (soon, late):
            assert arrive(session, cast, clock, beacon(cast, attempt=attempt_key, signals=told))
        digest.digest_all(session, PACE, clock.now)
        attempt = session.scalars(sa.select(Attempt)).one()

    assert attempt.stage == "confirming"


def test_a_page_that_reports_its_payment_settles_the_ticket(database: Database, cast: Cast, clock: Clock) -> None:
    attempt_key = key()
    with database.write() as session:
        paid = [{"seq": 9, "at": 9, "name": "paid", "data": {}}]
        for body in (beacon(cast, attempt=attempt_key), beacon(cast, attempt=attempt_key, signals=paid)):
            assert arrive(session, cast, clock, body)
        digest.digest_all(session, PACE, clock.now)
        attempt = session.scalars(sa.select(Attempt)).one()
        order = attempts.order_of(session, attempt)
        assert order is not None
        assert order.paid_at is not None
        assert tickets.unfinished_of(session, order) == []


def test_beacons_that_arrive_together_are_each_kept_or_refused_on_their_own(
    cast: Cast, app: Flask, database: Database
) -> None:
    replayed = beacon(cast)
    assert send(app.test_client(), replayed) == 204
    changed = replayed | {"facts": {"language": "de"}}
    bodies = [beacon(cast) for _ in range(30)] + [replayed, changed]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: send(app.test_client(), body), bodies))
    assert answers == [204] * 31 + [409]
    assert stored(database) == 31


def test_digested_beacons_are_forgotten_once_they_cannot_be_replayed(
    database: Database, cast: Cast, client: FlaskClient, clock: Clock
) -> None:
    send(client, beacon(cast))
    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
        beacons.forget_digested(session, clock.now + beacons.MAX_SKEW)
    assert stored(database) == 1
    clock.forward(beacons.KEPT_FOR + timedelta(seconds=1))
    with database.write() as session:
        beacons.forget_digested(session, clock.now)
    assert stored(database) == 0


POISON: list[dict[str, Any]] = [
    {"signals": [{"seq": 0, "at": 1, "name": "stage", "data": {"stage": []}}]},
    {"signals": [{"seq": 0, "at": 1, "name": "stall", "data": {"kind": {}, "stage": [], "seen_by": [1]}}]},
    {"signals": [{"seq": 0, "at": 1, "name": "error", "data": {"a\x00b": "c\x00d"}}]},
    {"signals": [{"seq": 0, "at": 1, "name": "failed", "data": {"code": ["\x00"], "message": {"a": "\x00"}}}]},
    {"facts": {"language": "a\x00b", "memory": 10**400}},
    {"signals": [{"seq": 0, "at": 1, "name": "error", "data": {"n": float("inf"), "m": float("nan")}}]},
    {"signals": [{"seq": 0, "at": 1, "name": "error", "data": {"n": "\ud800"}}]},
]


@pytest.mark.parametrize("poison", POISON)
def test_no_beacon_stops_the_ones_behind_it(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock, poison: dict[str, Any]
) -> None:
    assert send(client, beacon(cast, **poison)) in {204, 422}
    raw = json.dumps(beacon(cast, **poison)).replace("Infinity", "1e999").replace("NaN", "1e999")
    assert send(client, raw.encode()) in {204, 422}
    good = key()
    assert send(client, beacon(cast, attempt=good)) == 204
    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
    with database.read() as session:
        assert session.scalars(sa.select(Attempt.stage).filter_by(key=good)).one() == "submitted"
        assert beacons.pending(session, limit=10) == []


def test_a_beacon_that_breaks_the_digestion_is_set_aside(
    cast: Cast, client: FlaskClient, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(client, beacon(cast, facts={"language": "xx"}))
    send(client, beacon(cast))
    learn = attempts.learn_facts

    def break_once(attempt: Attempt, facts: dict[str, Any]) -> None:
        if facts:
            raise KeyError("a bug")
        learn(attempt, facts)

    monkeypatch.setattr(attempts, "learn_facts", break_once)
    with database.write() as session:
        assert digest.digest_all(session, PACE, clock.now) == 2
    with database.read() as session:
        assert len(session.scalars(sa.select(Attempt)).all()) == 1
        assert beacons.pending(session, limit=10) == []


def test_escaped_separators_do_not_hide_a_card_number(cast: Cast, client: FlaskClient, database: Database) -> None:
    said = {"message": "4111\t1111\t1111\t1111 and 4111\u00a01111\u00a01111\u00a01111"}
    send(client, beacon(cast, signals=[{"seq": 0, "at": 1, "name": "failed", "data": said}]))
    with database.read() as session:
        assert "4111" not in session.scalars(sa.select(Beacon.body)).one()
