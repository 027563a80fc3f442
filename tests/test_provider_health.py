"""Whether each adapter says truthfully that its provider answers, and what the shop has to mend where it does not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from tests.fake_provider import FakeProvider
from tests.providers import fake_adyen, fake_mollie, fake_paypal, fake_shop, fake_stripe
from tests.providers.loopback import Loopback
from widget.providers import Provider, ProviderDown, adapter_class, adyen_calls, asking, paypal_calls, sessions


@dataclass
class Peer:
    """A provider on loopback with the settings that are right for it."""

    name: str
    fake: Any
    config: dict[str, Any]
    # The setting that proves who asks, with a value that proves nothing.
    wrong: dict[str, Any]
    silence: Callable[[], object]

    def adapter(self, **settings: Any) -> Provider:
        made: Provider = adapter_class(self.name)(self.config | settings)
        return made


def _adyen() -> Peer:
    fake = fake_adyen.FakeAdyen()
    config = {"api_key": fake_adyen.KEY, "merchant_account": fake_adyen.ACCOUNT, "hmac_key": fake_adyen.HMAC_KEY}
    return Peer("adyen", fake, config | {"api_url": fake.url}, {"api_key": "secret of another"}, _silent(fake))


def _mollie() -> Peer:
    fake = fake_mollie.FakeMollie()
    wrong = {"api_key": "live_secretOfAnother12345678901234567"}
    return Peer("mollie", fake, {"api_key": fake_mollie.KEY, "api_url": fake.url}, wrong, _silent(fake))


def _paypal() -> Peer:
    fake = fake_paypal.FakePayPal()
    config = {"client_id": fake_paypal.ID, "client_secret": fake_paypal.SECRET, "api_url": fake.url}
    return Peer("paypal", fake, config, {"client_secret": "secret of another"}, _silent(fake))


def _stripe() -> Peer:
    fake = fake_stripe.FakeStripe()
    return Peer("stripe", fake, fake.config, {"secret_key": "sk_test_secret_of_another"}, fake.hangs.set)


def _shop() -> Peer:
    fake = fake_shop.FakeShop()
    return Peer("shop", fake, fake.config, {"secret": "secret of another"}, lambda: setattr(fake, "raw", (503, b"")))


_PEERS = {each.__name__.strip("_"): each for each in (_adyen, _mollie, _paypal, _stripe, _shop)}


def _silent(fake: Loopback) -> Callable[[], object]:
    return lambda: setattr(fake, "trouble", "silence")


@pytest.fixture(params=list(_PEERS))
def peer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setattr(sessions, "TIMEOUT_SECONDS", (1.0, 0.3))
    monkeypatch.setattr(adyen_calls, "TIMEOUT", urllib3.Timeout(connect=1, read=0.3))
    monkeypatch.setattr(asking, "TIMEOUT", urllib3.Timeout(connect=1, read=0.3))
    paypal_calls._tokens.clear()
    made = _PEERS[request.param]()
    yield made
    made.fake.stop()


def test_a_provider_that_answers_has_nothing_to_mend(peer: Peer) -> None:
    assert peer.adapter().health() is None


def test_looking_makes_and_changes_nothing(peer: Peer) -> None:
    peer.adapter().health()
    made = [
        getattr(peer.fake, name)
        for name in ("links", "payments", "orders", "intents", "sessions", "pages")
        if hasattr(peer.fake, name)
    ]
    assert made
    assert not any(made)


def test_a_wrong_key_is_said_without_repeating_it(peer: Peer) -> None:
    trouble = peer.adapter(**peer.wrong).health()
    assert trouble is not None
    assert "nother" not in trouble
    assert trouble.endswith(("?", "."))


def test_a_provider_that_is_silent_or_unwell_is_down_and_not_the_shops_to_mend(peer: Peer) -> None:
    peer.silence()
    with pytest.raises(ProviderDown):
        peer.adapter().health()


def test_an_address_at_which_nobody_listens_is_down(peer: Peer) -> None:
    peer.fake.stop()
    with pytest.raises(ProviderDown):
        peer.adapter().health()


@pytest.mark.parametrize("trouble", ["html", "empty", "list", "500", "429"])
@pytest.mark.parametrize("peer", ["adyen", "mollie", "paypal"], indirect=True)
def test_what_is_not_the_providers_own_answer_is_down(peer: Peer, trouble: str) -> None:
    peer.fake.trouble = trouble
    with pytest.raises(ProviderDown):
        peer.adapter().health()


@pytest.mark.parametrize("peer", ["adyen"], indirect=True)
def test_a_key_for_webhooks_that_cannot_be_one_is_found_before_the_first_webhook(peer: Peer) -> None:
    assert "hmac_key" in (peer.adapter(hmac_key="not hexadecimal").health() or "")


@pytest.mark.parametrize("peer", ["paypal"], indirect=True)
def test_an_address_that_knows_no_orders_at_all_is_not_taken_for_paypal(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer.fake, "_told", lambda _asked: peer.fake.error(404, "SOMETHING_ELSE"))
    assert "SOMETHING_ELSE" in (peer.adapter().health() or "")


@pytest.mark.parametrize(
    ("name", "wanted"), [("cancel_intent", "cancel PaymentIntents"), ("expire_session", "expire Checkout Sessions")]
)
@pytest.mark.parametrize("peer", ["stripe"], indirect=True)
def test_a_restricted_key_needs_the_right_to_close_payments_and_pages(
    peer: Peer, name: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = peer.adapter()
    calls = adapter._calls  # type: ignore[attr-defined]
    asked = getattr(calls, name)

    def forbidden(thing: str) -> None:
        peer.fake.fails_with = (403, {"type": "invalid_request_error", "message": "This key may not do this"})
        asked(thing)

    monkeypatch.setattr(calls, name, forbidden)
    assert wanted in (adapter.health() or "")


@pytest.mark.parametrize("peer", ["shop"], indirect=True)
def test_a_shop_that_calls_anything_charged_is_told_so(peer: Peer) -> None:
    peer.fake.state = {"state": "charged", "payment": "p1", "amount": 1999, "currency": "EUR"}
    assert "unjam-check" in (peer.adapter().health() or "")


@pytest.mark.parametrize("peer", ["shop"], indirect=True)
def test_a_shop_that_answers_404_reads_what_it_has_to_answer(peer: Peer) -> None:
    peer.fake.raw = (404, b"{}")
    with pytest.raises(ProviderDown, match=r"404.*not_charged"):
        peer.adapter().health()


def test_the_demo_provider_is_well_while_it_answers() -> None:
    fake = FakeProvider()
    adapter: Provider = adapter_class("demo")({"url": fake.url})
    assert adapter.health() is None
    fake.stop()
    with pytest.raises(ProviderDown):
        adapter.health()
