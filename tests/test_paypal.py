"""The adapter of PayPal against a server that speaks its wire format, and misbehaves on demand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.providers.fake_paypal import ID, SECRET, WEBHOOK_ID, FakePayPal, capture, event, headers_for
from tests.providers.loopback import Told
from tests.providers.wrongs import TROUBLES, bill, told_by
from widget import clock
from widget.money import Money
from widget.providers import (
    Answer,
    ChargeState,
    GivenUp,
    Happened,
    Paid,
    ProviderDown,
    ProviderRefused,
    Question,
    Retry,
    WebhookRefused,
    adapter_for,
    sessions,
)
from widget.providers.answers import NOT_ASKABLE
from widget.providers.paypal import PayPal

FIRST, SECOND = "3C679366HH0000001", "3C679366HH0000002"
HOLD = "0AW2184448108334S"
EURO = Money(1250, "EUR")
SETTINGS = {"client_id": ID, "client_secret": SECRET, "webhook_id": WEBHOOK_ID}


@pytest.fixture
def paypal(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePayPal]:
    monkeypatch.setattr(sessions, "TIMEOUT_SECONDS", (1.0, 0.3))
    fake = FakePayPal()
    yield fake
    fake.stop()


def adapter(fake: FakePayPal, **settings: Any) -> PayPal:
    return PayPal(SETTINGS | {"api_url": fake.url} | settings)


def asked(fake: FakePayPal, payment: str | None, *heard: Happened) -> Answer:
    return adapter(fake).ask(Question("D-1001", payment, heard=heard))


def heard(fake: FakePayPal, kind: str, resource: dict[str, Any], **settings: Any) -> Happened:
    raw = event(kind, resource)
    return adapter(fake, **settings).webhook(headers_for(raw), raw)[0]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", ChargeState.NOT_CHARGED),
        ("SAVED", ChargeState.NOT_CHARGED),
        ("PAYER_ACTION_REQUIRED", ChargeState.NOT_CHARGED),
        ("VOIDED", ChargeState.NOT_CHARGED),
        ("COMPLETED", ChargeState.UNKNOWN),
        ("SOMETHING_NEW", ChargeState.UNKNOWN),
    ],
)
def test_each_status_of_an_order_without_payment_means_what_paypal_says(
    paypal: FakePayPal, status: str, state: ChargeState
) -> None:
    assert asked(paypal, paypal.has(1, status)).state is state


@pytest.mark.parametrize(
    ("status", "state", "is_reversed"),
    [
        ("COMPLETED", ChargeState.CHARGED, False),
        ("PARTIALLY_REFUNDED", ChargeState.CHARGED, False),
        ("REFUNDED", ChargeState.NOT_CHARGED, True),
        ("PENDING", ChargeState.UNKNOWN, False),
        ("DECLINED", ChargeState.NOT_CHARGED, False),
        ("FAILED", ChargeState.NOT_CHARGED, False),
        ("SOMETHING_NEW", ChargeState.UNKNOWN, False),
    ],
)
def test_each_status_of_a_capture_means_what_paypal_says(
    paypal: FakePayPal, status: str, state: ChargeState, is_reversed: bool
) -> None:
    by_order = asked(paypal, paypal.has(1, "COMPLETED", capture(FIRST, status)))
    assert (by_order.state, by_order.is_reversed) == (state, is_reversed)
    assert (by_order.payment, by_order.money) == (FIRST, EURO)
    assert asked(paypal, FIRST) == by_order


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", ChargeState.HELD),
        ("VOIDED", ChargeState.NOT_CHARGED),
        ("DENIED", ChargeState.NOT_CHARGED),
        ("PENDING", ChargeState.UNKNOWN),
    ],
)
def test_what_is_authorised_is_held(paypal: FakePayPal, status: str, state: ChargeState) -> None:
    order = paypal.has(1, "COMPLETED")
    paypal.orders[order]["purchase_units"][0]["payments"] = {"authorizations": [capture(FIRST, status)]}
    assert asked(paypal, order).state is state


def test_what_was_just_approved_may_be_captured_by_the_shop_any_moment(paypal: FakePayPal) -> None:
    just_now = (clock.now() - timedelta(minutes=1)).isoformat()
    assert asked(paypal, paypal.has(1, "APPROVED", update_time=just_now)).state is ChargeState.UNKNOWN
    assert asked(paypal, paypal.has(2, "APPROVED", create_time=None)).state is ChargeState.UNKNOWN
    long_ago = (clock.now() - timedelta(minutes=20)).isoformat()
    assert asked(paypal, paypal.has(3, "APPROVED", update_time=long_ago)).state is ChargeState.NOT_CHARGED


def test_a_decline_tells_why_and_what_paypal_advises(paypal: FakePayPal) -> None:
    processor = {"avs_code": "A", "response_code": "5120", "payment_advice_code": "03"}
    answer = asked(paypal, paypal.has(1, "COMPLETED", capture(FIRST, "DECLINED", processor_response=processor)))
    assert (answer.code, answer.retry) == ("5120", Retry.NEVER)


def test_the_parts_of_one_order_are_one_payment(paypal: FakePayPal) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"), capture(SECOND, "COMPLETED"))
    answer = asked(paypal, order)
    assert (answer.money, answer.charged) == (Money(2500, "EUR"), ())


def authorised(fake: FakePayPal, authorisation: str, *captures: dict[str, Any]) -> str:
    """An order that was authorised for its 12.50, with what was captured of it since."""
    order = fake.has(1, "COMPLETED", *captures, intent="AUTHORIZE")
    related = {"supplementary_data": {"related_ids": {"order_id": order}}}
    for each in captures:
        each |= related
    fake.payments[HOLD] = capture(HOLD, authorisation) | related
    del fake.payments[HOLD]["final_capture"]
    fake.orders[order]["purchase_units"][0].setdefault("payments", {})["authorizations"] = [fake.payments[HOLD]]
    return order


def part_of(payment: str, value: str, status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
    return capture(payment, status, amount={"currency_code": "EUR", "value": value}, final_capture=False) | fields


@pytest.mark.parametrize("asked_by", ["order", FIRST, HOLD])
def test_what_is_captured_in_parts_is_not_missing(paypal: FakePayPal, asked_by: str) -> None:
    order = authorised(paypal, "PARTIALLY_CAPTURED", part_of(FIRST, "4.00"), part_of(SECOND, "3.00"))
    answer = asked(paypal, order if asked_by == "order" else asked_by)
    assert (answer.state, answer.money, answer.payment) == (ChargeState.CHARGED, EURO, FIRST)


def test_what_is_captured_in_parts_is_one_payment_under_all_its_names(paypal: FakePayPal) -> None:
    order = authorised(paypal, "PARTIALLY_CAPTURED", part_of(FIRST, "4.00"))
    told = heard(paypal, "PAYMENT.CAPTURE.COMPLETED", paypal.payments[FIRST])
    held = heard(paypal, "PAYMENT.AUTHORIZATION.CREATED", paypal.payments[HOLD])
    for payment in (order, FIRST, HOLD):
        answer = asked(paypal, payment, held, told)
        assert (answer.money, answer.charged) == (EURO, ())


@pytest.mark.parametrize("authorisation", ["VOIDED", "PARTIALLY_CAPTURED"])
def test_once_the_rest_is_let_go_a_part_is_all_that_was_taken(paypal: FakePayPal, authorisation: str) -> None:
    is_last = authorisation == "PARTIALLY_CAPTURED"
    order = authorised(paypal, authorisation, part_of(FIRST, "4.00", final_capture=is_last))
    answer = asked(paypal, order)
    assert (answer.state, answer.money) == (ChargeState.CHARGED, Money(400, "EUR"))


@pytest.mark.parametrize(
    ("capture_status", "authorisation", "minor"),
    [("DECLINED", "CREATED", 1250), ("REFUNDED", "PARTIALLY_CAPTURED", 850)],
)
def test_what_an_authorisation_still_holds_is_held_though_its_capture_took_nothing(
    paypal: FakePayPal, capture_status: str, authorisation: str, minor: int
) -> None:
    answer = asked(paypal, authorised(paypal, authorisation, part_of(FIRST, "4.00", capture_status)))
    assert (answer.state, answer.money, answer.payment) == (ChargeState.HELD, Money(minor, "EUR"), HOLD)


def test_a_part_that_is_pending_leaves_it_open(paypal: FakePayPal) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"), capture(SECOND, "PENDING"))
    assert asked(paypal, order).state is ChargeState.UNKNOWN


@pytest.mark.parametrize(("value", "currency", "minor"), [("500", "JPY", 500), ("1000", "HUF", 100000)])
def test_amounts_have_the_decimals_that_paypal_gives_them(
    paypal: FakePayPal, value: str, currency: str, minor: int
) -> None:
    amount = {"value": value, "currency_code": currency}
    assert asked(paypal, paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED", amount=amount))).money == Money(
        minor, currency
    )
    adapter(paypal).link(bill(Money(minor, currency)))
    assert paypal.asked[-1].json["purchase_units"][0]["amount"] == amount


def test_an_amount_that_paypal_cannot_take_is_refused_not_rounded(paypal: FakePayPal) -> None:
    with pytest.raises(ProviderRefused):
        adapter(paypal).link(bill(Money(100050, "HUF")))


def test_without_any_id_nothing_is_known(paypal: FakePayPal) -> None:
    for payment in (None, "pi_of_another_provider"):
        assert asked(paypal, payment).state is ChargeState.UNKNOWN


def test_an_id_that_paypal_does_not_know_excludes_nothing(paypal: FakePayPal) -> None:
    declined = heard(paypal, "PAYMENT.CAPTURE.DENIED", capture(FIRST, "DECLINED"))
    paypal.has(1, "COMPLETED", capture(FIRST, "DECLINED"))
    assert asked(paypal, "5O190127TN0000099", declined).state is ChargeState.UNKNOWN


def test_another_charged_payment_that_a_webhook_told_of_wins(paypal: FakePayPal) -> None:
    declined = paypal.has(1, "COMPLETED", capture(FIRST, "DECLINED"))
    paypal.has(2, "COMPLETED", capture(SECOND, "COMPLETED"))
    told = heard(paypal, "PAYMENT.CAPTURE.COMPLETED", capture(SECOND, "COMPLETED"))
    assert asked(paypal, declined, told).payment == SECOND


def test_an_order_of_which_nothing_is_known_is_told_apart_from_one_that_is_in_doubt(paypal: FakePayPal) -> None:
    assert asked(paypal, None).status == NOT_ASKABLE
    assert asked(paypal, "5O190127TN0000099").status == NOT_ASKABLE
    told = heard(paypal, "PAYMENT.CAPTURE.PENDING", capture(FIRST, "PENDING"))
    assert asked(paypal, None, told).status is None


def test_two_charged_payments_of_one_order_are_both_named(paypal: FakePayPal) -> None:
    first = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"))
    paypal.has(2, "COMPLETED", capture(SECOND, "COMPLETED"))
    told = heard(paypal, "PAYMENT.CAPTURE.COMPLETED", capture(SECOND, "COMPLETED"))
    assert asked(paypal, first, told).charged == (Paid(FIRST, EURO), Paid(SECOND, EURO))


def test_what_a_webhook_told_is_asked_afresh(paypal: FakePayPal) -> None:
    told = heard(paypal, "PAYMENT.CAPTURE.PENDING", capture(FIRST, "PENDING"))
    paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"))
    assert asked(paypal, None, told).state is ChargeState.CHARGED


def test_a_charged_payment_is_believed_though_the_next_question_fails(
    paypal: FakePayPal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = heard(paypal, "PAYMENT.CAPTURE.PENDING", capture(SECOND, "PENDING"))
    answer, order = paypal._told, paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"))
    monkeypatch.setattr(paypal, "_told", lambda each: paypal.error(500) if SECOND in each.path else answer(each))
    assert asked(paypal, order, told).payment == FIRST
    paypal.has(1, "COMPLETED", capture(FIRST, "DECLINED"))
    with pytest.raises(ProviderDown):
        asked(paypal, order, told)


@pytest.mark.parametrize(
    ("status", "hours_old", "left"),
    [
        ("CREATED", 1, GivenUp.CUSTOMER),
        ("SAVED", 1, GivenUp.CUSTOMER),
        ("PAYER_ACTION_REQUIRED", 1, GivenUp.CUSTOMER),
        ("APPROVED", 0, GivenUp.MOVING),
        ("APPROVED", 20, GivenUp.CUSTOMER),
        ("CREATED", 73, GivenUp.GONE),
        ("VOIDED", 1, GivenUp.GONE),
    ],
)
def test_an_order_that_may_still_be_approved_or_captured_cannot_be_given_up(
    paypal: FakePayPal, status: str, hours_old: int, left: GivenUp
) -> None:
    made_at = (clock.now() - timedelta(hours=hours_old)).isoformat()
    order = paypal.has(1, status, create_time=made_at, update_time=made_at)
    assert adapter(paypal).give_up(Question("D-1001", order)) is left
    assert asked(paypal, order).waits is (left is GivenUp.CUSTOMER)
    assert adapter(paypal).give_up(Question("D-1001", None)) is GivenUp.GONE


@pytest.mark.parametrize(
    ("status", "left", "waits"),
    [
        ("COMPLETED", GivenUp.GONE, False),
        ("PENDING", GivenUp.MOVING, False),
        ("DECLINED", GivenUp.CUSTOMER, True),
    ],
)
def test_what_became_of_a_capture_says_what_is_left_of_an_approved_order(
    paypal: FakePayPal, status: str, left: GivenUp, waits: bool
) -> None:
    just_now = (clock.now() - timedelta(minutes=1)).isoformat()
    order = paypal.has(1, "APPROVED", capture(FIRST, status), create_time=just_now)
    assert adapter(paypal).give_up(Question("D-1001", order)) is left
    assert asked(paypal, order).waits is waits


def test_a_page_that_was_loaded_anew_after_a_refusal_is_told_of_it(paypal: FakePayPal) -> None:
    declined = paypal.has(1, "COMPLETED", capture(FIRST, "DECLINED"))
    question = Question("D-1001", None, payments=(declined,))
    assert adapter(paypal).ask(question).state is ChargeState.NOT_CHARGED
    unknown = replace(question, payments=(declined, "5O190127TN0000099"))
    assert adapter(paypal).ask(unknown).state is ChargeState.UNKNOWN


def test_when_it_was_captured_counts_and_not_when_the_window_was_opened(paypal: FakePayPal) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED", create_time="2026-11-21T10:30:00Z"))
    for each in (order, FIRST):
        taken_at = asked(paypal, each).taken_at
        assert taken_at is not None
        assert taken_at.isoformat() == "2026-11-21T10:30:00+00:00"


# What an order of PayPal names.


@pytest.mark.parametrize("state", ["COMPLETED", "DECLINED"])
def test_another_text_in_a_customary_place_proves_nothing_but_does_not_hide_what_the_page_names(
    paypal: FakePayPal, state: str
) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, state))
    paypal.orders[order]["purchase_units"][0] |= {"custom_id": None, "invoice_id": "WC-D-1001"}
    answer = asked(paypal, order)
    assert answer.state is (ChargeState.CHARGED if state == "COMPLETED" else ChargeState.NOT_CHARGED)
    assert (answer.is_proven, answer.names) == (False, "WC-D-1001")


def test_another_text_where_the_shop_says_that_the_number_stands_is_another_order(paypal: FakePayPal) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED"))
    paypal.orders[order]["purchase_units"][0]["invoice_id"] = "WC-D-7"
    question = Question("D-1001", order)
    assert adapter(paypal).ask(question).is_proven
    assert adapter(paypal, order_field="invoice_id").ask(question).state is ChargeState.UNKNOWN


def test_what_only_a_webhook_has_told_of_may_not_name_anything_else(paypal: FakePayPal) -> None:
    paid = capture(FIRST, "COMPLETED", custom_id="cart-77")
    told = heard(paypal, "PAYMENT.CAPTURE.COMPLETED", paid)
    paypal.payments[FIRST] = paid
    assert asked(paypal, None, told).state is ChargeState.UNKNOWN
    assert asked(paypal, FIRST, told).state is ChargeState.CHARGED


def test_a_dispute_tells_what_it_is_about_and_by_when_to_answer(paypal: FakePayPal) -> None:
    dispute = {
        "dispute_id": "PP-D-27803",
        "disputed_transactions": [{"seller_transaction_id": FIRST, "custom": "D-1001"}],
        "dispute_amount": {"currency_code": "EUR", "value": "12.50"},
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "seller_response_due_date": "2026-12-01T08:00:00.000Z",
    }
    told = heard(paypal, "CUSTOMER.DISPUTE.CREATED", dispute)
    assert (told.kind, told.order, told.payment, told.money) == ("dispute", "D-1001", FIRST, EURO)
    assert (told.code, told.detail) == ("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "Answer by 2026-12-01 08:00 UTC.")


def test_one_token_serves_until_it_expires(paypal: FakePayPal) -> None:
    order = paypal.has(1, "CREATED")
    for _ in range(3):
        asked(paypal, order)
    assert len(paypal.tokens) == 1


def test_a_token_that_is_about_to_expire_is_fetched_anew(paypal: FakePayPal) -> None:
    paypal.lives_seconds = 30
    order = paypal.has(1, "CREATED")
    for _ in range(2):
        asked(paypal, order)
    assert len(paypal.tokens) == 2


def test_a_token_that_was_taken_back_is_fetched_anew_once(paypal: FakePayPal) -> None:
    order = paypal.has(1, "CREATED")
    asked(paypal, order)
    paypal.tokens[:] = ["another"]
    assert asked(paypal, order).state is ChargeState.NOT_CHARGED


def test_a_token_that_never_works_is_not_fetched_for_ever(paypal: FakePayPal, monkeypatch: pytest.MonkeyPatch) -> None:
    order = paypal.has(1, "CREATED")
    monkeypatch.setattr(paypal, "_told", lambda _: paypal.error(401))
    with pytest.raises(ProviderRefused):
        asked(paypal, order)
    assert len(paypal.tokens) == 2


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("has_token", [True, False])
def test_an_answer_that_is_none_leaves_it_open(paypal: FakePayPal, trouble: str, has_token: bool) -> None:
    order = paypal.has(1, "CREATED")
    if has_token:
        asked(paypal, order)
    paypal.trouble = trouble
    before = len(paypal.asked)
    with pytest.raises(ProviderDown):
        asked(paypal, order)
    assert (len(paypal.asked) - before, paypal.was_followed) == (1, False)
    paypal.trouble = None
    assert asked(paypal, order).state is ChargeState.NOT_CHARGED


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": None},
        {"amount": {"value": 12.5, "currency_code": "EUR"}},
        {"status": None},
        {"status": ["COMPLETED"]},
    ],
)
def test_a_field_of_another_shape_is_no_answer(paypal: FakePayPal, wrong: dict[str, Any]) -> None:
    order = paypal.has(1, "COMPLETED", capture(FIRST, "COMPLETED") | wrong)
    with pytest.raises(ProviderDown):
        asked(paypal, order)


@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_that_names_an_object_never_reaches_the_client(
    paypal: FakePayPal, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The client would make it, with whatever its making does."""
    order = paypal.has(1, "CREATED")
    asked(paypal, order)
    evil = {"id": order, "deep": [{"py/reduce": [{"py/function": "builtins.print"}, {"py/tuple": ["made"]}]}]}
    monkeypatch.setattr(paypal, "answer", lambda _: Told(status, evil))
    with pytest.raises(ProviderDown):
        asked(paypal, order)


def test_a_wrong_secret_is_the_shops_to_mend(paypal: FakePayPal) -> None:
    with pytest.raises(ProviderRefused):
        adapter(paypal, client_secret="wrong").ask(Question("D-1001", paypal.has(1, "CREATED")))


def test_no_secret_is_in_an_exception_or_a_log(paypal: FakePayPal, caplog: pytest.LogCaptureFixture) -> None:
    order = paypal.has(1, "CREATED")
    for trouble, expected in (("401", ProviderRefused), ("500", ProviderDown), ("422", ProviderRefused)):
        paypal.trouble = None
        asked(paypal, order)
        paypal.trouble = trouble
        shown = told_by(lambda: asked(paypal, order), expected, caplog)
        assert not any(secret in shown for secret in (SECRET, *paypal.tokens))


def test_a_link_takes_the_amount_for_the_order_and_comes_back(paypal: FakePayPal) -> None:
    hosted = adapter(paypal).link(bill(locale="fr"))
    sent = paypal.asked[-1].json
    page = sent["payment_source"]["paypal"]["experience_context"]
    assert (sent["intent"], sent["purchase_units"][0]["custom_id"]) == ("CAPTURE", "D-1001")
    assert (page["return_url"], page["cancel_url"]) == ("https://help.example/pay/T/back", "https://help.example/pay/T")
    assert (page["locale"], page["brand_name"]) == ("fr-FR", "Demo & Sons")
    assert hosted.url.endswith(hosted.id)
    assert hosted.until <= clock.now() + timedelta(hours=3)


@pytest.mark.parametrize("key", ["unjam:demo:D-1001:abc", "unjam:demo:Zürich\n" + "9" * 300 + ":abc"])
def test_the_same_key_gives_the_same_page_again(paypal: FakePayPal, key: str) -> None:
    assert adapter(paypal).link(bill(key=key)).url == adapter(paypal).link(bill(key=key)).url
    assert adapter(paypal).link(bill(key=key + "d")).id != adapter(paypal).link(bill(key=key)).id


def approved(fake: FakePayPal) -> str:
    hosted = adapter(fake).link(bill())
    fake.orders[hosted.id]["status"] = "APPROVED"
    return hosted.id


def captures(fake: FakePayPal) -> int:
    return sum(each.path.endswith("/capture") for each in fake.asked)


def test_nothing_is_taken_before_the_customer_approves(paypal: FakePayPal) -> None:
    hosted = adapter(paypal).link(bill())
    assert adapter(paypal).link_state(hosted.id).state is ChargeState.NOT_CHARGED
    assert captures(paypal) == 0


def test_what_the_customer_approved_is_taken_once(paypal: FakePayPal) -> None:
    link = approved(paypal)
    first, again = (adapter(paypal).link_state(link) for _ in range(2))
    assert (first.state, first.money) == (ChargeState.CHARGED, EURO)
    assert first.payment == again.payment == asked(paypal, link).payment
    assert captures(paypal) == 1


def test_a_capture_whose_answer_was_lost_is_found_and_not_repeated(paypal: FakePayPal) -> None:
    link = approved(paypal)
    paypal.loses = True
    with pytest.raises(ProviderDown):
        adapter(paypal).link_state(link)
    assert adapter(paypal).link_state(link).state is ChargeState.CHARGED
    assert captures(paypal) == 1


def test_two_who_capture_at_once_see_one_payment(paypal: FakePayPal, monkeypatch: pytest.MonkeyPatch) -> None:
    link = approved(paypal)
    seen = json.loads(json.dumps(paypal.orders[link]))
    adapter(paypal).link_state(link)
    paypal.by_key.clear()
    assert adapter(paypal)._captured(link, seen).state is ChargeState.CHARGED


def test_a_capture_that_is_declined_took_nothing(paypal: FakePayPal) -> None:
    link = approved(paypal)
    paypal.declines = "INSTRUMENT_DECLINED"
    answer = adapter(paypal).link_state(link)
    assert (answer.state, answer.code) == (ChargeState.NOT_CHARGED, "INSTRUMENT_DECLINED")


def test_a_link_that_is_revoked_takes_nothing_though_the_customer_approves(paypal: FakePayPal) -> None:
    hosted = adapter(paypal).link(bill())
    for _ in range(2):
        adapter(paypal).revoke(hosted.id)
    paypal.orders[hosted.id] |= {"status": "APPROVED", "update_time": clock.now().isoformat()}
    assert adapter(paypal).link_state(hosted.id).state is ChargeState.NOT_CHARGED
    assert asked(paypal, hosted.id).state is ChargeState.NOT_CHARGED
    assert captures(paypal) == 0


def test_a_link_that_was_paid_stays_paid(paypal: FakePayPal) -> None:
    link = approved(paypal)
    adapter(paypal).link_state(link)
    adapter(paypal).revoke(link)
    assert adapter(paypal).link_state(link).state is ChargeState.CHARGED


def test_a_link_that_paypal_has_forgotten_took_nothing(paypal: FakePayPal) -> None:
    hosted = adapter(paypal).link(bill())
    paypal.orders.clear()
    adapter(paypal).revoke(hosted.id)
    assert adapter(paypal).link_state(hosted.id).state is ChargeState.NOT_CHARGED
    with pytest.raises(ProviderRefused):
        adapter(paypal).link_state("../captures")


def test_a_webhook_is_verified_and_reduced_to_what_concerns_the_money(paypal: FakePayPal) -> None:
    happened = heard(paypal, "PAYMENT.CAPTURE.COMPLETED", capture(FIRST, "COMPLETED", payee={"email": "x@y.example"}))
    assert (happened.kind, happened.order, happened.payment) == ("payment", "D-1001", FIRST)
    assert (happened.state, happened.money) == (ChargeState.CHARGED, EURO)
    assert happened.happened_at.isoformat() == "2026-11-21T09:00:00+00:00"
    assert "x@y" not in repr(happened)


@pytest.mark.parametrize(
    ("kind", "resource", "told", "payment", "state"),
    [
        ("PAYMENT.CAPTURE.DENIED", capture(FIRST, "DECLINED"), "payment", FIRST, ChargeState.NOT_CHARGED),
        ("PAYMENT.CAPTURE.PENDING", capture(FIRST, "PENDING"), "payment", FIRST, ChargeState.UNKNOWN),
        ("PAYMENT.AUTHORIZATION.CREATED", capture(FIRST, "CREATED"), "payment", FIRST, ChargeState.HELD),
        (
            "PAYMENT.CAPTURE.REFUNDED",
            capture("1Y107995YT783435V", "COMPLETED", links=[{"rel": "up", "href": f"https://x/v2/captures/{FIRST}"}]),
            "refund",
            FIRST,
            None,
        ),
        (
            "CHECKOUT.ORDER.APPROVED",
            {"id": "5O190127TN0000001", "status": "APPROVED", "purchase_units": [{"custom_id": "D-1001"}]},
            "link",
            "5O190127TN0000001",
            None,
        ),
        (
            "CUSTOMER.DISPUTE.CREATED",
            {"disputed_transactions": [{"seller_transaction_id": FIRST, "custom": "D-1001"}]},
            "dispute",
            FIRST,
            None,
        ),
    ],
)
def test_each_webhook_means_what_paypal_says(
    paypal: FakePayPal, kind: str, resource: dict[str, Any], told: str, payment: str, state: ChargeState | None
) -> None:
    happened = heard(paypal, kind, resource)
    assert (happened.kind, happened.payment, happened.state, happened.order) == (told, payment, state, "D-1001")


def test_the_shop_says_where_its_reference_is(paypal: FakePayPal) -> None:
    resource = capture(FIRST, "COMPLETED", custom_id="cart-77", invoice_id="D-1001")
    assert heard(paypal, "PAYMENT.CAPTURE.COMPLETED", resource).order == "cart-77"
    assert heard(paypal, "PAYMENT.CAPTURE.COMPLETED", resource, order_field="invoice_id").order == "D-1001"


def test_what_concerns_no_payment_is_left_out(paypal: FakePayPal) -> None:
    raw = event("BILLING.SUBSCRIPTION.CREATED", {})
    assert adapter(paypal).webhook(headers_for(raw), raw) == []


def test_a_repeated_webhook_has_the_same_key(paypal: FakePayPal) -> None:
    keys = {heard(paypal, "PAYMENT.CAPTURE.COMPLETED", capture(FIRST, "COMPLETED")).key for _ in range(2)}
    assert len(keys) == 1


def test_a_forged_or_changed_webhook_is_refused(paypal: FakePayPal) -> None:
    raw = event("PAYMENT.CAPTURE.COMPLETED", capture(FIRST, "COMPLETED"))
    good = headers_for(raw)
    wrong_headers = [{}, good | {"paypal-transmission-sig": "x"}, good | {"paypal-transmission-time": "2027"}]
    wrong = [(headers, raw) for headers in wrong_headers] + [(good, raw.replace(b"D-1001", b"D-6666"))]
    for headers, body in wrong:
        with pytest.raises(WebhookRefused):
            adapter(paypal).webhook(headers, body)
    with pytest.raises(WebhookRefused):
        adapter(paypal, webhook_id="of another shop").webhook(good, raw)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"id":"a"},"webhook_id":"b"']
)
def test_what_is_no_webhook_of_paypal_is_refused_unasked(paypal: FakePayPal, body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        adapter(paypal).webhook(headers_for(body), body)
    assert paypal.asked == []


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_webhook_that_cannot_be_verified_is_not_believed(paypal: FakePayPal, trouble: str) -> None:
    raw = event("PAYMENT.CAPTURE.COMPLETED", capture(FIRST, "COMPLETED"))
    asked(paypal, paypal.has(1, "CREATED"))
    paypal.trouble = trouble
    with pytest.raises(ProviderDown):
        adapter(paypal).webhook(headers_for(raw), raw)


def test_the_registry_makes_it() -> None:
    assert isinstance(adapter_for("paypal", {"paypal": SETTINGS}), PayPal)
    for wrong in ({}, SETTINGS | {"environment": "lab"}):
        with pytest.raises(ProviderRefused):
            adapter_for("paypal", {"paypal": wrong})
