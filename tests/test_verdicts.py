"""Symptoms become verdicts: the pure rules by tables, then the digest, whatever the order in which beacons arrive."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from widget import attempts, beacons, clock, digest, evidence, judgement, payments, pulses, signals, stalls
from widget.attempts import Attempt, Stage
from widget.beacons import Arrival
from widget.browsers import FACTS, in_app_of
from widget.database import Database
from widget.diagnosis import diagnose_kind
from widget.orders import Order
from widget.pulses import Presence, Pulse
from widget.stalls import SeenBy, Stall, StallKind
from widget.verdicts import Observed, Run, Symptom, doubled, finer, verdict
from widget.web.desk import words

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HUNG = Observed(Symptom.NO_ANSWER, Stage.SUBMITTED)
FAILED = Observed(Symptom.FAILED, Stage.CONFIRMING, failure="network_error")

# From the last rule to the first: each row adds the reason of a rule that stands above all rows before it.
PRECEDENCE: list[tuple[dict[str, Any], StallKind]] = [
    ({}, StallKind.NO_ANSWER),
    ({"answers": 1}, StallKind.UNSETTLED),
    ({"in_app": "Instagram"}, StallKind.IN_APP),
    ({"may_store": False}, StallKind.STORAGE),
    ({"clock_skew": -120}, StallKind.CLOCK),
    ({"was_offline": True}, StallKind.OFFLINE),
    ({"stage": Stage.AUTHENTICATING}, StallKind.CHALLENGE),
    ({"method": "google_pay"}, StallKind.WALLET),
    ({"symptom": Symptom.FAILED, "failure": "card_declined"}, StallKind.DECLINED),
    ({"earlier_declines": 1}, StallKind.DECLINED_AGAIN),
    ({"earlier_leg_paid": True}, StallKind.SPLIT),
]


@pytest.mark.parametrize("row", range(len(PRECEDENCE)))
def test_the_first_rule_that_applies_decides(row: int) -> None:
    reasons: dict[str, Any] = {}
    for known, _ in PRECEDENCE[: row + 1]:
        reasons |= known
    assert verdict(replace(HUNG, **reasons)) is PRECEDENCE[row][1]


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (FAILED, StallKind.ERROR),
        (replace(FAILED, answers=3), StallKind.ERROR),
        (replace(FAILED, earlier_declines=2), StallKind.ERROR),
        (replace(FAILED, in_app="Line"), StallKind.IN_APP),
        (replace(FAILED, stage=Stage.AUTHENTICATING), StallKind.ERROR),
        (replace(FAILED, stage=Stage.AUTHENTICATING, frame_denied=True), StallKind.CHALLENGE),
        (replace(FAILED, frame_denied=True), StallKind.ERROR),
        (replace(FAILED, failure="payment_intent_authentication_failure"), StallKind.CHALLENGE),
        (replace(FAILED, method="apple_pay"), StallKind.WALLET),
        (replace(FAILED, method="apple_pay", failure="Your card was declined."), StallKind.DECLINED),
        (replace(FAILED, method="card"), StallKind.ERROR),
        (replace(HUNG, clock_skew=119.9), StallKind.NO_ANSWER),
        (replace(HUNG, clock_skew=3600), StallKind.CLOCK),
        (replace(HUNG, failure="card_declined"), StallKind.NO_ANSWER),
    ],
)
def test_a_verdict_needs_its_own_reason(seen: Observed, kind: StallKind) -> None:
    assert verdict(seen) is kind


@pytest.mark.parametrize("symptom", sorted(set(Symptom) - {Symptom.NO_ANSWER, Symptom.FAILED}))
def test_what_was_seen_for_itself_needs_no_explanation(symptom: Symptom) -> None:
    everything = replace(HUNG, symptom=symptom, earlier_leg_paid=True, was_offline=True, method="google_pay")
    assert verdict(everything).value == symptom.value


@pytest.mark.parametrize(
    "failure",
    [
        "card_declined",
        "Your card has insufficient funds.",
        "do_not_honor",
        "Do not honour",
        "expired_card",
        "incorrect_cvc",
        "Refused",
        "REFUSED by issuer",
        "INSTRUMENT_DECLINED",
        "PROCESSOR_DECLINED",
        "card_velocity_exceeded",
        "fraudulent",
    ],
)
def test_a_decline_is_known_by_the_words_of_every_provider(failure: str) -> None:
    assert verdict(replace(FAILED, failure=failure)) is StallKind.DECLINED


@pytest.mark.parametrize("failure", ["", "TypeError: Failed to fetch", "api_error", "timeout", "confused"])
def test_another_failure_is_no_decline(failure: str) -> None:
    assert verdict(replace(FAILED, failure=failure)) is StallKind.ERROR


observations = st.builds(
    Observed,
    symptom=st.sampled_from(Symptom),
    stage=st.sampled_from(Stage),
    method=st.sampled_from([None, "card", "apple_pay"]),
    failure=st.sampled_from(["", "card_declined", "timeout"]),
    answers=st.integers(0, 2),
    earlier_leg_paid=st.booleans(),
    earlier_declines=st.integers(0, 2),
    frame_denied=st.booleans(),
    was_offline=st.booleans(),
    clock_skew=st.sampled_from([0, 200, -200]),
    may_store=st.booleans(),
    in_app=st.sampled_from([None, "Line"]),
)


@given(observations)
def test_every_observation_has_a_verdict_that_is_as_fine_as_itself(seen: Observed) -> None:
    kind = verdict(seen)
    assert finer(kind, kind) is kind


@given(st.sampled_from(StallKind), st.sampled_from(StallKind))
def test_what_is_known_better_stays_known(known: StallKind, new: StallKind) -> None:
    assert finer(finer(known, new), new) is finer(known, new)
    assert finer(StallKind.OFFLINE, StallKind.NO_ANSWER) is StallKind.OFFLINE
    assert finer(StallKind.FROZEN, new) is StallKind.FROZEN


def run(number: int, pressed: float, *, ended: float | None = None, seen: float = 60, **changed: Any) -> Run:
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else NOON + timedelta(seconds=seconds)

    seen_at = at(seen)
    assert seen_at is not None
    made = Run(number, NOON + timedelta(seconds=pressed), at(ended), seen_at, at(changed.pop("stalled", None)), None)
    return replace(made, **changed)


@pytest.mark.parametrize(
    ("first", "second", "is_double"),
    [
        (run(1, 0), run(2, 3), True),
        (run(1, 0, ended=3.5), run(2, 3), True),
        (run(1, 0, ended=3), run(2, 3), False),
        (run(1, 0, stalled=2), run(2, 3), False),
        (run(1, 0, stalled=9), run(2, 3), True),
        (run(1, 0, seen=5), run(2, 20), True),
        (run(1, 0, seen=5), run(2, 20.1), False),
        (run(1, 0, leg=1), run(2, 3, leg=2), False),
        (run(1, 0, leg=1), run(2, 3, leg=1), True),
        (run(1, 0, leg=1), run(2, 3), True),
    ],
)
def test_a_second_pay_while_the_first_is_under_way_is_a_double(first: Run, second: Run, is_double: bool) -> None:
    assert doubled([first, second]) == doubled([second, first]) == ({2: 1} if is_double else {})


@pytest.mark.parametrize(
    ("app", "user_agent"),
    [
        ("Instagram", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) AppleWebKit/605.1.15 Mobile/21F90 Instagram 331.0.0"),
        (
            "Facebook",
            "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 [FBAN/FBIOS;FBAV/463.0.0;FBDV/iPhone15,2]",
        ),
        ("Facebook", "Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) Chrome/125.0 Mobile Safari/537.36 [FB_IAB/FB4A;]"),
        ("TikTok", "Mozilla/5.0 (Linux; Android 13; wv) Chrome/120 musical_ly_2023405030 BytedanceWebview/d8a21c6"),
        ("WeChat", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 MicroMessenger/8.0.49 NetType/WIFI"),
        ("LinkedIn", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 [LinkedInApp]/9.29.6"),
        ("Snapchat", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 Mobile/15E148 Snapchat/12.87.0.40"),
        ("Pinterest", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 [Pinterest/iOS]"),
        ("Line", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 Safari Line/14.8.0"),
        ("Twitter", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 Twitter for iPhone/10.41"),
        (
            "an app",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 Version/4.0 Chrome/125.0",
        ),
        (None, "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36"),
        (None, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1"),
        (None, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (None, None),
    ],
)
def test_the_browser_inside_an_app_is_known_by_its_name(app: str | None, user_agent: str | None) -> None:
    assert in_app_of(user_agent) == app


def test_every_fact_has_a_name_and_a_reason() -> None:
    assert all(fact.label and fact.reason.endswith(".") for fact in FACTS.values())
    assert len({fact.label for fact in FACTS.values()}) == len(FACTS)


@pytest.mark.parametrize("kind", StallKind)
def test_every_kind_of_stall_has_words_for_shoppers_agents_and_engineers(kind: StallKind) -> None:
    found = diagnose_kind(kind)
    assert found.said.text.endswith(".") or kind is StallKind.ASKED
    assert "charged" not in found.said.text
    assert found.noted.endswith(".")
    assert kind in words._STALLS


def test_an_engineer_reads_what_was_measured_and_nothing_that_was_not() -> None:
    noted = diagnose_kind(StallKind.NO_ANSWER, {"seconds": 10, "failing": None, "symptom": "no_answer"}).noted
    assert noted.endswith("It waited 10 s.")
    split = diagnose_kind(
        StallKind.SPLIT, {"first": {"method": "store_account"}, "leg": 2, "legs": 2, "code": "x"}
    ).noted
    assert split.endswith("Leg 2 of 2 is stuck. Paid before: store_account. It said x.")
    assert "{" not in diagnose_kind(StallKind.SPLIT, {"first": "odd"}).noted


@pytest.mark.parametrize(
    ("kind", "measured", "said"),
    [
        (StallKind.NO_ANSWER, {"seconds": 4.23570000000298}, "It waited 4.2 s."),
        (StallKind.NO_ANSWER, {"seconds": 10.0399999}, "It waited 10 s."),
        (StallKind.NO_ANSWER, {"seconds": 12}, "It waited 12 s."),
        (StallKind.SILENT, {"silent_seconds": 127.64, "presence": "seen"}, "Nothing was heard for 128 s"),
        (StallKind.FROZEN, {"frozen_ms": 1234567.8999}, "It lasted 1234568 ms."),
        (StallKind.CLOCK, {"clock_skew": -412.75}, "Off by -413 s."),
        (
            StallKind.NO_ANSWER,
            {"seconds": 5, "failing": "api.example 4.23570000000298"},
            "api.example 4.23570000000298",
        ),
    ],
)
def test_what_was_measured_is_told_to_engineers_in_round_figures(
    kind: StallKind, measured: dict[str, Any], said: str
) -> None:
    assert said in diagnose_kind(kind, measured).noted


# From here on: the digest, on both databases.


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    with database.write() as session:
        return Cast(session)


def signal(seq: int, name: str, at: float | None = None, /, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "name": name, "data": data} | ({} if at is None else {"at": at * 1000})


def stage(seq: int, at: float, name: str) -> dict[str, Any]:
    return signal(seq, "stage", at, stage=name)


def hung(seq: int, at: float, **measured: Any) -> dict[str, Any]:
    return signal(seq, "stall", at, kind="no_answer", stage="submitted", seen_by="page", evidence=measured)


def told(attempt_key: str, /, *said: dict[str, Any], order: object = None, **changed: Any) -> dict[str, Any]:
    context = {"key": attempt_key, "method": "card"} | ({"order": order} if order else {}) | changed.pop("attempt", {})
    return {"v": 1, "id": key(), "site": "demo", "attempt": context, "signals": list(said)} | changed


def hear(session: Session, cast: Cast, clock: Clock, *bodies: dict[str, Any], agent: str | None = None) -> None:
    for body in bodies:
        parsed = beacons.parse(json.dumps(body).encode(), clock.now)
        beacons.accept(session.connection(), [Arrival(cast.shop.id, parsed, agent, clock.now)])
        digest.digest_all(session, PACE, clock.now)


def attempt_of(session: Session, attempt_key: str) -> Attempt:
    return session.scalars(sa.select(Attempt).filter_by(key=attempt_key)).one()


def order_of(session: Session) -> Order:
    return session.scalars(sa.select(Order).filter_by(is_verified=True)).one()


def found(session: Session, attempt_key: str) -> list[tuple[str, str]]:
    return [(each.kind, each.stage) for each in stalls.of(session, attempt_of(session, attempt_key).id)]


def only_stall(session: Session, attempt_key: str) -> Stall:
    (stall,) = stalls.of(session, attempt_of(session, attempt_key).id)
    return stall


PRESSED = stage(0, 0, "submitted")
DECLINED = signal(1, "failed", 4, code="card_declined", message="Your card was declined.")


@pytest.mark.parametrize(
    ("said", "changed", "kind"),
    [
        ([PRESSED, hung(1, 10, seconds=10, answered=0)], {}, "no_answer"),
        ([PRESSED, hung(1, 10, seconds=10, answered=2)], {}, "unsettled"),
        ([PRESSED, hung(1, 10)], {"facts": {"storage": False}}, "storage"),
        ([PRESSED, hung(1, 10)], {"facts": {"cookies": False}}, "storage"),
        ([PRESSED, hung(1, 10)], {"facts": {"clock_skew": 3600}}, "clock"),
        ([PRESSED, hung(1, 10)], {"facts": {"online": False}}, "offline"),
        ([PRESSED, signal(1, "offline", 3), hung(2, 10)], {}, "offline"),
        ([signal(0, "offline", 0), stage(1, 1, "submitted"), hung(2, 10)], {}, "no_answer"),
        ([PRESSED, hung(1, 10), signal(2, "offline", 12)], {}, "no_answer"),
        ([PRESSED, hung(1, 10)], {"attempt": {"method": "Apple Pay"}}, "wallet"),
        ([PRESSED, DECLINED], {}, "declined"),
        ([PRESSED, signal(1, "failed", 4, code="boom")], {}, "error"),
        ([PRESSED, signal(1, "failed", 4, name="InvalidStateError")], {"attempt": {"method": "google_pay"}}, "wallet"),
    ],
)
def test_a_symptom_and_what_is_known_make_the_verdict(
    database: Database, cast: Cast, clock: Clock, said: list[dict[str, Any]], changed: dict[str, Any], kind: str
) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, *said, **changed))
        assert found(session, attempt) == [(kind, "submitted")]


def test_a_denied_frame_during_the_banks_check_is_a_challenge(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    denied = signal(2, "violation", 3, directive="frame-src", host="acs.bank.example")
    failed = signal(3, "failed", 9, code="timeout")
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, stage(1, 2, "authenticating"), denied, failed))
        assert found(session, attempt) == [("challenge", "authenticating")]


def test_a_page_inside_an_app_is_found_by_its_user_agent(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10)), agent="Mozilla/5.0 Instagram 331.0")
        assert found(session, attempt) == [("in_app", "submitted")]
        assert only_stall(session, attempt).evidence["app"] == "Instagram"


@pytest.mark.parametrize("kind", ["sdk", "popup", "dead_button", "rage", "offline", "frozen"])
def test_what_the_page_saw_for_itself_is_kept_with_its_evidence(
    database: Database, cast: Cast, clock: Clock, kind: str
) -> None:
    attempt = key()
    seen = signal(1, "stall", 4, kind=kind, stage="submitted", seen_by="page", evidence={"host": "js.pay.example"})
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, seen))
        assert found(session, attempt) == [(kind, "submitted")]
        assert only_stall(session, attempt).evidence["host"] == "js.pay.example"


@pytest.mark.parametrize(
    "kind", ["declined", "split", "silent", "double", "asked", "failed", "nonsense", "", None, 5, {}]
)
def test_a_page_gives_no_verdicts_itself(database: Database, cast: Cast, clock: Clock, kind: object) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, signal(1, "stall", 4, kind=kind, stage="submitted")))
        assert found(session, attempt) == []
        assert len(signals.timeline(session, attempt_of(session, attempt).id)) == 2


def test_evidence_is_kept_short_plain_and_without_card_numbers(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    measured = {"failing": "4111 1111 1111 1111 500", "long": "x" * 5000, "deep": {"a": [1]}, "list": [1]}
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10, **measured)))
        kept = only_stall(session, attempt).evidence
    assert kept["failing"] == "[card number removed] 500"
    assert len(kept["long"]) == 200
    assert set(kept) == {"failing", "long", "symptom", "signal"}


def test_a_flood_of_evidence_is_cut(database: Database, cast: Cast, clock: Clock) -> None:
    attempt, flood = key(), {f"n{number}": number for number in range(1000)}
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10, **flood)))
        assert len(only_stall(session, attempt).evidence) < 20


def test_facts_that_come_after_the_symptom_correct_the_kind_of_the_one_stall(
    database: Database, cast: Cast, clock: Clock
) -> None:
    attempt = key()
    facts = told(attempt, source="frame", facts={"clock_skew": -7200})
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10)))
        before = only_stall(session, attempt).id
        hear(session, cast, clock, facts)
        assert found(session, attempt) == [("clock", "submitted")]
        assert (only_stall(session, attempt).id, only_stall(session, attempt).evidence["clock_skew"]) == (before, -7200)


def test_a_connection_that_is_back_was_lost_all_the_same(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10), facts={"online": False}))
        hear(session, cast, clock, told(attempt, source="frame", facts={"online": True}))
        assert found(session, attempt) == [("offline", "submitted")]


STORY = [
    stage(0, 0, "submitted"),
    signal(1, "offline", 2),
    stage(2, 3, "authenticating"),
    stage(3, 5, "confirming"),
    signal(4, "failed", 8, code="timeout"),
]


@pytest.mark.parametrize("arrival", list(permutations(range(4)))[::5])
def test_the_order_in_which_beacons_arrive_changes_no_verdict(
    database: Database, cast: Cast, clock: Clock, arrival: tuple[int, ...]
) -> None:
    attempt = key()
    parts = [told(attempt, *STORY[:1]), told(attempt, *STORY[1:3]), told(attempt, *STORY[3:4]), told(attempt, STORY[4])]
    clock.forward(timedelta(seconds=30))
    with database.write() as session:
        for number in (*arrival, *arrival):
            hear(session, cast, clock, parts[number] | {"id": key()})
        assert found(session, attempt) == [("offline", "confirming")]
        assert attempt_of(session, attempt).stage == "failed"


def test_a_stall_after_the_payment_is_none(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    frozen = signal(0, "stall", kind="frozen", stage="submitted", seen_by="worker", evidence={"silent_ms": 2300})
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, signal(1, "paid", 3), hung(2, 10)))
        hear(session, cast, clock, told(attempt, frozen, source="worker"))
        assert found(session, attempt) == []
        assert attempt_of(session, attempt).stage == "paid"


def test_the_worker_sees_a_freeze_and_later_tells_how_long_it_was(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    frozen = signal(0, "stall", kind="frozen", stage="submitted", seen_by="worker", evidence={"silent_ms": 2300})
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED))
        hear(session, cast, clock, told(attempt, frozen, source="worker"), told(attempt, frozen, source="worker"))
        hear(session, cast, clock, told(attempt, signal(0, "thawed", frozen_ms=9100), source="worker"))
        stall = only_stall(session, attempt)
        numbers = [each.seq for each in signals.timeline(session, attempt_of(session, attempt).id)]
    assert (stall.kind, stall.seen_by) == ("frozen", SeenBy.WORKER)
    assert (stall.evidence["silent_ms"], stall.evidence["frozen_ms"]) == (2300, 9100)
    assert sorted(numbers) == [-3, -2, -1, 0]


def test_neither_frame_nor_worker_can_move_the_attempt(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    claims = [signal(9, "paid"), signal(8, "failed", code="card_declined"), stage(7, 1, "confirming")]
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, order=cast.context().model_dump()))
        hear(session, cast, clock, told(attempt, *claims, source="frame"))
        assert attempt_of(session, attempt).stage == "submitted"
        assert found(session, attempt) == []
        assert order_of(session).paid_at is None


def declined(attempt: str, order: object) -> dict[str, Any]:
    return told(attempt, PRESSED, DECLINED, order=order)


def test_a_second_decline_of_the_same_order_is_declined_again(database: Database, cast: Cast, clock: Clock) -> None:
    first, second, other, stranger = key(), key(), key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, declined(first, order))
        clock.forward(timedelta(minutes=1))
        hear(session, cast, clock, declined(other, cast.context("D-2").model_dump()))
        hear(session, cast, clock, declined(stranger, cast.context(is_signed=False).model_dump()))
        hear(session, cast, clock, declined(second, order))
        kinds = [found(session, each)[0][0] for each in (first, other, stranger, second)]
    assert kinds == ["declined", "declined", "declined", "declined_again"]


def test_a_decline_that_is_heard_late_makes_the_later_one_the_second(
    database: Database, cast: Cast, clock: Clock
) -> None:
    first, second = key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, told(first, PRESSED, order=order))
        clock.forward(timedelta(minutes=1))
        hear(session, cast, clock, declined(second, order))
        assert found(session, second) == [("declined", "submitted")]
        hear(session, cast, clock, told(first, DECLINED, order=order))
        assert [found(session, each)[0][0] for each in (first, second)] == ["declined", "declined_again"]


def leg(number: int, attempt: str, *said: dict[str, Any], order: object, method: str = "card") -> dict[str, Any]:
    return told(attempt, *said, order=order, attempt={"leg": number, "legs": 2, "method": method})


def test_a_part_that_is_paid_settles_nothing_and_the_last_one_everything_once(
    database: Database, cast: Cast, clock: Clock
) -> None:
    first, second = key(), key()
    paid = [PRESSED, signal(1, "paid", 3)]
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, leg(1, first, *paid, order=order, method="store_account"))
        assert (attempt_of(session, first).stage, order_of(session).paid_at) == ("paid", None)
        assert [each.key for each in attempts.paid_legs(session, order_of(session))] == [first]
        for _ in range(2):
            hear(session, cast, clock, leg(2, second, *paid, order=order))
        assert order_of(session).paid_at is not None
        assert [each.amount for each in payments.of(session, order_of(session))] == [124900]
        assert attempts.paid_legs(session, order_of(session)) == []


def test_parts_may_be_told_in_any_order(database: Database, cast: Cast, clock: Clock) -> None:
    paid = [PRESSED, signal(1, "paid", 3)]
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, leg(2, key(), *paid, order=order))
        assert order_of(session).paid_at is None
        hear(session, cast, clock, leg(1, key(), *paid, order=order))
        assert order_of(session).paid_at is not None


def test_a_part_counts_as_paid_although_the_goodbye_was_heard_first(
    database: Database, cast: Cast, clock: Clock
) -> None:
    attempt, order = key(), cast.context().model_dump()
    with database.write() as session:
        hear(session, cast, clock, leg(1, attempt, PRESSED, signal(5, "left", 3, stage="submitted"), order=order))
        hear(session, cast, clock, leg(1, attempt, signal(4, "paid", 3), order=order))
        assert [each.key for each in attempts.paid_legs(session, order_of(session))] == [attempt]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("symptom", [DECLINED, hung(1, 10)])
def test_a_later_part_that_gets_stuck_is_a_split_payment(
    database: Database, cast: Cast, clock: Clock, symptom: dict[str, Any], is_late: bool
) -> None:
    first, second = key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        bodies = [
            leg(1, first, PRESSED, signal(1, "paid", 3), order=order, method="store_account"),
            leg(2, second, PRESSED, symptom, order=order),
        ]
        hear(session, cast, clock, *(reversed(bodies) if is_late else bodies))
        row = attempt_of(session, second)
        stalls.record(session, row, StallKind.FROZEN, Stage.SUBMITTED, SeenBy.FRAME, clock.now + timedelta(minutes=1))
        assert [kind for kind, _ in found(session, second)] == ["split", "frozen"]
        proof = stalls.of(session, row.id)[0].evidence
    assert proof["first"] == {"method": "store_account"}
    assert (proof["leg"], proof["legs"]) == (2, 2)


def test_a_first_part_that_fails_is_no_split(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, leg(1, attempt, PRESSED, DECLINED, order=cast.context().model_dump()))
        assert found(session, attempt) == [("declined", "submitted")]


def test_pay_in_a_second_tab_while_the_first_runs_is_a_double(database: Database, cast: Cast, clock: Clock) -> None:
    first, second = key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, told(first, PRESSED, order=order))
        clock.forward(timedelta(seconds=3))
        hear(session, cast, clock, told(second, PRESSED, order=order))
        assert (found(session, first), found(session, second)) == ([], [("double", "submitted")])
        assert only_stall(session, second).evidence["seconds_after"] == 3


@pytest.mark.parametrize(
    "end",
    [DECLINED, signal(1, "left", 2, stage="submitted"), hung(1, 2), signal(1, "paid", 2)],
    ids=lambda end: end["name"],
)
def test_pay_after_the_first_ended_or_got_stuck_is_no_double(
    database: Database, cast: Cast, clock: Clock, end: dict[str, Any]
) -> None:
    second = key()
    with database.write() as session:
        order = cast.context().model_dump()
        clock.forward(timedelta(seconds=5))
        hear(session, cast, clock, told(key(), PRESSED, end, order=order))
        clock.forward(timedelta(seconds=3))
        hear(session, cast, clock, told(second, PRESSED, order=order))
        assert found(session, second) == []


def test_a_double_is_taken_back_when_the_first_turns_out_to_have_ended_before(
    database: Database, cast: Cast, clock: Clock
) -> None:
    first, second = key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, told(first, PRESSED, order=order))
        clock.forward(timedelta(seconds=6))
        hear(session, cast, clock, told(second, PRESSED, order=order))
        assert found(session, second) == [("double", "submitted")]
        hear(session, cast, clock, told(first, DECLINED, order=order))
        assert found(session, second) == []


def test_an_order_of_somebody_else_with_the_same_number_is_no_double(
    database: Database, cast: Cast, clock: Clock
) -> None:
    second = key()
    with database.write() as session:
        hear(session, cast, clock, told(key(), PRESSED, order=cast.context(is_signed=False).model_dump()))
        hear(session, cast, clock, told(second, PRESSED, order=cast.context().model_dump()))
        assert found(session, second) == []


def test_a_long_check_by_the_bank_is_alive_while_its_page_beats(database: Database, cast: Cast, clock: Clock) -> None:
    first, second = key(), key()
    with database.write() as session:
        order = cast.context().model_dump()
        hear(session, cast, clock, told(first, PRESSED, stage(1, 1, "authenticating"), order=order))
        clock.forward(timedelta(seconds=90))
        pulses.heard(session, cast.shop.id, first, Presence.SEEN, clock.now - timedelta(seconds=3))
        hear(session, cast, clock, told(second, PRESSED, order=order))
        assert found(session, second) == [("double", "submitted")]


def test_two_workers_that_digest_two_tabs_at_once_find_one_double(database: Database) -> None:
    with database.write() as session:
        cast = Cast(session)
        order, shop_id = cast.context().model_dump(), cast.shop.id
    now = clock.now()
    tabs = [told(key(), PRESSED, order=order) for _ in range(2)]
    with database.write() as session:
        arrivals = [Arrival(shop_id, beacons.parse(json.dumps(tab).encode(), now), None, now) for tab in tabs]
        beacons.accept(session.connection(), arrivals)
    both = threading.Barrier(2)

    def work() -> int:
        both.wait()
        with database.write() as session:
            return digest.digest_all(session, PACE, clock.now(), limit=1)

    with ThreadPoolExecutor(2) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in tabs])
    with database.write() as session:
        done += digest.digest_all(session, PACE, clock.now())
        assert done == 2
        assert session.scalars(sa.select(Stall.kind)).all() == ["double"]


def presence(session: Session, attempt_key: str) -> str | None:
    return session.scalar(sa.select(Pulse.presence).filter_by(attempt_key=attempt_key))


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ([PRESSED], None),
        ([PRESSED, signal(1, "left", 2, stage="submitted")], "away"),
        ([PRESSED, signal(1, "left", 2, stage="submitted", stays=True)], None),
        ([signal(0, "left", 2, stage="started")], None),
        ([PRESSED, signal(1, "left", 2, stage="submitted"), signal(2, "back", 9)], None),
        ([PRESSED, signal(1, "left", 2, stage="submitted"), signal(2, "paid", 9)], None),
        ([PRESSED, signal(1, "hidden", 2)], None),
        ([PRESSED, DECLINED], None),
    ],
)
def test_goodbyes_and_ends_are_told_to_the_switch_and_no_beat_is_promised(
    database: Database, cast: Cast, clock: Clock, said: list[dict[str, Any]], known: str | None
) -> None:
    attempt = key()
    with database.write() as session:
        clock.forward(timedelta(seconds=20))
        hear(session, cast, clock, told(attempt, *said))
        assert presence(session, attempt) == known


def test_a_page_that_beats_and_is_hidden_is_given_the_longer_time(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED))
        pulses.heard(session, cast.shop.id, attempt, Presence.SEEN, clock.now)
        clock.forward(timedelta(seconds=5))
        hear(session, cast, clock, told(attempt, signal(1, "hidden", 4)))
        assert presence(session, attempt) == "hidden"
        hear(session, cast, clock, told(attempt, signal(2, "visible", 5)))
        assert presence(session, attempt) is None


def test_a_page_that_comes_back_goes_on_where_it_was(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    left = signal(2, "left", 5, stage="authenticating")
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, stage(1, 1, "authenticating"), left))
        assert attempt_of(session, attempt).stage == "left"
        hear(session, cast, clock, told(attempt, signal(3, "back", 60)))
        assert attempt_of(session, attempt).stage == "authenticating"


def test_a_page_that_speaks_after_all_was_not_silent(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED))
        clock.forward(timedelta(seconds=30))
        row = attempt_of(session, attempt)
        stalls.record(session, row, StallKind.SILENT, Stage.SUBMITTED, SeenBy.SERVER, clock.now)
        hear(session, cast, clock, told(attempt, stage(1, 2, "confirming")))
        assert found(session, attempt) == [("silent", "submitted")]
        clock.forward(timedelta(seconds=30))
        hear(session, cast, clock, told(attempt, stage(2, 55, "authenticating")))
        assert found(session, attempt) == []
        assert stalls.record(session, row, StallKind.SILENT, Stage.SUBMITTED, SeenBy.SERVER, clock.now)
        assert found(session, attempt) == [("silent", "submitted")]


def test_the_latest_cause_leads_and_impatience_follows(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    frozen = signal(0, "stall", kind="frozen", stage="submitted")
    rage = signal(2, "stall", 12, kind="rage", stage="submitted", evidence={"count": 5})
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10), rage))
        assert [kind for kind, _ in found(session, attempt)] == ["no_answer", "rage"]
        hear(session, cast, clock, told(attempt, frozen, signal(1, "thawed", frozen_ms=9100), source="worker"))
        assert [kind for kind, _ in found(session, attempt)] == ["frozen", "no_answer", "rage"]
        assert stalls.of(session, attempt_of(session, attempt).id)[0].evidence["frozen_ms"] == 9100


def test_the_timeline_tells_figures_with_their_meaning(database: Database, cast: Cast, clock: Clock) -> None:
    attempt = key()
    busy = signal(1, "long_frame", 2, ms=812, script="cdn.example")
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, busy, hung(2, 10, seconds=10, answered=0, hidden=False)))
        lines = evidence.gather(session, cast.shop, attempt_of(session, attempt)).timeline
    started = "The payment was started, but no answer came"
    assert [(line.name, line.detail) for line in lines] == [
        ("Stage", "Pay was pressed"),
        ("Page was busy", "for 812 ms, cdn.example"),
        ("Stall", f"{started}, Pay was pressed, seen by the page, for 10 s, answers: 0"),
    ]


REPLAYED_PAID = signal(beacons.REMEMBERED_SEQ, "paid", 0.01)


@pytest.mark.parametrize("name", ["paid", "failed"])
@pytest.mark.parametrize("number", [1, beacons.REMEMBERED_SEQ])
def test_the_outcome_of_another_order_says_nothing_about_this_one(
    database: Database, cast: Cast, clock: Clock, name: str, number: int
) -> None:
    attempt, outcome = key(), signal(number, name, 1, message="Declined")
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, order=cast.context().model_dump()))
        hear(session, cast, clock, told(attempt, outcome, order=cast.context("D-2002").model_dump()))
        assert attempt_of(session, attempt).stage == "submitted"
        assert session.scalars(sa.select(Order).filter_by(reference="D-1001")).one().paid_at is None
        assert found(session, attempt) == []
        assert [each.name for each in timeline_of(session, attempt)] == ["stage", "elsewhere"]


def test_an_attempt_without_an_order_does_not_take_the_one_of_a_later_page(
    database: Database, cast: Cast, clock: Clock
) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED))
        hear(session, cast, clock, told(attempt, REPLAYED_PAID, order=cast.context("D-2002").model_dump()))
        assert attempt_of(session, attempt).order_id is None
        assert not list(session.scalars(sa.select(payments.Payment)))


def test_a_later_page_that_remembers_the_attempt_settles_the_order_it_began_with_and_says_when(
    database: Database, cast: Cast, clock: Clock
) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED, order=cast.context().model_dump()))
        clock.forward(timedelta(minutes=3))
        hear(session, cast, clock, told(attempt, REPLAYED_PAID))
        assert order_of(session).paid_at == clock.now
        assert timeline_of(session, attempt)[-1].at == clock.now


@pytest.mark.parametrize("source", ["page", "frame", "worker"])
@pytest.mark.parametrize("name", ["provider_said", "offer", "greeted", "timed", "named", "elsewhere", "made_up"])
def test_nobody_but_the_server_says_what_only_the_server_knows(
    database: Database, cast: Cast, clock: Clock, source: str, name: str
) -> None:
    attempt = key()
    with database.write() as session:
        forged = signal(1, name, state="charged")
        hear(session, cast, clock, told(attempt, PRESSED), told(attempt, forged, source=source))
        assert [each.name for each in timeline_of(session, attempt)] == ["stage"]


@pytest.mark.parametrize("name", ["paid", "failed", "stage", "left", "back"])
def test_neither_frame_nor_worker_tells_what_the_page_does(
    database: Database, cast: Cast, clock: Clock, name: str
) -> None:
    attempt = key()
    with database.write() as session:
        hear(session, cast, clock, told(attempt, PRESSED))
        hear(session, cast, clock, told(attempt, signal(0, name, stage="confirming"), source="frame"))
        assert [each.name for each in timeline_of(session, attempt)] == ["stage"]


class Statements:
    """Counts what is sent to the database."""

    def __init__(self, database: Database) -> None:
        self.number = 0
        sa.event.listen(database.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.number += 1


def test_a_flood_of_symptoms_costs_one_beacon_no_more_than_an_honest_one_may(
    database: Database, cast: Cast, clock: Clock
) -> None:
    flood = [signal(n, "failed", n, message="card_declined") for n in range(1, 190)]
    order = cast.context().model_dump()
    with database.write() as session:
        for _ in range(5):
            hear(session, cast, clock, told(key(), PRESSED, *flood, order=order))
        attempt = key()
        hear(session, cast, clock, told(attempt, PRESSED, *flood, order=order))
        counted = Statements(database)
        hear(session, cast, clock, told(attempt, signal(190, "failed", 190), order=order))
        assert counted.number < 60


def test_only_so_many_symptoms_of_an_attempt_are_judged(database: Database, cast: Cast, clock: Clock) -> None:
    attempt, kinds = key(), ["sdk", "popup", "dead_button", "rage", "offline"]
    stages = ["started", "sdk", "submitted", "authenticating", "confirming"]
    flood = [signal(n, "stall", n, kind=kinds[n % 5], stage=stages[n // 5]) for n in range(25)]
    with database.write() as session:
        hear(session, cast, clock, told(attempt, *flood))
        assert len(found(session, attempt)) == judgement.MAX_SYMPTOMS


def test_a_round_of_the_worker_ends_in_time_and_the_next_one_goes_on(
    database: Database, cast: Cast, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "ROUND_SECONDS", 0)
    with database.write() as session:
        for _ in range(3):
            parsed = beacons.parse(json.dumps(told(key(), PRESSED)).encode(), clock.now)
            beacons.accept(session.connection(), [Arrival(cast.shop.id, parsed, None, clock.now)])
    rounds = []
    for _ in range(4):
        with database.write() as session:
            rounds.append(digest.digest_all(session, PACE, clock.now))
    assert rounds == [1, 1, 1, 0]


def timeline_of(session: Session, attempt_key: str) -> list[signals.Signal]:
    return signals.timeline(session, attempt_of(session, attempt_key).id)
