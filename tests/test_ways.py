"""The ways out as flows: a call, a transfer, a person, and what nobody may be led to."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.gallery import PROFILE
from tests.test_panel import heading, offered, open_panel
from widget import clock, guard, shops
from widget.attempts import Attempt
from widget.database import Database
from widget.hooks import Hook
from widget.offers import Offer
from widget.shops import Profile, Shop
from widget.tickets import Ticket
from widget.web.panel import hours

FRIDAY_NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # 14:00 in Johannesburg
OPEN = Profile.model_validate({name: PROFILE[name] for name in ("hours", "time_zone")})


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile=PROFILE | {"providers": {"demo": {"url": provider.url}}})


@pytest.fixture
def token(client: FlaskClient, cast: Cast) -> str:
    """The panel of an attempt that was not charged."""
    opened = open_panel(client, cast)
    client.post(f"/help/{opened}/check")
    return opened


def test_people_are_there_until_they_close_and_again_when_they_open() -> None:
    assert hours.closes_at(OPEN, FRIDAY_NOON) == datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    assert hours.opens_at(OPEN, FRIDAY_NOON) is None
    evening = FRIDAY_NOON + timedelta(hours=5)
    assert hours.closes_at(OPEN, evening) is None
    assert hours.opens_at(OPEN, evening) == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def test_calls_are_offered_only_while_people_are_there_and_not_at_once() -> None:
    times = hours.call_times(OPEN, FRIDAY_NOON)
    assert times[:3] == [
        datetime(2026, 11, 20, 12, 30, tzinfo=UTC),
        datetime(2026, 11, 20, 13, 30, tzinfo=UTC),
        datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
    ]
    assert times[3] == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert all(OPEN.is_open(at) for at in times)


def test_nobody_is_called_at_night_by_a_shop_that_has_told_no_hours() -> None:
    times = hours.call_times(Profile(), FRIDAY_NOON + timedelta(hours=9))
    assert times[0] == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_a_day_whose_clock_changes_keeps_its_hours() -> None:
    berlin = Profile.model_validate(
        {"hours": [{"day": 6, "opens": "01:00", "closes": "04:00"}], "time_zone": "Europe/Berlin"}
    )
    before = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
    assert hours.opens_at(berlin, before) == datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    assert hours.closes_at(berlin, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == datetime(
        2026, 10, 25, 3, 0, tzinfo=UTC
    )


def call(client: FlaskClient, token: str, **changed: str) -> TestResponse:
    at = str(int((FRIDAY_NOON + timedelta(minutes=30)).timestamp()))
    form = {"phone": "+27 21 555 0100", "email": "sam@example.com", "at": at} | changed
    return client.post(f"/help/{token}/call-back", data=form)


def test_a_call_becomes_one_ticket_with_the_number_and_the_time(
    client: FlaskClient, cast: Cast, token: str, database: Database
) -> None:
    assert {heading(call(client, token)) for _ in range(2)} == {"We call you"}
    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket)).one()
        assert (ticket.topic, ticket.phone) == ("call_back", "+27 21 555 0100")
        assert ticket.call_at == FRIDAY_NOON + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"phone": "later"}, "Check the phone number."),
        ({"phone": "12345"}, "Check the phone number."),
        ({"phone": "+27 21 555 0100 ext 5"}, "Check the phone number."),
        ({"phone": "4111 1111 1111 1111"}, "This looks like a card number."),
        ({"email": "sam"}, "Check the e-mail address."),
        ({"at": "1795100000"}, "Choose when we should call you."),
        ({"at": "now"}, "Choose when we should call you."),
    ],
)
def test_a_call_that_cannot_be_made_is_asked_about_again(
    client: FlaskClient, token: str, database: Database, changed: dict[str, str], said: str
) -> None:
    answer = call(client, token, **changed)
    assert answer.status_code == 422
    assert said in answer.text
    with database.read() as session:
        assert session.scalars(sa.select(Ticket)).all() == []


def test_a_transfer_that_was_sent_leaves_nothing_else_that_pays_until_it_is_taken_back(
    client: FlaskClient, cast: Cast, token: str
) -> None:
    screen = client.post(f"/help/{token}/choose/transfer").text
    found = re.search(r'name="transfer" value="(\d+)"', screen)
    assert found, screen
    form = {"transfer": found[1]}
    assert heading(client.post(f"/help/{token}/transfer/announce", data=form)) == "Your transfer is on its way"
    waiting = client.post(f"/help/{token}/check")
    assert heading(waiting) == "Your transfer is on its way"
    assert offered(waiting) == ["transfer", "person", "call_back", "report"]
    assert heading(client.post(f"/help/{token}/choose/retry")) == "Your transfer is on its way"
    freed = client.post(f"/help/{token}/transfer/take-back", data=form)
    assert "retry" in offered(freed)


def test_who_takes_a_transfer_back_later_reads_what_is_true_by_then(
    client: FlaskClient, cast: Cast, token: str, clock: Clock, provider: FakeProvider
) -> None:
    found = re.search(r'name="transfer" value="(\d+)"', client.post(f"/help/{token}/choose/transfer").text)
    assert found
    form = {"transfer": found[1]}
    client.post(f"/help/{token}/transfer/announce", data=form)
    clock.forward(timedelta(hours=20))
    provider.status = "processing"
    assert "retry" not in offered(client.post(f"/help/{token}/transfer/take-back", data=form))


def test_another_orders_transfer_cannot_be_announced(client: FlaskClient, token: str) -> None:
    answer = client.post(f"/help/{token}/transfer/announce", data={"transfer": "999"})
    assert answer.status_code in {404, 409, 410}


def test_who_looks_for_a_person_reads_what_to_say_and_until_when_somebody_is_there(
    client: FlaskClient, token: str, clock: Clock
) -> None:
    screen = client.post(f"/help/{token}/choose/person").text
    assert "D-1001" in screen
    assert "tel:+27210000142" in screen
    assert "Somebody is there until 20 Nov 2026, 17:00 (SAST)." in screen
    clock.forward(timedelta(hours=5))
    closed = client.post(f"/help/{token}/choose/person").text
    assert "They are back on 23 Nov 2026, 08:00 (SAST)." in closed
    mark = "Closed now. Opens Monday, 08:00."
    assert (screen.count(mark), closed.count(mark)) == (0, len(PROFILE["contacts"]))


def test_a_card_that_may_never_be_tried_again_is_not_tried_again(
    client: FlaskClient, cast: Cast, provider: FakeProvider
) -> None:
    provider.body = (
        b'{"id":"pay_1","order":"D-1001","status":"requires_payment_method","amount":124900,"currency":"ZAR",'
        b'"code":"do_not_honor","advice":"never"}'
    )
    opened = open_panel(client, cast)
    ways = offered(client.post(f"/help/{opened}/check"))
    assert "retry" not in ways
    assert "method" in ways
    assert heading(client.post(f"/help/{opened}/choose/retry")) == "You have not been charged"


def test_whoever_tries_cards_reads_the_truth_about_the_charge_and_is_helped_by_people_only(
    client: FlaskClient, cast: Cast, token: str, database: Database, clock: Clock, provider: FakeProvider
) -> None:
    _suspect(database, clock.now)
    answer = client.post(f"/help/{token}/check")
    assert heading(answer) == "You have not been charged"
    assert offered(answer) == ["person", "report"]
    for way in ("retry", "method", "device", "payment_link", "transfer", "later"):
        assert heading(client.post(f"/help/{token}/choose/{way}")) == "You have not been charged"
    sent = client.post(f"/help/{token}/device/send", data={"email": "sam@example.com"})
    assert heading(sent) == "You have not been charged"


def _suspect(database: Database, now: datetime) -> None:
    with database.write() as session:
        attempt = session.scalars(sa.select(Attempt)).one()
        times = {"flagged_at": now, "seen_at": now, "until": now + timedelta(hours=1)}
        subject = guard.marks.all_of(attempt)["visitor"]
        shop_id = attempt.shop_id
        session.add(guard.Suspicion(shop_id=shop_id, subject=subject, pattern="declines", numbers={}, **times))


def test_what_is_shown_is_kept_with_its_place_cause_and_device(
    client: FlaskClient, token: str, database: Database
) -> None:
    with database.read() as session:
        rows: list[Any] = list(session.scalars(sa.select(Offer).order_by(Offer.place)))
        assert [row.place for row in rows] == list(range(len(rows)))
        assert rows[-1].kind == "report"
        assert all(row.cause and row.why for row in rows)


def test_the_order_of_the_ways_stays_from_look_to_look(client: FlaskClient, token: str) -> None:
    looks = {tuple(offered(client.post(f"/help/{token}/check"))) for _ in range(3)}
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("path", "most"), [("check", 29), ("choose/report", 26), ("choose/method", 48), ("choose/payment_link", 51)]
)
def test_a_screen_asks_the_database_few_questions(
    client: FlaskClient, token: str, database: Database, path: str, most: int
) -> None:
    asked: list[str] = []

    def count(*event: Any) -> None:
        asked.append(event[2])

    sa.event.listen(database.engine, "before_cursor_execute", count)
    client.post(f"/help/{token}/{path}")
    sa.event.remove(database.engine, "before_cursor_execute", count)
    assert len(asked) <= most, "\n".join(asked)


def test_the_shop_is_told_once_that_a_transfer_is_on_its_way(
    client: FlaskClient, cast: Cast, token: str, database: Database
) -> None:
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        shops.change(shop, name=None, profile={"hook_url": "https://shop.example/told"}, disable=None, now=clock.now())
    found = re.search(r'name="transfer" value="(\d+)"', client.post(f"/help/{token}/choose/transfer").text)
    assert found
    for _ in range(2):
        client.post(f"/help/{token}/transfer/announce", data={"transfer": found[1]})
    with database.read() as session:
        assert [each.event for each in session.scalars(sa.select(Hook))] == ["order.transfer_announced"]
