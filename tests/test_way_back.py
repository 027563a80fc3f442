"""Who left the page of their own payment link finds the way back to it in the panel, and nobody else does."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_panel import heading, offered, open_panel
from widget import orders
from widget.database import Database
from widget.links import PaymentLink
from widget.orders import Order

UNKNOWN = "We do not know yet if you were charged"
UNFINISHED = "As far as we know, your payment on the separate page is not finished yet."
OURS = "http://localhost:8000"


@pytest.fixture
def cast(database: Database, provider: FakeProvider, clock: Clock) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


def asked(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"/help/{token}/check")


def pay_page(screen: TestResponse) -> str | None:
    """The address of our own payment page that this screen leads to."""
    found = re.search(rf'href="{OURS}(/pay/[^"]+)"', screen.text)
    return found[1] if found else None


def begun(client: FlaskClient, token: str) -> tuple[str, str]:
    """A payment by a link of this attempt, whose provider's page was opened: our page and the provider's."""
    page = pay_page(client.post(f"/help/{token}/choose/payment_link"))
    assert page
    return page, client.post(page).location


@pytest.mark.parametrize("is_signed", [True, False])
def test_who_closed_the_page_of_their_own_link_is_led_back_to_it(
    client: FlaskClient, cast: Cast, is_signed: bool
) -> None:
    token = open_panel(client, cast, is_signed=is_signed)
    page, at_provider = begun(client, token)

    answer = asked(client, token)
    assert (heading(answer), pay_page(answer)) == (UNKNOWN, page)
    assert UNFINISHED in answer.text
    assert offered(answer) == ["person", "report"]
    assert "Go on with this payment" in client.get(page).text
    assert client.post(page).location == at_provider


def test_who_leaves_the_page_there_has_all_ways_again(client: FlaskClient, cast: Cast) -> None:
    token = open_panel(client, cast)
    page, _at_provider = begun(client, token)
    client.post(f"{page}/leave")
    answer = asked(client, token)
    assert (heading(answer), pay_page(answer)) == ("You have not been charged", None)
    assert "payment_link" in offered(answer)


def test_who_paid_before_they_came_back_is_not_asked_to_pay_by_that_page(
    client: FlaskClient, cast: Cast, provider: FakeProvider
) -> None:
    token = open_panel(client, cast)
    page, at_provider = begun(client, token)
    provider.answer(at_provider, "pay")
    assert heading(client.post(page)) == "Paid. Thank you"
    assert pay_page(asked(client, token)) is None
    assert len(provider.taken) == 1


@pytest.mark.parametrize("is_signed", [True, False])
def test_another_attempt_at_the_same_order_does_not_get_the_link(
    client: FlaskClient, cast: Cast, is_signed: bool
) -> None:
    begun(client, open_panel(client, cast, is_signed=is_signed))
    answer = asked(client, open_panel(client, cast, attempt=key(), is_signed=is_signed))
    assert (heading(answer), pay_page(answer)) == (UNKNOWN, None)
    assert UNFINISHED not in answer.text


def test_nobody_is_led_back_where_money_may_have_moved(
    client: FlaskClient, cast: Cast, provider: FakeProvider, database: Database
) -> None:
    token = open_panel(client, cast)
    page, at_provider = begun(client, token)
    provider.speaks_of_pages = False
    provider.answer(at_provider, "pay")
    provider.answers_with = 500
    assert heading(client.post(page)) == "Please do not pay yet"
    provider.answers_with = 200
    answer = asked(client, token)
    assert (heading(answer), pay_page(answer)) == (UNKNOWN, None)
    assert UNFINISHED not in answer.text


def test_nobody_is_led_back_while_the_checkouts_own_payment_may_go_through(
    client: FlaskClient, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    token = open_panel(client, cast)
    begun(client, token)
    provider.status = "processing"
    clock.forward(timedelta(minutes=2))
    assert pay_page(asked(client, token)) is None


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_nobody_is_led_back_to_a_link_that_takes_nothing(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock, change: str
) -> None:
    token = open_panel(client, cast)
    begun(client, token)
    with database.write() as session:
        session.execute(sa.update(PaymentLink).values({change: clock.now}))
    with database.read() as session:
        assert orders.is_being_paid(session.scalars(sa.select(Order)).one(), clock.now)
    assert pay_page(asked(client, token)) is None
