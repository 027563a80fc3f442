"""What is missing of an order, with each provider's own way of telling of the tries before and of what it gave back."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.providers import fake_mollie
from tests.providers.fake_mollie import FakeMollie
from tests.providers.fake_stripe import FakeStripe, card_error
from tests.providers.fake_stripe import charge as charge_of
from widget import attempts, cashier, enquiry, signals
from widget.attempts import AttemptContext, Stage
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.providers.paypal_told import happened_of
from widget.tellings import Payment
from widget.tickets import Status, Ticket, Topic
from widget.tokens import Purpose

_DECLINED = "insufficient_funds"


class AtStripe:
    def __init__(self) -> None:
        self.fake = FakeStripe()
        self.providers = {"stripe": self.fake.config}

    def took(self, amount: int) -> str:
        return str(self.fake.intent("succeeded", amount=amount)["id"])

    def declined(self, amount: int) -> str:
        error = card_error(_DECLINED)
        return str(self.fake.intent("requires_payment_method", amount=amount, last_payment_error=error)["id"])


class AtMollie:
    def __init__(self) -> None:
        self.fake, self._number = FakeMollie(), 0
        self.providers = {"mollie": {"api_key": fake_mollie.KEY, "api_url": self.fake.url, "order_field": "order"}}

    def took(self, amount: int) -> str:
        return self._has("paid", amount)

    def declined(self, amount: int) -> str:
        return self._has("failed", amount, details={"failureReason": _DECLINED})

    def _has(self, status: str, amount: int, **more: Any) -> str:
        self._number += 1
        money = {"value": f"{amount / 100:.2f}", "currency": "ZAR"}
        made = datetime.now(UTC).isoformat()
        return self.fake.has(self._number, status, amount=money, createdAt=made, **more)


@pytest.fixture(params=[AtStripe, AtMollie])
def provider_there(request: pytest.FixtureRequest) -> Iterator[AtStripe | AtMollie]:
    there: AtStripe | AtMollie = request.param()
    yield there
    there.fake.stop()


class Shop:
    def __init__(self, database: Database, clock: Clock, client: FlaskClient, providers: dict[str, Any]) -> None:
        # The fakes' payments are of the present time.
        clock.now = datetime.now(UTC).replace(microsecond=0)
        self._database, self._clock, self._client, self._name = database, clock, client, next(iter(providers))
        with database.write() as session:
            self.cast = Cast(session, profile={"providers": providers})

    def tried(
        self, payment: str, *, stage: Stage = Stage.FAILED, code: str | None = None, leg: int | None = None
    ) -> int:
        with self._database.write() as session:
            self.cast.session = session
            order = self.cast.context()
            context = AttemptContext(
                key=key(), order=order, method="card", provider=self._name, payment=payment, leg=leg, legs=leg and 2
            )
            attempt = attempts.open_for(session, self.cast.shop, context, self._clock.now)
            attempt.stage, attempt.error_code = stage.value, code
            signals.note(session, attempt, "stage", self._clock.now, stage="submitted")
            session.flush()
            self._clock.forward(timedelta(seconds=20))
            return attempt.id

    def ways_of(self, attempt_id: int) -> set[str]:
        token = self._client.application.extensions["unjam"].tokens.sign(Purpose.HELP, str(attempt_id))
        return set(re.findall(r"/choose/(\w+)", self._client.post(f"/help/{token}/check").text))

    def hears(self, **request: Any) -> None:
        assert self._client.post(f"/api/v1/webhooks/demo/{self._name}", **request).status_code == 200
        self._clock.forward(timedelta(minutes=5))
        while cashier.heed_webhooks(self._database, PACE):
            pass


@pytest.mark.parametrize("declined_before", [0, 1, 2])
def test_what_is_missing_is_asked_for_also_after_tries_that_were_declined(
    database: Database, clock: Clock, client: FlaskClient, provider_there: AtStripe | AtMollie, declined_before: int
) -> None:
    shop = Shop(database, clock, client, provider_there.providers)
    for _ in range(declined_before):
        shop.tried(provider_there.declined(124900), code=_DECLINED)
    assert "difference" in shop.ways_of(shop.tried(provider_there.took(100000)))


def test_the_rest_is_asked_for_when_the_second_leg_was_declined(
    database: Database, clock: Clock, client: FlaskClient, provider_there: AtStripe | AtMollie
) -> None:
    shop = Shop(database, clock, client, provider_there.providers)
    shop.tried(provider_there.took(100000), stage=Stage.PAID, leg=1)
    second = shop.tried(provider_there.declined(24900), code=_DECLINED, leg=2)
    assert "rest" in shop.ways_of(second)


def test_a_refund_of_the_second_payment_that_fails_opens_its_ticket_again(
    database: Database, clock: Clock, client: FlaskClient
) -> None:
    there = AtStripe()
    shop = Shop(database, clock, client, there.providers)
    made = int(clock.now.timestamp())
    first, second = (there.fake.intent("succeeded", created=made - age) for age in (60, 0))
    enquiry.ask(database, PACE, shop.tried(first["id"]))

    def hear(kind: str, **money: Any) -> Status:
        second["latest_charge"] = charge_of(124900, **money)
        told = second["latest_charge"] | {"payment_intent": second["id"], "currency": "zar"}
        headers, body = there.fake.event(kind, told)
        shop.hears(data=body, headers=headers)
        with database.read() as session:
            return Status(session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value)).one().status)

    assert hear("charge.refunded", refunded=True, amount_refunded=124900) is Status.RESOLVED
    assert hear("charge.refund.updated", refunded=False, amount_refunded=0) is Status.OPEN
    there.fake.stop()
    with database.read() as session:
        owed = session.scalars(sa.select(FollowUp).filter_by(kind=Kind.PAID_TWICE.value, cancelled_at=None)).all()
        assert len(owed) == 1


def test_a_refund_of_a_part_of_a_leg_at_mollie_gives_back_no_more(
    database: Database, clock: Clock, client: FlaskClient
) -> None:
    fake = FakeMollie()
    shop = Shop(database, clock, client, {"mollie": {"api_key": fake_mollie.KEY, "api_url": fake.url}})
    made = clock.now.isoformat()

    def has(number: int, status: str, value: str) -> str:
        money = {"value": value, "currency": "ZAR"}
        return fake.has(number, status, None, amount=money, metadata={"order_number": f"10004{number}"}, createdAt=made)

    paid = has(1, "paid", "1000.00")
    enquiry.ask(database, PACE, shop.tried(paid, stage=Stage.PAID, leg=1))
    second = shop.tried(has(2, "failed", "249.00"), code=_DECLINED, leg=2)
    fake.payments[paid] |= {"amountRefunded": {"value": "10.00", "currency": "ZAR"}}
    shop.hears(data={"id": paid})
    shop.ways_of(second)
    fake.stop()
    with database.read() as session:
        told = session.scalars(sa.select(Payment)).all()
        assert told
        assert [each for each in told if each.reversed_at is not None] == []


@pytest.mark.parametrize(
    ("kind", "has_money"),
    [
        ("PAYMENT.CAPTURE.REFUNDED", True),
        ("PAYMENT.CAPTURE.REVERSED", True),
        ("PAYMENT.REFUND.PENDING", False),
        ("PAYMENT.REFUND.FAILED", False),
    ],
)
def test_a_refund_at_paypal_that_waits_or_has_failed_has_given_nothing_back(
    clock: Clock, kind: str, has_money: bool
) -> None:
    refund = {
        "id": "R1",
        "amount": {"currency_code": "ZAR", "value": "1000.00"},
        "links": [{"rel": "up", "href": "/v2/payments/captures/C1"}],
    }
    event = {"id": "WH-1", "event_type": kind, "create_time": clock.now.isoformat(), "resource": refund}
    happened = happened_of(event, None, clock.now)
    assert happened is not None
    assert (happened.kind, happened.payment, happened.money is not None) == ("refund", "C1", has_money)
