"""A payment that its provider has given back in full is none any more; nothing else that goes back changes anything."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.providers.fake_stripe import FakeStripe
from tests.providers.fake_stripe import charge as charge_of
from widget import (
    attempts,
    cashier,
    certainty,
    enquiry,
    followups,
    ledger,
    links,
    payments,
    reversals,
    tellings,
    tickets,
)
from widget.attempts import Attempt, AttemptContext, Stage
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Paid
from widget.tickets import Status, Ticket, Topic

WHOLE, PART, REST = Money(124900, "ZAR"), Money(100000, "ZAR"), Money(24900, "ZAR")
GONE = Answer(ChargeState.NOT_CHARGED, WHOLE, "pi_1", is_reversed=True)
PROFILE: dict[str, object] = {"providers": {}}


def take(cast: Cast, clock: Clock, payment: str, money: Money = WHOLE, source: Source = Source.PROVIDER) -> None:
    told = Told(f"{source}:{payment}", source, money, payment=payment, provider="demo")
    payments.record(cast.session, cast.shop, cast.order(), told, PACE, clock.now)


def say(cast: Cast, clock: Clock, answer: Answer, provider: str = "demo") -> None:
    clock.forward(timedelta(minutes=1))
    reversals.note(cast.session, cast.order(), answer, provider, clock.now)


def leg(cast: Cast, clock: Clock, number: int, payment: str | None, stage: Stage) -> Attempt:
    facts = {"order": cast.context(), "method": "card", "provider": "demo", "payment": payment}
    context = AttemptContext.model_validate({"key": key(), "leg": number, "legs": 2} | facts)
    attempt = attempts.open_for(cast.session, cast.shop, context, clock.now)
    attempt.stage = stage.value
    cast.session.flush()
    return attempt


def test_a_part_that_was_given_back_is_not_kept_from_what_is_to_be_paid(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        take(cast, clock, "pi_1", PART)
        take(cast, clock, "pi_1", PART, Source.SHOP)
        before = ledger.balance(session, cast.order()).missing
        say(cast, clock, GONE)

        assert before == REST
        assert not ledger.balance(session, cast.order()).is_begun
        assert certainty.may_pay_whole(session, attempt, cast.order(), clock.now)
        take(cast, clock, "pi_2", REST)
        assert cast.order().paid_at is None


def test_a_leg_that_was_given_back_is_not_paid(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        leg(cast, clock, 1, "pi_1", Stage.PAID)
        second = leg(cast, clock, 2, "pi_2", Stage.FAILED)
        take(cast, clock, "pi_1", PART)
        say(cast, clock, GONE)
        legs = attempts.paid_legs(session, cast.order())
        second.stage = Stage.PAID.value
        payments.settle_legs(session, cast.shop, cast.order(), second, PACE, clock.now)

        assert legs == []
        assert cast.order().paid_at is None


def test_the_rest_alone_pays_no_order_whose_first_part_was_given_back(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        leg(cast, clock, 1, "pi_1", Stage.PAID)
        second = leg(cast, clock, 2, "pi_2", Stage.FAILED)
        take(cast, clock, "pi_1", PART)
        link = links.link_for(session, cast.shop, second, cast.order(), clock.now, links.Purpose.REST, REST)
        say(cast, clock, GONE)
        links.finish_paying(link, cast.order(), "pi_3", clock.now)
        take(cast, clock, "pi_3", REST, Source.LINK)
        assert cast.order().paid_at is None


@pytest.mark.parametrize("bookings", [("b1", None), (None, "b1"), ("b1", "b1"), (None, None)])
def test_a_transfer_told_with_and_without_the_banks_id_is_one(
    database: Database, clock: Clock, bookings: tuple[str | None, ...]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        for number, booking in enumerate(bookings):
            name = tellings.transfer_name("1234567890", booking)
            told = Told(f"shop:{number}", Source.SHOP, WHOLE, "bank_transfer", name, "bank_transfer")
            payments.record(session, cast.shop, cast.order(), told, PACE, clock.now)
        assert ledger.balance(session, cast.order()).amount == WHOLE.minor
        assert session.scalars(sa.select(Ticket)).all() == []


def test_two_bookings_with_the_banks_ids_are_two_beside_one_without(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        for number, booking in enumerate((None, "b1", "b2")):
            name = tellings.transfer_name("1234567890", booking)
            told = Told(f"shop:{number}", Source.SHOP, WHOLE, "bank_transfer", name, "bank_transfer")
            payments.record(session, cast.shop, cast.order(), told, PACE, clock.now)
        assert ledger.balance(session, cast.order()).amount == 2 * WHOLE.minor


@pytest.mark.parametrize(
    ("answer", "provider"),
    [
        # A part of it went back: the provider calls it charged.
        (Answer(ChargeState.CHARGED, PART, "pi_1"), "demo"),
        (Answer(ChargeState.UNKNOWN, PART, "pi_1", is_reversed=True), "demo"),
        (Answer(ChargeState.NOT_CHARGED, PART, "pi_2", is_reversed=True), "demo"),
        (Answer(ChargeState.NOT_CHARGED, PART, "pi_1"), "demo"),
        # Another provider does not know this payment.
        (Answer(ChargeState.NOT_CHARGED, PART, "pi_1", is_reversed=True), "stripe"),
        (Answer(ChargeState.CHARGED, PART, "pi_2", is_of_order=True), "demo"),
    ],
)
def test_what_does_not_say_that_all_of_it_went_back_changes_nothing(
    database: Database, clock: Clock, answer: Answer, provider: str
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, "pi_1", PART)
        say(cast, clock, answer, provider)

        assert ledger.balance(session, cast.order()).missing == REST


def test_an_order_that_was_paid_in_full_is_not_asked_for_again(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        take(cast, clock, "pi_1")
        say(cast, clock, GONE)

        assert cast.order().paid_at is not None
        assert not certainty.may_pay_whole(session, attempt, cast.order(), clock.now)


def test_a_refund_that_failed_counts_for_nothing(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, "pi_1", PART)
        say(cast, clock, GONE)
        older = clock.now - timedelta(seconds=1)
        reversals.note(session, cast.order(), Answer(ChargeState.CHARGED, PART, "pi_1"), "demo", older)
        is_gone = not ledger.balance(session, cast.order()).is_begun
        say(cast, clock, Answer(ChargeState.CHARGED, PART, "pi_1"))

        assert is_gone
        assert ledger.balance(session, cast.order()).missing == REST


@pytest.mark.parametrize("was_sent", [False, True])
def test_once_the_second_payment_was_given_back_nobody_is_told_to_refund_it(
    database: Database, clock: Clock, was_sent: bool
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        take(cast, clock, "pi_1")
        take(cast, clock, "pi_2")
        (mail,) = session.scalars(sa.select(FollowUp).filter_by(kind=Kind.PAID_TWICE.value))
        if was_sent:
            mail.sent_at = clock.now
        say(cast, clock, Answer(ChargeState.NOT_CHARGED, WHOLE, "pi_2", is_reversed=True))
        session.refresh(mail)
        (ticket,) = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value))
        note = tickets.messages_of(session, ticket, notes=True)[-1].body

        assert certainty.truth_of(session, attempt, cast.order(), clock.now).twice == ()
        assert followups.reason_to_cancel(session, mail, clock.now) == followups.GIVEN_BACK
        assert mail.cancelled_because == (None if was_sent else followups.GIVEN_BACK)
        assert (ticket.status == Status.RESOLVED) is not was_sent
        assert "payment pi_2 of ZAR1,249.00 was given back in full" in note
        assert ("Tell the customer here" in note) is was_sent


def test_the_payment_in_place_of_one_that_was_given_back_is_no_second_one(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, "pi_1")
        say(cast, clock, GONE)
        take(cast, clock, "pi_2")

        assert session.scalars(sa.select(Ticket)).all() == []


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    fake = FakeStripe()
    yield fake
    fake.stop()


@pytest.mark.parametrize(("given_back", "is_twice"), [(124900, False), (70000, True)])
def test_stripe_s_refund_of_the_second_payment_ends_the_alarm_and_one_of_a_part_does_not(
    database: Database, clock: Clock, client: FlaskClient, stripe: FakeStripe, given_back: int, is_twice: bool
) -> None:
    clock.now = datetime.now(UTC).replace(microsecond=0)
    made = int(clock.now.timestamp())
    one, two = (stripe.intent("succeeded", created=made - age) for age in (60, 0))
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"stripe": stripe.config}})
        facts = {"order": cast.context(), "method": "card", "provider": "stripe", "payment": one["id"]}
        attempt = attempts.open_for(session, cast.shop, AttemptContext(key=key(), **facts), clock.now)
        session.flush()
        attempt_id = attempt.id
    enquiry.ask(database, PACE, attempt_id)
    with database.read() as session:
        assert len(ledger.balance(session, session.scalars(sa.select(Order)).one()).superfluous) == 1

    is_whole = given_back == 124900
    two["latest_charge"] = charge_of(124900, refunded=is_whole, amount_refunded=given_back)
    # The same refund is told of by two events.
    for kind in ("charge.refunded", "charge.refund.updated"):
        told = two["latest_charge"] | {"payment_intent": two["id"], "currency": "zar"}
        headers, body = stripe.event(kind, told)
        assert client.post("/api/v1/webhooks/demo/stripe", data=body, headers=headers).status_code == 200
    while cashier.heed_webhooks(database, PACE):
        pass

    with database.read() as session:
        order = session.scalars(sa.select(Order)).one()
        truth = certainty.truth_of(session, attempts.by_id(session, attempt_id), order, clock.now)
        assert truth.twice == ((Paid(one["id"], WHOLE), Paid(two["id"], WHOLE)) if is_twice else ())
        assert order.paid_at is not None
