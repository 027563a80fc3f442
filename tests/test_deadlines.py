"""Deadlines: learned from what paid attempts took, bounded, never above what a shop says, and hard to poison."""

import json
import math
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from widget import attempts, deadlines, digest, payments, shops, signals
from widget.attempts import AttemptContext
from widget.beacons import Arrival, accept, parse
from widget.database import Database
from widget.deadlines import BOUNDS, MIN_SAMPLES, SHIPPED, LearnedDeadline, StageTime, bucket_of, durations, quantile
from widget.orders import Order
from widget.shops import SETTABLE_DEADLINES, Profile
from widget.signals import Signal

seconds = st.floats(min_value=deadlines.SHORTEST_SECONDS, max_value=deadlines.LONGEST_SECONDS)


def pay(cast: Cast, clock: Clock, took: float, order: str, *, is_signed: bool = True, method: str = "card") -> None:
    """A shopper's page that pressed Pay, waited so long and was paid."""
    context = AttemptContext(key=key(), order=cast.context(order, is_signed=is_signed), method=method)
    attempt = attempts.open_for(cast.session, cast.shop, context, clock.now)
    told = [("stage", 0.0, {"stage": "submitted"}), ("paid", took, {})]
    for seq, (name, at, data) in enumerate(told):
        signals.record(cast.session, attempt, seq=seq, name=name, at=clock.now + timedelta(seconds=at), data=data)
    attempts.settle(attempt)
    cast.order_of(attempt).paid_at = clock.now


def pay_many(cast: Cast, clock: Clock, took: float, many: int = MIN_SAMPLES, **options: Any) -> None:
    for number in range(many):
        pay(cast, clock, took, f"{options.get('method', 'card')}-{took}-{number}", **options)


def learn_later(cast: Cast, clock: Clock) -> None:
    clock.forward(timedelta(minutes=10))
    deadlines.learn(cast.session, clock.now)


def counted(cast: Cast) -> int:
    return sum(row.count for row in cast.session.query(StageTime))


def timeline(*told: tuple[str, float, dict[str, Any]], server: tuple[str, float] | None = None) -> list[Signal]:
    start = Clock().now
    page = [
        Signal(seq=seq, name=name, at=start + timedelta(seconds=at), data=data)
        for seq, (name, at, data) in enumerate(told)
    ]
    return page + ([Signal(seq=-1, name=server[0], at=start + timedelta(seconds=server[1]), data={})] if server else [])


PRESSED, CONFIRMED = ("stage", 2.0, {"stage": "submitted"}), ("stage", 5.0, {"stage": "confirming"})
PAID: tuple[str, float, dict[str, Any]] = ("paid", 9.0, {})


@given(st.lists(seconds, min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_from_buckets_is_within_ten_percent_and_never_short(times: list[float], share: float) -> None:
    exact = sorted(times)[math.ceil(share * len(times)) - 1]

    read = quantile(Counter(map(bucket_of, times)), share)

    assert exact * (1 - 1e-6) <= read <= exact * 1.10


@given(st.lists(seconds, min_size=1), st.lists(seconds, min_size=1))
def test_counts_of_two_times_merge_by_adding(some: list[float], others: list[float]) -> None:
    merged = Counter(map(bucket_of, some)) + Counter(map(bucket_of, others))

    assert quantile(merged, 0.99) == quantile(Counter(map(bucket_of, some + others)), 0.99)


@given(st.sampled_from(sorted(BOUNDS)), st.lists(seconds, min_size=MIN_SAMPLES, max_size=MIN_SAMPLES))
def test_what_is_learned_stays_within_its_bounds(stage: str, times: list[float]) -> None:
    learned = deadlines.learned_from(stage, Counter(map(bucket_of, times)))

    assert learned is not None
    assert BOUNDS[stage][0] <= learned <= BOUNDS[stage][1]


def test_one_payment_too_few_teaches_nothing() -> None:
    assert deadlines.learned_from("submitted", {3: MIN_SAMPLES - 1}) is None


def test_everything_shipped_can_be_set_and_is_within_what_can_be_set() -> None:
    assert list(SHIPPED) == list(SETTABLE_DEADLINES)
    assert all(low <= SHIPPED[name] <= high for name, (low, high) in SETTABLE_DEADLINES.items())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((PRESSED, CONFIRMED, PAID), {"submitted": 3.0, "confirming": 4.0}),
        # A hidden page does not age.
        ((PRESSED, ("hidden", 3.0, {}), ("visible", 4.5, {}), CONFIRMED, PAID), {"submitted": 1.5, "confirming": 4.0}),
        ((PRESSED, ("hidden", 3.0, {}), CONFIRMED, ("visible", 6.0, {}), PAID), {"submitted": 1.0, "confirming": 3.0}),
        # A deadline that was too short is what there is to learn.
        ((PRESSED, ("stall", 4.0, {"kind": "no_answer"}), PAID), {"submitted": 7.0}),
        ((PRESSED, ("offline", 4.0, {}), CONFIRMED, PAID), {"confirming": 4.0}),
        # What a shop's own code may say of a script is not what the page waits for.
        ((("stage", 0.0, {"stage": "sdk"}), PRESSED, PAID), {"submitted": 7.0}),
        ((PRESSED, CONFIRMED), {}),
        ((PRESSED, ("failed", 4.0, {}), PRESSED, PAID), {}),
        ((PRESSED, ("left", 4.0, {}), ("back", 8.0, {}), PAID), {}),
        ((("stage", 0.0, {"stage": ["x"]}), ("stage", 1.0, {}), PAID), {}),
    ],
)
def test_stage_times_of_a_paid_attempt(told: Any, expected: dict[str, float]) -> None:
    assert durations(timeline(*told)) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "expected"), [("asleep", {"submitted": 3.0}), ("offer", {}), ("paid", None)])
def test_what_the_frame_and_the_server_saw_counts_too(name: str, expected: dict[str, float] | None) -> None:
    found = durations(timeline(PRESSED, CONFIRMED, PAID, server=(name, 6.0)))

    assert found == (expected if expected is not None else {"submitted": 3.0, "confirming": 4.0})


def test_an_order_that_another_way_has_paid_teaches_nothing() -> None:
    assert durations(timeline(PRESSED, CONFIRMED, server=("paid", 60.0))) == {}


def test_a_slow_shop_gets_patience_and_a_quick_one_the_floor(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 9.0, method="eft")
        pay_many(cast, clock, 0.5, method="card")

        learn_later(cast, clock)

        found = deadlines.of(session, cast.shop)
        assert found["methods"]["card"] == {"submitted": BOUNDS["submitted"][0]}
        assert found["methods"]["eft"]["submitted"] == pytest.approx(18, rel=0.1)
        assert found["submitted"] == found["methods"]["eft"]["submitted"]
        assert found["confirming"] == SHIPPED["confirming"]


def test_what_was_learned_of_a_method_is_found_by_what_the_page_calls_it(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 0.5, method="scheme")
        learn_later(cast, clock)

        found = deadlines.of(session, cast.shop)["methods"]

        assert found["scheme"] == found["card"] == {"submitted": BOUNDS["submitted"][0]}
        assert "applepay" not in found


def test_the_switch_reads_what_was_learned_of_the_method(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 0.5, method="card")
        learn_later(cast, clock)

        card = deadlines.for_attempt(session, cast.shop, cast.attempt("D-1"))

        assert card == {**SHIPPED, "submitted": BOUNDS["submitted"][0]}


def test_what_the_shop_has_set_stands_for_every_method(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"deadlines": {"submitted": 25, "silent": 20}})
        pay_many(cast, clock, 9.0)
        learn_later(cast, clock)

        found = deadlines.of(session, cast.shop)

        assert (found["submitted"], found["silent"], found["methods"]) == (25, 20, {})


def test_learning_again_counts_nothing_twice(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 3.0, many=3)
        learn_later(cast, clock)
        learn_later(cast, clock)

        assert counted(cast) == 3


def test_a_stranger_teaches_nothing_and_a_shopper_once_per_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        for _ in range(5):
            pay(cast, clock, 29.0, "signed once")
        pay_many(cast, clock, 29.0, many=5, is_signed=False)
        learn_later(cast, clock)
        learn_later(cast, clock)

        assert counted(cast) == 1


def test_one_slow_customer_in_a_hundred_shifts_little(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 4.0, many=2 * MIN_SAMPLES)
        pay_many(cast, clock, 900.0, many=2)
        learn_later(cast, clock)
        learn_later(cast, clock)

        assert deadlines.of(session, cast.shop)["submitted"] == pytest.approx(8, rel=0.1)


def test_old_habits_are_forgotten(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        pay_many(cast, clock, 9.0)
        learn_later(cast, clock)
        clock.forward(timedelta(weeks=deadlines.WEEKS))
        deadlines.learn(session, clock.now)

        assert deadlines.of(session, cast.shop)["submitted"] == SHIPPED["submitted"]
        assert session.query(LearnedDeadline).count() == session.query(StageTime).count() == 0


def test_an_attempt_whose_order_is_being_paid_is_left_for_the_next_round(
    postgresql_database: Database, clock: Clock
) -> None:
    with postgresql_database.write() as session:
        pay(Cast(session), clock, 3.0, "D-1")
    clock.forward(timedelta(minutes=10))
    with postgresql_database.write() as payer, postgresql_database.write() as learner:
        payer.execute(sa.select(Order).with_for_update())
        deadlines.learn(learner, clock.now)
        assert learner.query(StageTime).count() == 0
    with postgresql_database.write() as learner:
        deadlines.learn(learner, clock.now)
        assert learner.query(StageTime).count() == 1


def test_beacons_of_a_real_page_teach(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        said = {
            "v": 1,
            "id": key(),
            "site": "demo",
            "attempt": {"key": key(), "method": "card", "order": cast.context().model_dump()},
            "signals": [
                {"seq": 0, "at": 0, "name": "stage", "data": {"stage": "submitted"}},
                {"seq": 1, "at": 2500, "name": "paid", "data": {}},
            ],
        }
        parsed = parse(json.dumps(said).encode(), clock.now)
        accept(session.connection(), [Arrival(cast.shop.id, parsed, None, clock.now)])
        digest.digest_all(session, PACE, clock.now)
        assert payments.of(session, cast.order())
        learn_later(cast, clock)

        assert [(row.method, row.stage, row.bucket) for row in session.query(StageTime)] == [
            ("card", "submitted", bucket_of(2.5))
        ]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"pay": 5}, "'pay' is no deadline; there are sdk, submitted"),
        ({"submitted": 0.1}, "submitted is between 0.2 and 300 seconds, not 0.1"),
        ({"frozen": 90}, "frozen is between 0.5 and 60 seconds, not 90"),
        ({"away": math.nan}, "away is between"),
    ],
)
def test_a_deadline_that_cannot_be_is_refused_in_words(given: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Profile(deadlines=given)

    assert complaint in str(refused.value)


def test_a_deadline_that_was_stored_when_other_bounds_held_is_read_within_those_of_today(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        old = {"submitted": 0.001, "silent": 9_999, "confirming": 20, "forgotten": 5, "away": "soon"}
        cast.shop.profile = cast.shop.profile | {"deadlines": old}
        session.flush()
        assert cast.shop.settled.deadlines == {"submitted": 0.2, "silent": 300, "confirming": 20}
        shops.change(cast.shop, name=None, profile={"colour": "#000000"}, disable=None, now=clock.now)
        assert cast.shop.settled.colour == "#000000"


@pytest.mark.parametrize("deadlines_in", [{"submitted": 0.001}, {"forgotten": 5}, {"silent": 9_999}])
def test_a_deadline_out_of_bounds_is_refused_when_it_is_set(
    database: Database, clock: Clock, deadlines_in: dict[str, float]
) -> None:
    with database.write() as session:
        shop = Cast(session).shop
        with pytest.raises(ValidationError):
            shops.change(shop, name=None, profile={"deadlines": deadlines_in}, disable=None, now=clock.now)
