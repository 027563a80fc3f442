"""Stripe's adapter against an imitation of Stripe that others wrote, so that ours are not wrong in the same way.

It has payments, search and webhooks, but no Checkout Sessions: links and their keys meet our own fake alone.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.providers import localstripe
from tests.providers.localstripe import LocalStripe
from widget.money import Money
from widget.providers import ChargeState, Question, WebhookRefused
from widget.providers.stripe import Stripe

SECRET = "whsec_of_the_peer"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    log: Path = tmp_path_factory.mktemp("peer") / "localstripe.log"
    with localstripe.running(log) as running:
        yield running


@pytest.fixture
def stripe(peer: LocalStripe) -> Stripe:
    return Stripe({"secret_key": "sk_test_peer", "webhook_secret": SECRET, "api_url": peer.url})


class Ear(HTTPServer):
    """Hears webhooks: headers in lower case, and the raw body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hearing)
        self.heard: SimpleQueue[tuple[dict[str, str], bytes]] = SimpleQueue()


class _Hearing(BaseHTTPRequestHandler):
    server: Ear

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def ear() -> Iterator[Ear]:
    server = Ear()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def card(peer: LocalStripe, number: str) -> str:
    fields = {"type": "card", "card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030"}
    return str(peer.post("/v1/payment_methods", **fields, **{"card[cvc]": "123"})["id"])


def intent(peer: LocalStripe, **fields: str) -> dict[str, object]:
    return peer.post("/v1/payment_intents", amount="124900", currency="zar", **{"metadata[order]": "D-1001"}, **fields)


def test_it_listens_on_loopback_only(peer: LocalStripe) -> None:
    # ::ffff:127.0.0.1, in the kernel's order of bytes.
    assert peer.listens_on() == {"0000000000000000FFFF00000100007F"}


def test_a_payment_that_has_only_begun_is_not_charged(peer: LocalStripe, stripe: Stripe) -> None:
    made = intent(peer)
    answer = stripe.ask(Question(order="D-1001", payment=str(made["id"])))
    assert (answer.state, answer.payment) == (ChargeState.NOT_CHARGED, made["id"])


def test_a_payment_that_was_confirmed_is_charged(peer: LocalStripe, stripe: Stripe) -> None:
    made = intent(peer, payment_method=card(peer, "4242424242424242"), confirm="true")
    answer = stripe.ask(Question(order="D-1001", payment=str(made["id"])))
    assert (answer.state, answer.money) == (ChargeState.CHARGED, Money(124900, "ZAR"))


def test_a_card_that_was_declined_is_not_charged(peer: LocalStripe, stripe: Stripe) -> None:
    made = intent(peer)
    peer.post(f"/v1/payment_intents/{made['id']}/confirm", payment_method=card(peer, "4000000000000002"))
    answer = stripe.ask(Question(order="D-1001", payment=str(made["id"])))
    assert answer.state is ChargeState.NOT_CHARGED


def test_a_payment_that_it_does_not_know_is_unknown(stripe: Stripe) -> None:
    assert stripe.ask(Question(order="D-9", payment="pi_nobody")).state is ChargeState.UNKNOWN


def test_its_signed_webhooks_are_understood(peer: LocalStripe, stripe: Stripe, ear: Ear) -> None:
    peer.configure_webhook(f"http://127.0.0.1:{ear.server_port}/", SECRET)
    made = intent(peer, payment_method=card(peer, "4242424242424242"), confirm="true")
    told = None
    # Those of the other tests' payments may come in between.
    while told is None or (told.payment, told.status) != (made["id"], "succeeded"):
        headers, body = ear.heard.get(timeout=10)
        told = next(iter(stripe.webhook(headers, body)), None)

    assert (told.order, told.state, told.money) == ("D-1001", ChargeState.CHARGED, Money(124900, "ZAR"))
    with pytest.raises(WebhookRefused):
        stripe.webhook(headers, body.replace(b"124900", b"124901"))
