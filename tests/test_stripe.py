"""Stripe's adapter, with Stripe's real client, against a fake that speaks Stripe's wire format."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from tests.providers.fake_stripe import KEY, FakeStripe, card_error, charge, next_action, signature
from widget import clock
from widget.money import Money
from widget.providers import (
    Answer,
    Bill,
    ChargeState,
    GivenUp,
    Happened,
    Hosted,
    Paid,
    Provider,
    ProviderDown,
    ProviderRefused,
    Question,
    Retry,
    WebhookRefused,
    adapter_for,
)
from widget.providers import sessions as sessions_of_clients
from widget.providers.answers import NOT_ASKABLE
from widget.providers.stripe import Stripe, calls, shapes

QUESTION = Question(order="D-1001", payment=None)
ZAR = Money(124900, "ZAR")


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    made = FakeStripe()
    yield made
    made.stop()


@pytest.fixture
def stripe(fake: FakeStripe) -> Stripe:
    return Stripe(fake.config)


def bill(**changes: Any) -> Bill:
    known = Bill(
        order="D-1001",
        money=ZAR,
        key="unjam:demo:D-1001:k1",
        return_url="http://localhost/pay/T/back",
        cancel_url="http://localhost/pay/T/back",
        expires_at=clock.now() + timedelta(hours=2),
        shop_name="Karoo",
        email="sam@example.com",
        locale="de_AT",
    )
    return replace(known, **changes)


def press(page: Hosted, answer: str) -> None:
    """What the customer does on the page of Stripe."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    urllib3.request("POST", page.url, body=f"answer={answer}", headers=form, redirect=False)


def heard(payment: str) -> Happened:
    return Happened("evt_1", "payment", clock.now(), order="D-1001", payment=payment)


def test_the_adapter_keeps_to_the_protocol(fake: FakeStripe) -> None:
    adapter: Provider | None = adapter_for("stripe", {"stripe": fake.config})
    assert isinstance(adapter, Stripe)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", ChargeState.CHARGED),
        ("processing", ChargeState.UNKNOWN),
        ("requires_capture", ChargeState.HELD),
        ("requires_action", ChargeState.NOT_CHARGED),
        ("requires_confirmation", ChargeState.NOT_CHARGED),
        ("requires_payment_method", ChargeState.NOT_CHARGED),
        ("canceled", ChargeState.NOT_CHARGED),
        ("something_new", ChargeState.UNKNOWN),
    ],
)
def test_each_status_means_what_stripe_says(fake: FakeStripe, stripe: Stripe, status: str, state: ChargeState) -> None:
    intent = fake.intent(status)
    answer = stripe.ask(replace(QUESTION, payment=intent["id"]))
    assert (answer.state, answer.money, answer.payment, answer.status) == (state, ZAR, intent["id"], status)


def test_what_was_received_counts_and_not_what_was_asked_for(fake: FakeStripe, stripe: Stripe) -> None:
    fake.intent("succeeded", amount_received=100_000)
    assert stripe.ask(QUESTION).money == Money(100_000, "ZAR")


@pytest.mark.parametrize(("status", "rest", "minor"), [("requires_capture", 84_900, 124_900), ("canceled", 0, 40_000)])
def test_what_is_captured_in_parts_is_taken_and_the_rest_is_not_missing(
    fake: FakeStripe, stripe: Stripe, status: str, rest: int, minor: int
) -> None:
    intent = fake.intent(status, amount_received=40_000, amount_capturable=rest)
    for answer in (stripe.ask(QUESTION), one(stripe, fake.event("payment_intent.amount_capturable_updated", intent))):
        assert (answer.state, answer.money, answer.status) == (ChargeState.CHARGED, Money(minor, "ZAR"), status)


def test_what_can_still_be_captured_is_held_though_the_part_that_was_taken_was_given_back(
    fake: FakeStripe, stripe: Stripe
) -> None:
    back = charge(124_900, refunded=True, amount_refunded=40_000)
    fake.intent("requires_capture", amount_received=40_000, amount_capturable=84_900, latest_charge=back)
    answer = stripe.ask(QUESTION)
    assert (answer.state, answer.money) == (ChargeState.HELD, Money(84_900, "ZAR"))


def test_a_decline_tells_its_codes_and_what_to_do(fake: FakeStripe, stripe: Stripe) -> None:
    trouble = card_error("do_not_honor", advice_code="do_not_try_again", network_decline_code="05")
    intent = fake.intent("requires_payment_method", last_payment_error=trouble)
    answer = stripe.ask(replace(QUESTION, payment=intent["id"]))
    assert (answer.code, answer.network_code, answer.retry) == ("do_not_honor", "05", Retry.NEVER)


def test_a_payment_that_was_reversed_after_approval_says_so(fake: FakeStripe, stripe: Stripe) -> None:
    outcome = {"network_status": "reversed_after_approval", "type": "blocked", "seller_message": "Blocked as risky."}
    fake.intent("requires_payment_method", latest_charge=charge(124900, outcome=outcome))
    answer = stripe.ask(QUESTION)
    assert answer.state is ChargeState.NOT_CHARGED
    assert answer.is_reversed
    assert "Blocked as risky" in answer.detail


@pytest.mark.parametrize(
    ("refund", "state"),
    [
        ({"refunded": True, "amount_refunded": 124900}, ChargeState.NOT_CHARGED),
        ({"amount_refunded": 4900}, ChargeState.CHARGED),
    ],
)
def test_only_a_whole_refund_makes_an_order_unpaid(
    fake: FakeStripe, stripe: Stripe, refund: dict[str, Any], state: ChargeState
) -> None:
    fake.intent("succeeded", latest_charge=charge(124900, **refund))
    answer = stripe.ask(QUESTION)
    assert (answer.state, answer.is_reversed) == (state, state is ChargeState.NOT_CHARGED)
    assert answer.money == ZAR


@pytest.mark.parametrize("status", ["requires_action", "requires_confirmation"])
@pytest.mark.parametrize("is_named", [True, False])
def test_what_the_customer_may_still_confirm_is_given_up(
    fake: FakeStripe, stripe: Stripe, status: str, is_named: bool
) -> None:
    waiting, declined = fake.intent(status), fake.intent("requires_payment_method")
    assert stripe.give_up(replace(QUESTION, payment=waiting["id"] if is_named else None)) is GivenUp.GONE
    assert (waiting["status"], declined["status"]) == ("canceled", "requires_payment_method")


def test_a_payment_that_is_confirmed_while_it_is_given_up_is_charged(fake: FakeStripe, stripe: Stripe) -> None:
    waiting = fake.intent("requires_action")
    fake.is_confirmed_meanwhile = True
    assert stripe.give_up(QUESTION) is GivenUp.GONE
    assert waiting["status"] == "succeeded"
    assert stripe.ask(QUESTION).state is ChargeState.CHARGED


def test_a_payment_on_its_way_cannot_be_given_up_and_one_that_was_charged_need_not_be(
    fake: FakeStripe, stripe: Stripe
) -> None:
    charged = fake.intent("succeeded")
    assert stripe.give_up(QUESTION) is GivenUp.GONE
    charged["status"] = "processing"
    assert stripe.give_up(QUESTION) is GivenUp.MOVING


def test_the_shops_own_checkout_session_ends_with_what_waits_in_it(fake: FakeStripe, stripe: Stripe) -> None:
    waiting = fake.intent("requires_action")
    session = {"id": "cs_1", "status": "open", "payment_intent": waiting["id"], "amount_total": 1, "currency": "zar"}
    fake.sessions["cs_1"] = session
    assert stripe.give_up(QUESTION) is GivenUp.CUSTOMER
    assert stripe.give_up(replace(QUESTION, payment="cs_1")) is GivenUp.GONE
    assert (session["status"], waiting["status"]) == ("expired", "canceled")


def test_what_waits_on_a_page_of_our_own_link_is_left_alone(fake: FakeStripe, stripe: Stripe) -> None:
    waiting = fake.intent("requires_action", metadata={"order": "D-1001", "by": "unjam"})
    assert stripe.give_up(QUESTION) is GivenUp.GONE
    assert waiting["status"] == "requires_action"
    assert not stripe.ask(QUESTION).waits


@pytest.mark.parametrize(("status", "waits"), [("requires_action", True), ("requires_payment_method", False)])
def test_what_waits_for_the_customer_is_told_whichever_payment_got_furthest(
    fake: FakeStripe, stripe: Stripe, status: str, waits: bool
) -> None:
    fake.intent(status)
    fake.intent("succeeded")
    answer = stripe.ask(QUESTION)
    assert (answer.state, answer.waits) == (ChargeState.CHARGED, waits)


VOUCHERS = ["boleto_display_details", "konbini_display_details", "multibanco_display_details", "oxxo_display_details"]
CODES = ["paynow_display_qr_code", "pix_display_qr_code", "swish_handle_redirect_or_display_qr_code"]
TRANSFER = "display_bank_transfer_instructions"


@pytest.mark.parametrize("kind", [*VOUCHERS, *CODES, TRANSFER, "card_await_notification", "something_new"])
def test_what_the_customer_may_have_paid_at_the_till_or_the_bank_is_not_known_and_not_cancelled(
    fake: FakeStripe, stripe: Stripe, kind: str
) -> None:
    promised = fake.intent("requires_action", next_action=next_action(kind))
    for question in (QUESTION, replace(QUESTION, payment=promised["id"])):
        answer = stripe.ask(question)
        assert (answer.state, answer.status, answer.waits) == (ChargeState.UNKNOWN, "requires_action", False)
        assert stripe.give_up(question) is GivenUp.MOVING
    assert promised["status"] == "requires_action"


@pytest.mark.parametrize("kind", ["redirect_to_url", "use_stripe_sdk", "verify_with_microdeposits"])
def test_what_the_customer_has_to_confirm_on_the_spot_is_not_charged_and_is_given_up(
    fake: FakeStripe, stripe: Stripe, kind: str
) -> None:
    waiting = fake.intent("requires_action", next_action=next_action(kind))
    assert stripe.ask(QUESTION).state is ChargeState.NOT_CHARGED
    assert stripe.give_up(QUESTION) is GivenUp.GONE
    assert waiting["status"] == "canceled"


def test_a_key_that_may_not_close_payments_is_found_before_it_is_needed(fake: FakeStripe, stripe: Stripe) -> None:
    assert stripe.health() is None
    fake.fails_with = (403, {"type": "invalid_request_error", "message": "This key may not do this"})
    assert "does not let" in (stripe.health() or "")


def test_when_it_was_paid_counts_and_not_when_the_page_was_opened(fake: FakeStripe, stripe: Stripe) -> None:
    paid_at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    paid = charge(124900) | {"created": int(paid_at.timestamp())}
    fake.intent("succeeded", latest_charge=paid, created=int((paid_at - timedelta(hours=1)).timestamp()))
    assert stripe.ask(QUESTION).taken_at == paid_at


# What a payment's metadata names.


def named(fake: FakeStripe, text: str, **more: Any) -> Question:
    """The page has named a payment whose metadata holds this text where shops keep the order's number."""
    intent = fake.intent("succeeded", order=None, metadata={"order_id": text}, **more)
    return replace(QUESTION, payment=str(intent["id"]))


def test_another_text_in_a_customary_place_proves_nothing_but_does_not_hide_what_the_page_names(
    fake: FakeStripe, stripe: Stripe
) -> None:
    answer = stripe.ask(named(fake, "77"))
    assert (answer.state, answer.is_proven, answer.names) == (ChargeState.CHARGED, False, "77")


@pytest.mark.parametrize("order_key", ["order_id", "shop_order"])
def test_another_text_where_the_shop_says_that_the_number_stands_is_another_order(
    fake: FakeStripe, order_key: str
) -> None:
    intent = fake.intent("succeeded", order=None, metadata={order_key: "77"})
    question = replace(QUESTION, payment=str(intent["id"]))
    assert Stripe(fake.config | {"order_key": order_key}).ask(question).state is ChargeState.UNKNOWN


def test_what_only_a_webhook_has_told_of_may_not_name_anything_else(fake: FakeStripe, stripe: Stripe) -> None:
    payment = named(fake, "77").payment or ""
    assert stripe.ask(replace(QUESTION, heard=(heard(payment),))).state is ChargeState.UNKNOWN


def test_what_names_something_else_is_not_cancelled_but_may_still_be_completed(
    fake: FakeStripe, stripe: Stripe
) -> None:
    waiting = fake.intent("requires_action", order=None, metadata={"order_id": "77"})
    assert stripe.give_up(replace(QUESTION, payment=waiting["id"])) is GivenUp.CUSTOMER
    assert waiting["status"] == "requires_action"


@pytest.mark.parametrize(
    ("marks", "order_key", "state"),
    [
        (("D-1", "D-2", "D-3"), "shop_order", ChargeState.NOT_CHARGED),
        (("D-1", "D-2", "D-3"), None, ChargeState.UNKNOWN),
        (("D-1", "D-2", None), "shop_order", ChargeState.UNKNOWN),
        (("D-1", "D-2", "D-2"), "shop_order", ChargeState.UNKNOWN),
    ],
)
def test_a_shop_that_has_marked_its_latest_payments_where_it_said_marks_all(
    fake: FakeStripe, marks: tuple[str | None, ...], order_key: str | None, state: ChargeState
) -> None:
    for each in marks:
        fake.intent("succeeded", order=None, metadata={"shop_order": each, "order": each} if each else {})
    question = replace(QUESTION, since=clock.now() - timedelta(minutes=1))
    answer = Stripe(fake.config | {"order_key": order_key}).ask(question)
    assert (answer.state, answer.is_of_order) == (state, state is ChargeState.NOT_CHARGED)


@pytest.mark.parametrize(
    ("began", "unmarked_at", "state"),
    [
        # The three latest are marked; whether all are is seen only in a list that goes back to the order's first try.
        (timedelta(minutes=40), None, ChargeState.NOT_CHARGED),
        (timedelta(minutes=40), timedelta(minutes=35), ChargeState.UNKNOWN),
        (timedelta(minutes=40), timedelta(minutes=50), ChargeState.NOT_CHARGED),
        (timedelta(hours=30), None, ChargeState.UNKNOWN),
        (None, None, ChargeState.UNKNOWN),
    ],
)
def test_marked_payments_speak_for_an_older_try_only_in_a_list_that_goes_back_to_it(
    fake: FakeStripe, began: timedelta | None, unmarked_at: timedelta | None, state: ChargeState
) -> None:
    for each in ("D-1", "D-2", "D-3"):
        fake.intent("succeeded", order=None, metadata={"shop_order": each})
    if unmarked_at is not None:
        fake.intent("processing", order=None, created=int((clock.now() - unmarked_at).timestamp()))
    question = replace(QUESTION, since=clock.now() - began if began else None)
    assert Stripe(fake.config | {"order_key": "shop_order"}).ask(question).state is state


def test_a_page_that_still_names_the_payment_of_an_earlier_order_hides_nothing(
    fake: FakeStripe, stripe: Stripe
) -> None:
    earlier, declined = fake.intent("succeeded", order="D-0007"), fake.intent("requires_payment_method")
    earlier["created"] -= 7200
    since = clock.now() - timedelta(hours=1)
    answer = stripe.ask(replace(QUESTION, payment=earlier["id"], payments=(declined["id"],), since=since))
    assert (answer.state, answer.payment) == (ChargeState.NOT_CHARGED, declined["id"])
    assert (answer.is_of_order, answer.asked) == (True, frozenset({declined["id"]}))


@pytest.mark.parametrize("status", ["succeeded", "processing", "requires_capture", "requires_action"])
def test_a_payment_under_a_number_of_its_own_is_not_passed_over_when_it_is_as_young_as_the_order(
    fake: FakeStripe, stripe: Stripe, status: str
) -> None:
    declined, again = fake.intent("requires_payment_method"), fake.intent(status, order="D-1001-2")
    since = clock.now() - timedelta(hours=1)
    answer = stripe.ask(replace(QUESTION, payment=again["id"], payments=(declined["id"],), since=since))
    assert answer.state is not ChargeState.NOT_CHARGED or answer.waits


def test_another_charged_payment_of_the_order_wins(fake: FakeStripe, stripe: Stripe) -> None:
    failed, paid = fake.intent("requires_payment_method"), fake.intent("succeeded")
    answer = stripe.ask(replace(QUESTION, payment=failed["id"]))
    assert (answer.state, answer.payment) == (ChargeState.CHARGED, paid["id"])


def test_all_payments_that_were_charged_are_listed(fake: FakeStripe, stripe: Stripe) -> None:
    paid = {fake.intent("succeeded")["id"], fake.intent("succeeded", metadata={"order_id": "D-1001"})["id"]}
    answer = stripe.ask(QUESTION)
    assert {each.payment for each in answer.charged} == paid
    assert answer.charged[0] == Paid(answer.charged[0].payment, ZAR)


def test_nothing_found_proves_nothing_and_only_the_page_may_know_better(fake: FakeStripe, stripe: Stripe) -> None:
    answer = stripe.ask(QUESTION)
    assert (answer.state, answer.status) == (ChargeState.UNKNOWN, NOT_ASKABLE)
    lost = stripe.ask(replace(QUESTION, payment="pi_lost"))
    assert (lost.state, lost.status) == (ChargeState.UNKNOWN, NOT_ASKABLE)
    told = stripe.ask(replace(QUESTION, heard=(heard("pi_lost"),)))
    assert (told.state, told.status) == (ChargeState.UNKNOWN, None)


def test_nothing_found_at_a_shop_that_marks_every_payment_is_not_charged(fake: FakeStripe) -> None:
    assert Stripe(fake.config | {"marks_orders": True}).ask(QUESTION).state is ChargeState.NOT_CHARGED


def test_a_payment_that_the_index_does_not_hold_yet_is_found(fake: FakeStripe) -> None:
    fake.index_lags = True
    fake.intent("succeeded")
    answer = Stripe(fake.config | {"marks_orders": True}).ask(QUESTION)
    assert answer.state is ChargeState.CHARGED


def test_a_shop_too_busy_to_look_through_is_not_said_to_have_charged_nothing(
    fake: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_PER_PAGE", 2)
    for number in range(9):
        fake.intent("succeeded", order=f"other-{number}")
    asked = Stripe(fake.config | {"marks_orders": True}).ask(QUESTION)
    assert asked.state is ChargeState.UNKNOWN


def test_a_payment_that_a_webhook_told_of_is_asked_by_its_id(fake: FakeStripe, stripe: Stripe) -> None:
    paid = fake.intent("succeeded", order=None)
    answer = stripe.ask(replace(QUESTION, heard=(heard(paid["id"]),)))
    assert answer.payment == paid["id"]


def test_an_order_number_cannot_break_out_of_the_search(fake: FakeStripe, stripe: Stripe) -> None:
    fake.intent("succeeded", order="D-1001")
    assert stripe.ask(Question(order="x' OR metadata['order']:'D-1001", payment=None)).state is ChargeState.UNKNOWN
    fake.intent("succeeded", order="D'1")
    assert stripe.ask(Question(order="D'1", payment=None)).state is ChargeState.CHARGED


@pytest.mark.parametrize(
    ("status", "error", "raised"),
    [
        (401, {"type": "invalid_request_error", "message": f"Invalid API Key provided: {KEY}"}, ProviderRefused),
        (403, {"type": "invalid_request_error", "message": f"{KEY} may not do this"}, ProviderRefused),
        (429, {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests"}, ProviderDown),
        (402, card_error("generic_decline"), ProviderDown),
        (500, {"type": "api_error", "message": f"An unknown error occurred with {KEY}"}, ProviderDown),
        (503, {"type": "api_error", "message": "Down"}, ProviderDown),
    ],
)
def test_errors_have_two_names_and_never_the_key(
    fake: FakeStripe, stripe: Stripe, status: int, error: dict[str, Any], raised: type[Exception]
) -> None:
    fake.fails_with = (status, error)
    with pytest.raises(raised) as caught:
        stripe.ask(replace(QUESTION, payment="pi_1"))
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("raw", [b"", b"<html>Bad gateway</html>", b"[]", b'{"id": "pi_1", "status": 7}', b"{}"])
def test_an_answer_of_another_shape_is_no_answer(fake: FakeStripe, stripe: Stripe, raw: bytes) -> None:
    fake.raw = raw
    with pytest.raises(ProviderDown):
        stripe.ask(replace(QUESTION, payment="pi_1"))


def test_stripe_out_of_reach_is_no_answer(fake: FakeStripe) -> None:
    with pytest.raises(ProviderDown):
        Stripe(fake.config | {"api_url": "http://127.0.0.1:1"}).ask(QUESTION)


def test_a_stripe_that_hangs_is_given_up(fake: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_of_clients, "TIMEOUT_SECONDS", (1.0, 0.2))
    fake.hangs.set()
    began = time.monotonic()
    with pytest.raises(ProviderDown):
        Stripe(fake.config).ask(QUESTION)
    assert time.monotonic() - began < 2


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ProviderRefused, match="secret_key"):
        Stripe({})


def test_the_same_key_makes_one_page(fake: FakeStripe, stripe: Stripe) -> None:
    first, again = (
        stripe.link(bill()),
        stripe.link(replace(bill(), expires_at=bill().expires_at.replace(microsecond=0))),
    )
    assert first.id == again.id
    assert len(fake.sessions) == 1
    session = fake.sessions[first.id]
    assert (session["amount_total"], session["currency"], session["client_reference_id"]) == (124900, "zar", "D-1001")


def test_the_same_key_for_another_amount_is_refused(fake: FakeStripe, stripe: Stripe) -> None:
    wanted = bill()
    stripe.link(wanted)
    with pytest.raises(ProviderRefused, match="idempotency"):
        stripe.link(replace(wanted, money=Money(1, "ZAR")))


@pytest.mark.parametrize("lives", [timedelta(minutes=1), timedelta(days=20)])
def test_a_page_lives_as_long_as_stripe_allows(stripe: Stripe, lives: timedelta) -> None:
    until = stripe.link(bill(expires_at=clock.now() + lives)).until
    assert timedelta(minutes=30) < until - clock.now() < timedelta(hours=24)


def test_an_amount_that_stripe_does_not_take_is_refused(stripe: Stripe) -> None:
    with pytest.raises(ProviderRefused, match="amount_too_small"):
        stripe.link(bill(money=Money(10, "ZAR")))


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("", ChargeState.NOT_CHARGED),
        ("pay", ChargeState.CHARGED),
        ("process", ChargeState.UNKNOWN),
        ("voucher", ChargeState.UNKNOWN),
        ("decline", ChargeState.NOT_CHARGED),
    ],
)
def test_what_became_of_a_page(fake: FakeStripe, stripe: Stripe, answer: str, state: ChargeState) -> None:
    page = stripe.link(bill())
    if answer:
        press(page, answer)
    found = stripe.link_state(page.id)
    assert found.state is state
    if state is ChargeState.CHARGED:
        # The same name as when the order is asked about, else one payment would look like two.
        assert found.payment == stripe.ask(QUESTION).payment
        assert found.money == ZAR


def test_a_page_that_was_closed_takes_nothing(fake: FakeStripe, stripe: Stripe) -> None:
    page = stripe.link(bill())
    stripe.revoke(page.id)
    stripe.revoke(page.id)
    assert b"This page is closed" in urllib3.request("GET", page.url).data
    assert stripe.link_state(page.id).state is ChargeState.NOT_CHARGED
    assert stripe.ask(replace(QUESTION, payment=page.id)).state is ChargeState.NOT_CHARGED


def test_a_page_that_was_paid_stays_paid_when_it_is_closed(fake: FakeStripe, stripe: Stripe) -> None:
    page = stripe.link(bill())
    press(page, "pay")
    stripe.revoke(page.id)
    assert stripe.link_state(page.id).state is ChargeState.CHARGED


@pytest.mark.parametrize("answer", ["process", "voucher"])
def test_a_page_on_which_a_payment_was_begun_that_can_still_succeed_is_not_said_to_be_closed(
    fake: FakeStripe, stripe: Stripe, answer: str
) -> None:
    page = stripe.link(bill())
    press(page, answer)
    with pytest.raises(ProviderDown, match="can still be paid"):
        stripe.revoke(page.id)
    assert stripe.link_state(page.id).state is ChargeState.UNKNOWN


@pytest.mark.parametrize("kind", [None, "redirect_to_url"])
def test_a_page_that_is_complete_and_unpaid_is_not_known_whatever_its_payment_waits_for(
    fake: FakeStripe, stripe: Stripe, kind: str | None
) -> None:
    page = stripe.link(bill())
    press(page, "voucher")
    (intent,) = fake.intents.values()
    intent["next_action"] = next_action(kind) if kind else None
    assert stripe.link_state(page.id).state is ChargeState.UNKNOWN
    assert stripe.ask(Question("D-1001", page.id)).state is ChargeState.UNKNOWN


@pytest.mark.parametrize("status", ["requires_payment_method", "canceled"])
def test_a_page_whose_voucher_has_run_out_is_closed_and_took_nothing(
    fake: FakeStripe, stripe: Stripe, status: str
) -> None:
    page = stripe.link(bill())
    press(page, "voucher")
    (intent,) = fake.intents.values()
    intent |= {"status": status, "next_action": None}
    stripe.revoke(page.id)
    assert stripe.link_state(page.id).state is ChargeState.NOT_CHARGED


def test_a_page_that_stripe_does_not_know_is_unknown(stripe: Stripe) -> None:
    assert stripe.link_state("cs_test_other").state is ChargeState.UNKNOWN


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Money(500, "JPY"), 500), (Money(1999, "EUR"), 1999), (Money(1500, "KWD"), 1500), (Money(700, "ISK"), 70_000)],
)
def test_amounts_are_in_stripes_smallest_unit(ours: Money, theirs: int) -> None:
    assert shapes.amount_for(ours) == theirs
    assert shapes.money_of(theirs, ours.currency.lower()) == ours


def one(stripe: Stripe, signed: tuple[dict[str, str], bytes]) -> Happened:
    (happened,) = stripe.webhook(*signed)
    return happened


def test_a_webhook_of_a_payment_tells_what_happened(fake: FakeStripe, stripe: Stripe) -> None:
    intent = fake.intent("succeeded")
    told = one(stripe, fake.event("payment_intent.succeeded", intent | {"latest_charge": "ch_1"}))
    assert (told.kind, told.order, told.payment) == ("payment", "D-1001", intent["id"])
    assert (told.state, told.money) == (ChargeState.CHARGED, ZAR)
    assert told.key.startswith("evt_")


def test_a_webhook_of_a_failed_payment_tells_the_code(fake: FakeStripe, stripe: Stripe) -> None:
    intent = fake.intent("requires_payment_method", last_payment_error=card_error("expired_card"))
    told = one(stripe, fake.event("payment_intent.payment_failed", intent))
    assert (told.state, told.code) == (ChargeState.NOT_CHARGED, "expired_card")


@pytest.mark.parametrize(
    ("kind", "payment_status", "state"),
    [
        ("checkout.session.completed", "paid", ChargeState.CHARGED),
        ("checkout.session.completed", "unpaid", ChargeState.UNKNOWN),
        ("checkout.session.async_payment_succeeded", "paid", ChargeState.CHARGED),
        ("checkout.session.async_payment_failed", "unpaid", ChargeState.NOT_CHARGED),
        ("checkout.session.expired", "unpaid", None),
    ],
)
def test_a_webhook_of_a_page_tells_what_became_of_it(
    fake: FakeStripe, stripe: Stripe, kind: str, payment_status: str, state: ChargeState | None
) -> None:
    page = stripe.link(bill())
    session = fake.sessions[page.id] | {"payment_status": payment_status, "payment_intent": "pi_9"}
    told = one(stripe, fake.event(kind, session))
    assert (told.kind, told.order, told.payment, told.state) == ("link", "D-1001", "pi_9", state)


def test_an_early_fraud_warning_tells_what_kind_of_fraud(fake: FakeStripe, stripe: Stripe) -> None:
    warning = {"id": "issfr_1", "payment_intent": "pi_9", "fraud_type": "made_with_stolen_card"}
    assert one(stripe, fake.event("radar.early_fraud_warning.created", warning)).code == "made_with_stolen_card"


def test_a_dispute_tells_its_deadline(fake: FakeStripe, stripe: Stripe) -> None:
    due_by = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())
    dispute = {"id": "dp_1", "amount": 124900, "currency": "zar", "payment_intent": "pi_9", "reason": "fraudulent"}
    told = one(stripe, fake.event("charge.dispute.created", dispute | {"evidence_details": {"due_by": due_by}}))
    assert (told.kind, told.payment, told.state, told.code) == ("dispute", "pi_9", None, "fraudulent")
    assert told.detail == "Answer by 2026-12-01 12:00 UTC."


@pytest.mark.parametrize(
    ("kind", "ours"),
    [("review.opened", "dispute"), ("radar.early_fraud_warning.created", "dispute"), ("charge.refunded", "refund")],
)
def test_other_events_about_money_are_kept(fake: FakeStripe, stripe: Stripe, kind: str, ours: str) -> None:
    assert one(stripe, fake.event(kind, {"id": "x_1", "payment_intent": "pi_9"})).kind == ours


def test_events_that_are_not_about_money_are_passed_over(fake: FakeStripe, stripe: Stripe) -> None:
    assert stripe.webhook(*fake.event("customer.created", {"id": "cus_1"})) == []


def test_a_webhook_that_is_forged_changed_or_old_is_refused(fake: FakeStripe, stripe: Stripe) -> None:
    headers, body = fake.event("payment_intent.succeeded", fake.intent("succeeded"))
    now = int(time.time())
    for wrong in (
        {},
        {"stripe-signature": "t=1,v1=00"},
        {"stripe-signature": signature(body, now, "whsec_other")},
        {"stripe-signature": signature(body, now - 400)},
    ):
        with pytest.raises(WebhookRefused):
            stripe.webhook(wrong, body)
    with pytest.raises(WebhookRefused):
        stripe.webhook(headers, body.replace(b"124900", b"1249"))


def test_a_signed_body_of_another_shape_is_refused(stripe: Stripe) -> None:
    for body in (b"", b"null", b"[]", b'{"object": "event", "type": "payment_intent.succeeded"}', b"\xff\xfe"):
        with pytest.raises(WebhookRefused):
            stripe.webhook({"stripe-signature": signature(body, int(time.time()))}, body)


def test_two_webhook_secrets_may_hold_while_one_is_changed(fake: FakeStripe) -> None:
    both = Stripe(fake.config | {"webhook_secret": ["whsec_new", fake.config["webhook_secret"]]})
    assert both.webhook(*fake.event("payment_intent.succeeded", fake.intent("succeeded")))


def test_an_answer_without_trouble_advises_nothing() -> None:
    answer: Answer = shapes.of_intent({"id": "pi_1", "status": "succeeded", "amount": 1, "currency": "eur"})
    assert (answer.retry, answer.code) == (None, None)
