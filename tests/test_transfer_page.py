"""The page of a bank transfer, as people see it: scanned from the screen, copied, printed, announced and taken back."""

import io
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from flask.testing import FlaskClient
from PIL import Image
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from tests.browsers import OpenPage
from tests.cast import Cast
from tests.fake_provider import FakeProvider
from tests.test_pages import LOOKS, check
from tests.test_transfers import EFT, EPC, PIX, SWISS, UPI
from widget import transfers
from widget.addresses import Addresses
from widget.database import Database
from widget.orders import Order
from widget.settings import Settings
from widget.tokens import Tokens
from widget.transfers import Transfer
from widget.web.app import create_app

ACCOUNTS = {
    "EUR": EPC,
    "CHF": SWISS | {"iban": "CH44 3199 9123 0008 8901 2"},
    "BRL": PIX,
    "INR": UPI,
    "ZAR": EFT | {"snapscan": "karoo1"},
}
BEGINS = {
    "EUR": "BCD\n002",
    "CHF": "SPC\r\n0200",
    "BRL": "000201",
    "INR": "upi://pay?",
    "ZAR": "https://pos.snapscan.io",
}


@dataclass
class Shop:
    """A shop with one account, and the help of an order that nobody was charged for."""

    url: str
    help: str
    database: Database
    order_id: int

    def show(self, page: Page) -> None:
        """Open the help, and choose the transfer there."""
        page.goto(self.url + self.help)
        self.choose(page, f"{self.help}/choose/transfer")
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("."))

    def choose(self, page: Page, action: str) -> None:
        """Send the form of this way out, wherever on the page it is."""
        with page.expect_navigation():
            page.evaluate(
                "(action) => { const form = document.createElement('form'); form.method = 'post';"
                " form.action = action; document.body.append(form); form.submit(); }",
                action,
            )

    def transfer(self) -> Transfer:
        with self.database.read() as session:
            return session.query(Transfer).filter_by(order_id=self.order_id).one()

    def is_announced(self) -> bool:
        with self.database.read() as session:
            return transfers.is_announced(session, session.get_one(Order, self.order_id))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What the page looks like does not depend on the database."""
    return sqlite_url


@pytest.fixture
def shop(request: Any, settings: Settings, database: Database, provider: FakeProvider) -> Iterator[Shop]:
    """With an account in the currency that the test names, else in euro."""
    currency = getattr(request, "param", "EUR")
    profile = {"bank_accounts": [ACCOUNTS[currency]], "providers": {"demo": {"url": provider.url}}}
    server = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    app = create_app(settings.model_copy(update={"public_url": url}), database)
    with database.write() as session:
        cast = Cast(session, profile=profile)
        attempt = cast.attempt()
        order = cast.order_of(attempt)
        order.currency = attempt.currency = currency
        path = Addresses("", Tokens(settings.signing_key)).help(attempt)
        made = Shop(url, path.removeprefix(url), database, order.id)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def scanned(page: Page) -> str:
    """What a phone in front of the screen reads."""
    picture = page.locator("[data-qr]").screenshot()
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)).convert("L"))
    assert len(found) == 1
    return str(found[0].text)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("shop", ["EUR", "CHF"], indirect=True)
def test_the_code_on_the_screen_is_read_in_every_look(
    shop: Shop, open_page: OpenPage, look: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(**look)
    shop.show(page)
    expect(page.get_by_role("heading", name="Pay by bank transfer")).to_be_visible()
    check(page, "transfer", tmp_path)
    assert scanned(page).startswith(tuple(BEGINS.values()))


@pytest.mark.parametrize("shop", ["BRL", "INR", "ZAR"], indirect=True)
def test_the_codes_of_other_countries_are_read_too(shop: Shop, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(viewport={"width": 375, "height": 740})
    shop.show(page)
    check(page, "transfer", tmp_path)
    transfer = shop.transfer()
    assert scanned(page).startswith(BEGINS[transfer.currency])
    assert transfer.reference in scanned(page)


@pytest.mark.parametrize("locale", ["ar-EG", "de-CH"])
@pytest.mark.parametrize("shop", ["CHF"], indirect=True)
def test_it_fits_in_other_languages(shop: Shop, open_page: OpenPage, locale: str, tmp_path: Path) -> None:
    page = open_page(viewport={"width": 375, "height": 740}, locale=locale)
    shop.show(page)
    check(page, f"transfer-{locale}", tmp_path)
    # An IBAN reads from left to right everywhere.
    assert page.locator("bdi[dir=ltr]").first.inner_text().startswith("CH44 3199")


def test_every_line_can_be_copied(shop: Shop, open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    shop.show(page)
    page.get_by_role("button", name="Copy: IBAN").click()
    assert page.evaluate("navigator.clipboard.readText()") == "DE89370400440532013000"
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    page.get_by_role("button", name="Copy: Amount").click()
    assert page.evaluate("navigator.clipboard.readText()") == "1249.00"


def test_without_scripts_there_is_no_button_that_does_nothing(
    shop: Shop, client: FlaskClient, open_page: OpenPage
) -> None:
    page = open_page(java_script_enabled=False)
    # Chosen beforehand, as a page without scripts cannot be told to here.
    page.goto(shop.url + shop.help)
    page.set_content(client.post(f"{shop.help}/choose/transfer").text.replace('href="/', f'href="{shop.url}/'))
    expect(page.get_by_text("DE89 3704 0044 0532 0130 00")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Copy"))).to_have_count(0)
    expect(page.get_by_role("button", name="I have sent the transfer")).to_be_visible()


def test_what_was_sent_is_announced_and_can_be_taken_back(shop: Shop, page: Page) -> None:
    shop.show(page)
    page.get_by_role("button", name="I have sent the transfer").click()
    expect(page.get_by_role("heading", name="Your transfer is on its way")).to_be_visible()
    assert shop.is_announced()
    for way in ("retry", "method", "payment_link"):
        expect(page.locator(f'form[action$="/choose/{way}"]')).to_have_count(0)
    page.get_by_role("button", name=re.compile("did not send")).click()
    expect(page.get_by_role("heading", name="You have not been charged")).to_be_visible()
    assert not shop.is_announced()


def test_paper_has_the_account_and_no_buttons(shop: Shop, page: Page) -> None:
    shop.show(page)
    page.emulate_media(media="print")
    expect(page.get_by_text("DE89 3704 0044 0532 0130 00")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Copy|sent|Other ways"))).to_have_count(0)
