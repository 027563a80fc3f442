"""A payment link that is paid on the page of Adyen, PayPal or Mollie: kept once, whoever tells of it first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.providers import fake_adyen, fake_mollie, fake_paypal
from tests.providers.fake_adyen import FakeAdyen
from tests.providers.fake_mollie import FakeMollie
from tests.providers.fake_paypal import FakePayPal
from widget import attempts, cashier, links, orders, payments
from widget.attempts import AttemptContext
from widget.database import Database
from widget.orders import Order
from widget.payments import Payment, Source, Told
from widget.providers import ProviderDown
from widget.providers.paypal import PayPal
from widget.tickets import Ticket
from widget.tokens import Purpose


@dataclass
class House:
    """A provider, how to set it up, what the customer does on its page, and the webhook that it sends afterwards.

    `refused` is the payment that failed before, so that a link is offered at all; `told` the webhook about it.
    """

    name: str
    fake: Any
    settings: dict[str, str]
    refused: str
    told: tuple[dict[str, str], bytes] | None
    pay: Callable[[str], None]
    webhook: Callable[[str], tuple[dict[str, str], bytes]]


def _adyen() -> House:
    fake = FakeAdyen()
    settings = {"api_key": fake_adyen.KEY, "merchant_account": fake_adyen.ACCOUNT, "hmac_key": fake_adyen.HMAC_KEY}

    def webhook(hosted_id: str) -> tuple[dict[str, str], bytes]:
        amount = {"value": 124900, "currency": "ZAR"}
        return {}, fake_adyen.webhook(
            fake_adyen.item("AUTHORISATION", amount=amount, added={"paymentLinkId": hosted_id})
        )

    def pay(hosted_id: str) -> None:
        fake.links[hosted_id]["status"] = "completed"

    refused = fake_adyen.item("AUTHORISATION", "PSP0000000000009", "false")
    return House("adyen", fake, settings, "PSP0000000000009", ({}, fake_adyen.webhook(refused)), pay, webhook)


def _paypal() -> House:
    fake = FakePayPal()
    settings = {
        "client_id": fake_paypal.ID,
        "client_secret": fake_paypal.SECRET,
        "webhook_id": fake_paypal.WEBHOOK_ID,
    }

    def webhook(hosted_id: str) -> tuple[dict[str, str], bytes]:
        captured = fake.orders[hosted_id]["purchase_units"][0].get("payments")
        if captured:
            raw = fake_paypal.event("PAYMENT.CAPTURE.COMPLETED", captured["captures"][0])
        else:
            raw = fake_paypal.event("CHECKOUT.ORDER.APPROVED", fake.orders[hosted_id], 2)
        return fake_paypal.headers_for(raw), raw

    def pay(hosted_id: str) -> None:
        fake.orders[hosted_id]["status"] = "APPROVED"

    return House("paypal", fake, settings, fake.has(1, "VOIDED"), None, pay, webhook)


def _mollie() -> House:
    fake = FakeMollie()

    def webhook(hosted_id: str) -> tuple[dict[str, str], bytes]:
        return {}, f"id={hosted_id}".encode()

    def pay(hosted_id: str) -> None:
        fake.payments[hosted_id]["status"] = "paid"

    return House("mollie", fake, {"api_key": fake_mollie.KEY}, fake.has(1, "failed"), None, pay, webhook)


@pytest.fixture(params=[_adyen, _paypal, _mollie], ids=["adyen", "paypal", "mollie"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    made: House = request.param()
    yield made
    made.fake.stop()


@pytest.fixture
def cast(database: Database, house: House, clock: Clock) -> Cast:
    settings = house.settings | {"api_url": house.fake.url}
    with database.write() as session:
        return Cast(session, profile={"providers": {house.name: settings}})


@pytest.fixture
def page(app: Flask, client: FlaskClient, database: Database, cast: Cast, house: House, clock: Clock) -> str:
    """The address of a payment link for order D-1001, whose first payment was refused."""
    if house.told is not None:
        assert deliver(client, cast, house, house.told) == 200
    with database.write() as session:
        cast.session = session
        context = AttemptContext(
            key=key(), order=cast.context(), method="card", provider=house.name, payment=house.refused
        )
        attempt = attempts.open_for(session, cast.shop, context, clock.now)
        session.flush()
        order = orders.locked(session, cast.order_of(attempt).id)
        link = links.link_for(session, cast.shop, attempt, order, clock.now).key
    return f"/pay/{app.extensions['unjam'].tokens.sign(Purpose.PAY, link)}"


def hosted_id(database: Database) -> str:
    with database.read() as session:
        found = session.scalars(sa.select(links.PaymentLink)).one().hosted_id
    assert found is not None
    return found


def deliver(client: FlaskClient, cast: Cast, house: House, webhook: tuple[dict[str, str], bytes]) -> int:
    headers, body = webhook
    return client.post(f"/api/v1/webhooks/{cast.shop.site}/{house.name}", data=body, headers=headers).status_code


def work(database: Database, clock: Clock) -> None:
    """The worker's rounds, until nothing is left to do."""
    for _ in range(3):
        clock.forward(timedelta(minutes=2))
        while cashier.heed_webhooks(database, PACE) or cashier.look_at_pages(database, PACE):
            pass


def kept(database: Database) -> tuple[bool, int, int]:
    """Whether the order is paid, by how many different payments, and how many tickets there are."""
    with database.read() as session:
        order = session.scalars(sa.select(Order).filter_by(reference="D-1001")).one()
        found = {(each.payment, each.amount) for each in session.scalars(sa.select(Payment))}
        return order.paid_at is not None, len(found), len(session.scalars(sa.select(Ticket)).all())


def test_the_customer_pays_and_comes_back_and_the_webhook_adds_nothing(
    client: FlaskClient, database: Database, cast: Cast, house: House, page: str, clock: Clock
) -> None:
    onward = client.post(page)
    assert onward.status_code == 303
    assert hosted_id(database) in onward.location
    house.pay(hosted_id(database))
    assert "Paid. Thank you" in client.post(f"{page}/back").text
    assert [deliver(client, cast, house, house.webhook(hosted_id(database))) for _ in range(2)] == [200, 200]
    work(database, clock)
    assert kept(database) == (True, 1, 0)


def test_a_customer_who_pays_and_never_comes_back_has_paid(
    client: FlaskClient, database: Database, cast: Cast, house: House, page: str, clock: Clock
) -> None:
    client.post(page)
    house.pay(hosted_id(database))
    assert deliver(client, cast, house, house.webhook(hosted_id(database))) == 200
    work(database, clock)
    assert kept(database) == (True, 1, 0)


def test_coming_back_unpaid_takes_nothing_and_the_same_page_is_shown_again(
    client: FlaskClient, database: Database, house: House, page: str
) -> None:
    first = client.post(page).location
    assert "Paid" not in client.post(f"{page}/back").text
    assert client.post(page).location == first
    assert kept(database) == (False, 0, 0)


def test_a_provider_that_is_silent_when_the_customer_comes_back_is_not_taken_for_a_no(
    client: FlaskClient, database: Database, house: House, page: str
) -> None:
    client.post(page)
    house.pay(hosted_id(database))
    house.fake.trouble = "503"
    shown = client.post(f"{page}/back").text
    assert "Paid. Thank you" not in shown
    assert "Try again" not in shown
    house.fake.trouble = None
    assert "Paid. Thank you" in client.post(f"{page}/back").text


# The others' pages take the money by themselves; with PayPal it is taken by looking.
@pytest.mark.parametrize("house", [_paypal], indirect=True)
def test_an_order_that_was_paid_otherwise_is_not_taken_again_by_a_page_that_could_not_be_closed(
    client: FlaskClient,
    database: Database,
    cast: Cast,
    house: House,
    page: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.post(page)
    with database.write() as session:
        order = orders.locked_by_reference(session, session.scalars(sa.select(Order)).one())
        told = Told("till-1", Source.SHOP, order.due, payment="cash-1")
        payments.record(session, cast.shop, order, told, PACE, clock.now)
    monkeypatch.setattr(PayPal, "revoke", refuses_to_close)
    house.pay(hosted_id(database))

    client.post(f"{page}/back")
    deliver(client, cast, house, house.webhook(hosted_id(database)))
    work(database, clock)

    assert house.fake.orders[hosted_id(database)]["status"] == "APPROVED"
    assert kept(database)[:2] == (True, 1)


def refuses_to_close(*_: object) -> None:
    raise ProviderDown("PayPal would not mark the order as closed.")
