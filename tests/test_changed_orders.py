"""The shop signs a new amount while a payment link is out: nobody is told "paid", and only the rest is asked for."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_beacons import beacon, send
from tests.test_payment_links import address, heading, make_link, order_of, told_by_shop
from widget import cashier, digest, links, payments
from widget.database import Database
from widget.ledger import Source, Told
from widget.money import Money
from widget.orders import OrderContext


@pytest.fixture
def cast(database: Database, provider: FakeProvider, clock: Clock) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


@pytest.fixture
def link(database: Database, cast: Cast) -> str:
    return make_link(database, cast)


def open_panel(client: FlaskClient, context: OrderContext) -> None:
    body = {"site": "demo", "attempt": {"key": key(), "order": context.model_dump(), "provider": "demo"}}
    assert client.post("/panel", json=body, headers={"Unjam-Frame": "1"}).status_code == 200


def test_the_page_of_a_link_is_closed_once_the_shop_has_signed_another_amount(
    app: Flask, client: FlaskClient, cast: Cast, link: str, database: Database, clock: Clock
) -> None:
    client.post(address(app, link))
    open_panel(client, cast.context(amount=200000))
    assert cashier.look_at_pages(database, PACE)
    with database.read() as session:
        assert links.by_key(session, link).hosted_url is None
    assert heading(client.get(address(app, link))) == "This link takes no payment"


def test_the_same_amount_signed_again_leaves_the_link_alone(
    app: Flask, client: FlaskClient, cast: Cast, link: str
) -> None:
    client.post(address(app, link))
    open_panel(client, cast.context())
    assert client.post(address(app, link)).status_code == 303


def test_what_was_paid_of_a_changed_order_is_told_and_only_the_rest_is_asked_for(
    app: Flask, client: FlaskClient, cast: Cast, link: str, provider: FakeProvider, database: Database, clock: Clock
) -> None:
    page = address(app, link)
    hosted = client.post(page).location
    open_panel(client, cast.context(amount=200000))
    provider.answer(hosted, "pay")

    told = client.post(f"{page}/back")
    assert heading(told) == "We have your payment of ZAR1,249.00"
    assert "ZAR751.00 is still to be paid" in told.text
    assert heading(client.get(page)) == heading(client.get(f"{page}/back")) == heading(told)
    assert order_of(database).paid_at is None

    rest = client.post(f"{page}/missing")
    assert rest.status_code == 303
    provider.answer(client.post(rest.location).location, "pay")
    assert heading(client.post(f"{rest.location}/back")) == "Paid. Thank you"
    assert order_of(database).paid_at is not None
    assert heading(client.post(f"{page}/missing")) == "Paid. Thank you"


def test_a_link_for_a_difference_that_has_changed_is_withdrawn_too(
    client: FlaskClient, cast: Cast, link: str, database: Database, clock: Clock
) -> None:

    told_by_shop(database, cast, Money(100000, "ZAR"))
    difference = make_link(database, cast, purpose=links.Purpose.DIFFERENCE, due=Money(24900, "ZAR"))
    open_panel(client, cast.context(amount=200000))
    with database.read() as session:
        assert links.by_key(session, difference).revoked_at is not None


def test_a_page_that_tells_of_the_new_amount_is_enough(
    app: Flask, client: FlaskClient, cast: Cast, link: str, database: Database, clock: Clock
) -> None:
    told = {"key": key(), "order": cast.context(amount=200000).model_dump(), "provider": "demo"}
    assert send(client, beacon() | {"attempt": told}) == 204
    with database.write() as session:
        digest.digest_all(session, PACE, clock.now)
        assert links.by_key(session, link).revoked_at is not None


@pytest.mark.parametrize(("signed", "is_paid"), [(124900, True), (129800, False), (300000, False)])
def test_a_difference_settles_only_what_it_was_the_difference_to(
    database: Database, clock: Clock, signed: int, is_paid: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        order = cast.order_of(attempt)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, Money(120000, "ZAR")), PACE, clock.now)
        due = Money(4900, "ZAR")
        link = links.link_for(session, cast.shop, attempt, order, clock.now, links.Purpose.DIFFERENCE, due)
        order.amount = signed
        links.finish_paying(link, order, "pi_9", clock.now)
        for name, source in (("link", Source.LINK), ("provider", Source.PROVIDER)):
            told = Told(name, source, due, payment="pi_9")
            payments.record(session, cast.shop, order, told, PACE, clock.now)

        assert (order.paid_at is not None) is is_paid
