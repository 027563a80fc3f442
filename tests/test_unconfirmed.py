"""A payment that still waits for its customer, at the bank or in a window: closed before it can be the second one."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_panel import heading, offered
from tests.test_strangers import EFT, opened
from widget import cashier, certainty, charges
from widget.addresses import Addresses
from widget.attempts import Attempt
from widget.cashier import Step, Taking
from widget.database import Database
from widget.handovers import HandOver
from widget.orders import Order
from widget.providers import Answer, ChargeState
from widget.settings import Settings
from widget.tokens import Tokens
from widget.web import waiting
from widget.web.panel import headline
from widget.web.panel.headline import Told

REFUSE = "Your bank may still ask you to confirm the first payment. Refuse it there."
CLOSE = "A payment with PayPal is still open in another window. Close that window and do not confirm it."


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    profile = {
        "hold_hours": 48,
        "bank_accounts": [EFT | {"currency": "ZAR"}],
        "providers": {"demo": {"url": provider.url}},
    }
    with database.write() as session:
        return Cast(session, profile=profile)


@pytest.fixture
def token(client: FlaskClient, cast: Cast, provider: FakeProvider) -> str:
    """The help of a payment that the bank's app still asks about."""
    provider.status = "requires_action"
    return opened(client, cast, is_signed=True)


def test_the_panel_says_that_the_bank_may_still_ask(client: FlaskClient, token: str) -> None:
    for path in ("check", "choose/retry", "choose/device", "choose/later"):
        assert REFUSE in client.post(f"/help/{token}/{path}").text, path


def test_another_method_closes_it_and_then_only_a_fresh_checkout_goes_on(
    client: FlaskClient, token: str, provider: FakeProvider
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/frame/demo"}
    answer = client.post(f"/help/{token}/choose/method", data={"method": "eft"}, headers=headers)
    assert provider.cancelled == ["pay_0"]
    assert "HX-Trigger" not in answer.headers
    assert "data-close" not in answer.text
    assert "Open the checkout" in answer.text
    assert REFUSE not in answer.text


def test_another_method_says_so_where_it_cannot_be_closed(
    client: FlaskClient, token: str, provider: FakeProvider
) -> None:
    provider.refuses_to_cancel = True
    answer = client.post(f"/help/{token}/choose/method", data={"method": "eft"})
    assert REFUSE in answer.text
    assert "unjam:method" in answer.headers["HX-Trigger"]


def test_trying_again_leaves_it_to_the_page_that_has_begun_it(
    client: FlaskClient, token: str, provider: FakeProvider
) -> None:
    client.post(f"/help/{token}/choose/retry")
    assert provider.cancelled == []


def test_another_device_closes_it_before_its_checkout_opens(
    client: FlaskClient, token: str, provider: FakeProvider, database: Database, settings: Settings
) -> None:
    client.post(f"/help/{token}/choose/device")
    assert provider.cancelled == []
    with database.read() as session:
        path = Addresses("", Tokens(settings.signing_key)).continue_on(session.query(HandOver).one())
    assert REFUSE in client.get(path).text
    assert client.post(path).status_code == 303
    assert provider.cancelled == ["pay_0"]


def test_trying_again_out_of_an_email_closes_it_before_the_checkout_opens(
    client: FlaskClient, cast: Cast, token: str, provider: FakeProvider, database: Database, settings: Settings
) -> None:
    with database.write() as session:
        cast.session = session
        ticket = cast.ticket(session.query(Attempt).one())
        path = Addresses("", Tokens(settings.signing_key)).again(ticket)
    assert REFUSE in client.get(path).text
    assert client.post(path).status_code == 303
    assert provider.cancelled == ["pay_0"]


def test_a_page_that_cannot_be_closed_is_said_and_people_stay(
    client: FlaskClient, cast: Cast, clock: Clock, provider: FakeProvider
) -> None:
    token = opened(client, cast, is_signed=True)
    link = re.search(r'/pay/([^"]+)"', client.post(f"/help/{token}/choose/payment_link").text)
    assert link
    assert client.post(f"/pay/{link[1]}").status_code == 303
    provider.refuses_to_close = True
    clock.forward(timedelta(minutes=11))
    answer = client.post(f"/help/{token}/choose/transfer")
    assert heading(answer) != "You have not been charged"
    assert "Another payment for this order may be going on, in another window or by a link." in answer.text
    assert offered(answer) == ["person", "report"]


def test_why_nothing_can_be_closed_stays_to_be_read_and_people_stay(
    client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cashier, "clear", lambda *_, **__: False)
    answer = client.post(f"/help/{token}/choose/transfer")
    assert heading(answer) == "Your bank still asks you to confirm a payment"
    assert offered(answer) == ["person", "report"]
    assert "load delay" not in answer.text


def told(database: Database, waits_at: str) -> Told:
    """What the headline is made from where a payment waits at this provider."""
    with database.write() as session:
        cast = Cast(session, site="other", profile={"providers": {waits_at: {}}})
        attempt = cast.attempt()
        attempt.provider = waits_at
        charges.record(session, attempt, Answer(ChargeState.NOT_CHARGED, waits=True), attempt.started_at)
        truth = certainty.truth_of(session, attempt, session.query(Order).one(), attempt.started_at)
    return Told(truth, warning=waiting.warning(truth), is_at_bank=waiting.window_of(truth.waits) is None)


@pytest.mark.parametrize(("provider_name", "said"), [("paypal", CLOSE), ("stripe", REFUSE)])
def test_a_window_is_named_and_no_bank_is_blamed_for_it(
    database: Database, clock: Clock, provider_name: str, said: str
) -> None:
    shown = headline.headline(told(database, provider_name))
    assert said in [str(each) for each in shown.lines]


def test_a_window_that_may_still_take_the_money_is_named_too(database: Database, clock: Clock) -> None:
    shown = headline.busy(told(database, "paypal"))
    assert str(shown.title) == "Please do not pay yet"
    assert str(shown.lines[-1]) == CLOSE


@pytest.mark.parametrize(
    ("step", "at", "title", "words"),
    [
        (Step.CUSTOMER, "paypal", "A payment with PayPal is not finished yet", "Close that window and do not confirm"),
        (Step.CUSTOMER, "stripe", "Another payment is not finished yet", "Do not confirm it there."),
        (Step.CONFIRM, "paypal", "A payment with PayPal is not finished yet", "Finish it or cancel it there."),
        (Step.CONFIRM, "stripe", "Your bank still asks you to confirm a payment", "Confirm it or cancel it there."),
    ],
)
def test_the_pay_page_says_who_has_to_let_it_go(
    client: FlaskClient,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    at: str,
    title: str,
    words: str,
) -> None:
    token = opened(client, cast, is_signed=True)
    link = re.search(r'/pay/([^"]+)"', client.post(f"/help/{token}/choose/payment_link").text)
    assert link
    monkeypatch.setattr(cashier, "take", lambda *_, **__: Taking(step, provider=at))
    answer = client.post(f"/pay/{link[1]}")
    assert (answer.status_code, heading(answer)) == (409, title)
    assert words in answer.text
    assert ('name="closed" value="yes"' in answer.text) is (step is Step.CUSTOMER)
