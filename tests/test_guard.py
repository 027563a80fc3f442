"""Whoever tests cards or tries order numbers is seen; an office of honest customers is not."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.cast import Cast, key
from tests.conftest import Clock
from widget import attempts, audit, guard, signals, stalls
from widget.attempts import Attempt, AttemptContext, Stage
from widget.database import Database
from widget.errors import NotFound
from widget.guard import Outcome, Sighting, Suspicion, marks, patterns
from widget.orders import OrderContext
from widget.shops import signature_for
from widget.stalls import SeenBy, StallKind

OFFICE, HOME = guard.hash_of("key", "203.0.113.7"), guard.hash_of("key", "198.51.100.20")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"
SCRIPT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/142.0.0.0 Safari/537.36"


@dataclass
class Traffic:
    """People and scripts who pay at one shop. Each try moves the clock on by a little."""

    session: Session
    cast: Cast
    clock: Clock
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311
    made: int = 0

    def arrive(
        self, address: str, device: str, *, order: str = "", amount: int = 4990, is_signed: bool = True
    ) -> Attempt:
        self.made += 1
        said = {"order": order or f"W-{self.made * 37}", "amount": amount, "currency": "EUR", "email": ""}
        signature = signature_for(self.cast.secret, **said) if is_signed else ""  # type: ignore[arg-type]
        context = AttemptContext(key=key(), order=OrderContext.model_validate(said | {"signature": signature}))
        attempt = attempts.open_for(self.session, self.cast.shop, context, self.clock.now)
        attempt.user_agent = device
        guard.remember(self.session, attempt, address)
        return attempt

    def pay(self, address: str, device: str, **said: object) -> Attempt:
        attempt = self.arrive(address, device, **said)  # type: ignore[arg-type]
        attempts.reach(attempt, Stage.PAID, 1)
        guard.count(self.session, attempt, self.clock.now)
        return attempt

    def be_declined(self, address: str, device: str, **said: object) -> Attempt:
        attempt = self.arrive(address, device, **said)  # type: ignore[arg-type]
        self.fail(attempt, 1)
        return attempt

    def fail(self, attempt: Attempt, seq: int, kind: StallKind = StallKind.DECLINED) -> None:
        signals.record(self.session, attempt, seq=seq, name="failed", at=self.clock.now, data={})
        attempts.reach(attempt, Stage.FAILED, seq)
        stalls.record(self.session, attempt, kind, Stage.CONFIRMING, SeenBy.PAGE, self.clock.now)
        guard.count(self.session, attempt, self.clock.now)

    def wait(self, **time: float) -> None:
        self.clock.forward(timedelta(**time))

    def suspects(self, attempt: Attempt) -> bool:
        return guard.is_suspect(self.session, attempt, self.clock.now)

    def flagged(self) -> list[str]:
        found = guard.flagged(self.session, [self.cast.shop.id], self.clock.now)
        return sorted({each.pattern for each in found})


@pytest.fixture
def traffic(database: Database, clock: Clock) -> object:
    with database.write() as session:
        yield Traffic(session, Cast(session), clock)


def laptop(number: int) -> str:
    return f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{130 + number % 12}.0.0.0 Safari/537.{number}"


def a_day_at_the_office(traffic: Traffic, *, devices: int = 40) -> list[Attempt]:
    """Forty people in three hours: one in eight is declined, then tries again up to twice; some give up."""
    tried = []
    for person in range(40):
        device = laptop(person % devices)
        order, amount = f"W-{9000 + person}", traffic.chance.choice([1990, 4990, 4990, 12900])
        tries = traffic.chance.choices([0, 1, 2, 3], weights=[35, 3, 1, 1])[0]
        for _ in range(tries):
            tried.append(traffic.be_declined(OFFICE, device, order=order, amount=amount))
            traffic.wait(seconds=40)
        if traffic.chance.random() < 0.9:
            tried.append(traffic.pay(OFFICE, device, order=order, amount=amount))
        traffic.wait(minutes=4)
    return tried


def test_an_office_of_forty_honest_customers_is_not_flagged(traffic: Traffic) -> None:
    tried = a_day_at_the_office(traffic)
    assert traffic.flagged() == []
    assert not any(traffic.suspects(each) for each in tried)


def test_nor_is_one_where_all_have_the_same_laptop(traffic: Traffic) -> None:
    a_day_at_the_office(traffic, devices=1)
    assert traffic.flagged() == []


def test_a_script_in_the_same_office_is_flagged_and_the_others_are_not(traffic: Traffic) -> None:
    honest = a_day_at_the_office(traffic)
    for _ in range(10):
        script = traffic.be_declined(OFFICE, SCRIPT, amount=100)
        traffic.wait(seconds=15)
    assert traffic.suspects(script)
    assert "rapid" in traffic.flagged()
    assert not any(traffic.suspects(each) for each in honest)
    assert not traffic.suspects(traffic.arrive(OFFICE, "A browser nobody had before"))


def test_four_declined_cards_of_one_desperate_customer_are_no_attack(traffic: Traffic) -> None:
    for _ in range(4):
        attempt = traffic.be_declined(HOME, IPHONE, order="W-1", amount=24900)
        traffic.wait(minutes=1)
    assert not traffic.suspects(attempt)


def test_many_cards_on_one_order_are_an_attack(traffic: Traffic) -> None:
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
        traffic.wait(seconds=20)
    assert traffic.flagged() == ["stubborn"]
    assert traffic.suspects(attempt)


def test_many_cards_within_one_attempt_are_counted_each_once(traffic: Traffic) -> None:
    attempt = traffic.arrive(HOME, SCRIPT)
    for seq in range(1, 13):
        traffic.fail(attempt, seq)
        guard.count(traffic.session, attempt, traffic.clock.now)
    declined = sa.select(sa.func.count()).select_from(Sighting).filter_by(outcome=Outcome.DECLINED.value)
    assert traffic.session.scalar(declined) == 12
    assert traffic.suspects(attempt)


def test_the_same_small_sum_over_several_orders_is_an_attack(traffic: Traffic) -> None:
    for _ in range(5):
        attempt = traffic.be_declined(HOME, SCRIPT, amount=100)
        traffic.wait(minutes=8)
    assert traffic.flagged() == ["same_sum"]
    assert traffic.suspects(attempt)


def test_a_tester_who_takes_his_time_is_found_within_the_day(traffic: Traffic) -> None:
    for number in range(14):
        attempt = traffic.be_declined(HOME, SCRIPT, amount=900 + 300 * number)
        traffic.wait(minutes=80)
    assert traffic.flagged() == ["slow"]
    assert traffic.suspects(attempt)


def test_a_tester_who_finds_good_cards_now_and_then_is_still_one(traffic: Traffic) -> None:
    for number in range(60):
        paid_with = traffic.pay if number % 12 == 11 else traffic.be_declined
        attempt = paid_with(HOME, SCRIPT, amount=500 + 7 * number)
        traffic.wait(seconds=30)
    assert traffic.suspects(attempt)


def test_a_tester_who_changes_the_browser_each_time_is_found_by_the_address(traffic: Traffic) -> None:
    for person in range(5):
        traffic.pay(OFFICE, laptop(person))
    regular = traffic.pay(OFFICE, IPHONE)
    for number in range(16):
        attempt = traffic.be_declined(OFFICE, f"Browser {number}", amount=1000 + number)
        traffic.wait(minutes=2)
    assert traffic.flagged() == ["changing_devices"]
    assert traffic.suspects(attempt)
    assert traffic.suspects(traffic.arrive(OFFICE, "Browser 99"))
    assert not traffic.suspects(regular)
    assert not traffic.suspects(traffic.arrive(OFFICE, IPHONE))


def test_a_tester_who_changes_the_address_each_time_is_found_by_device_and_sum(traffic: Traffic) -> None:
    for number in range(30):
        traffic.pay(guard.hash_of("key", f"198.51.100.{number}"), IPHONE, amount=2000 + number)
    for number in range(16):
        attempt = traffic.be_declined(guard.hash_of("key", f"2001:db8:{number:x}::1"), SCRIPT, amount=100)
        traffic.wait(minutes=2)
    assert traffic.flagged() == ["changing_addresses"]
    assert traffic.suspects(attempt)
    assert not traffic.suspects(traffic.arrive(HOME, SCRIPT, amount=4990))
    assert not traffic.suspects(traffic.arrive(HOME, IPHONE, amount=100))


def test_when_everybody_is_declined_nobody_is_to_blame(traffic: Traffic) -> None:
    for number in range(40):
        device = IPHONE if number % 2 else laptop(number)
        attempt = traffic.be_declined(guard.hash_of("key", f"192.0.2.{number}"), device, amount=4990)
        traffic.wait(minutes=1)
    assert traffic.flagged() == []
    assert not traffic.suspects(attempt)


def test_an_order_that_is_tried_from_everywhere_is_flagged(traffic: Traffic) -> None:
    for number in range(10):
        attempt = traffic.be_declined(guard.hash_of("key", f"192.0.2.{number}"), laptop(number), order="W-1")
    assert traffic.flagged() == ["one_order"]
    assert traffic.suspects(attempt)


def test_failures_that_are_no_declines_count_for_nothing(traffic: Traffic) -> None:
    for _ in range(30):
        attempt = traffic.arrive(HOME, IPHONE)
        traffic.fail(attempt, 1, StallKind.ERROR)
    assert traffic.flagged() == []


def test_a_decline_that_only_the_provider_tells_counts_and_only_once(traffic: Traffic) -> None:
    for number in range(8):
        attempt = traffic.arrive(HOME, SCRIPT, amount=100 + number)
        for _ in range(3):
            guard.count(traffic.session, attempt, traffic.clock.now, was_declined=True)
    assert traffic.flagged() == ["rapid"]
    declined = sa.select(sa.func.count()).select_from(Sighting).filter_by(outcome=Outcome.DECLINED.value)
    assert traffic.session.scalar(declined) == 8


def test_order_numbers_in_sequence_are_noticed_sooner_than_others(traffic: Traffic) -> None:
    for number in (3, 1, 2, 5, 4):
        attempt = traffic.arrive(HOME, IPHONE, order=f"W-100{number}", is_signed=False)
    assert not traffic.suspects(attempt)
    assert traffic.suspects(traffic.arrive(HOME, IPHONE, order="W-1006", is_signed=False))
    assert traffic.flagged() == ["numbers_in_sequence"]


@pytest.mark.parametrize(("pause_minutes", "numbers", "pattern"), [(0.5, 12, "numbers"), (30, 40, "numbers_slowly")])
def test_trying_order_numbers_is_noticed(traffic: Traffic, pause_minutes: float, numbers: int, pattern: str) -> None:
    for number in range(numbers):
        attempt = traffic.arrive(HOME, IPHONE, order=f"W-{number * 977}", is_signed=False)
        traffic.wait(minutes=pause_minutes)
    assert traffic.flagged() == [pattern]
    assert traffic.suspects(attempt)


def test_orders_that_the_shop_has_signed_are_no_tried_numbers(traffic: Traffic) -> None:
    for number in range(15):
        attempt = traffic.arrive(OFFICE, IPHONE, order=f"W-{number}")
    assert not traffic.suspects(attempt)


def test_a_suspicion_ends_by_itself(traffic: Traffic) -> None:
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
    assert traffic.suspects(attempt)
    traffic.wait(minutes=61)
    assert not traffic.suspects(attempt)
    assert traffic.flagged() == []


def test_it_lasts_as_long_as_it_goes_on(traffic: Traffic) -> None:
    for _ in range(90):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
        traffic.wait(seconds=45)
    assert traffic.suspects(attempt)
    assert len(list(traffic.session.scalars(sa.select(Suspicion).filter_by(pattern="stubborn")))) == 1


def test_an_agent_lifts_a_suspicion_and_it_stays_lifted_for_a_day(traffic: Traffic) -> None:
    agent, shop_id = traffic.cast.agent(), traffic.cast.shop.id
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
    [suspicion] = guard.flagged(traffic.session, [shop_id], traffic.clock.now)
    guard.lift(traffic.session, suspicion.id, agent, [shop_id], traffic.clock.now)
    assert not traffic.suspects(attempt)
    traffic.wait(minutes=5)
    assert not traffic.suspects(traffic.be_declined(HOME, SCRIPT, order="W-1"))
    assert suspicion.lifted_by == agent.id
    assert audit.latest(traffic.session, shop_id)[0].what == "suspicion_lifted"


def test_what_goes_on_a_day_after_it_was_lifted_is_flagged_anew(traffic: Traffic) -> None:
    agent, shop_id = traffic.cast.agent(), traffic.cast.shop.id
    for _ in range(12):
        traffic.be_declined(HOME, SCRIPT, order="W-1")
    [suspicion] = guard.flagged(traffic.session, [shop_id], traffic.clock.now)
    guard.lift(traffic.session, suspicion.id, agent, [shop_id], traffic.clock.now)
    traffic.wait(hours=25)
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
    assert traffic.suspects(attempt)
    assert suspicion.lifted_by is None


def test_suspicions_of_another_shop_are_out_of_reach(traffic: Traffic) -> None:
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
    other = Cast(traffic.session, site="other")
    [suspicion] = guard.flagged(traffic.session, [traffic.cast.shop.id], traffic.clock.now)
    with pytest.raises(NotFound):
        guard.lift(traffic.session, suspicion.id, other.agent(), [other.shop.id], traffic.clock.now)
    assert guard.flagged(traffic.session, [other.shop.id], traffic.clock.now) == []
    assert traffic.suspects(attempt)
    elsewhere = Traffic(traffic.session, other, traffic.clock).arrive(HOME, SCRIPT)
    assert not traffic.suspects(elsewhere)


def test_agents_see_the_numbers(traffic: Traffic) -> None:
    for _ in range(12):
        attempt = traffic.be_declined(HOME, SCRIPT, order="W-1")
    [suspicion] = guard.flagged(traffic.session, [traffic.cast.shop.id], traffic.clock.now)
    assert suspicion.numbers | {"declines": 12, "paid": 0, "orders": 1, "minutes": 10} == suspicion.numbers
    assert guard.standing(traffic.session, attempt, traffic.clock.now).numbers == suspicion.numbers


def test_what_is_old_is_forgotten(traffic: Traffic) -> None:
    for _ in range(12):
        traffic.be_declined(HOME, SCRIPT, order="W-1")
    traffic.wait(days=2, hours=1)
    guard.tidy(traffic.session, traffic.clock.now)
    assert traffic.session.scalar(sa.select(sa.func.count()).select_from(Sighting)) == 0
    assert traffic.session.scalar(sa.select(sa.func.count()).select_from(Suspicion)) == 1
    traffic.wait(days=30)
    guard.tidy(traffic.session, traffic.clock.now)
    assert traffic.session.scalar(sa.select(sa.func.count()).select_from(Suspicion)) == 0


def test_an_attempt_keeps_its_first_address_and_is_counted_once(traffic: Traffic) -> None:
    attempt = traffic.arrive(HOME, IPHONE)
    guard.remember(traffic.session, attempt, OFFICE)
    guard.remember(traffic.session, attempt, None)
    assert attempt.address == HOME
    assert traffic.session.scalar(sa.select(sa.func.count()).select_from(Sighting)) == 1


def test_facts_that_come_later_make_the_device_better_known(traffic: Traffic) -> None:
    attempt = traffic.arrive(HOME, IPHONE)
    before = attempt.device
    attempts.learn_facts(attempt, {"screen": "390x844"})
    guard.remember(traffic.session, attempt, HOME)
    assert attempt.device not in {None, before}
    assert list(traffic.session.scalars(sa.select(Sighting.device))) == [attempt.device]


def test_an_address_is_hashed_with_the_key_and_ipv6_by_its_network() -> None:
    assert guard.hash_of("a", "203.0.113.7") != guard.hash_of("b", "203.0.113.7")
    assert guard.hash_of("a", "203.0.113.7") != guard.hash_of("a", "203.0.113.8")
    assert guard.hash_of("a", "::ffff:203.0.113.7") == guard.hash_of("a", "203.0.113.7")
    assert guard.hash_of("a", "2001:db8:1:2::1") == guard.hash_of("a", "2001:db8:1:2:ffff::9")
    assert guard.hash_of("a", "2001:db8:1:2::1") != guard.hash_of("a", "2001:db8:1:3::1")
    assert guard.hash_of("a", "fe80::1%eth0") == guard.hash_of("a", "fe80::1")
    assert len(guard.hash_of("a", "unix:")) == marks.MARK_CHARS


def test_every_pattern_stands_in_the_documentation_with_its_numbers() -> None:
    page = (Path(__file__).parent.parent / "static" / "docs" / "security.md").read_text()
    for pattern in patterns.PATTERNS:
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{pattern.name}` |")]
        numbers = {pattern.declines, pattern.orders, pattern.devices, pattern.addresses, pattern.unsigned}
        assert {str(number) for number in numbers | {pattern.in_sequence} if number} <= set(re.findall(r"\d+", row))
        hours = pattern.lasts // timedelta(hours=1)
        assert row.endswith(f"| {hours} hour{'s' if hours > 1 else ''} |")


@pytest.mark.parametrize(
    ("references", "length"),
    [
        ([], 0),
        (["no number"], 0),
        (["W-7"], 1),
        (["W-1001", "W-1003", "W-1002"], 3),
        (["1001", "1002", "2000", "2001", "2002"], 3),
        (["2026-1001-A", "2026-1002-A"], 2),
        (["9" * 60, "1"], 1),
    ],
)
def test_the_longest_run_of_order_numbers(references: list[str], length: int) -> None:
    assert patterns.longest_run(references) == length


def test_sightings_of_many_workers_at_once_are_all_counted(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        tried = [Traffic(session, cast, clock, made=number).arrive(HOME, SCRIPT).id for number in range(24)]

    def decline(attempt_id: int) -> None:
        with database.write() as session:
            guard.count(session, session.get_one(Attempt, attempt_id), clock.now, was_declined=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decline, tried * 2))
    with database.read() as session:
        declined = sa.select(sa.func.count()).select_from(Sighting).filter_by(outcome=Outcome.DECLINED.value)
        assert session.scalar(declined) == 24
        assert guard.is_suspect(session, session.get_one(Attempt, tried[0]), clock.now)


def test_asking_is_one_statement_for_who_is_not_suspected(database: Database, clock: Clock) -> None:
    with database.write() as session:
        traffic = Traffic(session, Cast(session), clock)
        attempt = traffic.arrive(HOME, IPHONE)
        session.flush()
        statements: list[str] = []
        sa.event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
        assert not traffic.suspects(attempt)
    assert len([each for each in statements if each.startswith("SELECT")]) == 1
