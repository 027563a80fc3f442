"""Payment methods: which of them a device certainly cannot have, and that nobody there is sent to it."""

import re

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_health import IPHONE, LINUX, MAC, PIXEL
from tests.test_panel import open_panel
from widget.attempts import Attempt
from widget.database import Database
from widget.methods import bare, is_out_of_reach

GALAXY = "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
MAC_CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
IPHONE_CHROME = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize("agent", [PIXEL, GALAXY, ANDROID, LINUX, CHROMIUM, IPHONE + " Instagram 350.0"])
@pytest.mark.parametrize("method", ["apple_pay", "applepay", "apple-pay", "ApplePay", "stripe_apple_pay"])
def test_apple_pay_is_on_no_android_and_no_linux_and_in_no_app(agent: str, method: str) -> None:
    assert is_out_of_reach(method, agent)


@pytest.mark.parametrize("agent", [IPHONE, IPHONE_CHROME, MAC, MAC_CHROME, WINDOWS, "", None, "Shop/1.0"])
def test_apple_pay_may_be_on_apples_devices_and_by_a_code_on_a_desktop(agent: str | None) -> None:
    assert not is_out_of_reach("apple_pay", agent)


@pytest.mark.parametrize("agent", [IPHONE, IPHONE_CHROME, MAC, MAC_CHROME, PIXEL])
@pytest.mark.parametrize("method", ["samsung_pay", "samsungpay"])
def test_samsung_pay_is_on_nothing_of_apple_and_on_no_phone_of_another_maker(agent: str, method: str) -> None:
    assert is_out_of_reach(method, agent)


@pytest.mark.parametrize("agent", [GALAXY, ANDROID, WINDOWS, CHROMIUM, LINUX, "", None])
def test_samsung_pay_may_be_on_a_phone_of_an_unknown_maker_and_ask_it_from_a_desktop(agent: str | None) -> None:
    assert not is_out_of_reach("samsung_pay", agent)


@pytest.mark.parametrize(("model", "is_out"), [("Pixel 9", True), ("SM-S921B", False), ("X-1", False), ("", False)])
def test_the_model_is_a_fact_where_the_browser_hides_it(model: str, is_out: bool) -> None:
    assert is_out_of_reach("samsung_pay", ANDROID, {"model": model}) is is_out


def test_an_ipad_that_calls_itself_a_mac_has_apple_pay_and_no_samsung_pay() -> None:
    assert not is_out_of_reach("apple_pay", MAC, {"touch": True})
    assert is_out_of_reach("samsung_pay", MAC, {"touch": True})


@pytest.mark.parametrize("method", ["google_pay", "card", "apple", "samsung", "wallet", "paypal"])
@pytest.mark.parametrize("agent", [IPHONE, MAC, PIXEL, CHROMIUM])
def test_whatever_else_a_shop_has_stays(method: str, agent: str) -> None:
    assert not is_out_of_reach(method, agent)


def test_a_method_is_the_same_however_it_is_spelled() -> None:
    assert {bare(each) for each in ("apple_pay", "applepay", "apple-pay", "ApplePay")} == {"applepay"}


METHODS = [
    {"id": each, "label": each.replace("_", " ").title()} for each in ("card", "apple_pay", "google_pay", "samsung_pay")
]


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}, "methods": METHODS})


def ways_to_pay(client: FlaskClient, cast: Cast, agent: str) -> str:
    """The token of a panel that was opened and read by this browser."""
    client.environ_base["HTTP_USER_AGENT"] = agent
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    return token


def listed(client: FlaskClient, token: str, **form: str) -> list[str]:
    answer = client.post(f"/help/{token}/choose/method", data=form)
    return re.findall(r'name="method" value="(\w+)"', answer.text)


@pytest.mark.parametrize(
    ("agent", "methods"),
    [
        (IPHONE, ["apple_pay", "google_pay"]),
        (CHROMIUM, ["google_pay", "samsung_pay"]),
        (GALAXY, ["google_pay", "samsung_pay"]),
        (WINDOWS, ["apple_pay", "google_pay", "samsung_pay"]),
    ],
)
def test_no_other_method_is_offered_that_the_device_cannot_have(
    client: FlaskClient, cast: Cast, agent: str, methods: list[str]
) -> None:
    assert listed(client, ways_to_pay(client, cast, agent)) == methods


def test_nor_can_it_be_chosen(client: FlaskClient, cast: Cast) -> None:
    token = ways_to_pay(client, cast, CHROMIUM)
    answer = client.post(f"/help/{token}/choose/method", data={"method": "apple_pay"})
    assert "HX-Trigger" not in answer.headers


def test_a_phone_read_on_a_laptop_is_offered_what_either_has(client: FlaskClient, cast: Cast) -> None:
    token = ways_to_pay(client, cast, IPHONE)
    client.environ_base["HTTP_USER_AGENT"] = CHROMIUM
    assert listed(client, token) == ["apple_pay", "google_pay", "samsung_pay"]


def test_the_method_that_got_stuck_is_no_other_one_however_its_page_spells_it(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    token = ways_to_pay(client, cast, IPHONE)
    with database.write() as session:
        session.scalars(sa.select(Attempt)).one().method = "applepay"
    assert listed(client, token) == ["card", "google_pay"]
