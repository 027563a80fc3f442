"""The shop's own server as the provider that is asked: signed requests, one strict shape, signed pushes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.providers.fake_shop import SECRET, FakeShop
from widget import clock
from widget.money import Money
from widget.providers import (
    Answer,
    Bill,
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
    signing,
)
from widget.providers.shop import ShopEndpoint

QUESTION = Question(order="D/1 & 2", payment=None)
CHARGED = {"state": "charged", "payment": "p1", "amount": 1999, "currency": "EUR"}


@pytest.fixture
def fake() -> Iterator[FakeShop]:
    made = FakeShop()
    yield made
    made.stop()


@pytest.fixture
def shop(fake: FakeShop) -> ShopEndpoint:
    adapter = adapter_for("shop", {"shop": fake.config})
    assert isinstance(adapter, ShopEndpoint)
    return adapter


def test_the_shop_is_asked_with_a_signature_over_the_whole_request(fake: FakeShop, shop: ShopEndpoint) -> None:
    assert shop.ask(QUESTION).state is ChargeState.NOT_CHARGED
    assert fake.asked == ["/unjam/payments?order=D%2F1+%26+2"]


def test_a_wrong_secret_is_the_shops_to_mend_and_is_not_repeated(fake: FakeShop) -> None:
    with pytest.raises(ProviderRefused) as caught:
        ShopEndpoint(fake.config | {"secret": "another one"}).ask(QUESTION)
    assert "another one" not in str(caught.value)


def test_everything_that_the_shop_says_arrives(fake: FakeShop, shop: ShopEndpoint) -> None:
    fake.state = CHARGED | {
        "status": "captured",
        "code": "00",
        "network_code": "00",
        "retry": "never",
        "is_reversed": True,
        "detail": "Two payments.",
        "charged": [{"payment": "p1", "amount": 1999}, {"payment": "p2", "amount": 500}],
    }
    eur = Money(1999, "EUR")
    listed = (Paid("p1", eur), Paid("p2", Money(500, "EUR")))
    said = Answer(
        ChargeState.CHARGED, eur, "p1", "Two payments.", "captured", "00", "00", Retry.NEVER, True, charged=listed
    )
    assert shop.ask(QUESTION) == said


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"state": "paid"},
        {"state": "charged"},
        CHARGED | {"amount": "1999"},
        CHARGED | {"amount": 0},
        CHARGED | {"currency": "EURO"},
        CHARGED | {"payment": None},
        CHARGED | {"card": "4242424242424242"},
        {"state": "not_charged", "retry": "perhaps"},
        {"state": "not_charged", "currency": "EUR", "charged": [{"payment": "p1", "amount": 1999}]},
        CHARGED | {"state": "held", "charged": [{"payment": "p2", "amount": 1999}]},
    ],
)
def test_an_answer_of_another_shape_is_no_answer(fake: FakeShop, shop: ShopEndpoint, wrong: dict[str, Any]) -> None:
    fake.state = wrong
    with pytest.raises(ProviderDown) as caught:
        shop.ask(QUESTION)
    assert "4242" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        (404, b'{"state": "not_charged"}'),
        (500, b'{"state": "not_charged"}'),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"state": "not_charged"}' + b" " * 300_000),
        (429, b"{}"),
    ],
)
def test_a_wrong_address_an_error_or_garbage_is_never_not_charged(
    fake: FakeShop, shop: ShopEndpoint, raw: tuple[int, bytes]
) -> None:
    fake.raw = raw
    with pytest.raises(ProviderDown):
        shop.ask(QUESTION)


def test_a_shop_that_cannot_be_reached_is_no_answer() -> None:
    with pytest.raises(ProviderDown):
        ShopEndpoint({"url": "http://127.0.0.1:1/unjam", "secret": SECRET}).ask(QUESTION)


@pytest.mark.parametrize("config", [{}, {"url": "https://shop.example"}, {"secret": SECRET}])
def test_a_missing_setting_is_named(config: dict[str, Any]) -> None:
    with pytest.raises(ProviderRefused, match=r"url|secret"):
        ShopEndpoint(config)


def bill(key: str = "unjam:demo:D-1:k") -> Bill:
    until = clock.now().replace(microsecond=0) + timedelta(hours=1)
    return Bill("D-1", Money(1999, "EUR"), key, "https://u.example/back", "https://u.example/back", until, "Karoo")


def test_the_shop_makes_a_page_once_for_each_key(fake: FakeShop, shop: ShopEndpoint) -> None:
    wanted = bill()
    first, again = shop.link(wanted), shop.link(wanted)
    assert first == again
    assert (first.url, first.until) == ("https://shop.example/pay/page-1", wanted.expires_at)
    assert fake.pages["unjam:demo:D-1:k"]["amount"] == 1999


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/pay", "ftp://shop.example/", ""])
def test_a_page_that_no_browser_should_open_is_refused(fake: FakeShop, shop: ShopEndpoint, url: str) -> None:
    fake.raw = (201, json.dumps({"id": "1", "url": url, "expires_at": 1_800_000_000}).encode())
    with pytest.raises(ProviderDown):
        shop.link(bill())


def test_what_became_of_a_page_and_closing_it(fake: FakeShop, shop: ShopEndpoint) -> None:
    fake.state = CHARGED
    assert shop.link_state("page-1").money == Money(1999, "EUR")
    shop.revoke("page-1")
    shop.revoke("paid")
    fake.raw = (500, b"{}")
    with pytest.raises(ProviderDown):
        shop.revoke("page-1")


@pytest.mark.parametrize(
    ("said", "left", "waits"),
    [
        ({"state": "not_charged"}, GivenUp.GONE, False),
        ({"state": "not_charged", "is_open": True}, GivenUp.CUSTOMER, True),
        ({"state": "not_charged", "status": "requires_action"}, GivenUp.CUSTOMER, True),
        ({"state": "not_charged", "status": "processing"}, GivenUp.MOVING, False),
        ({"state": "unknown"}, GivenUp.MOVING, False),
        ({"state": "unknown", "is_open": True}, GivenUp.MOVING, True),
        (CHARGED, GivenUp.GONE, False),
        (CHARGED | {"is_open": True}, GivenUp.CUSTOMER, True),
    ],
)
def test_the_shop_says_whether_its_customer_may_still_complete_a_payment(
    fake: FakeShop, shop: ShopEndpoint, said: dict[str, Any], left: GivenUp, waits: bool
) -> None:
    fake.state = said
    assert shop.give_up(Question("D-1", None)) is left
    assert shop.ask(Question("D-1", None)).waits is waits


@pytest.mark.parametrize("status", ["processing", "PENDING", "paymentPending", "authorized", "requires_capture"])
def test_not_charged_is_not_believed_beside_a_word_for_money_that_is_held_or_on_its_way(
    fake: FakeShop, shop: ShopEndpoint, status: str
) -> None:
    fake.state = {"state": "not_charged", "payment": "p1", "status": status}
    for answer in (shop.ask(QUESTION), shop.link_state("page-1")):
        assert (answer.state, answer.status) == (ChargeState.UNKNOWN, status)
    (told,) = shop.webhook(*push(fake.state | {"id": "evt_1", "order": "D-1", "at": 1_795_000_000}))
    assert told.state is ChargeState.UNKNOWN
    assert shop.give_up(QUESTION) is GivenUp.MOVING


def push(event: dict[str, Any], at: datetime | None = None) -> tuple[dict[str, str], bytes]:
    body = json.dumps(event).encode()
    return {"unjam-signature": signing.signature_of(SECRET, body, int((at or clock.now()).timestamp()))}, body


EVENT = CHARGED | {"id": "evt_1", "order": "D-1", "at": 1_795_000_000}


def test_a_signed_push_tells_what_happened(shop: ShopEndpoint) -> None:
    at = datetime.fromtimestamp(1_795_000_000, UTC)
    told = Happened("evt_1", "payment", at, "D-1", "p1", ChargeState.CHARGED, money=Money(1999, "EUR"))
    assert shop.webhook(*push(EVENT)) == [told]


def test_a_push_that_is_forged_changed_old_or_misshapen_is_refused(shop: ShopEndpoint) -> None:
    headers, body = push(EVENT)
    wrong = [
        ({}, body),
        ({"unjam-signature": "t=x,v1=y"}, body),
        (headers, body.replace(b"1999", b"1")),
        push(EVENT, clock.now() - timedelta(minutes=6)),
        push(EVENT, clock.now() + timedelta(minutes=6)),
        push({"id": "evt_1"}),
        push(EVENT | {"state": "paid"}),
    ]
    for each in wrong:
        with pytest.raises(WebhookRefused):
            shop.webhook(*each)
