"""Other tries at the same order: at another provider, of another basket or leg, or without any payment named."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.tries import BOTH, CHARGED, NOT_CHARGED, UNKNOWN, WAYS, ZAR, Fake, fakes, state, tried, two
from widget import attempts, cashier, certainty, enquiry, links, payments, siblings, signals, stalls
from widget.attempts import AttemptContext, Stage
from widget.beacons import Beacon, BeaconIn
from widget.cashier import Step
from widget.database import Database
from widget.ledger import Source, Told
from widget.money import Money
from widget.orders import Order
from widget.providers import Answer, ChargeState, GivenUp
from widget.stalls import SeenBy, StallKind
from widget.tries import Tries
from widget.watches import Watch

__all__ = ["fakes", "two"]

# Another provider.


def test_what_another_provider_takes_meanwhile_is_seen(
    database: Database, clock: Clock, fakes: dict[str, Fake], two: tuple[int, int]
) -> None:
    clock.forward(timedelta(seconds=10))
    fakes["paypal"].known["Y1"] = Answer(CHARGED, ZAR, "Y1")

    enquiry.ask(database, PACE, two[1])

    with database.read() as session:
        assert session.scalars(sa.select(Order.paid_at)).one() is not None


@pytest.mark.parametrize("code", [None, "TypeError"])
def test_a_try_that_failed_elsewhere_is_asked_about_as_well(
    database: Database, clock: Clock, fakes: dict[str, Fake], two: tuple[int, int], code: str | None
) -> None:
    with database.write() as session:
        first = attempts.by_id(session, two[0])
        first.stage, first.error_code = Stage.FAILED.value, code
    clock.forward(timedelta(seconds=10))
    fakes["paypal"].known["Y1"] = Answer(CHARGED, ZAR, "Y1")

    enquiry.ask(database, PACE, two[1])

    with database.read() as session:
        assert session.scalars(sa.select(Order.paid_at)).one() is not None


@pytest.mark.parametrize(("code", "expected"), [(None, NOT_CHARGED), ("TypeError", UNKNOWN)])
def test_a_window_that_was_closed_at_once_elsewhere_is_over_and_a_lost_answer_is_not(
    database: Database, clock: Clock, fakes: dict[str, Fake], code: str | None, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=BOTH)
        first, second = tried(cast, None, "paypal"), tried(cast, "pi_2").id
        first.stage, first.error_code = Stage.FAILED.value, code
    fakes["demo"].known["pi_2"] = Answer(NOT_CHARGED, payment="pi_2")

    enquiry.ask(database, PACE, second)

    assert state(database, second, clock) is expected


def test_a_provider_that_speaks_for_the_order_is_asked_once_for_its_tries(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=BOTH)
        tried(cast), tried(cast)
        third = tried(cast, "Y3", "paypal").id
    fakes["demo"].is_of_order = True
    fakes["paypal"].known["Y3"] = Answer(NOT_CHARGED, payment="Y3")

    enquiry.ask(database, PACE, third)

    assert state(database, third, clock) is NOT_CHARGED
    with database.read() as session:
        assert session.scalars(sa.select(Watch).where(Watch.attempt_id == third)).all() == []


def test_an_old_word_of_another_provider_is_not_relied_on(
    database: Database, clock: Clock, fakes: dict[str, Fake], two: tuple[int, int]
) -> None:
    enquiry.ask(database, PACE, two[1])
    assert state(database, two[1], clock) is NOT_CHARGED

    clock.forward(timedelta(seconds=61))

    assert state(database, two[1], clock) is UNKNOWN


def test_what_another_provider_takes_while_a_page_is_to_open_keeps_it_closed(
    database: Database, clock: Clock, fakes: dict[str, Fake], two: tuple[int, int]
) -> None:
    with database.write() as session:
        attempt, shop, order = attempts.with_shop_and_order(session, two[1])
        assert order is not None
        link = links.link_for(session, shop, attempt, order, clock.now).key
    fakes["paypal"].while_given_up = lambda: fakes["paypal"].known.update(Y1=Answer(CHARGED, ZAR, "Y1"))

    assert cashier.take(database, PACE, link, WAYS).step is Step.DONE


@pytest.mark.parametrize(
    ("left", "is_closed", "step"),
    [
        (GivenUp.CUSTOMER, False, Step.CUSTOMER),
        (GivenUp.CUSTOMER, True, Step.GO),
        (GivenUp.MOVING, True, Step.CONFIRM),
        (GivenUp.GONE, False, Step.GO),
    ],
)
def test_a_window_that_only_its_customer_can_leave_is_asked_about(
    database: Database,
    clock: Clock,
    fakes: dict[str, Fake],
    two: tuple[int, int],
    left: GivenUp,
    is_closed: bool,
    step: Step,
) -> None:
    with database.write() as session:
        attempt, shop, order = attempts.with_shop_and_order(session, two[1])
        assert order is not None
        link = links.link_for(session, shop, attempt, order, clock.now).key
    fakes["paypal"].left = left

    taking = cashier.take(database, PACE, link, WAYS, is_window_closed=is_closed)

    assert taking.step is step
    assert taking.provider == ("paypal" if step in {Step.CUSTOMER, Step.CONFIRM} else None)


def test_the_truth_names_the_provider_whose_payment_may_still_be_completed(
    database: Database, clock: Clock, two: tuple[int, int]
) -> None:
    enquiry.ask(database, PACE, two[1])

    with database.read() as session:
        attempt, _shop, order = attempts.with_shop_and_order(session, two[1])
        assert certainty.truth_of(session, attempt, order, clock.now).waits == "paypal"


# A try that has named no payment.


@pytest.mark.parametrize("is_pressed", [True, False])
def test_a_refused_payment_says_nothing_of_a_try_that_named_none(
    database: Database, clock: Clock, fakes: dict[str, Fake], is_pressed: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        tried(cast, "pi_1")
        second = tried(cast, is_pressed=is_pressed).id
    fakes["demo"].known["pi_1"] = Answer(NOT_CHARGED, payment="pi_1")

    enquiry.ask(database, PACE, second)

    assert state(database, second, clock) is (UNKNOWN if is_pressed else NOT_CHARGED)


def test_a_payment_that_could_not_be_looked_up_is_not_known(
    database: Database, clock: Clock, fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        cast = Cast(session)
        tried(cast, "pi_1")
        second = tried(cast, "ch_2").id
    refused = Answer(NOT_CHARGED, payment="pi_1", asked=frozenset({"pi_1"}))
    monkeypatch.setattr(Fake, "ask", lambda _fake, _question: refused)

    assert enquiry.ask(database, PACE, second) is UNKNOWN


@pytest.mark.parametrize(
    ("code", "expected"),
    [("insufficient_funds", NOT_CHARGED), ("TypeError", UNKNOWN), ("504", UNKNOWN), (None, UNKNOWN)],
)
def test_a_refusal_word_for_word_is_the_end_of_a_try_that_named_nothing(
    database: Database, clock: Clock, fakes: dict[str, Fake], code: str | None, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session)
        first = tried(cast)
        first.stage, first.error_code = Stage.FAILED.value, code
        second = tried(cast, "pi_2").id
    fakes["demo"].known["pi_2"] = Answer(NOT_CHARGED, payment="pi_2")

    enquiry.ask(database, PACE, second)

    assert state(database, second, clock) is expected


# Before Pay.


@pytest.mark.parametrize(("stage", "expected"), [("sdk", NOT_CHARGED), ("submitted", UNKNOWN)])
def test_what_the_frame_knows_of_the_browser_is_no_press_of_pay(
    database: Database, clock: Clock, stage: str, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"providers": {}})
        attempt = tried(cast, is_pressed=False)
        signals.note(session, attempt, "error", clock.now, seen_by="frame")
        stalls.record(session, attempt, StallKind.SDK, Stage(stage), SeenBy.PAGE, clock.now)
        body = BeaconIn(v=1, id=key(), site="demo", source="frame", attempt=AttemptContext(key=attempt.key), signals=[])
        told = {"shop_id": cast.shop.id, "key": body.id, "attempt_key": attempt.key, "fingerprint": "f"}
        session.add(Beacon(**told, body=body.model_dump_json(), received_at=clock.now))
        session.flush()

        assert siblings.without_provider(session, attempt).state is expected


# Another basket of an unsigned number, and another leg.


@pytest.mark.parametrize(("address", "expected"), [("mine", UNKNOWN), ("another", NOT_CHARGED)])
def test_a_try_at_another_amount_of_an_unsigned_number_counts_unless_it_is_a_strangers(
    database: Database, clock: Clock, fakes: dict[str, Fake], address: str, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session)
        tried(cast, "Y1", is_signed=False, address=address)
        second = tried(cast, "Y2", is_signed=False, amount=114900, address="mine").id
    fakes["demo"].known = {"Y1": Answer(UNKNOWN, payment="Y1"), "Y2": Answer(NOT_CHARGED, payment="Y2")}

    enquiry.ask(database, PACE, second)

    assert state(database, second, clock) is expected


def test_a_page_for_another_basket_of_the_number_is_closed_first(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session)
        first, second = (tried(cast, is_signed=False, amount=each) for each in (124900, 114900))
        keys = [
            links.link_for(session, cast.shop, each, cast.order_of(each), clock.now).key for each in (first, second)
        ]
        tries = [first.id, second.id]
    fakes["demo"].is_of_order = True
    assert cashier.take(database, PACE, keys[0], WAYS).step is Step.GO

    with database.read() as session:
        attempt, _shop, order = attempts.with_shop_and_order(session, tries[1])
        assert Tries(session, attempt, order, clock.now).is_being_paid
        assert links.is_other_paying(session, attempt, links.by_key(session, keys[1]), clock.now)
    assert cashier.clear(database, PACE, tries[1])
    with database.read() as session:
        assert links.by_key(session, keys[0]).hosted_url is None


def test_what_was_taken_for_another_basket_keeps_this_one_closed(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session)
        first, second = (tried(cast, is_signed=False, amount=each) for each in (124900, 114900))
        told = Told("k", Source.PROVIDER, Money(50000, "ZAR"), payment="Y1")
        payments.record(session, cast.shop, cast.order_of(first), told, PACE, clock.now)
        attempt_id = second.id
        link = links.link_for(session, cast.shop, second, cast.order_of(second), clock.now).key
    fakes["demo"].is_of_order = True

    enquiry.ask(database, PACE, attempt_id)

    assert state(database, attempt_id, clock) is UNKNOWN
    assert cashier.take(database, PACE, link, WAYS).step is Step.WAIT


def test_a_leg_that_only_a_page_names_does_not_close_the_rest(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session)
        first, second = (tried(cast, f"pi_{leg}", legs=(leg, 2)) for leg in (1, 2))
        first.stage = Stage.PAID.value
        attempt_id = second.id
    paid = Answer(CHARGED, Money(50000, "ZAR"), "pi_1", is_proven=False, taken_at=clock.now)
    fakes["demo"].known = {"pi_1": paid, "pi_2": Answer(NOT_CHARGED, payment="pi_2")}

    assert enquiry.ask(database, PACE, attempt_id) is NOT_CHARGED
    assert enquiry.ask(database, PACE, attempt_id - 1, fresh=True) is CHARGED
