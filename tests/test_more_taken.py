"""More was taken than the order is worth: that is read before the shop's page goes on, which hears of it once."""

import json
import re

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from playwright.sync_api import FrameLocator, Page, expect

from tests.browsers import OpenPage
from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.stage import Stage, press
from tests.test_panel import heading, open_panel
from widget import clock as clock_module
from widget import payments
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.shops import Shop

COUNT_PAID = "window.paid = 0; document.addEventListener('unjam:paid', () => window.paid++);"
PHONE = {"width": 375, "height": 740}


@pytest.fixture
def cast(database: Database) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {}})


def take(database: Database, cast: Cast, clock: Clock, payment: str, minor: int) -> None:
    told = Told(payment, Source.PROVIDER, Money(minor, "ZAR"), payment=payment, provider="demo")
    with database.write() as session:
        cast.session = session
        payments.record(session, cast.shop, cast.order(), told, PACE, clock.now)


@pytest.mark.parametrize(
    ("taken", "said", "after_reading"),
    [
        ({"pi_1": 124900}, "You have paid. There is nothing left to do", {}),
        ({"pi_1": 129900}, "You have paid ZAR50.00 too much", {"once_read": True}),
        ({"pi_1": 124900, "pi_2": 124900}, "Your order was paid more than once", {"once_read": True}),
    ],
)
def test_only_of_a_plain_payment_the_page_hears_at_once(
    client: FlaskClient,
    cast: Cast,
    database: Database,
    clock: Clock,
    taken: dict[str, int],
    said: str,
    after_reading: dict[str, bool],
) -> None:
    token = open_panel(client, cast)
    for payment, minor in taken.items():
        take(database, cast, clock, payment, minor)
    for answer in (client.post(f"/help/{token}/check"), client.get(f"/help/{token}/live")):
        assert heading(answer).replace("\xa0", "") == said
        assert json.loads(answer.headers["HX-Trigger"]) == {"unjam:paid": {"order": "D-1001"} | after_reading}


def test_an_open_panel_is_told_of_a_further_payment_and_otherwise_left_alone(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    token = open_panel(client, cast)
    take(database, cast, clock, "pi_1", 124900)
    shown = mark_in(client.get(f"/help/{token}/live").text)
    # Said again and again, as the shop's script may listen only later.
    assert client.get(f"/help/{token}/live?shown={shown}").status_code == 200
    take(database, cast, clock, "pi_2", 124900)
    news = client.get(f"/help/{token}/live?shown={shown}")
    assert heading(news) == "Your order was paid more than once"
    assert client.get(f"/help/{token}/live?shown={mark_in(news.text)}").status_code == 204


def mark_in(text: str) -> str:
    found = re.search(r'name="shown" value="([^"]+)"', text)
    assert found, text
    return found[1]


def test_outside_of_a_frame_there_is_no_page_to_go_on_with(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    token = open_panel(client, cast)
    take(database, cast, clock, "pi_1", 129900)
    alone = client.get(f"/help/{token}").text
    framed = client.post(f"/help/{token}/check", headers={"HX-Current-URL": "http://localhost:8000/frame/demo"}).text
    assert "too much" in alone
    assert "Continue" not in alone
    assert "Continue" in framed


def panel_of(stage: Stage, page: Page, scenario: str) -> FrameLocator:
    """The open panel of a checkout that is stuck in this way."""
    page.add_init_script(COUNT_PAID)
    stage.check_out(page, scenario)
    panel = stage.panel(page)
    press(panel.get_by_role("button", name="Is your payment stuck?"))
    return panel


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    return open_page(viewport=PHONE)


def stay(page: Page) -> None:
    """Keep the shop's page where it is when it hears that the order was paid, as a shop's may that does not listen."""
    page.route("**/thanks/**", lambda route: route.fulfill(status=204))


@pytest.mark.parametrize(
    ("scenario", "said"), [("too_much", "You have paid"), ("paid_twice", "Your order was paid more than once")]
)
def test_the_shop_goes_on_when_the_customer_has_read_that_more_was_taken(
    stage: Stage, phone: Page, scenario: str, said: str
) -> None:
    panel = panel_of(stage, phone, scenario)
    expect(panel.get_by_role("heading", name=re.compile(said))).to_be_visible()
    # Two answers of the poll that goes on meanwhile.
    for _ in range(2):
        with phone.expect_response("**/live?shown=*") as polled:
            pass
        assert polled.value.status == 204
    assert phone.evaluate("window.paid") == 0
    amounts = panel.locator(".facts .figure")
    lines = amounts.evaluate_all("(all) => all.map((each) => each.getClientRects().length)")
    assert len(lines) > 1
    assert set(lines) == {1}
    press(panel.get_by_role("button", name="Continue"))
    phone.wait_for_url("**/thanks/**")


@pytest.mark.parametrize("by", ["button", "head", "escape"])
def test_however_the_panel_is_closed_the_shop_hears_of_it_once(stage: Stage, phone: Page, by: str) -> None:
    stay(phone)
    panel = panel_of(stage, phone, "too_much")
    expect(panel.get_by_role("button", name="Continue")).to_be_visible()
    if by == "escape":
        phone.keyboard.press("Escape")
    else:
        press(panel.get_by_role("button", name="Continue" if by == "button" else "Close payment help"))
    phone.wait_for_function("window.paid === 1")
    press(panel.get_by_role("button", name="Payment help"))
    expect(panel.get_by_role("button", name="Continue")).to_be_visible()
    with phone.expect_response("**/live?shown=*"):
        press(panel.get_by_role("button", name="Continue"))
    assert phone.evaluate("window.paid") == 1


def test_who_has_closed_the_panel_reads_it_all_the_same_and_keeps_the_focus(stage: Stage, phone: Page) -> None:
    panel = panel_of(stage, phone, "hang")
    expect(panel.get_by_role("heading", name="You have not been charged")).to_be_visible()
    press(panel.get_by_role("button", name="Close payment help"))
    phone.evaluate("document.activeElement.blur()")
    with stage.database.write() as session:
        order = session.scalars(sa.select(Order)).one()
        money = Money(order.amount + 5000, order.currency)
        told = Told("pi_1", Source.PROVIDER, money, payment="pi_1", provider="demo")
        payments.record(session, session.get_one(Shop, order.shop_id), order, told, PACE, clock_module.now())
    expect(panel.get_by_role("heading", name=re.compile("too much"))).to_be_visible(timeout=10_000)
    expect(panel.get_by_role("status")).to_have_text(re.compile("too much"))
    assert phone.evaluate("[document.activeElement.tagName, window.paid]") == ["BODY", 0]
    press(panel.get_by_role("button", name="Continue"))
    phone.wait_for_url("**/thanks/**")


def test_a_plain_payment_is_told_to_the_shop_at_once_and_again_to_who_listens_later(stage: Stage, phone: Page) -> None:
    stay(phone)
    panel = panel_of(stage, phone, "hang_charged")
    expect(panel.get_by_role("heading", name="You have paid. There is nothing left to do")).to_be_visible()
    assert phone.evaluate("window.paid") >= 1
    # By the second answer, the first one was shown.
    for _ in range(2):
        with phone.expect_response("**/live?shown=*"):
            pass
    assert phone.evaluate("window.paid") >= 2
