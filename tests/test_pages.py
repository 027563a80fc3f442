"""Every page passes axe, fits a phone, works in both schemes, by keyboard, and as a form without scripts."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FrameLocator, Page, expect

from tests.browsers import OpenPage
from tests.cast import PASSWORD, Cast
from tests.stage import Stage, press
from tests.ways import take_way
from widget import handovers, tickets
from widget.addresses import Addresses
from widget.demo.keys import AGENT
from widget.links import link_for
from widget.shops import by_site
from widget.tickets import Ticket
from widget.tokens import Tokens

LOOKS = [
    pytest.param({"viewport": {"width": 375, "height": 740}, "color_scheme": "light"}, id="phone-light"),
    pytest.param({"viewport": {"width": 375, "height": 740}, "color_scheme": "dark"}, id="phone-dark"),
    pytest.param({"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"}, id="desktop-light"),
    pytest.param({"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"}, id="desktop-dark"),
]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What a page looks like does not depend on the database."""
    return sqlite_url


def check(page: Page, name: str, folder: Path) -> None:
    """No violation of axe's rules, and nothing that sticks out sideways. Leaves a picture for whoever wants to look."""
    # Not of the full page where there is a frame: growing the window for it, Chromium loses the frame's clicks.
    page.screenshot(path=folder / f"{name}.png", full_page=len(page.frames) == 1)
    for frame in page.frames:
        # axe does not look into frames of another site, so it is run in each.
        found = Axe().run(frame)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{name} is {overflow} px too wide"


# Which of the facts on a line shows the dot before it: the others' is outside of what their line shows.
_DOTS = """line => {
  const shown = line.getBoundingClientRect();
  const is_cut = getComputedStyle(line).overflowX === "clip";
  return [...line.children].map(fact => {
    const { top, left, right } = fact.getBoundingClientRect();
    const is_outside = getComputedStyle(line).direction === "rtl" ? right > shown.right + 1 : left < shown.left - 1;
    return { line: Math.round(top), has_dot: !(is_cut && is_outside) };
  });
}"""


def signed(stage: Stage) -> tuple[Addresses, Ticket]:
    """A reported, unpaid order and the addresses of its pages."""
    addresses = Addresses(stage.unjam.url, Tokens("not-a-secret-only-for-demo-and-tests"))
    with stage.database.write() as session:
        cast = Cast(session, site="other", profile={"providers": {}})
        cast.shop = by_site(session, "demo")
        attempt = cast.attempt("D-5001")
        ticket = cast.ticket(attempt, "It froze after I pressed Pay.")
        agent = cast.agent("ada@example.com")
        tickets.reply(session, ticket, agent, "We have freed your order.\n\nPlease try once more.", ticket.opened_at)
        link_for(session, cast.shop, attempt, cast.order_of(attempt), ticket.opened_at)
    return addresses, ticket


@pytest.mark.parametrize("look", LOOKS)
def test_every_signed_page(stage: Stage, open_page: OpenPage, look: dict[str, object], tmp_path: Path) -> None:
    addresses, ticket = signed(stage)
    with stage.database.read() as session:
        attempt = tickets.attempt_of(session, ticket)
        order = tickets.order_of(session, ticket)
        assert order is not None
    with stage.database.write() as session:
        link = link_for(session, by_site(session, "demo"), attempt, order, ticket.opened_at)
        hand_over = handovers.open_for(session, attempt, ticket.opened_at)
    pages = {
        "status": addresses.status(ticket),
        "pay": addresses.pay(link),
        "again": addresses.again(ticket),
        "continue": addresses.continue_on(hand_over),
        "rate": addresses.rate(ticket),
        "help": addresses.help(attempt),
        "nonsense": f"{stage.unjam.url}/pay/nonsense",
        "nothing": f"{stage.unjam.url}/nothing-here",
        "login": f"{stage.unjam.url}/desk/login",
    }
    page = open_page(**look)
    for name, address in pages.items():
        page.goto(address)
        check(page, name, tmp_path)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_line_of_the_status_page_begins_or_ends_with_a_dot(stage: Stage, page: Page, language: str) -> None:
    addresses, ticket = signed(stage)
    # Wide enough for order and reference on one line, and too narrow for that.
    for width, lines in ((600, 1), (300, 2)):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(f"{addresses.status(ticket)}?lang={language}")
        facts = page.locator(".dotted").first.evaluate(_DOTS)
        assert [len({fact["line"] for fact in facts}), len(facts)] == [lines, 2]
        assert [fact["has_dot"] for fact in facts] == [False, lines == 1]
        assert "·" not in page.locator("main").inner_text()


@pytest.mark.parametrize("look", LOOKS)
def test_every_screen_of_the_panel(stage: Stage, open_page: OpenPage, look: dict[str, object], tmp_path: Path) -> None:
    page = open_page(**look)
    stage.check_out(page, "hang")
    panel = stage.panel(page)
    stuck = panel.get_by_role("button", name="Is your payment stuck?")
    expect(stuck).to_be_visible()
    check(page, "pill", tmp_path)
    press(stuck)
    expect(panel.get_by_role("heading", name="You have not been charged")).to_be_visible()
    check(page, "choices", tmp_path)
    screens = [
        "Pay another way",
        "Go on with another device",
        "Pay on a separate page",
        "Pay by bank transfer",
        "Ask us to call you",
        "Pay later",
        "Talk to a person",
        "Report it",
    ]
    for screen in screens:
        take_way(panel, screen)
        expect(panel.get_by_role("button", name="Other ways")).to_be_visible()
        if screen == "Report it":
            press(panel.get_by_text("See everything that is sent"))
        check(page, screen, tmp_path)
        press(panel.get_by_role("button", name="Other ways"))
        expect(panel.get_by_role("heading", name="You have not been charged")).to_be_visible()
    send_report(panel)
    check(page, "reported", tmp_path)


def send_report(panel: FrameLocator) -> None:
    press(panel.get_by_role("button", name="Report it"))
    press(panel.get_by_role("button", name="Send the report"))
    expect(panel.get_by_role("heading", name="We have your report")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_of_the_desk(stage: Stage, open_page: OpenPage, look: dict[str, object], tmp_path: Path) -> None:
    page = open_page(**look)
    page.goto(f"{stage.unjam.url}/desk/")
    page.get_by_label("E-mail").fill(AGENT)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading").first).to_be_visible()
    check(page, "desk-empty", tmp_path)
    _, ticket = signed(stage)
    for name, path in {"queue": "", "ticket": f"tickets/{ticket.reference}", "undelivered": "undelivered"}.items():
        page.goto(f"{stage.unjam.url}/desk/{path}")
        check(page, f"desk-{name}", tmp_path)


def test_the_panel_works_by_keyboard_alone(stage: Stage, page: Page) -> None:
    stage.check_out(page, "hang")
    panel = stage.panel(page)
    pill = panel.get_by_role("button", name="Is your payment stuck?")
    pill.focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="You have not been charged")).to_be_focused()
    page.keyboard.press("Tab")
    expect(panel.locator(".offer").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(pill).to_be_focused()


def test_the_whole_job_is_done_by_forms_without_scripts(stage: Stage, open_page: OpenPage) -> None:
    shopper = open_page()
    stage.check_out(shopper, "hang")
    press(stage.panel(shopper).get_by_role("button", name="Is your payment stuck?"))
    expect(stage.panel(shopper).get_by_role("heading", name="You have not been charged")).to_be_visible()
    form = stage.panel(shopper).locator("form").first.get_attribute("action") or ""
    plain = open_page(java_script_enabled=False)
    plain.goto(f"{stage.unjam.url}{re.sub(r'/choose/.*', '', form)}")
    expect(plain.get_by_role("heading", name="You have not been charged")).to_be_visible()
    plain.get_by_role("button", name="Report it").click()
    plain.get_by_role("button", name="Send the report").click()
    expect(plain.get_by_role("heading", name="We have your report")).to_be_visible()
    with plain.context.expect_page() as opened:
        plain.get_by_role("link", name="Follow it on your status page").click()
    status = opened.value
    status.get_by_label("Write to us").fill("Any news?")
    status.get_by_role("button", name="Send").click()
    expect(status.get_by_text("Any news?")).to_be_visible()
