"""The adapters by name, and the demo provider's one against a server that speaks its wire format and misbehaves."""

import builtins
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fake_provider import FakeProvider
from widget import clock, providers
from widget.money import Money
from widget.providers import Bill, ChargeState, GivenUp, ProviderDown, ProviderRefused, Question, adapter_for, answers
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
    ("status", "can_be_cancelled", "left"),
    [
        ("requires_action", True, GivenUp.GONE),
        ("requires_action", False, GivenUp.CUSTOMER),
        ("processing", True, GivenUp.MOVING),
        ("succeeded", True, GivenUp.GONE),
        (None, True, GivenUp.GONE),
    ],
)
def test_what_is_left_after_giving_up(
    provider: FakeProvider, status: str | None, can_be_cancelled: bool, left: GivenUp
) -> None:
    provider.status, provider.refuses_to_cancel = status, not can_be_cancelled
    assert DemoProvider({"url": provider.url}).give_up(QUESTION) is left


def test_the_worst_that_is_left_of_several_payments_counts() -> None:
    assert answers.worst([GivenUp.GONE, GivenUp.CUSTOMER]) is GivenUp.CUSTOMER
    assert answers.worst([GivenUp.CUSTOMER, GivenUp.MOVING, GivenUp.GONE]) is GivenUp.MOVING
    assert answers.worst([]) is GivenUp.GONE


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


def test_the_same_key_makes_one_page_and_another_content_is_refused(provider: FakeProvider) -> None:
    adapter, until = DemoProvider({"url": provider.url}), clock.now() + timedelta(hours=1)
    bill = Bill("D-1001", Money(124900, "ZAR"), "k1", "http://x/back", "http://x/back", until, "Karoo")
    first, again = adapter.link(bill), adapter.link(bill)
    assert first == again
    with pytest.raises(ProviderRefused):
        adapter.link(replace(bill, money=Money(1, "ZAR")))
    assert len(provider.pages) == 1


def test_a_page_that_was_closed_is_not_charged_and_one_that_is_unknown_is_unknown(provider: FakeProvider) -> None:
    adapter, until = DemoProvider({"url": provider.url}), clock.now() + timedelta(hours=1)
    page = adapter.link(Bill("D-1", Money(1, "ZAR"), "k1", "http://x/", "http://x/", until, "Karoo"))
    adapter.revoke(page.id)
    assert not provider.answer(page.url, "pay")
    assert adapter.link_state(page.id).state is ChargeState.NOT_CHARGED
    assert adapter.link_state("pl_9").state is ChargeState.UNKNOWN


def test_a_provider_that_the_shop_has_not_configured_has_no_adapter() -> None:
    assert adapter_for("demo", {}) is None
    assert adapter_for(None, {"demo": {}}) is None
    assert adapter_for("unheard_of", {"unheard_of": {}}) is None


@pytest.mark.parametrize("name", list(providers.ADAPTERS))
def test_every_adapter_says_what_it_needs_and_has_every_method(name: str) -> None:
    made = providers.adapter_class(name)
    assert made.SETTINGS
    assert all(callable(getattr(made, method)) for method in ("ask", "link", "link_state", "revoke", "webhook"))
    assert hasattr(made, "FEED")


def test_a_library_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known, load = [name for name in sys.modules if name.startswith("widget.providers.stripe")], builtins.__import__

    def without_stripe(name: str, *more: Any, **named: Any) -> Any:
        if name == "stripe":
            raise ModuleNotFoundError(name)
        return load(name, *more, **named)

    for name in known:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_stripe)
    with pytest.raises(ProviderRefused, match=r"pip install unjam\[stripe\]"):
        adapter_for("stripe", {"stripe": {"secret_key": "sk_test"}})


def test_no_client_library_is_loaded_before_a_shop_uses_it() -> None:
    libraries = ("stripe", "Adyen", "paypalserversdk", "mollie")
    code = f"import widget.web.app, sys; print([name for name in {libraries} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
