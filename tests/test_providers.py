"""The demo provider's adapter against a server that speaks its wire format, and misbehaves on demand."""

import pytest

from tests.fake_provider import FakeProvider
from widget.money import Money
from widget.providers import ChargeState, ProviderDown, Question, adapter_for
from widget.providers.demo import DemoProvider

QUESTION = Question(order="D-1001", payment=None)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", ChargeState.CHARGED),
        ("processing", ChargeState.UNKNOWN),
        ("requires_capture", ChargeState.HELD),
        ("requires_action", ChargeState.NOT_CHARGED),
        ("requires_payment_method", ChargeState.NOT_CHARGED),
        ("canceled", ChargeState.NOT_CHARGED),
        ("something_new", ChargeState.UNKNOWN),
        (None, ChargeState.NOT_CHARGED),
    ],
)
def test_each_status_means_what_the_provider_says(
    provider: FakeProvider, status: str | None, state: ChargeState
) -> None:
    provider.status = status
    assert DemoProvider({"url": provider.url}).ask(QUESTION).state is state


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"status": "succeeded"}', b'{"id":1,"status":"succeeded","amount":null,"currency":1}'],
)
def test_an_answer_of_another_shape_is_no_answer(provider: FakeProvider, body: bytes) -> None:
    provider.body = body
    with pytest.raises(ProviderDown):
        DemoProvider({"url": provider.url}).ask(QUESTION)


def test_a_provider_that_cannot_be_reached_is_no_answer() -> None:
    with pytest.raises(ProviderDown):
        DemoProvider({"url": "http://127.0.0.1:1/provider"}).ask(QUESTION)


def test_the_same_key_takes_the_money_once(provider: FakeProvider) -> None:
    adapter = DemoProvider({"url": provider.url})
    first, again = (adapter.pay("D-1001", Money(124900, "ZAR"), "link:1") for _ in range(2))
    assert first == again
    assert len(provider.taken) == 1


def test_a_provider_that_the_shop_has_not_configured_has_no_adapter() -> None:
    assert adapter_for("demo", {}) is None
    assert adapter_for(None, {"demo": {}}) is None
    assert adapter_for("unheard_of", {"unheard_of": {}}) is None
