"""Going on with another device: the first one that opens the link keeps it, and the first window follows."""

import re
from datetime import timedelta
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_panel import heading, offered, open_panel
from widget import handovers
from widget.attempts import Attempt
from widget.database import Database
from widget.errors import LinkExpired, Malformed, Refused
from widget.followups import FollowUp
from widget.handovers import HandOver
from widget.health.cells import HealthCell, moment_of, slot_of


@pytest.fixture
def attempt(database: Database, clock: Clock) -> Attempt:
    with database.write() as session:
        return Cast(session).attempt()


def test_a_link_that_nobody_has_opened_is_handed_out_again(database: Database, clock: Clock, attempt: Attempt) -> None:
    with database.write() as session:
        first = handovers.open_for(session, attempt, clock.now)
        assert handovers.open_for(session, attempt, clock.now).key == first.key
        handovers.take(session, first.key, None, clock.now)
        assert handovers.open_for(session, attempt, clock.now).key != first.key


def test_the_first_device_keeps_the_link_and_another_is_refused(
    database: Database, clock: Clock, attempt: Attempt
) -> None:
    with database.write() as session:
        key = handovers.open_for(session, attempt, clock.now).key
        secret = handovers.take(session, key, None, clock.now)
        assert handovers.take(session, key, secret, clock.now) == secret
        for stranger in (None, "guessed"):
            with pytest.raises(Refused):
                handovers.take(session, key, stranger, clock.now)
        assert session.scalars(sa.select(HandOver)).one().taken_by != secret


def test_a_link_is_over_after_half_an_hour(database: Database, clock: Clock, attempt: Attempt) -> None:
    with database.write() as session:
        key = handovers.open_for(session, attempt, clock.now).key
        with pytest.raises(LinkExpired):
            handovers.take(session, key, None, clock.now + timedelta(minutes=30))


def test_one_attempt_sends_few_mails_and_only_to_addresses(database: Database, clock: Clock, attempt: Attempt) -> None:
    with database.write() as session:
        with pytest.raises(Malformed):
            handovers.send(session, attempt, "nobody", clock.now)
        keys = {handovers.send(session, attempt, "sam@example.com", clock.now).key for _ in range(3)}
        assert len(keys) == 3
        with pytest.raises(Refused):
            handovers.send(session, attempt, "sam@example.com", clock.now)


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


def handed_over(client: FlaskClient, token: str) -> str:
    """The address in the panel that another device opens."""
    return shown(client, token).address


class Window(NamedTuple):
    """The panel on the first device while it shows the code: the link, and what it asks every few seconds."""

    address: str
    followed: str


def shown(client: FlaskClient, token: str) -> Window:
    screen = client.post(f"/help/{token}/choose/device").text
    address = re.search(r'value="http://localhost:8000(/continue/[^"]+)"', screen)
    followed = re.search(r'hx-get="([^"]+/device[^"]*)"', screen)
    assert address, screen
    assert followed, screen
    return Window(address[1], followed[1])


def elsewhere(client: FlaskClient) -> FlaskClient:
    """Another device."""
    return client.application.test_client()


def sent_by_mail(client: FlaskClient, database: Database) -> str:
    with database.read() as session:
        hand_over = session.scalars(sa.select(HandOver).where(HandOver.email.is_not(None))).one()
        addresses = client.application.extensions["unjam"].addresses
        return str(addresses.continue_on(hand_over)).removeprefix("http://localhost:8000")


def test_the_other_device_is_led_to_the_checkout_and_a_third_one_is_told_why_not(
    client: FlaskClient, cast: Cast
) -> None:
    address = handed_over(client, open_panel(client, cast))
    phone, third = client.application.test_client(), client.application.test_client()
    assert heading(phone.get(address)) == "Go on with order D-1001"
    answer = phone.post(address)
    assert answer.location == "http://127.0.0.1:8001/checkout/D-1001?method=card"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert phone.post(address).status_code == 303
    for refused in (third.get(address), third.post(address)):
        assert (refused.status_code, heading(refused)) == (409, "This link is in use on another device")


@pytest.mark.parametrize(("failed", "method"), [(0, "card"), (19, "")])
def test_the_other_device_goes_on_with_the_same_method_unless_that_fails_here_now(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock, failed: int, method: str
) -> None:
    place = {"method": "card", "provider": "demo", "browser": "", "os": "", "device": ""}
    with database.write() as session:
        since = moment_of(slot_of(clock.now))
        session.add(HealthCell(shop_id=cast.shop.id, since=since, worked=1, failed=failed, **place))
    answer = elsewhere(client).post(handed_over(client, open_panel(client, cast)))
    assert answer.location == f"http://127.0.0.1:8001/checkout/D-1001?method={method}"


def test_looking_at_the_link_takes_nothing_over(client: FlaskClient, cast: Cast, database: Database) -> None:
    address = handed_over(client, open_panel(client, cast))
    client.get(address)
    client.head(address)
    with database.read() as session:
        assert session.scalars(sa.select(HandOver)).one().taken_at is None


def test_the_first_window_shows_no_code_any_more_when_the_link_was_opened(
    client: FlaskClient, cast: Cast, clock: Clock
) -> None:
    token = open_panel(client, cast)
    window = shown(client, token)
    assert client.get(window.followed).status_code == 204
    elsewhere(client).post(window.address)
    answer = client.get(window.followed)
    assert answer.status_code == 286
    assert "Opened on another device." in answer.text
    assert offered(answer) == ["device"]


def test_the_first_window_offers_a_new_link_when_the_code_has_expired(
    client: FlaskClient, cast: Cast, clock: Clock
) -> None:
    token = open_panel(client, cast)
    window = shown(client, token)
    clock.forward(timedelta(minutes=31))
    answer = client.get(window.followed)
    assert "The code and its link have expired." in answer.text
    assert offered(answer) == ["device"]


def test_a_new_link_is_followed_by_itself_and_not_by_the_one_that_was_opened_before(
    client: FlaskClient, cast: Cast, clock: Clock
) -> None:
    token = open_panel(client, cast)
    first = shown(client, token)
    elsewhere(client).post(first.address)
    second = shown(client, token)
    assert second.address != first.address
    assert client.get(second.followed).status_code == 204
    elsewhere(client).post(second.address)
    assert "Opened on another device." in client.get(second.followed).text


def test_the_first_window_follows_a_link_that_it_has_sent_too(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    token = open_panel(client, cast)
    window = shown(client, token)
    client.post(f"/help/{token}/device/send", data={"email": "sam@example.com"})
    elsewhere(client).post(sent_by_mail(client, database), data={"mine": "yes"})
    assert "Opened on another device." in client.get(window.followed).text
    assert client.get(shown(client, token).followed).status_code == 204


@pytest.mark.parametrize("key", ["", "nonsense"])
def test_a_code_that_nobody_knows_leads_nowhere(client: FlaskClient, cast: Cast, key: str) -> None:
    token = open_panel(client, cast)
    answer = client.get(f"/help/{token}/device", query_string={"shown": key})
    assert "The code and its link have expired." in answer.text


def test_nobody_is_led_to_pay_on_the_other_device_while_money_may_have_moved(
    client: FlaskClient, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    address = handed_over(client, open_panel(client, cast))
    provider.status = "processing"
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(address)) == "Please do not pay yet"
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(address)) == "This order is already paid"


def test_a_link_sent_by_mail_is_owed_once_and_a_scanner_that_submits_its_form_takes_nothing(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    sent = client.post(f"/help/{token}/device/send", data={"email": "Sam@Example.com"})
    assert "sam@example.com" in sent.text
    with database.read() as session:
        assert session.scalars(sa.select(FollowUp.kind)).all() == ["device"]
    address = sent_by_mail(client, database)
    assert "Tick the box to go on here." in client.post(address).text
    assert client.post(address, data={"mine": "yes"}).status_code == 303


def test_an_address_that_is_none_is_asked_for_again(client: FlaskClient, cast: Cast) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    answer = client.post(f"/help/{token}/device/send", data={"email": "sam"})
    assert answer.status_code == 422
    assert "It should look like name@example.com." in answer.text
