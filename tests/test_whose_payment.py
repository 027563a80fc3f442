"""Whose payment it is: only the provider's word, or an exact fit, makes a payment that a page names this order's.

And every try at an order counts: one that is not known keeps everything closed that would take the money again.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.providers.fake_adyen import item, webhook
from tests.providers.fake_mollie import FakeMollie
from tests.providers.fake_paypal import FakePayPal, capture
from tests.providers.fake_stripe import FakeStripe
from tests.test_adyen import adapter as adyen_for
from tests.test_mollie import adapter as mollie_for
from tests.test_paypal import adapter as paypal_for
from tests.tries import CHARGED, NOT_CHARGED, UNKNOWN, ZAR, state
from widget import attempts, enquiry, payments, signals, tickets
from widget.attempts import Attempt
from widget.audit import AuditRow
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Happened, Question
from widget.providers.demo import DemoProvider
from widget.providers.shop import ShopEndpoint
from widget.providers.stripe import Stripe


class ById:
    """A provider that knows single payments only, like PayPal; it asks about every one that was named."""

    def __init__(self) -> None:
        self.known: dict[str, Answer] = {}
        self.questions: list[Question] = []
        self.while_asked: Callable[[], Answer] | None = None

    def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        if self.while_asked is not None:
            act, self.while_asked = self.while_asked, None
            return act()
        found = [self.known[each] for each in question.named if each in self.known]
        worst = next((each for each in found if each.state is not NOT_CHARGED), None)
        if worst is not None:
            return worst
        is_each_known = bool(found) and len(found) == len(question.named)
        return replace(found[0], asked=frozenset(question.named)) if is_each_known else Answer(UNKNOWN)


@pytest.fixture
def by_id(monkeypatch: pytest.MonkeyPatch) -> ById:
    made = ById()
    monkeypatch.setattr("widget.enquiry.subject.adapter_for", lambda _name, _config: made)
    return made


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    fake = FakeStripe()
    yield fake
    fake.stop()


def tried(cast: Cast, payment: str | None, order: str = "D-1001", stage: str = "confirming") -> Attempt:
    """A try past Pay, whose page names this payment."""
    attempt = cast.attempt(order)
    attempt.stage, attempt.payment = stage, payment
    signals.note(cast.session, attempt, "stage", attempt.started_at, stage="submitted")
    cast.session.flush()
    return attempt


def ids_of(database: Database, *named: str | None, order: str = "D-1001", stage: str = "confirming") -> list[int]:
    with database.write() as session:
        cast = Cast(session)
        return [tried(cast, each, order, stage).id for each in named]


def paid_orders(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Order.reference).where(Order.paid_at.is_not(None))))


def named_only(clock: Clock, money: Money = ZAR, **said: Any) -> Answer:
    return Answer(CHARGED, money, "Y1", is_proven=False, **({"taken_at": clock.now} | said))


# What the adapters read out of the provider's objects.


@pytest.mark.parametrize("order", ["D-1001", "D-0007", None])
def test_stripe_passes_on_what_stands_where_shops_write_the_number(stripe: FakeStripe, order: str | None) -> None:
    intent = stripe.intent("succeeded", order=order)

    answer = Stripe(stripe.config).ask(Question("D-1001", str(intent["id"])))

    assert (answer.state, answer.is_proven) == (CHARGED, order == "D-1001")
    assert answer.names == (order if order == "D-0007" else None)


def test_stripe_leaves_out_what_is_of_another_order_by_the_field_that_the_shop_names(stripe: FakeStripe) -> None:
    intent = stripe.intent("succeeded", order="D-0007")

    assert Stripe(stripe.config | {"order_key": "order"}).ask(Question("D-1001", str(intent["id"]))).state is UNKNOWN


def test_stripe_cancels_nothing_of_another_order(stripe: FakeStripe) -> None:
    intent = stripe.intent("requires_action", order="D-0007")

    Stripe(stripe.config).give_up(Question("D-1001", str(intent["id"])))

    assert stripe.intents[str(intent["id"])]["status"] == "requires_action"


def test_stripe_asks_about_every_payment_that_was_named(stripe: FakeStripe) -> None:
    refused, running = (str(stripe.intent(each, order=None)["id"]) for each in ("canceled", "processing"))

    assert Stripe(stripe.config).ask(Question("D-1001", refused, payments=(running,))).state is UNKNOWN


@pytest.mark.parametrize(("order", "expected"), [("D-1001", CHARGED), ("D-0007", UNKNOWN)])
def test_mollie_leaves_out_what_is_of_another_order(order: str, expected: ChargeState) -> None:
    fake = FakeMollie()
    try:
        answer = mollie_for(fake, order_field="order").ask(Question("D-1001", fake.has(1, "paid", order)))
    finally:
        fake.stop()

    assert answer.state is expected


@pytest.mark.parametrize(("order", "expected"), [("D-1001", CHARGED), ("D-0007", UNKNOWN)])
def test_paypal_leaves_out_what_is_of_another_order(order: str, expected: ChargeState) -> None:
    fake = FakePayPal()
    try:
        fake.has(1, "COMPLETED", capture("3C679366HH0000001", "COMPLETED", custom_id=order))
        answer = paypal_for(fake, order_field="custom_id").ask(Question("D-1001", "3C679366HH0000001"))
    finally:
        fake.stop()

    assert answer.state is expected


@pytest.mark.parametrize(("order", "expected"), [("D-1001", CHARGED), ("D-0007", UNKNOWN)])
def test_adyen_leaves_out_what_is_of_another_order(order: str, expected: ChargeState) -> None:
    told = adyen_for().webhook({}, webhook(item("AUTHORISATION", merchantReference=order)))[0]

    assert adyen_for().ask(Question("D-1001", told.payment, heard=(told,))).state is expected


def test_adyen_needs_to_know_every_payment_that_was_named() -> None:
    told: Happened = adyen_for().webhook({}, webhook(item("AUTHORISATION", success="false")))[0]
    question = Question("D-1001", told.payment, heard=(told,))

    assert adyen_for().ask(question).state is NOT_CHARGED
    assert adyen_for().ask(replace(question, payments=("PSP0000000000009",))).state is UNKNOWN


@pytest.mark.parametrize("name", ["demo", "shop"])
def test_an_answer_about_another_order_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    paid = {"id": "p1", "status": "succeeded", "order": "D-0007", "amount": 1, "currency": "ZAR"}
    said = {"state": "charged", "payment": "p1", "order": "D-0007", "amount": 1, "currency": "ZAR"}
    found = paid if name == "demo" else said
    monkeypatch.setattr(f"widget.providers.{name}.send", lambda *_args, **_kwargs: (200, found))
    adapter = DemoProvider({"url": "http://x"}) if name == "demo" else ShopEndpoint({"url": "http://x", "secret": "s"})

    assert adapter.ask(Question("D-1001", "p1")).state is UNKNOWN


# What only a page ties to the order.


def test_what_a_page_names_settles_the_order_where_all_else_fits(database: Database, clock: Clock, by_id: ById) -> None:
    (attempt,) = ids_of(database, "Y1")
    by_id.known["Y1"] = named_only(clock)

    assert enquiry.ask(database, PACE, attempt) is CHARGED
    assert paid_orders(database) == ["D-1001"]


@pytest.mark.parametrize("charge_state", [CHARGED, ChargeState.HELD])
@pytest.mark.parametrize("misfit", ["amount", "currency", "age", "unknown age"])
def test_what_a_page_names_and_does_not_fit_tells_nothing(
    database: Database, clock: Clock, by_id: ById, misfit: str, charge_state: ChargeState
) -> None:
    (attempt,) = ids_of(database, "Y1")
    money = {"amount": Money(124901, "ZAR"), "currency": Money(124900, "EUR")}.get(misfit, ZAR)
    taken_at = {"age": clock.now - timedelta(hours=1), "unknown age": None}.get(misfit, clock.now)
    by_id.known["Y1"] = replace(named_only(clock, money, taken_at=taken_at), state=charge_state)

    assert enquiry.ask(database, PACE, attempt) is UNKNOWN
    assert paid_orders(database) == []


@pytest.mark.parametrize("source", [Source.PROVIDER, Source.PAGE, Source.SHOP])
def test_no_payment_settles_two_orders(database: Database, clock: Clock, by_id: ById, source: Source) -> None:
    with database.write() as session:
        cast = Cast(session)
        first = cast.order_of(cast.attempt("D-0007"))
        payments.record(session, cast.shop, first, Told("k", source, ZAR, payment="Y1"), PACE, clock.now)
        attempt = tried(cast, "Y1").id
        ticket_id = cast.ticket(attempts.by_id(session, attempt)).id
    by_id.known["Y1"] = named_only(clock)

    for _ in range(2):
        assert enquiry.ask(database, PACE, attempt, fresh=True) is UNKNOWN
    with database.read() as session:
        noted = list(session.scalars(sa.select(AuditRow.about).filter_by(what="payment_of_another")))
        told = [each.body for each in tickets.messages_of(session, tickets.by_id(session, ticket_id), notes=True)]
    assert (paid_orders(database), noted) == (["D-0007"], ["D-1001: Y1"])
    assert sum("recorded for another order" in each for each in told) == 1


def test_a_page_takes_no_payment_from_the_order_that_the_provider_names(
    database: Database, clock: Clock, by_id: ById
) -> None:
    with database.write() as session:
        cast = Cast(session)
        other = cast.order_of(cast.attempt("D-0007"))
        payments.record(session, cast.shop, other, Told("k", Source.PAGE, ZAR, payment="Y1"), PACE, clock.now)
        attempt = tried(cast, "Y1").id
    by_id.known["Y1"] = replace(named_only(clock), is_proven=True)

    assert enquiry.ask(database, PACE, attempt) is CHARGED


# Other tries at the same order, with the same provider.


def test_a_try_that_may_still_be_charged_keeps_another_one_in_doubt(
    database: Database, clock: Clock, by_id: ById
) -> None:
    _, second = ids_of(database, "Y1", "Y2")
    by_id.known = {"Y1": Answer(UNKNOWN, payment="Y1"), "Y2": Answer(NOT_CHARGED, payment="Y2")}

    enquiry.ask(database, PACE, second)

    assert (by_id.questions[-1].payments, state(database, second, clock)) == (("Y1",), UNKNOWN)


@pytest.mark.parametrize("stage", ["confirming", "failed"])
def test_a_try_that_named_no_payment_keeps_another_one_in_doubt(
    database: Database, clock: Clock, by_id: ById, stage: str
) -> None:
    _, second = ids_of(database, None, "Y2", stage=stage)
    by_id.known = {"Y2": Answer(NOT_CHARGED, payment="Y2")}

    assert enquiry.ask(database, PACE, second) is NOT_CHARGED
    assert state(database, second, clock) is UNKNOWN


def test_tries_that_were_all_refused_let_the_customer_pay(database: Database, clock: Clock, by_id: ById) -> None:
    first, second = ids_of(database, "Y1", "Y2")
    by_id.known = {each: Answer(NOT_CHARGED, payment=each) for each in ("Y1", "Y2")}

    enquiry.ask(database, PACE, second)

    assert [state(database, each, clock) for each in (first, second)] == [NOT_CHARGED, NOT_CHARGED]


def test_a_provider_that_lists_the_order_speaks_for_all_tries(database: Database, clock: Clock, by_id: ById) -> None:
    _, second = ids_of(database, None, "Y2")
    by_id.known = {"Y2": Answer(NOT_CHARGED, payment="Y2", is_of_order=True)}

    enquiry.ask(database, PACE, second)

    assert state(database, second, clock) is NOT_CHARGED


# Answers that come late.


def test_an_answer_to_an_older_question_changes_nothing(database: Database, clock: Clock, by_id: ById) -> None:
    (attempt,) = ids_of(database, "Y1")
    by_id.known["Y1"] = Answer(UNKNOWN, payment="Y1", status="processing")

    def slow() -> Answer:
        clock.forward(timedelta(seconds=4))
        enquiry.ask(database, PACE, attempt, fresh=True)
        return Answer(NOT_CHARGED, payment="Y1", code="declined")

    by_id.while_asked = slow

    assert enquiry.ask(database, PACE, attempt, fresh=True) is UNKNOWN
    assert state(database, attempt, clock) is UNKNOWN


def test_a_charge_that_is_told_late_still_settles_the_order(database: Database, clock: Clock, by_id: ById) -> None:
    (attempt,) = ids_of(database, "Y1")
    by_id.known["Y1"] = Answer(UNKNOWN, payment="Y1", status="processing")

    def slow() -> Answer:
        clock.forward(timedelta(seconds=4))
        enquiry.ask(database, PACE, attempt, fresh=True)
        return Answer(CHARGED, ZAR, "Y1")

    by_id.while_asked = slow
    enquiry.ask(database, PACE, attempt, fresh=True)

    assert paid_orders(database) == ["D-1001"]
