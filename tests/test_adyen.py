"""The adapter of Adyen against a server that speaks its wire format, and webhooks signed as Adyen signs them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
import urllib3

from tests.providers.fake_adyen import ACCOUNT, HMAC_KEY, KEY, FakeAdyen, item, signature, webhook
from tests.providers.wrongs import TROUBLES, bill, told_by
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
    WebhookRefused,
    adapter_for,
)
from widget.providers import (
    adyen_calls as module,
)
from widget.providers.adyen import Adyen
from widget.providers.answers import NOT_ASKABLE

PSP, OTHER = "PSP0000000000001", "PSP0000000000002"
SETTINGS = {"api_key": KEY, "merchant_account": ACCOUNT, "hmac_key": HMAC_KEY}
EURO = Money(1250, "EUR")


@pytest.fixture
def adyen(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAdyen]:
    monkeypatch.setattr(module, "TIMEOUT", urllib3.Timeout(connect=1, read=0.3))
    fake = FakeAdyen()
    yield fake
    fake.stop()


def adapter(fake: FakeAdyen | None = None, **settings: Any) -> Adyen:
    return Adyen(SETTINGS | {"api_url": fake.url if fake else "http://127.0.0.1:1"} | settings)


def after(*items: dict[str, Any], payment: str | None = PSP, **settings: Any) -> Answer:
    """What is answered about the payment after these webhooks."""
    asked = adapter(**settings)
    heard = tuple(asked.webhook({}, webhook(each))[0] for each in items)
    return asked.ask(Question("D-1001", payment, heard=heard))


def change(event: str, number: int = 1, success: str = "true", minor: int = 1250) -> dict[str, Any]:
    """A change of the payment, which has a reference of its own."""
    amount = {"value": minor, "currency": "EUR"}
    return item(event, f"CHANGE{number:010d}", success, originalReference=PSP, amount=amount)


REFUSED = item("AUTHORISATION", success="false", added={"refusalReasonRaw": "51 : Insufficient funds"})


@pytest.mark.parametrize(
    ("items", "immediate", "manual"),
    [
        ([item("AUTHORISATION")], ChargeState.CHARGED, ChargeState.HELD),
        ([REFUSED], ChargeState.NOT_CHARGED, ChargeState.NOT_CHARGED),
        ([item("PENDING")], ChargeState.UNKNOWN, ChargeState.UNKNOWN),
        ([item("OFFER_CLOSED")], ChargeState.NOT_CHARGED, ChargeState.NOT_CHARGED),
        ([item("PENDING"), REFUSED], ChargeState.NOT_CHARGED, ChargeState.NOT_CHARGED),
        ([item("AUTHORISATION"), change("CAPTURE")], ChargeState.CHARGED, ChargeState.CHARGED),
        ([item("AUTHORISATION"), change("CAPTURE", success="false")], ChargeState.CHARGED, ChargeState.HELD),
        ([item("AUTHORISATION"), change("CAPTURE_FAILED")], ChargeState.UNKNOWN, ChargeState.UNKNOWN),
        ([item("AUTHORISATION"), change("CANCELLATION")], ChargeState.NOT_CHARGED, ChargeState.NOT_CHARGED),
        ([item("AUTHORISATION"), change("CANCELLATION", success="false")], ChargeState.CHARGED, ChargeState.HELD),
        ([item("AUTHORISATION"), change("CHARGEBACK")], ChargeState.CHARGED, ChargeState.HELD),
        ([item("AUTHORISATION", amount={"value": 0, "currency": "EUR"})], ChargeState.UNKNOWN, ChargeState.UNKNOWN),
    ],
)
def test_each_course_of_events_means_what_adyen_says(
    items: list[dict[str, Any]], immediate: ChargeState, manual: ChargeState
) -> None:
    assert after(*items).state is immediate
    assert after(*items, captures="manual").state is manual


def test_a_course_of_events_means_the_same_in_any_order() -> None:
    items = [item("AUTHORISATION"), change("CAPTURE"), change("REFUND", 2)]
    answers = {after(*some, captures="manual").state for some in permutations(items)}
    assert answers == {ChargeState.NOT_CHARGED}


def test_a_capture_that_failed_and_was_repeated_is_charged() -> None:
    events = [item("AUTHORISATION"), change("CAPTURE"), change("CAPTURE_FAILED", 2), change("CAPTURE", 3)]
    assert after(*events).state is ChargeState.CHARGED


def test_a_full_refund_is_told_as_reversed_and_a_goodwill_one_leaves_the_order_paid() -> None:
    whole = after(item("AUTHORISATION"), change("REFUND"))
    assert (whole.state, whole.is_reversed) == (ChargeState.NOT_CHARGED, True)
    some = after(item("AUTHORISATION"), change("REFUND", minor=200))
    assert (some.state, some.money) == (ChargeState.CHARGED, EURO)


@pytest.mark.parametrize("event", ["REFUND_FAILED", "REFUNDED_REVERSED"])
def test_a_refund_that_came_back_leaves_the_order_paid(event: str) -> None:
    assert after(item("AUTHORISATION"), change("REFUND"), change(event, 2)).state is ChargeState.CHARGED


def test_a_refund_that_was_refused_gave_nothing_back() -> None:
    refused = change("REFUND", success="false") | {"reason": ""}
    assert after(item("AUTHORISATION"), refused).state is ChargeState.CHARGED


def test_what_is_captured_in_parts_is_not_missing() -> None:
    assert after(item("AUTHORISATION"), change("CAPTURE", minor=500), captures="manual").money == EURO


@pytest.mark.parametrize("void", ["CANCELLATION", "TECHNICAL_CANCEL"])
@pytest.mark.parametrize("captures", ["immediate", "manual"])
def test_a_void_of_the_rest_does_not_undo_what_was_captured(void: str, captures: str) -> None:
    items = [item("AUTHORISATION"), change("CAPTURE", minor=1000), change(void, 2)]
    for some in permutations(items):
        answer = after(*some, captures=captures)
        assert (answer.state, answer.money, answer.is_reversed) == (ChargeState.CHARGED, Money(1000, "EUR"), False)


def test_what_was_captured_before_the_rest_was_voided_can_be_given_back() -> None:
    items = [item("AUTHORISATION"), change("CAPTURE", minor=1000), change("CANCELLATION", 2)]
    answer = after(*items, change("REFUND", 3, minor=1000), captures="manual")
    assert (answer.state, answer.is_reversed) == (ChargeState.NOT_CHARGED, True)


@pytest.mark.parametrize(
    ("captures", "state"),
    [
        ([change("CAPTURE", minor=1000), change("CAPTURE_FAILED", 2, minor=1000)], ChargeState.NOT_CHARGED),
        (
            [change("CAPTURE", minor=400), change("CAPTURE", 2, minor=600), change("CAPTURE_FAILED", 3, minor=600)],
            ChargeState.UNKNOWN,
        ),
        (
            [change("CAPTURE", minor=1000), change("CAPTURE_FAILED", 2, minor=1000), change("CAPTURE", 3, minor=1000)],
            ChargeState.CHARGED,
        ),
    ],
)
def test_a_void_after_a_capture_that_failed_leaves_what_else_was_captured_in_doubt(
    captures: list[dict[str, Any]], state: ChargeState
) -> None:
    assert after(item("AUTHORISATION"), *captures, change("CANCELLATION", 4), captures="manual").state is state


@pytest.mark.parametrize("event", ["REFUND_FAILED", "REFUNDED_REVERSED"])
@pytest.mark.parametrize("captures", ["immediate", "manual"])
def test_a_reversal_whose_refund_came_back_leaves_the_order_paid(event: str, captures: str) -> None:
    items = [item("AUTHORISATION"), change("CANCEL_OR_REFUND")]
    assert after(*items, captures=captures).state is ChargeState.NOT_CHARGED
    answer = after(*items, change(event, 2), captures=captures)
    assert (answer.state, answer.money, answer.is_reversed) == (ChargeState.CHARGED, EURO, False)


def test_a_reversal_of_which_perhaps_a_part_came_back_is_not_known() -> None:
    items = [item("AUTHORISATION"), change("REFUND"), change("REFUND_FAILED", 2), change("CANCEL_OR_REFUND", 3)]
    assert after(*items).state is ChargeState.UNKNOWN
    contradicting = [item("AUTHORISATION"), change("CANCELLATION"), change("REFUND_FAILED", 2)]
    assert after(*contradicting).state is ChargeState.UNKNOWN


def test_a_reversal_of_what_was_captured_is_not_charged() -> None:
    items = [item("AUTHORISATION"), change("CAPTURE"), change("CANCEL_OR_REFUND", 2)]
    answer = after(*items, captures="manual")
    assert (answer.state, answer.money, answer.is_reversed) == (ChargeState.NOT_CHARGED, EURO, True)


def test_a_refusal_tells_agents_why() -> None:
    answer = after(REFUSED)
    assert (answer.code, answer.network_code, answer.payment) == ("Refused", "51", PSP)


@pytest.mark.parametrize(
    ("event", "success", "left"),
    [
        ("AUTHORISATION", "false", GivenUp.GONE),
        ("AUTHORISATION", "true", GivenUp.GONE),
        ("PENDING", "true", GivenUp.MOVING),
    ],
)
def test_what_adyen_has_refused_is_over_and_what_is_pending_is_not(event: str, success: str, left: GivenUp) -> None:
    asked = adapter()
    heard = tuple(asked.webhook({}, webhook(item(event, success=success))))
    assert asked.give_up(Question("D-1001", PSP, heard=heard)) is left


@pytest.mark.parametrize(
    ("status", "left", "waits"),
    [
        ("active", GivenUp.CUSTOMER, True),
        ("paymentPending", GivenUp.MOVING, False),
        ("expired", GivenUp.GONE, False),
        ("completed", GivenUp.GONE, False),
    ],
)
def test_a_link_of_the_shops_own_waits_while_it_can_be_paid(
    adyen: FakeAdyen, status: str, left: GivenUp, waits: bool
) -> None:
    hosted = adapter(adyen).link(bill())
    adyen.links[hosted.id]["status"] = status
    assert adapter(adyen).give_up(Question("D-1001", hosted.id)) is left
    assert adapter(adyen).ask(Question("D-1001", hosted.id)).waits is waits


def test_a_page_that_was_loaded_anew_after_a_refusal_is_told_of_it() -> None:
    heard = tuple(adapter().webhook({}, webhook(REFUSED)))
    question = Question("D-1001", None, heard=heard, payments=(PSP,))
    assert adapter().ask(question).state is ChargeState.NOT_CHARGED
    assert adapter().ask(replace(question, payments=(PSP, OTHER))).state is ChargeState.UNKNOWN


def test_nothing_heard_is_unknown() -> None:
    assert after().state is ChargeState.UNKNOWN


def test_a_refusal_of_another_try_excludes_nothing() -> None:
    answer = after(REFUSED, payment=OTHER)
    assert (answer.state, answer.code) == (ChargeState.UNKNOWN, "Refused")
    assert after(REFUSED, payment=None).state is ChargeState.UNKNOWN


def test_another_charged_payment_of_the_order_wins() -> None:
    answer = after(REFUSED, item("AUTHORISATION", OTHER))
    assert (answer.state, answer.payment) == (ChargeState.CHARGED, OTHER)


def test_what_another_provider_told_of_the_order_is_not_adyens() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    other = Happened("evt_1", "payment", at, "D-1001", "pi_1", ChargeState.NOT_CHARGED, "payment_intent.payment_failed")
    assert adapter().ask(Question("D-1001", "pi_1", heard=(other,))).state is ChargeState.UNKNOWN


def test_an_order_of_which_nothing_is_known_is_told_apart_from_one_that_is_in_doubt() -> None:
    assert after(payment=None).status == NOT_ASKABLE
    assert after(payment="CS12345ABCDE").status == NOT_ASKABLE
    assert after(REFUSED, payment=None).status != NOT_ASKABLE


def test_two_charged_payments_of_one_order_are_both_named() -> None:
    answer = after(item("AUTHORISATION"), item("AUTHORISATION", OTHER))
    assert answer.charged == (Paid(PSP, EURO), Paid(OTHER, EURO))


def test_a_refusal_in_a_session_says_nothing_about_the_next_try_in_it() -> None:
    refused = item("AUTHORISATION", success="false", added={"checkoutSessionId": "CS12345ABCDE"})
    assert after(refused, payment="CS12345ABCDE").state is ChargeState.UNKNOWN


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (1250, "EUR", 1250),
        (500, "JPY", 500),
        (50000, "CLP", 500),
        (50000, "ISK", 500),
        (500, "IDR", 50000),
        (1234, "KWD", 1234),
        (120000, "RSD", 1200),
    ],
)
def test_amounts_have_the_decimals_that_adyen_gives_them(
    adyen: FakeAdyen, value: int, currency: str, minor: int
) -> None:
    assert after(item("AUTHORISATION", amount={"value": value, "currency": currency})).money == Money(minor, currency)
    adapter(adyen).link(bill(Money(minor, currency)))
    assert adyen.asked[-1].json["amount"] == {"value": value, "currency": currency}


def test_an_amount_that_adyen_cannot_take_is_refused_not_rounded() -> None:
    with pytest.raises(ProviderRefused):
        adapter().link(bill(Money(50050, "IDR")))


def test_a_webhook_is_reduced_to_what_concerns_the_money() -> None:
    (happened,) = adapter().webhook({}, webhook(item("AUTHORISATION", added={"cardSummary": "1111"})))
    assert (happened.kind, happened.order, happened.payment) == ("payment", "D-1001", PSP)
    assert (happened.state, happened.money) == (ChargeState.CHARGED, EURO)
    assert happened.happened_at.isoformat() == "2026-11-21T09:00:00+00:00"
    assert "1111" not in repr(happened)


@pytest.mark.parametrize(
    ("event", "kind"), [("REFUND", "refund"), ("CHARGEBACK", "dispute"), ("NOTIFICATION_OF_CHARGEBACK", "dispute")]
)
def test_refunds_and_disputes_are_told_apart(event: str, kind: str) -> None:
    (happened,) = adapter().webhook({}, webhook(change(event)))
    assert (happened.kind, happened.payment, happened.state) == (kind, PSP, None)


def test_every_item_is_verified_not_only_the_first() -> None:
    forged = item("AUTHORISATION", OTHER) | {"merchantReference": "D-6666"}
    with pytest.raises(WebhookRefused):
        adapter().webhook({}, webhook(item("AUTHORISATION"), forged))


@pytest.mark.parametrize(
    "changed",
    [
        {"pspReference": "X"},
        {"originalReference": "X"},
        {"merchantAccountCode": "X"},
        {"merchantReference": "X"},
        {"amount": {"value": 1, "currency": "EUR"}},
        {"amount": {"value": 1250, "currency": "USD"}},
        {"amount": None},
        {"eventCode": "REFUND"},
        {"eventCode": ["X"]},
        {"success": "false"},
        {"success": True},
        {"additionalData": {}},
        {"additionalData": None},
        {"additionalData": {"hmacSignature": "ü"}},
    ],
)
def test_a_changed_item_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(WebhookRefused):
        adapter().webhook({}, webhook(item("AUTHORISATION") | changed))


def test_an_item_signed_with_another_key_is_refused() -> None:
    forged = item("AUTHORISATION")
    forged["additionalData"]["hmacSignature"] = signature(forged, "00" * 32)
    with pytest.raises(WebhookRefused):
        adapter().webhook({}, webhook(forged))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"notificationItems":[{}]}', b"[" * 100_000, b"\xff"])
def test_what_is_no_webhook_of_adyen_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        adapter().webhook({}, body)


def test_a_flood_of_items_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        adapter().webhook({}, webhook(*[item("AUTHORISATION")] * 51))


def test_a_repeated_webhook_has_the_same_key_though_unsigned_fields_changed() -> None:
    again = item("AUTHORISATION") | {"eventDate": "2030-01-01T00:00:00+00:00", "reason": "changed"}
    keys = {adapter().webhook({}, webhook(each))[0].key for each in (item("AUTHORISATION"), again)}
    assert len(keys) == 1


def test_other_merchant_accounts_and_reports_are_left_out() -> None:
    others = [item("AUTHORISATION", merchantAccountCode="AnotherShop"), item("REPORT_AVAILABLE")]
    assert adapter().webhook({}, webhook(*others)) == []


def test_a_missing_reference_and_a_null_are_signed_alike() -> None:
    (happened,) = adapter().webhook({}, webhook(item("AUTHORISATION", originalReference=None)))
    assert happened.payment == PSP


def test_a_link_takes_the_amount_for_the_order_and_comes_back(adyen: FakeAdyen) -> None:
    hosted = adapter(adyen).link(bill(locale="nl"))
    sent = adyen.asked[-1].json
    assert (sent["merchantAccount"], sent["reference"], sent["reusable"]) == (ACCOUNT, "D-1001", False)
    assert (sent["returnUrl"], sent["expiresAt"]) == ("https://help.example/pay/T/back", "2026-11-22T09:00:00Z")
    assert sent["shopperLocale"] == "nl-NL"
    assert hosted.url == f"https://test.adyen.link/{hosted.id}"


@pytest.mark.parametrize("key", ["unjam:demo:D-1001:abc", "unjam:demo:Zürich\n" + "9" * 300 + ":abc"])
def test_the_same_key_gives_the_same_page_again(adyen: FakeAdyen, key: str) -> None:
    assert adapter(adyen).link(bill(key=key)) == adapter(adyen).link(bill(key=key))
    assert len(adyen.asked[-1].headers["idempotency-key"]) <= 64
    assert adapter(adyen).link(bill(key=key + "d")).id not in {None, adapter(adyen).link(bill(key=key)).id}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", ChargeState.NOT_CHARGED),
        ("expired", ChargeState.NOT_CHARGED),
        ("paymentPending", ChargeState.UNKNOWN),
        ("completed", ChargeState.CHARGED),
        ("paid", ChargeState.CHARGED),
        ("something_new", ChargeState.UNKNOWN),
    ],
)
def test_what_became_of_a_link(adyen: FakeAdyen, status: str, state: ChargeState) -> None:
    hosted = adapter(adyen).link(bill())
    adyen.links[hosted.id]["status"] = status
    answer = adapter(adyen).link_state(hosted.id)
    assert (answer.state, answer.payment, answer.money) == (state, hosted.id, EURO)


def test_the_link_and_the_webhook_speak_of_one_payment(adyen: FakeAdyen) -> None:
    asked = adapter(adyen)
    hosted = asked.link(bill())
    adyen.links[hosted.id]["status"] = "completed"
    heard = asked.webhook({}, webhook(item("AUTHORISATION", added={"paymentLinkId": hosted.id})))
    by_order = asked.ask(Question("D-1001", None, heard=tuple(heard)))
    by_link = asked.ask(Question("D-1001", hosted.id))
    assert by_order.payment == by_link.payment == hosted.id
    assert asked.ask(Question("D-1001", hosted.id, heard=tuple(heard))).charged == ()


def test_a_link_that_is_revoked_takes_nothing_more(adyen: FakeAdyen) -> None:
    hosted = adapter(adyen).link(bill())
    adapter(adyen).revoke(hosted.id)
    adapter(adyen).revoke(hosted.id)
    assert adyen.links[hosted.id]["status"] == "expired"


@pytest.mark.parametrize("status", ["paymentPending", "something_new"])
def test_a_link_that_may_still_be_paid_is_neither_expired_nor_said_to_be_closed(adyen: FakeAdyen, status: str) -> None:
    hosted = adapter(adyen).link(bill())
    adyen.links[hosted.id]["status"] = status
    with pytest.raises(ProviderDown, match="may still take money"):
        adapter(adyen).revoke(hosted.id)
    assert adapter(adyen).link_state(hosted.id).state is ChargeState.UNKNOWN


def test_a_link_that_was_paid_stays_paid(adyen: FakeAdyen) -> None:
    hosted = adapter(adyen).link(bill())
    adyen.links[hosted.id]["status"] = "completed"
    adapter(adyen).revoke(hosted.id)
    assert adyen.links[hosted.id]["status"] == "completed"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_answer_that_is_none_leaves_it_open(adyen: FakeAdyen, trouble: str) -> None:
    hosted = adapter(adyen).link(bill())
    adyen.trouble = trouble
    for action in (adapter(adyen).link_state, adapter(adyen).revoke):
        with pytest.raises(ProviderDown):
            action(hosted.id)
    before = len(adyen.asked)
    with pytest.raises(ProviderDown):
        adapter(adyen).link(bill())
    assert (len(adyen.asked) - before, adyen.was_followed) == (1, False)


def test_a_server_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(ProviderDown):
        adapter().link(bill())


@pytest.mark.parametrize("status", ["401", "403", "422"])
def test_what_the_shop_must_mend_is_said(adyen: FakeAdyen, status: str) -> None:
    adyen.trouble = status
    with pytest.raises(ProviderRefused):
        adapter(adyen).link(bill())


def test_a_strange_link_is_refused(adyen: FakeAdyen) -> None:
    for strange in ("PL0000000000000099", "../sessions", "PL1?x=1234567"):
        with pytest.raises(ProviderRefused):
            adapter(adyen).link_state(strange)


def test_no_secret_is_in_an_exception_or_a_log(adyen: FakeAdyen, caplog: pytest.LogCaptureFixture) -> None:
    for trouble, expected in (("401", ProviderRefused), ("500", ProviderDown), ("html", ProviderDown)):
        adyen.trouble = trouble
        shown = told_by(lambda: adapter(adyen).link(bill()), expected, caplog)
        assert not any(secret in shown for secret in (KEY, HMAC_KEY))
    wrong = KEY + "no hex"
    shown = told_by(lambda: adapter(hmac_key=wrong).webhook({}, webhook(REFUSED)), ProviderRefused, caplog)
    assert wrong not in shown


def test_the_live_endpoint_needs_its_prefix() -> None:
    live = Adyen(SETTINGS | {"environment": "live", "live_prefix": "1797a841fbb37ca7-DemoShop"})
    assert live._calls.url == "https://1797a841fbb37ca7-DemoShop-checkout-live.adyenpayments.com/checkout"
    for wrong in ({"environment": "live"}, {"environment": "live", "live_prefix": "evil.example/"}, {"captures": "?"}):
        with pytest.raises(ProviderRefused):
            Adyen(SETTINGS | wrong)


def test_the_registry_makes_it() -> None:
    assert isinstance(adapter_for("adyen", {"adyen": SETTINGS}), Adyen)
    with pytest.raises(ProviderRefused):
        adapter_for("adyen", {"adyen": {"api_key": KEY}})
