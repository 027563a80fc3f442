"""The truth about the charge: what may be relied on, what is shown with it, and who was asked."""

from datetime import timedelta
from typing import Any

import pytest

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, belonging, certainty, charges, enquiry, siblings, signals, watches
from widget.attempts import Attempt
from widget.certainty import Truth
from widget.database import Database
from widget.money import Money
from widget.providers import Answer, ChargeState, Question, Retry
from widget.providers.answers import NOT_ASKABLE

CHARGED, NOT_CHARGED = ChargeState.CHARGED, ChargeState.NOT_CHARGED
HELD, UNKNOWN = ChargeState.HELD, ChargeState.UNKNOWN
ZAR = Money(124900, "ZAR")


def truth(cast: Cast, attempt: Attempt, clock: Clock) -> Truth:
    return certainty.truth_of(cast.session, attempt, attempts.order_of(cast.session, attempt), clock.now)


def answered(cast: Cast, clock: Clock, state: ChargeState, **said: Any) -> Truth:
    attempt = cast.attempt()
    charges.record(cast.session, attempt, Answer(state, **said), clock.now)
    return truth(cast, attempt, clock)


def test_before_anybody_was_asked_nothing_is_known(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        found = truth(cast, cast.attempt(), clock)

    assert (found.state, found.was_asked, found.answered_at, found.money) == (UNKNOWN, False, None, None)


def test_what_the_provider_said_is_kept_with_its_codes_and_advice(database: Database, clock: Clock) -> None:
    with database.write() as session:
        said = {"status": "requires_payment_method", "code": "insufficient_funds", "network_code": "51"}
        found = answered(Cast(session), clock, NOT_CHARGED, retry=Retry.LATER, payment="pi_1", **said)

    assert (found.state, found.was_asked, found.answered_at) == (NOT_CHARGED, True, clock.now)
    assert (found.status, found.code, found.network_code, found.retry) == (*said.values(), Retry.LATER)


def test_it_is_said_when_nobody_could_be_asked(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        charges.record(session, attempt, Answer(UNKNOWN, detail="No provider"), clock.now, was_asked=False)
        found = truth(cast, attempt, clock)

    assert (found.state, found.was_asked) == (UNKNOWN, False)


@pytest.mark.parametrize(
    ("state", "is_reversed", "days"),
    [(HELD, False, (3, 10)), (NOT_CHARGED, True, (3, 10)), (NOT_CHARGED, False, None), (CHARGED, True, None)],
)
def test_the_days_on_the_statement_are_told_of_what_is_held_or_was_reversed(
    sqlite_database: Database, clock: Clock, state: ChargeState, is_reversed: bool, days: tuple[int, int] | None
) -> None:
    with sqlite_database.write() as session:
        found = answered(Cast(session), clock, state, is_reversed=is_reversed, money=ZAR)

    assert found.statement_days == days
    assert found.money == (None if state is NOT_CHARGED else ZAR)


@pytest.mark.parametrize("method", [*certainty.STATEMENT_DAYS, None, "crypto"])
def test_the_days_on_the_statement_are_a_range(method: str | None) -> None:
    low, high = certainty.statement_days(method)
    assert 0 <= low < high <= 14


@pytest.mark.parametrize(
    ("taken", "missing", "excess"), [(ZAR, None, None), (Money(100000, "ZAR"), Money(24900, "ZAR"), None)]
)
def test_a_payment_of_too_little_has_both_figures(
    sqlite_database: Database, clock: Clock, taken: Money, missing: Money | None, excess: Money | None
) -> None:
    with sqlite_database.write() as session:
        found = answered(Cast(session), clock, CHARGED, money=taken, payment="pi_1")

    assert (found.money, found.missing, found.excess, found.receipt) == (taken, missing, excess, "pi_1")


def test_an_order_that_is_paid_is_charged_whatever_was_said_before(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(charge=NOT_CHARGED)
        cast.order_of(attempt).paid_at = clock.now
        found = truth(cast, attempt, clock)

    assert (found.state, found.missing) == (CHARGED, None)


def test_the_panel_is_told_that_we_keep_asking(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(charge=UNKNOWN)
        before = truth(cast, attempt, clock).is_watched
        watches.start(session, attempt, clock.now)
        during = truth(cast, attempt, clock).is_watched
        watch = watches.of(session, attempt.id)
        assert watch is not None
        watches.end(watch, CHARGED.value, clock.now)
        session.flush()

        assert (before, during, truth(cast, attempt, clock).is_watched) == (False, True, False)


def test_the_question_names_what_is_due_and_what_webhooks_have_told(database: Database, clock: Clock) -> None:
    from widget import provider_events
    from widget.providers import Happened

    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        event = Happened("evt_1", "payment", clock.now, order="D-1001", payment="pi_1", state=CHARGED, money=ZAR)
        provider_events.keep(session, cast.shop, "demo", event, clock.now)
        session.flush()
        question = siblings.question_for(session, attempt, clock.now)

    assert question is not None
    assert (question.order, question.due) == ("D-1001", ZAR)
    assert [each.payment for each in question.heard] == ["pi_1"]


@pytest.mark.parametrize(
    ("money", "payment", "state"),
    [
        (ZAR, None, CHARGED),
        (Money(1, "ZAR"), "pi_other", UNKNOWN),
        (Money(1, "ZAR"), "pi_page", CHARGED),
        (Money(124900, "EUR"), None, UNKNOWN),
    ],
)
def test_who_types_an_order_number_does_not_learn_what_it_is_worth(
    sqlite_database: Database, clock: Clock, money: Money, payment: str | None, state: ChargeState
) -> None:
    with sqlite_database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(is_signed=False)
        attempt.payment = "pi_page"
        answer = belonging.may_be_told(attempt, cast.order_of(attempt), Answer(CHARGED, money=money, payment=payment))

    assert answer.state is state
    assert (answer.money is None) is (state is UNKNOWN)


def test_a_signed_order_is_told_whatever_was_taken(sqlite_database: Database, clock: Clock) -> None:
    with sqlite_database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        answer = Answer(CHARGED, money=Money(1, "ZAR"), payment="pi_1")

        assert belonging.may_be_told(attempt, cast.order_of(attempt), answer) is answer


def test_the_same_answer_again_is_one_row_and_another_code_is_news(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        first = charges.record(session, attempt, Answer(NOT_CHARGED, code="a"), clock.now)
        session.flush()
        clock.forward(timedelta(seconds=9))
        again = charges.record(session, attempt, Answer(NOT_CHARGED, code="a"), clock.now)
        other = charges.record(session, attempt, Answer(NOT_CHARGED, code="b"), clock.now)

        assert again is first
        assert first.answered_at == clock.now
        assert other is not first
        assert len(signals.named(session, [attempt.id], ["provider_said"], 9)) == 2


@pytest.mark.parametrize(("is_pressed", "state"), [(False, NOT_CHARGED), (True, UNKNOWN)])
def test_of_a_provider_that_cannot_be_asked_by_order_the_page_s_word_counts(
    sqlite_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_pressed: bool, state: ChargeState
) -> None:
    class Mute:
        def ask(self, _question: Question) -> Answer:
            return Answer(UNKNOWN, detail="Only a payment can be asked about.", status=NOT_ASKABLE)

    monkeypatch.setattr("widget.enquiry.subject.adapter_for", lambda _name, _config: Mute())
    with sqlite_database.write() as session:
        attempt = Cast(session).attempt()
        stage = "submitted" if is_pressed else "sdk"
        signals.record(session, attempt, seq=1, name="stage", at=clock.now, data={"stage": stage})

    assert enquiry.ask(sqlite_database, PACE, attempt.id) is state
    with sqlite_database.read() as session:
        found = certainty.truth_of(session, attempt, attempts.order_of(session, attempt), clock.now)
    assert (found.was_asked, found.is_watched) == (is_pressed, is_pressed)


def test_words_of_a_provider_that_are_too_long_do_not_cost_the_answer(database: Database, clock: Clock) -> None:
    with database.write() as session:
        found = answered(Cast(session), clock, CHARGED, money=ZAR, payment="p" * 300, status="s" * 300, code="c" * 300)

    assert (found.state, len(found.receipt or ""), len(found.status or "")) == (CHARGED, 100, 100)


@pytest.mark.parametrize(
    ("provider", "stage", "told", "state"),
    [
        ("other", "confirming", None, UNKNOWN),
        ("other", "confirming", UNKNOWN, UNKNOWN),
        ("other", "confirming", NOT_CHARGED, NOT_CHARGED),
        ("other", "started", None, NOT_CHARGED),
        # Its own provider speaks for every payment of the order.
        ("demo", "confirming", UNKNOWN, NOT_CHARGED),
    ],
)
def test_no_provider_speaks_for_another_one_that_may_have_charged_the_same_order(
    sqlite_database: Database,
    clock: Clock,
    provider: str,
    stage: str,
    told: ChargeState | None,
    state: ChargeState,
) -> None:
    with sqlite_database.write() as session:
        cast = Cast(session)
        earlier = cast.attempt(charge=told)
        earlier.provider, earlier.stage = provider, stage
        session.flush()
        assert truth(cast, cast.attempt(charge=NOT_CHARGED), clock).state is state


@pytest.mark.parametrize(
    ("configured", "theirs", "mine", "state"),
    [
        (["demo"], "klarna", None, UNKNOWN),
        (["demo"], None, None, NOT_CHARGED),
        (["demo"], None, "demo", NOT_CHARGED),
        (["demo", "shop"], None, "demo", UNKNOWN),
        (["demo", "shop"], "demo", None, UNKNOWN),
        (["demo", "shop"], None, None, UNKNOWN),
    ],
)
def test_who_was_not_named_speaks_for_nobody_else(
    database: Database, clock: Clock, configured: list[str], theirs: str | None, mine: str | None, state: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"providers": {name: {"url": "http://127.0.0.1:9"} for name in configured}})
        earlier, attempt = cast.attempt(), cast.attempt(charge=NOT_CHARGED)
        earlier.provider, earlier.stage, attempt.provider = theirs, "confirming", mine
        session.flush()

        assert truth(cast, attempt, clock).state is state


def test_an_open_try_is_found_behind_any_number_of_others(sqlite_database: Database, clock: Clock) -> None:
    with sqlite_database.write() as session:
        cast = Cast(session)
        earlier = cast.attempt()
        earlier.provider, earlier.stage = "other", "confirming"
        for _ in range(12):
            cast.attempt(charge=NOT_CHARGED).provider = "other"
        session.flush()

        assert truth(cast, cast.attempt(charge=NOT_CHARGED), clock).state is UNKNOWN


def test_what_was_said_after_the_clock_was_put_back_is_the_last_word(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        charges.record(session, attempt, Answer(NOT_CHARGED), clock.now)
        clock.forward(timedelta(minutes=-5))
        assert not charges.is_fresh(charges.latest(session, attempt.id), cast.order(), clock.now)
        charges.record(session, attempt, Answer(UNKNOWN, status="processing"), clock.now)
        assert truth(cast, attempt, clock).state is UNKNOWN


def test_a_question_put_after_the_clock_was_put_back_is_not_overruled_by_an_older_answer(
    database: Database, clock: Clock, provider: FakeProvider
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": provider.url}}})
        attempt_id = cast.attempt().id
    provider.status = "requires_payment_method"
    assert enquiry.ask(database, PACE, attempt_id) is NOT_CHARGED
    clock.forward(timedelta(minutes=-5))
    provider.status = "processing"
    assert enquiry.ask(database, PACE, attempt_id) is UNKNOWN
