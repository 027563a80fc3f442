"""The adapter of Mollie against a server that speaks its wire format, and misbehaves on demand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.providers.fake_mollie import KEY, FakeMollie
from tests.providers.wrongs import TROUBLES, bill, told_by
from widget import clock
from widget.money import Money
from widget.providers import (
    Answer,
    ChargeState,
    GivenUp,
    Happened,
    Paid,
    Provider,
    ProviderDown,
    ProviderRefused,
    Question,
    WebhookRefused,
    adapter_for,
    sessions,
)
from widget.providers.answers import NOT_ASKABLE
from widget.providers.mollie import Mollie

ORDER = Question("D-1001", None)


@pytest.fixture
def mollie(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMollie]:
    monkeypatch.setattr(sessions, "TIMEOUT_SECONDS", (1.0, 0.3))
    fake = FakeMollie()
    yield fake
    fake.stop()


def adapter(fake: FakeMollie, **settings: Any) -> Mollie:
    return Mollie({"api_key": KEY, "api_url": fake.url} | settings)


def asked(fake: FakeMollie, payment: str | None, *heard: Happened) -> Answer:
    return adapter(fake).ask(Question("D-1001", payment, heard=heard))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("open", ChargeState.NOT_CHARGED),
        ("canceled", ChargeState.NOT_CHARGED),
        ("expired", ChargeState.NOT_CHARGED),
        ("failed", ChargeState.NOT_CHARGED),
        ("pending", ChargeState.UNKNOWN),
        ("authorized", ChargeState.HELD),
        ("paid", ChargeState.CHARGED),
        ("something_new", ChargeState.UNKNOWN),
    ],
)
def test_each_status_means_what_mollie_says(mollie: FakeMollie, status: str, state: ChargeState) -> None:
    payment = mollie.has(1, status)
    answer = asked(mollie, payment)
    assert (answer.state, answer.status, answer.payment) == (state, status, payment)
    assert answer.money == Money(1250, "EUR")


@pytest.mark.parametrize(
    ("value", "currency", "minor"), [("500", "JPY", 500), ("12.50", "HUF", 1250), ("12.00", "RSD", 12)]
)
def test_amounts_are_read_with_the_decimals_they_are_written_with(
    mollie: FakeMollie, value: str, currency: str, minor: int
) -> None:
    payment = mollie.has(1, "paid", amount={"value": value, "currency": currency})
    assert asked(mollie, payment).money == Money(minor, currency)


def test_a_failed_payment_tells_why(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "failed", details={"failureReason": "insufficient_funds"})
    assert asked(mollie, payment).code == "insufficient_funds"


def test_a_payment_that_was_refunded_in_full_is_not_charged_but_still_seen_on_the_statement(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", amountRefunded={"value": "12.50", "currency": "EUR"})
    answer = asked(mollie, payment)
    assert (answer.state, answer.is_reversed) == (ChargeState.NOT_CHARGED, True)


def test_a_goodwill_refund_leaves_the_order_paid_as_it_was(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", amountRefunded={"value": "2.00", "currency": "EUR"})
    answer = asked(mollie, payment)
    assert (answer.state, answer.money) == (ChargeState.CHARGED, Money(1250, "EUR"))


def of_it(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


@pytest.mark.parametrize(
    ("status", "method"), [("authorized", "klarna"), ("authorized", "creditcard"), ("paid", "klarna")]
)
def test_what_is_captured_in_parts_is_taken_and_the_rest_is_not_missing(
    mollie: FakeMollie, status: str, method: str
) -> None:
    answer = asked(mollie, mollie.has(1, status, method=method, amountCaptured=of_it("4.00")))
    assert (answer.state, answer.money, answer.status) == (ChargeState.CHARGED, Money(1250, "EUR"), status)


def test_what_is_captured_of_a_card_is_all_that_was_taken_because_the_rest_is_let_go(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", method="creditcard", amountCaptured=of_it("4.00"))
    assert asked(mollie, payment).money == Money(400, "EUR")


def test_an_authorised_payment_of_which_nothing_is_captured_is_held(mollie: FakeMollie) -> None:
    answer = asked(mollie, mollie.has(1, "authorized", method="klarna", amountCaptured=of_it("0.00")))
    assert (answer.state, answer.money) == (ChargeState.HELD, Money(1250, "EUR"))


@pytest.mark.parametrize(("status", "state"), [("authorized", ChargeState.HELD), ("paid", ChargeState.NOT_CHARGED)])
def test_a_part_that_was_captured_and_given_back_is_not_taken(
    mollie: FakeMollie, status: str, state: ChargeState
) -> None:
    part = of_it("4.00")
    payment = mollie.has(1, status, method="klarna", amountCaptured=part, amountRefunded=part)
    assert asked(mollie, payment).state is state


def test_another_charged_payment_of_the_order_wins(mollie: FakeMollie) -> None:
    failed, paid = mollie.has(1, "failed"), mollie.has(2, "paid")
    assert asked(mollie, failed).payment == paid


def test_another_payment_that_is_on_its_way_leaves_it_open(mollie: FakeMollie) -> None:
    failed, pending = mollie.has(1, "failed"), mollie.has(2, "pending")
    for payment in (failed, pending):
        assert asked(mollie, payment).state is ChargeState.UNKNOWN


def test_an_order_of_which_nothing_is_known_is_told_apart_from_one_that_is_in_doubt(mollie: FakeMollie) -> None:
    assert asked(mollie, None).status == NOT_ASKABLE
    assert asked(mollie, "tr_0000000099").status == NOT_ASKABLE
    told = adapter(mollie).webhook({}, b"id=" + mollie.has(1, "open", None).encode())
    mollie.payments.clear()
    assert asked(mollie, None, *told).status is None


def test_two_charged_payments_of_one_order_are_both_named(mollie: FakeMollie) -> None:
    first, second = mollie.has(1, "paid"), mollie.has(2, "paid")
    assert set(asked(mollie, first).charged) == {Paid(first, Money(1250, "EUR")), Paid(second, Money(1250, "EUR"))}


def test_a_payment_of_another_order_is_nobodys_business(mollie: FakeMollie) -> None:
    mine, _ = mollie.has(1, "failed"), mollie.has(2, "paid", "D-10011")
    assert asked(mollie, mine).state is ChargeState.NOT_CHARGED


def test_an_order_is_found_without_a_payment_by_what_the_shop_wrote_into_it(mollie: FakeMollie) -> None:
    mollie.has(1, "paid", metadata={"order_id": "D-1001"})
    assert adapter(mollie, order_field="metadata.order_id").ask(ORDER).state is ChargeState.CHARGED
    assert adapter(mollie).ask(ORDER).state is ChargeState.UNKNOWN


def test_a_list_that_ends_too_early_excludes_nothing(mollie: FakeMollie) -> None:
    mollie.has(1, "failed", createdAt="2099-01-01T00:00:00+00:00")
    mollie.has_more = True
    assert adapter(mollie).ask(ORDER).state is ChargeState.UNKNOWN
    mollie.has_more = False
    assert adapter(mollie).ask(ORDER).state is ChargeState.NOT_CHARGED


def test_a_payment_that_mollie_does_not_know_excludes_nothing(mollie: FakeMollie) -> None:
    mollie.has(1, "failed")
    assert asked(mollie, "tr_0000000099").state is ChargeState.UNKNOWN


def test_what_a_webhook_told_is_asked_afresh(mollie: FakeMollie) -> None:
    heard_open = adapter(mollie).webhook({}, b"id=" + mollie.has(1, "open", None).encode())
    mollie.has(1, "paid", None)
    assert asked(mollie, None, *heard_open).state is ChargeState.CHARGED


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_answer_that_is_none_leaves_it_open(mollie: FakeMollie, trouble: str) -> None:
    payment = mollie.has(1, "failed")
    mollie.trouble = trouble
    with pytest.raises(ProviderDown):
        asked(mollie, payment)
    assert not mollie.was_followed
    assert sum(each.path.endswith(payment) for each in mollie.asked) == 1


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_link_whose_making_is_uncertain_is_not_made_again(mollie: FakeMollie, trouble: str) -> None:
    mollie.trouble = trouble
    with pytest.raises(ProviderDown):
        adapter(mollie).link(bill())
    assert len(mollie.asked) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": None},
        {"amount": {"value": 12.5, "currency": "EUR"}},
        {"amount": {"value": "NaN", "currency": "EUR"}},
        {"amount": {"value": "1.005", "currency": "EUR"}},
        {"amount": {"value": "1.00", "currency": "XXQ"}},
        {"status": None},
    ],
)
def test_a_field_of_another_shape_is_no_answer(mollie: FakeMollie, wrong: dict[str, Any]) -> None:
    payment = mollie.has(1, "paid")
    mollie.payments[payment] |= wrong
    with pytest.raises(ProviderDown):
        asked(mollie, payment)


def test_a_charged_payment_is_believed_though_the_list_fails(
    mollie: FakeMollie, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = mollie.has(1, "paid")
    monkeypatch.setattr(mollie, "_list", lambda: {"count": "many"})
    assert asked(mollie, payment).state is ChargeState.CHARGED
    mollie.has(1, "failed")
    with pytest.raises(ProviderDown):
        asked(mollie, payment)


def test_a_wrong_key_is_the_shops_to_mend_and_is_never_shown(
    mollie: FakeMollie, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "live_wrongSecret123456789012345678"
    for key in (wrong, "not a key: " + wrong):
        shown = told_by(lambda key=key: adapter(mollie, api_key=key).ask(ORDER), ProviderRefused, caplog)  # type: ignore[misc]
        assert "wrongSecret" not in shown


def test_troubles_show_no_key(mollie: FakeMollie, caplog: pytest.LogCaptureFixture) -> None:
    for trouble, expected in (("html", ProviderDown), ("500", ProviderDown), ("422", ProviderRefused)):
        mollie.trouble = trouble
        assert KEY not in told_by(lambda: adapter(mollie).ask(ORDER), expected, caplog)


def test_a_link_takes_the_amount_for_the_order_and_comes_back(mollie: FakeMollie) -> None:
    hosted = adapter(mollie, webhook_url="https://help.example/api/v1/webhooks/s/mollie").link(bill(locale="de"))
    sent = mollie.asked[-1].json
    assert sent["amount"] == {"value": "12.50", "currency": "EUR"}
    assert sent["metadata"]["order"] == "D-1001"
    assert (sent["redirectUrl"], sent["cancelUrl"]) == ("https://help.example/pay/T/back", "https://help.example/pay/T")
    assert (sent["locale"], sent["webhookUrl"]) == ("de_DE", "https://help.example/api/v1/webhooks/s/mollie")
    assert hosted.url == f"https://www.mollie.com/checkout/{hosted.id}"
    assert hosted.until.isoformat() == "2026-11-21T09:15:00+00:00"


def test_a_link_in_yen_has_no_decimals(mollie: FakeMollie) -> None:
    adapter(mollie).link(bill(Money(500, "JPY")))
    assert mollie.asked[-1].json["amount"] == {"value": "500", "currency": "JPY"}


@pytest.mark.parametrize("key", ["unjam:demo:D-1001:abc", "unjam:demo:Zürich\n" + "9" * 300 + ":abc"])
def test_the_same_key_gives_the_same_page_again(mollie: FakeMollie, key: str) -> None:
    assert adapter(mollie).link(bill(key=key)) == adapter(mollie).link(bill(key=key))
    assert adapter(mollie).link(bill(key=key + "d")).id != adapter(mollie).link(bill(key=key)).id


def test_what_became_of_a_link(mollie: FakeMollie) -> None:
    hosted = adapter(mollie).link(bill())
    assert adapter(mollie).link_state(hosted.id).state is ChargeState.NOT_CHARGED
    mollie.payments[hosted.id]["status"] = "paid"
    assert adapter(mollie).link_state(hosted.id).payment == hosted.id
    assert adapter(mollie).ask(ORDER).state is ChargeState.CHARGED


def test_a_page_that_can_be_cancelled_is_closed(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "open", isCancelable=True)
    adapter(mollie).revoke(payment)
    assert mollie.payments[payment]["status"] == "canceled"


@pytest.mark.parametrize("status", ["open", "pending"])
def test_a_page_that_may_still_take_money_is_not_said_to_be_closed(mollie: FakeMollie, status: str) -> None:
    with pytest.raises(ProviderDown):
        adapter(mollie).revoke(mollie.has(1, status))


@pytest.mark.parametrize("status", ["paid", "expired", "canceled", "failed"])
def test_a_page_that_is_over_stays_as_it_is(mollie: FakeMollie, status: str) -> None:
    payment = mollie.has(1, status, isCancelable=True)
    adapter(mollie).revoke(payment)
    assert mollie.payments[payment]["status"] == status


@pytest.mark.parametrize(
    ("status", "can_be_cancelled", "left"),
    [
        ("open", True, GivenUp.GONE),
        ("open", False, GivenUp.CUSTOMER),
        ("pending", True, GivenUp.MOVING),
        ("failed", False, GivenUp.GONE),
        ("paid", False, GivenUp.GONE),
    ],
)
def test_what_the_customer_may_still_complete_is_given_up_where_mollie_lets_it_be(
    mollie: FakeMollie, status: str, can_be_cancelled: bool, left: GivenUp
) -> None:
    payment = mollie.has(1, status, isCancelable=can_be_cancelled)
    assert adapter(mollie).ask(ORDER).waits is (status == "open")
    assert adapter(mollie).give_up(ORDER) is left
    assert (mollie.payments[payment]["status"] == "canceled") is (status == "open" and can_be_cancelled)


def test_a_page_of_our_own_link_is_left_alone(mollie: FakeMollie) -> None:
    hosted = adapter(mollie).link(bill())
    mollie.payments[hosted.id]["isCancelable"] = True
    assert adapter(mollie).give_up(ORDER) is GivenUp.GONE
    assert mollie.payments[hosted.id]["status"] == "open"
    assert not adapter(mollie).ask(ORDER).waits


@pytest.mark.parametrize("method", ["banktransfer", "multibanco"])
@pytest.mark.parametrize("status", ["open", "pending"])
def test_a_transfer_that_may_be_on_its_way_is_not_known_and_not_cancelled(
    mollie: FakeMollie, method: str, status: str
) -> None:
    payment = mollie.has(1, status, method=method, isCancelable=True)
    answer = asked(mollie, payment)
    assert (answer.state, answer.status, answer.waits) == (ChargeState.UNKNOWN, status, False)
    assert adapter(mollie).give_up(ORDER) is GivenUp.MOVING
    assert mollie.payments[payment]["status"] == status


def test_a_page_on_which_a_transfer_was_chosen_is_not_said_to_be_closed(mollie: FakeMollie) -> None:
    hosted = adapter(mollie).link(bill())
    mollie.payments[hosted.id] |= {"method": "banktransfer", "isCancelable": True}
    with pytest.raises(ProviderDown, match="on its way"):
        adapter(mollie).revoke(hosted.id)
    assert mollie.payments[hosted.id]["status"] == "open"
    assert adapter(mollie).link_state(hosted.id).state is ChargeState.UNKNOWN
    assert adapter(mollie).give_up(ORDER) is GivenUp.MOVING


def test_a_transfer_that_never_came_is_not_charged_once_mollie_says_so(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "expired", method="banktransfer")
    assert asked(mollie, payment).state is ChargeState.NOT_CHARGED
    adapter(mollie).revoke(payment)


def test_when_it_was_paid_counts_and_not_when_the_page_was_opened(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", paidAt="2026-11-21T10:30:00+00:00")
    taken_at = asked(mollie, payment).taken_at
    assert taken_at is not None
    assert taken_at.isoformat() == "2026-11-21T10:30:00+00:00"


# What a payment's metadata names.


def test_another_text_in_a_customary_place_proves_nothing_but_does_not_hide_what_the_page_names(
    mollie: FakeMollie,
) -> None:
    answer = asked(mollie, mollie.has(1, "paid", "cart-77"))
    assert (answer.state, answer.is_proven, answer.names) == (ChargeState.CHARGED, False, "cart-77")
    told = adapter(mollie).webhook({}, b"id=tr_0000000001")
    assert asked(mollie, None, *told).state is ChargeState.UNKNOWN


def test_another_text_where_the_shop_says_that_the_number_stands_is_another_order(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", "cart-77")
    assert adapter(mollie, order_field="order").ask(Question("D-1001", payment)).state is ChargeState.UNKNOWN


def test_a_description_that_is_the_reference_is_of_the_order_whatever_else_is_named(mollie: FakeMollie) -> None:
    mollie.has(1, "paid", "cart-77", description="D-1001")
    answer = adapter(mollie).ask(ORDER)
    assert (answer.state, answer.is_proven) == (ChargeState.CHARGED, True)


def test_what_names_something_else_is_not_cancelled_but_may_still_be_completed(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "open", "cart-77", isCancelable=True)
    assert adapter(mollie).give_up(Question("D-1001", payment)) is GivenUp.CUSTOMER
    assert mollie.payments[payment]["status"] == "open"


@pytest.mark.parametrize(
    ("orders", "settings", "state"),
    [
        (("D-1", "D-2", "D-3"), {"order_field": "order"}, ChargeState.NOT_CHARGED),
        (("D-1", "D-2", "D-3"), {}, ChargeState.UNKNOWN),
        (("D-1", "D-2", None), {"order_field": "order"}, ChargeState.UNKNOWN),
        ((None,), {"marks_orders": True}, ChargeState.NOT_CHARGED),
    ],
)
def test_a_shop_that_marks_all_its_payments_has_none_where_none_is_found(
    mollie: FakeMollie, orders: tuple[str | None, ...], settings: dict[str, Any], state: ChargeState
) -> None:
    for number, order in enumerate(orders):
        mollie.has(number, "paid", order)
    answer = adapter(mollie, **settings).ask(ORDER)
    assert (answer.state, answer.is_of_order) == (state, state is ChargeState.NOT_CHARGED)
    mollie.has(9, "paid", "D-9", createdAt="2099-01-01T00:00:00+00:00")
    mollie.has_more, mollie.payments = True, {"tr_0000000009": mollie.payments["tr_0000000009"]}
    assert adapter(mollie, **settings).ask(ORDER).state is ChargeState.UNKNOWN


def test_a_page_that_still_names_the_payment_of_an_earlier_order_hides_nothing(mollie: FakeMollie) -> None:
    earlier, declined = mollie.has(1, "paid", "D-0007"), mollie.has(2, "failed")
    answer = adapter(mollie).ask(replace(ORDER, payment=earlier, since=datetime(2026, 11, 21, 10, tzinfo=UTC)))
    assert (answer.state, answer.payment) == (ChargeState.NOT_CHARGED, declined)
    assert (answer.is_of_order, answer.asked) == (True, frozenset())


@pytest.mark.parametrize("status", ["paid", "pending", "authorized", "open"])
def test_a_payment_under_a_number_of_its_own_is_not_passed_over_when_it_is_as_young_as_the_order(
    mollie: FakeMollie, status: str
) -> None:
    again, _declined = mollie.has(1, status, "D-1001-2"), mollie.has(2, "failed")
    answer = adapter(mollie).ask(replace(ORDER, payment=again, since=datetime(2026, 11, 21, 8, tzinfo=UTC)))
    assert answer.state is not ChargeState.NOT_CHARGED or answer.waits


def test_marked_payments_speak_for_no_try_that_began_before_the_list(mollie: FakeMollie) -> None:
    listed_from = clock.now() - timedelta(days=2)
    for number in range(3):
        mollie.has(number, "paid", f"D-{number}", createdAt=listed_from.isoformat())
    mollie.has_more = True
    for since, state in ((timedelta(hours=1), ChargeState.NOT_CHARGED), (timedelta(hours=-1), ChargeState.UNKNOWN)):
        question = replace(ORDER, since=listed_from + since)
        assert adapter(mollie, order_field="order").ask(question).state is state


def test_a_try_that_named_nothing_is_not_covered_by_the_refusal_of_another(mollie: FakeMollie) -> None:
    refused = mollie.has(1, "failed", None, createdAt="2099-01-01T00:00:00+00:00")
    mollie.has_more = True
    question = Question("D-1001", None, payments=(refused,))
    assert adapter(mollie).ask(question).state is ChargeState.UNKNOWN
    assert adapter(mollie).ask(replace(question, payment=refused)).state is ChargeState.NOT_CHARGED


def test_a_link_of_another_account_is_refused(mollie: FakeMollie) -> None:
    for strange in ("tr_0000000099", "../methods", "tr_1?x=1"):
        with pytest.raises(ProviderRefused):
            adapter(mollie).link_state(strange)


def test_a_webhook_says_what_mollie_answers(mollie: FakeMollie) -> None:
    payment = mollie.has(1, "paid", paidAt="2026-11-21T10:00:00+01:00")
    (happened,) = adapter(mollie).webhook({}, f"id={payment}".encode())
    assert (happened.kind, happened.state, happened.order) == ("payment", ChargeState.CHARGED, "D-1001")
    assert (happened.payment, happened.money) == (payment, Money(1250, "EUR"))
    assert happened.happened_at.isoformat() == "2026-11-21T09:00:00+00:00"


def test_a_webhook_that_is_repeated_has_the_same_key_until_something_happens(mollie: FakeMollie) -> None:
    body = f"id={mollie.has(1, 'paid')}".encode()
    first, again = (adapter(mollie).webhook({}, body)[0].key for _ in range(2))
    mollie.has(1, "paid", amountRefunded={"value": "12.50", "currency": "EUR"})
    (refunded,) = adapter(mollie).webhook({}, body)
    assert first == again != refunded.key
    assert refunded.kind == "refund"


def test_a_webhook_of_each_capture_is_news(mollie: FakeMollie) -> None:
    body = f"id={mollie.has(1, 'authorized')}".encode()
    keys = {adapter(mollie).webhook({}, body)[0].key}
    for value in ("4.00", "8.00"):
        mollie.has(1, "authorized", amountCaptured=of_it(value))
        keys.add(adapter(mollie).webhook({}, body)[0].key)
    assert len(keys) == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"id=", b"id=tr_0000000099", b'{"id":"tr_0000000001"}', b"id=tr_1&id=tr_2", b"\xff\xfe", b"id=../../x"],
)
def test_a_forged_webhook_is_refused(mollie: FakeMollie, body: bytes) -> None:
    mollie.has(1, "paid")
    with pytest.raises(WebhookRefused):
        adapter(mollie).webhook({}, body)


def test_a_webhook_that_cannot_be_checked_is_not_believed(mollie: FakeMollie) -> None:
    body = f"id={mollie.has(1, 'paid')}".encode()
    mollie.trouble = "503"
    with pytest.raises(ProviderDown):
        adapter(mollie).webhook({}, body)


def test_the_registry_makes_it() -> None:
    made: Provider | None = adapter_for("mollie", {"mollie": {"api_key": KEY}})
    assert isinstance(made, Mollie)
    with pytest.raises(ProviderRefused):
        adapter_for("mollie", {"mollie": {}})
