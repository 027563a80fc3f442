"""Nobody whose order is paid in part is told that nothing was charged, or asked for the whole."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, certainty, followups, orders, payments
from widget.attempts import Attempt
from widget.certainty import Truth
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import ChargeState
from widget.tokens import Purpose

PART, REST = Money(120000, "ZAR"), Money(4900, "ZAR")
ACCOUNT = {
    "scheme": "eft",
    "holder": "Karoo",
    "bank": "FNB",
    "account_number": "62000000001",
    "branch_code": "250655",
    "currency": "ZAR",
}


def take(cast: Cast, order: Order, clock: Clock, payment: str | None, source: Source, money: Money = PART) -> None:
    told = Told(f"{source}:{payment}:{money.minor}", source, money, payment=payment)
    payments.record(cast.session, cast.shop, order, told, PACE, clock.now)


def truth(cast: Cast, attempt: Attempt, clock: Clock) -> Truth:
    return certainty.truth_of(cast.session, attempt, attempts.order_of(cast.session, attempt), clock.now)


@pytest.mark.parametrize("payment", ["transfer-1", None])
@pytest.mark.parametrize("source", [Source.SHOP, Source.PROVIDER, Source.LINK])
def test_what_is_missing_is_known_though_the_provider_of_the_page_took_nothing(
    database: Database, clock: Clock, source: Source, payment: str | None
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        take(cast, cast.order(), clock, payment, source)
        found = truth(cast, attempt, clock)

        assert (found.state, found.money, found.missing) == (ChargeState.CHARGED, PART, REST)
        assert not certainty.may_pay_whole(session, attempt, cast.order(), clock.now)


def test_a_page_that_claims_a_part_changes_nothing(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        take(cast, cast.order(), clock, "pi_1", Source.PAGE)

        assert truth(cast, attempt, clock).state is ChargeState.NOT_CHARGED
        assert certainty.may_pay_whole(session, attempt, cast.order(), clock.now)


@pytest.mark.parametrize(
    ("amount", "currency"), [(PART.minor, "ZAR"), (PART.minor, "USD")], ids=["unsigned", "other currency"]
)
def test_where_it_is_not_known_what_is_missing_nothing_may_be_paid(
    database: Database, clock: Clock, amount: int, currency: str
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(is_signed=currency != "ZAR", charge=ChargeState.NOT_CHARGED)
        order = orders.told_by_shop(session, cast.shop, "D-1001", cast.order_of(attempt).due, clock.now)
        take(cast, order, clock, "transfer-1", Source.SHOP, Money(amount, currency))

        assert truth(cast, attempt, clock).state is ChargeState.UNKNOWN
        assert not certainty.may_pay_whole(session, attempt, cast.order_of(attempt), clock.now)


@pytest.mark.parametrize(("hours", "mails"), [(0, []), (1, ["part of the order is paid"])])
def test_a_reminder_of_the_whole_is_not_sent(database: Database, clock: Clock, hours: int, mails: list[str]) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        if not hours:
            take(cast, cast.order(), clock, "transfer-1", Source.SHOP)
        cast.ticket(attempt)
        clock.forward(timedelta(hours=hours))
        if hours:
            take(cast, cast.order(), clock, "transfer-1", Source.SHOP)
        owed = session.scalars(sa.select(FollowUp).filter_by(kind=Kind.REMINDER.value)).all()

        assert [followups.reason_to_cancel(session, each, clock.now) for each in owed] == mails


def test_the_panel_asks_for_the_difference_and_nothing_else(
    database: Database, clock: Clock, provider: FakeProvider, client: FlaskClient
) -> None:
    provider.status = "requires_payment_method"
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": provider.url}}, "bank_accounts": [ACCOUNT]})
        attempt = cast.attempt()
        take(cast, cast.order(), clock, "transfer-1", Source.SHOP)
        token = client.application.extensions["unjam"].tokens.sign(Purpose.HELP, str(attempt.id))
    page = client.post(f"/help/{token}/check").text
    ways = re.findall(r"/choose/(\w+)", page)

    assert "of your order is not paid yet" in page
    assert "You have not been charged" not in page
    assert set(ways) == {"difference", "person", "report"}
    assert "49.00" in client.post(f"/help/{token}/choose/difference").text
