"""The frame speaks its reader's language: the pill, its alarms, and what it says without the server."""

import pytest
from playwright.sync_api import expect

from tests.test_frame import Unjam, database_url, frame_of, pay, unjam

__all__ = ["database_url", "unjam"]


def test_the_pill_and_the_freeze_are_in_the_readers_language(unjam: Unjam) -> None:
    page = unjam.shop(locale="de-AT")
    frame = pay(page)
    expect(frame.get_by_role("button", name="Hilfe beim Bezahlen")).to_be_visible()
    page.evaluate("host.say('stall', { key: host.keys[0], kind: 'no_answer', stage: 'submitted' })")
    expect(frame.get_by_role("button", name="Hängt Ihre Zahlung?")).to_be_visible()
    page.evaluate("host.silence()")
    expect(frame.locator("#frozen")).to_have_text("Die Seite ist eingefroren. Hilfe öffnen", timeout=8000)


def test_help_that_cannot_be_reached_says_so_in_the_readers_language(unjam: Unjam) -> None:
    page = unjam.shop(locale="de-AT")
    frame = pay(page)
    page.route("**/panel", lambda route: route.abort())
    frame.get_by_role("button", name="Hilfe beim Bezahlen").click()
    expect(frame.get_by_role("heading", name="Die Hilfe ist gerade nicht erreichbar")).to_be_visible()


@pytest.mark.parametrize("width", [375, 1200])
def test_the_pill_fits_where_the_language_runs_from_right_to_left(unjam: Unjam, width: int) -> None:
    page = unjam.shop(locale="ar-EG", viewport={"width": width, "height": 740})
    frame = pay(page)
    assert frame.evaluate("document.documentElement.dir") == "rtl"
    # The host was told the right width when there is as much room on either side.
    frame.wait_for_function(
        "() => { const { left, right } = pill.getBoundingClientRect();"
        " return left >= 4 && Math.abs(left - (innerWidth - right)) <= 1; }"
    )


def test_the_panel_opens_from_right_to_left(unjam: Unjam) -> None:
    page = unjam.shop(locale="ar-EG", viewport={"width": 375, "height": 740})
    pay(page)
    frame = frame_of(page)
    frame.locator("#pill").click()
    expect(frame.locator("#screen h1")).to_be_visible()
    assert frame.locator(".panel-body").get_attribute("dir") == "rtl"
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
