"""Every page for shoppers, in every language: it passes axe, fits a phone, and says in which language it is."""

from pathlib import Path

import pytest

from tests.browsers import OpenPage
from tests.cast import Cast
from tests.test_pages import check
from tests.test_transfer_page import Shop, database_url, shop
from widget import links, shops
from widget.addresses import Addresses
from widget.clock import now
from widget.language import LANGUAGES, direction
from widget.settings import Settings
from widget.tokens import Tokens

__all__ = ["database_url", "shop"]


@pytest.fixture
def addresses(shop: Shop, settings: Settings) -> dict[str, str]:
    """The pages of a customer whose order is not paid, and who has reported that."""
    found = Addresses("", Tokens(settings.signing_key))
    with shop.database.write() as session:
        cast = Cast(session, site="other", profile={"providers": {}})
        cast.shop = shops.by_site(session, "demo")
        attempt = cast.attempt("D-5001")
        ticket = cast.ticket(attempt)
        ticket.locale = ""
        link = links.link_for(session, cast.shop, attempt, cast.order_of(attempt), now())
        return {
            "help": shop.help,
            "status": found.status(ticket),
            "again": found.again(ticket),
            "rate": found.rate(ticket),
            "pay": found.pay(link),
            "start": "/start/demo",
            "rescue": f"/rescue/demo/{'0' * 32}",
            "nowhere": "/nowhere",
            "frame": "/frame/demo",
        }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page(shop: Shop, addresses: dict[str, str], open_page: OpenPage, language: str, tmp_path: Path) -> None:
    page = open_page(viewport={"width": 375, "height": 740}, locale=language)
    for name, address in addresses.items():
        page.goto(shop.url + address)
        root = page.locator("html")
        assert [root.get_attribute("lang"), root.get_attribute("dir")] == [language, direction(language)], name
        check(page, f"{name}-{language}", tmp_path)
    shop.show(page)
    check(page, f"transfer-{language}", tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_screens_of_the_help(shop: Shop, open_page: OpenPage, language: str, tmp_path: Path) -> None:
    page = open_page(viewport={"width": 375, "height": 740}, locale=language)
    page.goto(shop.url + shop.help)
    page.wait_for_selector('form[action$="/choose/report"]')
    check(page, f"choices-{language}", tmp_path)
    ways = page.locator('form[action*="/choose/"]').evaluate_all(
        "(forms) => [...new Set(forms.map((form) => form.getAttribute('action')))]"
    )
    assert len(ways) > 3
    for way in ways:
        page.goto(shop.url + shop.help)
        shop.choose(page, way)
        check(page, f"{way.rpartition('/')[2]}-{language}", tmp_path)
