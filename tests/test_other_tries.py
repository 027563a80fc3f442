"""Other tries at the same order: at another provider, of another basket or leg, or without any payment named."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from widget import attempts, cashier, certainty, enquiry, links, orders, payments, siblings, signals, stalls, tickets
from widget.attempts import Attempt, AttemptContext, Stage
from widget.beacons import Beacon, BeaconIn
from widget.cashier import Step, Ways
from widget.database import Database
from widget.hooks import Hook
from widget.ledger import Source, Told
from widget.money import Money
from widget.orders import Order
from widget.providers import Answer, ChargeState, GivenUp, Hosted, ProviderDown, Question
from widget.stalls import SeenBy, StallKind
from widget.tickets import Status, Ticket, Topic
from widget.tries import Tries
from widget.watches import Watch

CHARGED, NOT_CHARGED, UNKNOWN = ChargeState.CHARGED, ChargeState.NOT_CHARGED, ChargeState.UNKNOWN
ZAR = Money(124900, "ZAR")
BOTH = {"providers": {"demo": {"url": "http://127.0.0.1:1"}, "paypal": {"client_id": "c", "secret": "s"}}}
WAYS = Ways("http://back", "http://back", "en")


@dataclass
class Fake:
    """A provider that knows single payments; `marked` ones are the order's own by its word."""

    known: dict[str, Answer] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    left: GivenUp = GivenUp.GONE
    is_of_order: bool = False
    while_given_up: Callable[[], object] | None = None
    page: Answer = field(default_factory=lambda: Answer(NOT_CHARGED))
    closes: bool = True
    TAKES_BY_LOOKING = False

    def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        found = [self.known[each] for each in question.named if each in self.known]
        moved = next((each for each in found if each.state is not NOT_CHARGED), None)
        if moved is not None:
            return moved
        if not found or len(found) < len(question.named):
            return Answer(NOT_CHARGED, is_of_order=True) if self.is_of_order else Answer(UNKNOWN)
        return Answer(NOT_CHARGED, asked=frozenset(question.named), is_of_order=self.is_of_order, waits=found[0].waits)

    def give_up(self, _question: Question) -> GivenUp:
        if self.while_given_up is not None:
            self.while_given_up()
        return self.left

    def link(self, bill: Any) -> Hosted:
        return Hosted("page_1", "https://pay.example/1", bill.expires_at)

    def link_state(self, _hosted_id: str) -> Answer:
        return self.page

    def revoke(self, _hosted_id: str) -> None:
        if not self.closes:
            raise ProviderDown("The provider did not answer.")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    made = {"demo": Fake(), "paypal": Fake()}
    for module in ("enquiry.subject", "cashier", "cashier.pages", "cashier.unfinished"):
        monkeypatch.setattr(f"widget.{module}.adapter_for", lambda name, _config: made.get(name))
    return made


def tried(
    cast: Cast,
    payment: str | None = None,
    provider: str = "demo",
    *,
    is_signed: bool = True,
    amount: int = 124900,
    legs: tuple[int, int] | None = None,
    is_pressed: bool = True,
    address: str | None = None,
) -> Attempt:
    context = AttemptContext(
        key=key(),
        order=cast.context(is_signed=is_signed, amount=amount),
        method="card",
        provider=provider,
        payment=payment,
        leg=legs[0] if legs else None,
        legs=legs[1] if legs else None,
    )
    now = cast.shop.created_at
    attempt = attempts.open_for(cast.session, cast.shop, context, now)
    attempt.address = address
    if is_pressed:
        attempt.stage = Stage.CONFIRMING.value
        signals.note(cast.session, attempt, "stage", now, stage="submitted")
    cast.session.flush()
    return attempt


def state(database: Database, attempt_id: int, clock: Clock) -> ChargeState:
    with database.read() as session:
        attempt = attempts.by_id(session, attempt_id)
        return certainty.certain_state(session, attempt, attempts.order_of(session, attempt), clock.now)


# Another provider.


@pytest.fixture
def two(database: Database, fakes: dict[str, Fake]) -> tuple[int, int]:
    """PayPal's window was opened and left, then a card was declined; PayPal has been asked."""
    with database.write() as session:
        cast = Cast(session, profile=BOTH)
        first, second = tried(cast, "Y1", "paypal").id, tried(cast, "pi_2").id
    fakes["paypal"].known["Y1"] = Answer(NOT_CHARGED, payment="Y1", waits=True)
    fakes["demo"].known["pi_2"] = Answer(NOT_CHARGED, payment="pi_2", code="card_declined")
    enquiry.ask(database, PACE, first)
    return first, second


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


# What nothing but a page ties to an order.


@pytest.mark.parametrize(
    ("names", "expected"),
    [(None, CHARGED), ("WC-D-1001", CHARGED), ("D-0007", UNKNOWN)],
)
def test_a_payment_with_the_number_of_another_order_is_not_this_ones(
    database: Database, clock: Clock, fakes: dict[str, Fake], names: str | None, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt("D-0007")
        attempt_id = tried(cast, "Y1").id
    fakes["demo"].known["Y1"] = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now, names=names)

    assert enquiry.ask(database, PACE, attempt_id) is expected


_NAMED = Answer(CHARGED, ZAR, "Y1", is_proven=False, names="D-9")


@pytest.mark.parametrize(
    ("provider", "is_link", "named", "expected"),
    [
        ("demo", False, _NAMED, UNKNOWN),
        ("demo", False, replace(_NAMED, state=NOT_CHARGED, asked=frozenset({"Y1"})), UNKNOWN),
        ("demo", True, _NAMED, CHARGED),
        ("paypal", False, _NAMED, CHARGED),
    ],
)
def test_where_the_shop_writes_our_numbers_another_text_is_another_order(
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fakes: dict[str, Fake],
    provider: str,
    is_link: bool,
    named: Answer,
    expected: ChargeState,
) -> None:
    monkeypatch.setattr(Fake, "ask", lambda fake, _question: fake.known["Y1"])
    with database.write() as session:
        cast = Cast(session)
        other = cast.order_of(cast.attempt("D-0007"))
        if is_link:
            payments.record(session, cast.shop, other, Told("l", Source.LINK, ZAR, payment="Y7"), PACE, clock.now)
        told = Told("k", Source.PROVIDER, ZAR, payment="Y7", provider=provider)
        payments.record(session, cast.shop, other, told, PACE, clock.now)
        attempt_id = tried(cast, "Y1").id
    fakes["demo"].known["Y1"] = replace(named, taken_at=clock.now)

    assert enquiry.ask(database, PACE, attempt_id) is expected


@pytest.mark.parametrize("source", [Source.PAGE, Source.SHOP])
def test_nobody_compares_a_payment_that_the_shop_tells_of_itself(
    database: Database, clock: Clock, fakes: dict[str, Fake], source: Source
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast, "Y1")
        stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now)
    fakes["demo"].known["Y1"] = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now)
    enquiry.ask(database, PACE, attempt.id)

    with database.write() as session:
        _attempt, shop, order = attempts.with_shop_and_order(session, attempt.id)
        assert order is not None
        ticket = tickets.about(session, order, Topic.UNPROVEN)
        assert ticket is not None
        assert not Status(ticket.status).is_done
        payments.record(session, shop, order, Told("told", source, ZAR, payment="Y1"), PACE, clock.now)
        assert Status(ticket.status).is_done


def test_the_shop_is_told_of_a_payment_once_the_provider_calls_it_the_orders(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"hook_url": "https://shop.example/hook"})
        attempt = tried(cast, "Y1")
        stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now)
        attempt_id = attempt.id
    named = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now)
    told = []
    for is_proven in (False, True, True):
        fakes["demo"].known["Y1"] = Answer(**{**_fields(named), "is_proven": is_proven})
        enquiry.ask(database, PACE, attempt_id, fresh=True)
        with database.read() as session:
            open_tickets = [
                each.topic for each in session.scalars(sa.select(Ticket).where(Ticket.status != "resolved"))
            ]
            told.append((sorted(each.event for each in session.scalars(sa.select(Hook))), open_tickets))

    maybe, paid = "order.maybe_paid", "order.paid"
    assert told == [([maybe], ["unproven"]), ([maybe, paid], []), ([maybe, paid], [])]


def _fields(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Answer.__slots__}


# What a link completes.


@pytest.mark.parametrize(("signed", "is_paid"), [(124900, True), (129800, False), (300000, False)])
def test_a_difference_settles_only_what_it_was_the_difference_to(
    database: Database, clock: Clock, signed: int, is_paid: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        order = cast.order_of(attempt)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, Money(120000, "ZAR")), PACE, clock.now)
        due = Money(4900, "ZAR")
        link = links.link_for(session, cast.shop, attempt, order, clock.now, links.Purpose.DIFFERENCE, due)
        order.amount = signed
        links.finish_paying(link, order, "pi_9", clock.now)
        for name, source in (("link", Source.LINK), ("provider", Source.PROVIDER)):
            told = Told(name, source, due, payment="pi_9")
            payments.record(session, cast.shop, order, told, PACE, clock.now)

        assert (order.paid_at is not None) is is_paid


# What the shop's server tells before any page.


@pytest.mark.parametrize(("told", "is_paid"), [(124900, True), (50000, False)])
def test_a_part_that_the_shop_tells_of_first_does_not_pay_the_order(
    database: Database, clock: Clock, told: int, is_paid: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        money = Money(told, "ZAR")
        order = attempts.told_by_shop(session, cast.shop, "D-1001", money, "p1", clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, money, payment="p1"), PACE, clock.now)
        attempt = cast.attempt()

        assert (cast.order_of(attempt).due, order.paid_at is not None) == (ZAR, is_paid)
        if not is_paid:
            rest = Told("b", Source.SHOP, Money(74900, "ZAR"), payment="p2")
            payments.record(session, cast.shop, order, rest, PACE, clock.now)
            assert order.paid_at is not None


@pytest.mark.parametrize(("legs", "is_theirs"), [((1, 2), True), (None, False)])
def test_a_part_at_a_shop_that_signs_nothing_is_of_the_row_that_is_paid_in_parts(
    database: Database, clock: Clock, legs: tuple[int, int] | None, is_theirs: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast, is_signed=False, legs=legs)
        attempt.stage = Stage.PAID.value if legs else attempt.stage
        for name, minor in (("a", 50000), ("b", 74900)):
            money = Money(minor, "ZAR")
            order = attempts.told_by_shop(session, cast.shop, "D-1001", money, name, clock.now)
            payments.record(session, cast.shop, order, Told(name, Source.SHOP, money, payment=name), PACE, clock.now)
            assert (order.id == attempt.order_id) is is_theirs
        assert (cast.order_of(attempt).paid_at is not None) is is_theirs


def test_what_the_shop_tells_of_is_no_strangers_larger_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        stranger = tried(cast, is_signed=False, amount=99999900, legs=(1, 2))
        stranger.stage = Stage.PAID.value
        own = tried(cast, is_signed=False)

        order = attempts.told_by_shop(session, cast.shop, "D-1001", ZAR, None, clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, ZAR), PACE, clock.now)

        assert [cast.order_of(each).paid_at is not None for each in (stranger, own)] == [False, True]


def test_a_payment_in_another_currency_stays_the_end_of_the_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        euros = Money(6500, "EUR")
        order = attempts.told_by_shop(session, cast.shop, "D-1001", euros, None, clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, euros), PACE, clock.now)

        assert cast.order_of(cast.attempt()).paid_at is not None


# A page of which its provider says nothing.


def test_a_page_of_which_nobody_can_say_anything_is_handed_to_an_agent_and_let_go_at_last(
    database: Database, clock: Clock, fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast)
        link = links.link_for(session, cast.shop, attempt, cast.order_of(attempt), clock.now).key
    fakes["demo"].is_of_order = True
    assert cashier.take(database, PACE, link, WAYS).step is Step.GO
    del fakes["demo"]

    found = []
    for pause in (timedelta(hours=1), timedelta(days=2), timedelta(days=1), timedelta(days=30)):
        clock.forward(pause)
        cashier.look(database, PACE, link)
        with database.read() as session:
            order = session.scalars(sa.select(Order)).one()
            found.append((len(tickets.unfinished_of(session, order)), orders.is_being_paid(order, clock.now)))

    assert found == [(0, True), (1, True), (1, True), (1, False)]
