"""Webhooks of providers: verified, kept once, answered at once; the worker acts on them; strangers learn nothing."""

import json
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.test import TestResponse

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, cashier, enquiry, links, orders, provider_events
from widget.audit import AuditRow
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Payment
from widget.provider_events import ProviderEvent
from widget.providers import ChargeState, Happened, signing
from widget.shops import Shop
from widget.web import webhooks

SECRET = "whsec_demo"


@pytest.fixture
def cast(database: Database, provider: FakeProvider, clock: Clock) -> Cast:
    with database.write() as session:
        made = Cast(session, profile={"providers": {"demo": {"url": provider.url, "webhook_secret": SECRET}}})
        made.attempt()
        return made


def event(clock: Clock, status: str = "succeeded", number: int = 1, payment: str = "pay_0") -> dict[str, Any]:
    told = {"id": payment, "order": "D-1001", "status": status, "amount": 124900, "currency": "ZAR"}
    return {"id": f"evt_{number}", "at": int(clock.now.timestamp()), "payment": told}


def tell(
    client: FlaskClient, clock: Clock, told: dict[str, Any], *, secret: str = SECRET, address: str = "demo/demo"
) -> TestResponse:
    body = json.dumps(told).encode()
    headers = {signing.HEADER: signing.signature_of(secret, body, int(clock.now.timestamp()))}
    return client.post(f"/api/v1/webhooks/{address}", data=body, headers=headers)


def rows(database: Database, model: type[Any]) -> list[Any]:
    with database.read() as session:
        return list(session.scalars(sa.select(model).order_by(model.id)))


def test_an_event_is_kept_once_however_often_it_is_told(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    answers = [tell(client, clock, event(clock)) for _ in range(3)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "[accepted]")] * 3
    (kept,) = rows(database, ProviderEvent)
    assert (kept.provider, kept.order_reference, kept.payment, kept.state) == ("demo", "D-1001", "pay_0", "charged")


def test_the_worker_asks_the_provider_because_of_it_and_settles_the_order(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "succeeded"
    tell(client, clock, event(clock))
    assert rows(database, Order)[0].paid_at is None
    assert cashier.heed_webhooks(database, PACE)
    assert rows(database, Order)[0].paid_at is not None
    assert not cashier.heed_webhooks(database, PACE)


def test_what_a_webhook_says_is_not_believed_against_the_provider(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "processing"
    tell(client, clock, event(clock))
    cashier.heed_webhooks(database, PACE)
    assert rows(database, Order)[0].paid_at is None


def test_a_webhook_finishes_a_link_whose_customer_never_came_back(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    with database.write() as session:
        attempt = session.scalars(sa.select(attempts.Attempt)).one()
        shop, order = session.get_one(Shop, cast.shop.id), orders.locked(session, attempt.order_id or 0)
        link = links.link_for(session, shop, attempt, order, clock.now).key
    taking = cashier.take(database, PACE, link, cashier.Ways("http://x/back", "http://x/back", "en"))
    provider.answer(str(taking.url), "pay")
    tell(client, clock, event(clock, payment="pay_pl_1"))
    cashier.heed_webhooks(database, PACE)
    with database.read() as session:
        assert links.by_key(session, link).paid_at is not None
    assert {each.payment for each in rows(database, Payment)} == {"pay_pl_1"}


def test_the_usual_event_of_a_payment_that_is_known_asks_nobody(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "succeeded"
    tell(client, clock, event(clock))
    cashier.heed_webhooks(database, PACE)
    provider.answers_with = 500
    tell(client, clock, event(clock, number=2))
    assert cashier.heed_webhooks(database, PACE)
    assert all(each.heeded_at is not None for each in rows(database, ProviderEvent))


def test_an_event_that_names_no_order_is_found_by_its_payment(
    database: Database, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "succeeded"
    with database.write() as session:
        session.scalars(sa.select(attempts.Attempt)).one().payment = "pay_0"
        shop = session.get_one(Shop, cast.shop.id)
        provider_events.keep(session, shop, "demo", Happened("evt_1", "payment", clock.now, payment="pay_0"), clock.now)
    cashier.heed_webhooks(database, PACE)
    assert rows(database, Order)[0].paid_at is not None


def test_a_charge_that_the_provider_cannot_confirm_now_is_asked_about_again_for_a_day(
    database: Database, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    told = Happened("evt_1", "payment", clock.now, order="D-1001", payment="pay_0", state=ChargeState.CHARGED)
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        # No page has told of it, so nobody watches it either.
        session.execute(sa.delete(attempts.Attempt))
        provider_events.keep(session, shop, "demo", told, clock.now)
    provider.answers_with = 500
    assert cashier.heed_webhooks(database, PACE)
    assert not cashier.heed_webhooks(database, PACE)
    provider.answers_with, provider.status = 200, "succeeded"
    clock.forward(timedelta(seconds=31))
    assert cashier.heed_webhooks(database, PACE)
    assert rows(database, Order)[0].paid_at is not None
    assert rows(database, ProviderEvent)[0].heeded_at is not None


def test_a_charge_that_is_never_confirmed_is_given_up_in_the_end(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "processing"
    tell(client, clock, event(clock))
    rounds = 0
    while rows(database, ProviderEvent)[0].heeded_at is None:
        rounds += cashier.heed_webhooks(database, PACE)
        clock.forward(timedelta(minutes=30))
    assert 20 < rounds < 40
    assert rows(database, Order)[0].paid_at is None


@pytest.mark.parametrize("error", [NoResultFound, StaleDataError, KeyError])
def test_one_webhook_that_trips_us_does_not_stop_the_others(
    client: FlaskClient,
    cast: Cast,
    database: Database,
    provider: FakeProvider,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    provider.status = "succeeded"
    tell(client, clock, event(clock) | {"payment": event(clock)["payment"] | {"order": "D-0"}})
    tell(client, clock, event(clock, number=2))
    hear = enquiry.hear

    def trip(*asked: Any) -> None:
        if "D-0" in asked:
            raise error("a row is gone")
        hear(*asked)

    monkeypatch.setattr("widget.cashier.rounds.enquiry.hear", trip)
    assert cashier.heed_webhooks(database, PACE)
    assert rows(database, Order)[0].paid_at is not None
    left = [each for each in rows(database, ProviderEvent) if each.heeded_at is None]
    assert [each.order_reference for each in left] == ["D-0"]
    assert not cashier.heed_webhooks(database, PACE)
    clock.forward(provider_events.TRIED_AGAIN_AFTER)
    assert cashier.heed_webhooks(database, PACE)


def test_a_stranger_cannot_keep_us_busy_with_webhooks_that_are_none(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    stranger: dict[str, Any] = {"environ_overrides": {"REMOTE_ADDR": "198.51.100.7"}}
    answers = [client.post("/api/v1/webhooks/demo/demo", data=b"{}", **stranger).status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]
    assert tell(client, clock, event(clock)).status_code == 200


def test_the_webhooks_of_one_shop_never_take_all_the_checks(client: FlaskClient, cast: Cast, clock: Clock) -> None:
    with ExitStack() as busy:
        for _ in range(webhooks.CHECKS_OF_ONE):
            busy.enter_context(webhooks._turn("demo", "demo"))
        with webhooks._turn("other", "demo"):
            assert tell(client, clock, event(clock)).status_code == 503
    assert tell(client, clock, event(clock)).status_code == 200


@pytest.mark.parametrize("wrong", ["secret", "old", "none", "shape", "changed"])
def test_a_webhook_that_is_not_the_providers_is_refused_and_noted(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock, wrong: str
) -> None:
    body = json.dumps(event(clock) if wrong != "shape" else {"id": "evt_1"}).encode()
    at = int((clock.now - timedelta(minutes=6 if wrong == "old" else 0)).timestamp())
    signature = signing.signature_of("whsec_other" if wrong == "secret" else SECRET, body, at)
    headers = {} if wrong == "none" else {signing.HEADER: signature}
    answer = client.post("/api/v1/webhooks/demo/demo", data=body + b" " * (wrong == "changed"), headers=headers)
    assert answer.status_code == 400
    assert rows(database, ProviderEvent) == []
    assert [(row.what, row.about) for row in rows(database, AuditRow)] == [("webhook_refused", "demo")]


def test_a_shop_or_provider_that_is_not_there_is_answered_alike(client: FlaskClient, cast: Cast, clock: Clock) -> None:
    addresses = ["nowhere/demo", "demo/stripe", "demo/unheard_of", "nowhere/unheard_of"]
    answers = [tell(client, clock, event(clock), address=address) for address in addresses]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


def test_a_provider_without_a_webhook_secret_is_asked_to_deliver_again(
    client: FlaskClient, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        Cast(session)
    assert tell(client, clock, event(clock)).status_code == 503


def test_a_webhook_that_is_too_large_is_not_read(client: FlaskClient, cast: Cast) -> None:
    assert client.post("/api/v1/webhooks/demo/demo", data=b"x" * (256 * 1024 + 1)).status_code == 413


def test_a_card_number_in_an_event_is_masked(database: Database, cast: Cast, clock: Clock) -> None:
    told = Happened("evt_1", "payment", clock.now, order="D-1001", detail="card 4242 4242 4242 4242 refused")
    with database.write() as session:
        provider_events.keep(session, session.get_one(Shop, cast.shop.id), "demo", told, clock.now)
    assert "4242" not in rows(database, ProviderEvent)[0].detail


def test_what_was_heard_comes_back_as_it_was_told_oldest_first(database: Database, cast: Cast, clock: Clock) -> None:
    later = Happened(
        "evt_2",
        "payment",
        clock.now,
        order="D-1001",
        payment="pay_1",
        state=ChargeState.CHARGED,
        status="succeeded",
        code="x",
        money=Money(5, "ZAR"),
        detail="why",
    )
    earlier = Happened("evt_1", "payment", clock.now - timedelta(minutes=1), payment="pay_1")
    others = Happened("evt_3", "payment", clock.now, order="D-2", payment="pay_9")
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        kept = [
            provider_events.keep(session, shop, "demo", each, clock.now) for each in (later, earlier, others, later)
        ]
        assert kept == [True, True, True, False]
        assert provider_events.heard(session, shop.id, "D-1001", "pay_1") == (earlier, later)
        assert provider_events.heard(session, shop.id + 1, "D-1001", "pay_1") == ()
        assert provider_events.heard(session, shop.id, None, None) == ()


def test_an_id_that_is_too_long_for_its_column_still_makes_one_row(
    database: Database, cast: Cast, clock: Clock
) -> None:
    told = Happened("e" * 300, "payment", clock.now, order="o" * 200, payment="p" * 300)
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        assert [provider_events.keep(session, shop, "demo", told, clock.now) for _ in range(2)] == [True, False]
        assert len(provider_events.heard(session, shop.id, "o" * 200, None)) == 1
