"""Pay later: the order is kept for a while, the customer is reminded when they wished, and the shop is told."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.gallery import PROFILE
from tests.test_panel import heading, open_panel
from widget import holds, orders, transfers
from widget.database import Database
from widget.errors import Malformed, Refused
from widget.followups import FollowUp
from widget.holds import Hold
from widget.hooks import Hook

HOOK = {"hook_url": "https://shop.example/hooks"}


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile=HOOK | {"providers": {"demo": {"url": provider.url}}})


def kept(database: Database, cast: Cast, at: datetime, now: datetime, email: str = "sam@example.com") -> Hold:
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt()
        order = orders.locked(session, attempt.order_id or 0)
        return holds.keep(session, cast.shop, attempt, order, email=email, remind_at=at, now=now)


def events(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Hook.event).order_by(Hook.id)))


def test_an_order_is_kept_once_and_the_latest_wish_counts(database: Database, cast: Cast, clock: Clock) -> None:
    first = kept(database, cast, clock.now + timedelta(hours=2), clock.now)
    later = clock.now + timedelta(hours=1)
    second = kept(database, cast, later + timedelta(hours=5), later, email="pat@example.com")
    assert (second.id, second.email, second.until) == (first.id, "pat@example.com", first.until)
    assert second.remind_at == later + timedelta(hours=5)
    assert events(database) == ["order.held"]


@pytest.mark.parametrize("hours", [-5, 0, 1000])
def test_a_reminder_comes_within_the_time_of_the_hold(database: Database, cast: Cast, clock: Clock, hours: int) -> None:
    hold = kept(database, cast, clock.now + timedelta(hours=hours), clock.now)
    assert clock.now < hold.remind_at < hold.until == clock.now + timedelta(hours=72)


def test_only_a_real_address_and_an_unpaid_order_are_kept(database: Database, cast: Cast, clock: Clock) -> None:
    with pytest.raises(Malformed):
        kept(database, cast, clock.now, clock.now, email="nobody")
    with database.write() as session:
        cast.session = session
        cast.attempt()
        cast.order().paid_at = clock.now
    with pytest.raises(Refused):
        kept(database, cast, clock.now, clock.now)


def test_what_was_kept_for_long_enough_or_is_paid_is_let_go_once(database: Database, cast: Cast, clock: Clock) -> None:
    kept(database, cast, clock.now, clock.now)
    with database.write() as session:
        assert holds.release_due(session, clock.now + timedelta(hours=71)) == 0
        assert holds.release_due(session, clock.now + timedelta(hours=72)) == 1
        assert holds.release_due(session, clock.now + timedelta(hours=72)) == 0
    assert events(database) == ["order.held", "order.released"]


@pytest.mark.parametrize("is_signed", [True, False])
def test_an_order_is_kept_while_a_transfer_may_arrive(
    database: Database, cast: Cast, clock: Clock, is_signed: bool
) -> None:
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt(is_signed=is_signed)
        order = orders.locked(session, attempt.order_id or 0)
        holds.keep(session, cast.shop, attempt, order, email="sam@example.com", remind_at=clock.now, now=clock.now)
        transfer = transfers.open_for(session, attempt, order, "epc", order.due, clock.now)
        transfers.announce(session, order, transfer.id, clock.now + timedelta(hours=50), attempt)
        assert holds.release_due(session, clock.now + timedelta(hours=73)) == (0 if is_signed else 1)
        late = clock.now + timedelta(hours=50) + transfers.AWAITED_FOR
        assert holds.release_due(session, late) == (1 if is_signed else 0)


def test_a_paid_order_is_let_go(database: Database, cast: Cast, clock: Clock) -> None:
    kept(database, cast, clock.now, clock.now)
    with database.write() as session:
        cast.session = session
        cast.order().paid_at = clock.now
        session.flush()
        assert holds.release_due(session, clock.now) == 1
        assert holds.seen_by(session, cast.attempt(), cast.order()) is None


def test_reminders_are_offered_in_the_shops_own_days_and_never_at_night(
    database: Database, cast: Cast, clock: Clock
) -> None:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    times = holds.reminder_times(cast.shop, now)
    assert [f"{at:%d %H:%M}" for at in times] == ["20 13:00", "20 18:00", "21 09:00", "22 09:00"]


def test_who_pays_later_is_told_until_when_and_reminded_once(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    at = clock.now + timedelta(hours=6)
    form = {"email": "sam@example.com", "at": str(int(at.timestamp()))}
    answers = [client.post(f"/help/{token}/later", data=form) for _ in range(2)]
    assert {heading(answer) for answer in answers} == {"Your order is kept"}
    with database.read() as session:
        owed = session.scalars(sa.select(FollowUp)).all()
        assert [(each.kind, each.due_at) for each in owed] == [("later", at)]
    assert "Your order is kept until" in client.post(f"/help/{token}/check").text


def test_an_order_can_be_let_go_again(client: FlaskClient, cast: Cast, database: Database, clock: Clock) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    at = str(int((clock.now + timedelta(hours=6)).timestamp()))
    client.post(f"/help/{token}/later", data={"email": "sam@example.com", "at": at})
    assert "Your order is kept until" not in client.post(f"/help/{token}/later/release").text
    assert events(database) == ["order.held", "order.released"]


def test_who_has_sent_a_transfer_is_not_offered_to_let_the_order_go(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        shop = session.merge(cast.shop)
        shop.profile = shop.profile | {"bank_accounts": PROFILE["bank_accounts"]}
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    at = str(int((clock.now + timedelta(hours=6)).timestamp()))
    client.post(f"/help/{token}/later", data={"email": "sam@example.com", "at": at})
    screen = client.post(f"/help/{token}/choose/transfer").text
    transfer = re.search(r'name="transfer" value="(\d+)"', screen)
    assert transfer, screen
    client.post(f"/help/{token}/transfer/announce", data={"transfer": transfer[1]})
    assert heading(announced := client.post(f"/help/{token}/check")) == "Your transfer is on its way"
    assert "/later/release" not in announced.text
    client.post(f"/help/{token}/transfer/take-back", data={"transfer": transfer[1]})
    assert "/later/release" in client.post(f"/help/{token}/check").text


@pytest.mark.parametrize(("has_hook", "is_signed"), [(False, True), (True, False)])
def test_whose_shop_cannot_be_told_is_promised_a_reminder_and_no_more(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock, has_hook: bool, is_signed: bool
) -> None:
    with database.write() as session:
        shop = session.merge(cast.shop)
        shop.profile = shop.profile | {"hook_url": HOOK["hook_url"] if has_hook else None}
    token, at = open_panel(client, cast, is_signed=is_signed), str(int((clock.now + timedelta(hours=6)).timestamp()))
    first, form = client.post(f"/help/{token}/check"), client.post(f"/help/{token}/choose/later")
    answer = client.post(f"/help/{token}/later", data={"email": "sam@example.com", "at": at})
    again = client.post(f"/help/{token}/check")

    assert "We remind you by e-mail." in first.text
    assert "We can remind you by e-mail to pay order" in form.text
    assert heading(answer) == "We will remind you"
    assert "We remind you by e-mail on" in again.text
    for screen in (first, form, answer, again):
        assert not re.search(r"\bkeep\b|\bkept\b|asked the shop", screen.text), screen.text
    assert events(database) == []
    clock.forward(timedelta(hours=7))
    assert "/later/release" not in client.post(f"/help/{token}/check").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"email": "sam", "at": "1795300000"}, "It should look like name@example.com."),
        ({"email": "sam@example.com", "at": ""}, "Choose when we should remind you."),
        ({"email": "sam@example.com", "at": "9999999999"}, "Choose when we should remind you."),
    ],
)
def test_a_form_that_says_too_little_is_asked_again(
    client: FlaskClient, cast: Cast, form: dict[str, str], said: str
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    answer = client.post(f"/help/{token}/later", data=form)
    assert answer.status_code == 422
    assert said in answer.text


def test_nothing_is_kept_while_money_may_have_moved(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "processing"
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    at = str(int((clock.now + timedelta(hours=6)).timestamp()))
    client.post(f"/help/{token}/later", data={"email": "sam@example.com", "at": at})
    with database.read() as session:
        assert session.scalars(sa.select(Hold)).all() == []
