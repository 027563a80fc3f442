"""The demo's payment provider keeps the rules that Unjam relies on: a key pays once, and an order is paid once."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from widget import clock
from widget.demo import provider
from widget.demo.provider import Charge, Refused
from widget.demo.shop import DemoConfig, create_shop
from widget.demo.store import PaymentStatus, Store
from widget.providers import GivenUp, Question, demo, signing
from widget.providers.demo import DemoProvider
from widget.shops import signature_for

UNREACHABLE = "http://127.0.0.1:9"
QUESTION = Question("D-1001", None)


class UnjamEar(HTTPServer):
    """Hears what the shop tells Unjam; the first answers are `failures`, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.failures: list[int] = []
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.was_told = threading.Event()


class _Answering(BaseHTTPRequestHandler):
    server: UnjamEar

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append((dict(self.headers), body))
        status = self.server.failures.pop(0) if self.server.failures else 200
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.server.was_told.set()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def unjam() -> Iterator[UnjamEar]:
    server = UnjamEar()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop(unjam: UnjamEar, tmp_path: Path) -> Iterator[Flask]:
    address = f"http://127.0.0.1:{unjam.server_port}"
    kept = tmp_path / "shop.sqlite"
    made = create_shop(DemoConfig("http://127.0.0.1:8001", address, "demo", "us_secret", "uk_key", kept))
    yield made
    made.extensions["till"].close()


@pytest.fixture
def shopper(shop: Flask) -> FlaskClient:
    return shop.test_client()


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(":memory:")
    yield made
    made.close()


def take(shopper: FlaskClient, key: str, order: str = "D-1001", amount: int = 124_900) -> TestResponse:
    body = {"order": order, "amount": amount, "currency": "ZAR"}
    return shopper.post("/provider/payments", json=body, headers={"Idempotency-Key": key})


def press_pay(shopper: FlaskClient, scenario: str, order: str = "D-1001") -> TestResponse:
    return shopper.post(f"/checkout/{order}/pay", json={"method": "eft", "scenario": scenario})


def furthest(shopper: FlaskClient, order: str = "D-1001") -> TestResponse:
    return shopper.get("/provider/payments", query_string={"order": order})


def test_a_payment_is_taken_at_once(shopper: FlaskClient) -> None:
    answer = take(shopper, "key-1")
    assert answer.status_code == 201
    assert answer.json is not None
    assert (answer.json["status"], answer.json["amount"], answer.json["currency"]) == ("succeeded", 124_900, "ZAR")


def test_the_same_key_is_the_same_payment(shopper: FlaskClient) -> None:
    first, again = take(shopper, "key-1"), take(shopper, "key-1")
    assert again.status_code == 200
    assert again.json == first.json


def test_a_key_used_for_another_amount_is_refused(shopper: FlaskClient) -> None:
    take(shopper, "key-1")
    assert take(shopper, "key-1", amount=1).status_code == 409


def test_an_order_is_not_paid_twice(shopper: FlaskClient) -> None:
    take(shopper, "key-1")
    assert take(shopper, "key-2").status_code == 409
    assert take(shopper, "key-2", order="D-1002").status_code == 201


def test_racing_payments_of_one_order_take_the_money_once(store: Store) -> None:
    charge = Charge(order="D-1", amount=100, currency="ZAR")
    gate, outcomes = threading.Barrier(8), list[str]()

    def race(number: int) -> None:
        gate.wait()
        try:
            outcomes.append(provider.take(store, charge, f"key-{number}")[0].status)
        except Refused:
            outcomes.append("refused")

    racers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["succeeded"]


@pytest.mark.parametrize("body", ["", "{}", '{"order": "D-1", "amount": -1, "currency": "ZAR"}', "[1]"])
def test_a_body_of_another_shape_is_refused(shopper: FlaskClient, body: str) -> None:
    answer = shopper.post("/provider/payments", data=body, headers={"Idempotency-Key": "key-1"})
    assert answer.status_code == 422


def test_a_payment_without_a_key_is_refused(shopper: FlaskClient) -> None:
    assert take(shopper, "").status_code == 400


def test_an_order_the_provider_has_never_seen_is_not_found(shopper: FlaskClient) -> None:
    assert furthest(shopper, "D-9").status_code == 404


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["requires_payment_method", "succeeded", "canceled"], "succeeded"),
        (["processing", "requires_action"], "processing"),
        (["requires_capture", "processing"], "requires_capture"),
        (["canceled", "requires_payment_method"], "requires_payment_method"),
    ],
)
def test_the_furthest_payment_speaks_for_the_order(store: Store, statuses: list[str], expected: str) -> None:
    for status in statuses:
        store.add_payment(order="D-1", amount=100, currency="ZAR", status=PaymentStatus(status))
    found = provider.furthest(store, "D-1")
    assert found is not None
    assert found.status == expected


@pytest.mark.parametrize(
    ("scenario", "status", "http"),
    [("ok", "succeeded", 200), ("decline", "requires_payment_method", 402), ("error", "requires_payment_method", 502)],
)
def test_a_scenario_brings_the_payment_as_far_as_it_says(
    shopper: FlaskClient, scenario: str, status: str, http: int
) -> None:
    shopper.post("/checkout")
    assert press_pay(shopper, scenario).status_code == http
    answer = furthest(shopper)
    assert answer.json is not None
    assert answer.json["status"] == status


@pytest.mark.parametrize(
    ("scenario", "status"),
    [("hang", "requires_payment_method"), ("hang_charged", "succeeded"), ("hang_processing", "processing")],
)
def test_a_payment_that_hangs_leaves_its_truth_at_the_provider(
    shop: Flask, shopper: FlaskClient, scenario: str, status: str
) -> None:
    shopper.post("/checkout")
    # The shop closes, so that the request comes back at once instead of hanging.
    shop.extensions["till"].close()
    assert press_pay(shopper, scenario).status_code == 504
    answer = furthest(shopper)
    assert answer.json is not None
    assert answer.json["status"] == status


@pytest.mark.parametrize("scenario", ["ok", "hang_charged"])
def test_pay_pressed_again_after_the_money_was_taken_takes_no_more(
    shop: Flask, shopper: FlaskClient, scenario: str
) -> None:
    shopper.post("/checkout")
    shop.extensions["till"].close()
    press_pay(shopper, scenario)
    assert press_pay(shopper, "ok").json == {"status": "succeeded", "next": "/thanks/D-1001"}
    assert len(shop.extensions["till"].store.payments_of("D-1001")) == 1


def test_no_second_payment_while_the_bank_decides(shop: Flask, shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    shop.extensions["till"].close()
    press_pay(shopper, "hang_processing")
    assert press_pay(shopper, "ok").status_code == 409
    assert take(shopper, "link-1").status_code == 409


def test_the_bank_decides_about_a_payment_that_is_processing(shop: Flask, shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    shop.extensions["till"].close()
    press_pay(shopper, "hang_processing")
    assert shopper.post("/checkout/D-1001/bank", json={"taken": True}).json == {"status": "succeeded"}
    assert "Thank you, order paid" in shopper.get("/checkout/D-1001").text


@pytest.mark.parametrize(
    ("status", "told", "after"),
    [("requires_action", 200, "canceled"), ("succeeded", 409, "succeeded"), ("processing", 409, "processing")],
)
def test_only_a_payment_that_waits_for_the_customer_can_be_cancelled(
    shop: Flask, shopper: FlaskClient, status: str, told: int, after: str
) -> None:
    store = shop.extensions["till"].store
    made = store.add_payment(order="D-1001", amount=124_900, currency="ZAR", status=PaymentStatus(status))
    assert shopper.post(f"/provider/payments/{made.id}/cancel").status_code == told
    assert store.payment(made.id).status == after


def adapter_over(shopper: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> DemoProvider:
    def send(method: str, url: str, *, body: bytes | None = None, headers: dict[str, str]) -> tuple[int, Any]:
        answer = shopper.open(url.removeprefix(UNREACHABLE), method=method, data=body, headers=headers)
        return answer.status_code, answer.json

    monkeypatch.setattr(demo, "send", send)
    return DemoProvider({"url": f"{UNREACHABLE}/provider"})


@pytest.mark.parametrize(
    ("first", "second", "left", "after"),
    [
        ("succeeded", "requires_action", GivenUp.GONE, "canceled"),
        ("processing", "requires_action", GivenUp.MOVING, "canceled"),
        ("requires_action", "requires_action", GivenUp.GONE, "canceled"),
        ("succeeded", "requires_payment_method", GivenUp.GONE, "requires_payment_method"),
    ],
)
def test_what_waits_is_told_and_given_up_whatever_the_furthest_payment_says(
    shop: Flask, shopper: FlaskClient, monkeypatch: pytest.MonkeyPatch, first: str, second: str, left: str, after: str
) -> None:
    store, adapter = shop.extensions["till"].store, adapter_over(shopper, monkeypatch)
    _, last = (
        store.add_payment(order="D-1001", amount=60_000, currency="ZAR", status=PaymentStatus(each), leg=leg)
        for leg, each in enumerate((first, second), 1)
    )
    assert adapter.ask(QUESTION).waits is (second == "requires_action")
    assert adapter.give_up(QUESTION) is left
    assert store.payment(last.id).status == after
    assert not adapter.ask(QUESTION).waits


def test_an_order_paid_by_a_link_of_unjam_is_paid_in_the_shop(shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    take(shopper, "link-1")
    assert "Thank you, order paid" in shopper.get("/checkout/D-1001").text


def test_a_part_of_the_amount_does_not_pay_the_order(shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    take(shopper, "link-1", amount=1_000)
    assert "This order is not paid yet" in shopper.get("/thanks/D-1001").text


def test_the_shop_tells_unjam_of_a_payment_until_it_is_heard(shopper: FlaskClient, unjam: UnjamEar) -> None:
    unjam.failures = [503]
    shopper.post("/checkout")
    press_pay(shopper, "ok")
    assert unjam.was_told.wait(10)
    (_, _), (headers, notice) = unjam.heard
    assert headers["Authorization"] == "Bearer uk_key"
    assert headers["Idempotency-Key"] == notice["payment"]
    assert {name: notice[name] for name in ("order", "amount", "currency", "method", "provider")} == {
        "order": "D-1001",
        "amount": 124_900,
        "currency": "ZAR",
        "method": "eft",
        "provider": "demo",
    }


def test_a_checkout_does_not_wait_for_unjam() -> None:
    shop = create_shop(DemoConfig("http://127.0.0.1:8001", UNREACHABLE, "demo", "us_secret", "uk_key", ":memory:"))
    shopper = shop.test_client()
    shopper.post("/checkout")
    assert press_pay(shopper, "ok").status_code == 200
    assert len(shop.extensions["till"].store.untold()) == 1
    shop.extensions["till"].close()


def test_another_e_mail_address_is_signed_again(shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    answer = shopper.post("/checkout/D-1001/contact", json={"email": "thandi@example.org"})
    assert answer.json is not None
    context = {"order": "D-1001", "amount": 124_900, "currency": "ZAR", "email": "thandi@example.org"}
    context["issued_at"] = answer.json["issued_at"]
    assert answer.json == context | {"signature": signature_for("us_secret", **context)}  # type: ignore[arg-type]


def test_an_address_that_is_none_changes_nothing(shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    assert shopper.post("/checkout/D-1001/contact", json={"email": "thandi"}).status_code == 422
    assert 'data-email="sam@example.com"' in shopper.get("/checkout/D-1001").text


@pytest.mark.parametrize("reference", ["D-1", "D-", "1001", "D-" + "9" * 40, "D-²", "x"])
def test_an_order_that_does_not_exist_has_no_checkout(shopper: FlaskClient, reference: str) -> None:
    assert shopper.get(f"/checkout/{reference}").status_code == 404


def make_page(shopper: FlaskClient, key: str = "key-1", amount: int = 124_900, lives: int = 3600) -> TestResponse:
    expires_at = int(clock.now().timestamp()) + lives
    urls = {"return_url": "http://localhost/back", "cancel_url": "http://localhost/cancelled"}
    body = {"order": "D-1001", "amount": amount, "currency": "ZAR", "expires_at": expires_at} | urls
    return shopper.post("/provider/links", json=body, headers={"Idempotency-Key": key})


def page_of(made: TestResponse) -> str:
    assert made.json is not None
    return str(made.json["url"]).removeprefix("http://localhost")


def state_of(shopper: FlaskClient, made: TestResponse) -> dict[str, Any]:
    assert made.json is not None
    found: dict[str, Any] | None = shopper.get(f"/provider/links/{made.json['id']}").json
    assert found is not None
    return found


def test_a_page_takes_the_money_once_and_sends_the_customer_back(shopper: FlaskClient, unjam: UnjamEar) -> None:
    shopper.post("/checkout")
    made = make_page(shopper)
    assert "R\xa01\xa0249,00" in shopper.get(page_of(made)).text or "R1" in shopper.get(page_of(made)).text
    answer = shopper.post(page_of(made), data={"answer": "pay"})
    assert (answer.status_code, answer.location) == (303, "http://localhost/back")
    found = state_of(shopper, made)
    assert (found["status"], found["payment"]["status"], found["payment"]["amount"]) == (
        "complete",
        "succeeded",
        124_900,
    )
    assert "Thank you, order paid" in shopper.get("/checkout/D-1001").text
    assert "This was paid" in shopper.post(page_of(made), data={"answer": "pay"}).text


def test_a_key_makes_one_page_and_no_other(shopper: FlaskClient) -> None:
    first, again, other = make_page(shopper), make_page(shopper), make_page(shopper, amount=1)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json == again.json


@pytest.mark.parametrize("how", ["closed", "expired"])
def test_a_page_that_is_closed_or_has_expired_takes_nothing(shopper: FlaskClient, how: str) -> None:
    made = make_page(shopper, lives=-1 if how == "expired" else 3600)
    assert made.json is not None
    if how == "closed":
        assert shopper.post(f"/provider/links/{made.json['id']}/expire").status_code == 200
    assert "This payment page is closed" in shopper.get(page_of(made)).text
    assert "Nothing was taken" in shopper.get(page_of(made)).text
    shopper.post(page_of(made), data={"answer": "pay"})
    assert state_of(shopper, made)["status"] == "expired"
    assert furthest(shopper).status_code == 404


def test_a_page_that_was_paid_cannot_be_closed(shopper: FlaskClient) -> None:
    made = make_page(shopper)
    shopper.post(page_of(made), data={"answer": "pay"})
    assert made.json is not None
    assert shopper.post(f"/provider/links/{made.json['id']}/expire").status_code == 409
    assert state_of(shopper, made)["status"] == "complete"


def test_a_declined_page_stays_open_and_says_why(shopper: FlaskClient) -> None:
    made = make_page(shopper)
    assert "declined" in shopper.post(page_of(made), data={"answer": "decline"}).text
    found = state_of(shopper, made)
    assert (found["status"], found["payment"]["code"]) == ("open", "card_declined")


def test_a_page_takes_nothing_of_an_order_that_is_paid_and_the_rest_of_one_that_is_paid_in_part(
    shopper: FlaskClient,
) -> None:
    shopper.post("/checkout")
    take(shopper, "earlier", amount=100_000)
    whole, rest = make_page(shopper), make_page(shopper, "key-2", amount=24_900)
    assert "A payment of this order was made" in shopper.post(page_of(whole), data={"answer": "pay"}).text
    assert shopper.post(page_of(rest), data={"answer": "pay"}).status_code == 303
    assert "Thank you, order paid" in shopper.get("/checkout/D-1001").text


def test_several_payments_of_an_order_are_listed(shopper: FlaskClient) -> None:
    shopper.post("/checkout")
    take(shopper, "earlier", amount=100_000)
    shopper.post(page_of(make_page(shopper, amount=24_900)), data={"answer": "pay"})
    answer = furthest(shopper)
    assert answer.json is not None
    assert sorted(each["amount"] for each in answer.json["charged"]) == [24_900, 100_000]


def test_the_provider_tells_unjam_of_a_payment_with_a_signed_webhook(shopper: FlaskClient, unjam: UnjamEar) -> None:
    shopper.post(page_of(make_page(shopper)), data={"answer": "pay"})
    assert unjam.was_told.wait(10)
    headers, event = unjam.heard[0]
    assert event["payment"]["status"] == "succeeded"
    assert headers[signing.HEADER].startswith(f"t={event['at']},v1=")


@pytest.mark.parametrize("indicator", ["none", "minor", "major", "critical"])
def test_the_status_page_says_what_the_demo_has_set(shopper: FlaskClient, indicator: str) -> None:
    assert shopper.post("/provider/status", data={"indicator": indicator}).status_code == 200
    answer = shopper.get("/provider/status/api/v2/summary.json")
    assert answer.json is not None
    assert answer.json["status"]["indicator"] == indicator
    assert shopper.post("/provider/status", data={"indicator": "perhaps"}).status_code == 400
