"""Scenarios of the demo really happen in the browser and are noticed for what they are; the corpus has every kind."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import urllib3
from playwright.sync_api import Page, expect

from tests.browsers import Console, OpenPage
from tests.stage import Stage, wait_until
from widget.attempts import Attempt
from widget.demo import outcomes, provider
from widget.demo.scenarios import Scenario
from widget.demo.store import PaymentStatus, Store
from widget.demo.stories import STORIES, Group
from widget.provider_events import ProviderEvent
from widget.shops import Shop
from widget.stalls import Stall, StallKind

DEADLINES = {
    "sdk": 2.0,
    "submitted": 4.5,
    "authenticating": 6.0,
    "confirming": 4.0,
    "dead": 1.0,
    "away": 3.0,
    "closed": 3.0,
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What a browser shows does not depend on the database."""
    return sqlite_url


@pytest.fixture
def hurried(stage: Stage) -> Stage:
    with stage.database.write() as session:
        shop = session.scalars(sa.select(Shop)).one()
        shop.profile = shop.profile | {"deadlines": DEADLINES}
    return stage


def open_checkout(stage: Stage, page: Page, scenario: Scenario, query: str = "") -> None:
    page.goto(stage.shop_url)
    page.get_by_role("button", name="Check out").click()
    page.wait_for_url("**/checkout/**")
    page.goto(f"{page.url.split('?')[0]}?scenario={scenario.value}{query}", wait_until="domcontentloaded")
    # A frozen page can mount nothing, so Unjam is awaited as a customer who reads would.
    expect(page.locator("iframe[title='Payment help']")).to_be_visible()


def press_pay(page: Page, **options: object) -> None:
    page.get_by_role("button", name="Pay").click(no_wait_after=True, **options)  # type: ignore[arg-type]


def sheet(page: Page) -> Callable[[str], None]:
    return lambda name: page.locator(".wallet").get_by_role("button", name=name).click()


def noticed(stage: Stage, scenario: Scenario) -> list[tuple[str, str]]:
    """The stalls that are on record, as soon as the expected one is among them."""
    story = scenario.story
    assert story.kind is not None and story.stage is not None  # noqa: PT018

    def look() -> list[tuple[str, str]] | None:
        with stage.database.read() as session:
            found = [(each.kind, each.stage) for each in session.scalars(sa.select(Stall))]
        return found if (story.kind, story.stage) in found else None

    return wait_until(look, f"{story.expected} for {scenario.value}")


SIMPLE = [
    *(Scenario.HANG, Scenario.UNSETTLED, Scenario.ERROR, Scenario.ERROR_SHOWN, Scenario.DECLINE, Scenario.SPLIT),
    *(Scenario.SPLIT_HANGS, Scenario.CHALLENGE, Scenario.CHALLENGE_DENIED, Scenario.CHALLENGE_BLOCKED),
    # Not POPUP: Playwright starts Chromium with its blocker of windows off. The corpus starts it with the blocker on.
    *(Scenario.DEAD_BUTTON, Scenario.FROZEN, Scenario.NO_RETURN, Scenario.PLAIN_HANG),
    *(Scenario.WALLET_UNAVAILABLE, Scenario.WALLET_HANGS),
]

SCRIPTLESS = [Scenario.SDK_MISSING, Scenario.SDK_BLOCKED, Scenario.SDK_HANGS, Scenario.SDK_EMPTY]
STORIES_THAT_GO_WELL = [each for each in Scenario if each.story.kind is None and each is not Scenario.WALLET_CANCELLED]


@pytest.mark.parametrize("scenario", SIMPLE, ids=str)
def test_pressing_pay_is_enough_for_these(hurried: Stage, page: Page, console: Console, scenario: Scenario) -> None:
    console.expected += ["Content Security Policy", "frame-ancestors", "Cannot read properties of undefined"]
    open_checkout(hurried, page, scenario)
    press_pay(page)
    noticed(hurried, scenario)


@pytest.mark.parametrize("scenario", SCRIPTLESS, ids=str)
def test_a_provider_script_that_is_not_there_is_noticed_before_pay(
    hurried: Stage, page: Page, console: Console, scenario: Scenario
) -> None:
    console.expected += ["Content Security Policy"]
    open_checkout(hurried, page, scenario)
    expect(page.get_by_role("button", name="Pay")).to_be_disabled()
    noticed(hurried, scenario)


def test_rage_is_noticed(hurried: Stage, page: Page) -> None:
    open_checkout(hurried, page, Scenario.RAGE)
    press_pay(page, click_count=5, delay=40)
    noticed(hurried, Scenario.RAGE)


def test_two_payments_at_once_are_noticed(hurried: Stage, page: Page) -> None:
    open_checkout(hurried, page, Scenario.DOUBLE)
    press_pay(page, click_count=2, delay=40)
    noticed(hurried, Scenario.DOUBLE)


def test_a_lost_connection_is_noticed(hurried: Stage, page: Page) -> None:
    open_checkout(hurried, page, Scenario.OFFLINE)
    press_pay(page)
    page.context.set_offline(True)
    page.wait_for_timeout(4_000)  # beyond the three seconds after which the page calls it a loss
    page.context.set_offline(False)
    noticed(hurried, Scenario.OFFLINE)


@pytest.mark.parametrize("method", ["Apple Pay", "Google Pay", "Samsung Pay"])
def test_a_wallet_that_fails_is_noticed(hurried: Stage, page: Page, method: str) -> None:
    open_checkout(hurried, page, Scenario.WALLET_FAILS)
    page.get_by_text(method, exact=True).first.click()
    press_pay(page)
    if method != "Apple Pay":  # Apple's fails before there is anything to confirm
        sheet(page)("Confirm")
    noticed(hurried, Scenario.WALLET_FAILS)


@pytest.mark.parametrize("method", ["Apple Pay", "Google Pay", "Samsung Pay"])
def test_a_wallet_that_the_customer_closes_is_no_stall(hurried: Stage, page: Page, method: str) -> None:
    open_checkout(hurried, page, Scenario.WALLET_CANCELLED)
    page.get_by_text(method, exact=True).first.click()
    press_pay(page)
    sheet(page)("Cancel")
    expect(page.get_by_role("button", name="Pay")).to_be_enabled()
    wait_until(lambda: stages_of(hurried) == ["left"], "the attempt to be left")
    assert stalls_of(hurried) == []


def stages_of(stage: Stage) -> list[str]:
    with stage.database.read() as session:
        return list(session.scalars(sa.select(Attempt.stage)))


def stalls_of(stage: Stage) -> list[str]:
    with stage.database.read() as session:
        return list(session.scalars(sa.select(Stall.kind)))


def answer_at_the_bank(page: Page, scenario: Scenario) -> None:
    if scenario is Scenario.CHALLENGE_OK:
        page.frame_locator("iframe[title='Your bank']").get_by_role("button", name="Approve").click()
    elif scenario is Scenario.REDIRECT_OK:
        page.get_by_role("button", name="Approve").click()
    elif scenario is Scenario.WALLET_OK:
        sheet(page)("Confirm")


@pytest.mark.parametrize("scenario", STORIES_THAT_GO_WELL, ids=str)
def test_what_goes_well_is_paid_and_left_alone(hurried: Stage, page: Page, scenario: Scenario) -> None:
    open_checkout(hurried, page, scenario)
    if scenario is Scenario.POPUP_OK:
        with page.expect_popup() as opened:
            press_pay(page)
        opened.value.get_by_role("button", name="Approve").click()
    else:
        press_pay(page)
        answer_at_the_bank(page, scenario)
    page.wait_for_url("**/thanks/**")
    expect(page.get_by_role("heading", name="Thank you, order paid")).to_be_visible()
    assert stalls_of(hurried) == []


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(":memory:")
    yield made
    made.close()


def test_every_kind_of_stall_has_its_scenario() -> None:
    # What a shopper asks for by hand is no scenario: the pill is always there.
    assert {each.story.kind for each in Scenario} == {None, *StallKind} - {StallKind.ASKED}


def test_every_story_is_a_scenario_and_every_group_has_some() -> None:
    assert list(STORIES) == [each.value for each in Scenario]
    assert {each.story.group for each in Scenario} == set(Group)


def test_a_story_says_kind_and_stage_or_neither() -> None:
    assert [each for each in Scenario if (each.story.kind is None) != (each.story.stage is None)] == []


def test_a_split_payment_pays_its_parts_once_and_together_the_order(store: Store) -> None:
    order = store.add_order(amount=124_900, currency="ZAR", email="sam@example.com")
    account, card = outcomes.legs_of(store, order)
    outcomes.pay_from_account(store, account)
    assert store.taken(order.reference) == outcomes.ACCOUNT_PART
    provider.confirm(store, card, "card", PaymentStatus.SUCCEEDED)
    assert store.taken(order.reference) == order.amount


def test_a_second_payment_is_told_of_with_its_own_amount(store: Store) -> None:
    order = store.add_order(amount=124_900, currency="ZAR", email="sam@example.com")
    whole = store.add_payment(
        order=order.reference, amount=124_900, currency="ZAR", status=PaymentStatus.REQUIRES_PAYMENT_METHOD
    )
    outcomes.play(store, whole, "card", Scenario.PAID_TWICE)
    assert [store.taken_with(each) for each in store.payments_of(order.reference)] == [124_900, 124_900]


def test_a_part_is_told_of_with_the_other_one(store: Store) -> None:
    order = store.add_order(amount=124_900, currency="ZAR", email="sam@example.com")
    account, card = outcomes.legs_of(store, order)
    outcomes.pay_from_account(store, account)
    provider.confirm(store, card, "card", PaymentStatus.SUCCEEDED)
    assert store.taken_with(card) == 124_900


def test_after_a_part_was_paid_nobody_takes_the_whole(store: Store) -> None:
    order = store.add_order(amount=124_900, currency="ZAR", email="sam@example.com")
    outcomes.pay_from_account(store, outcomes.legs_of(store, order)[0])
    charge = provider.Charge(order=order.reference, amount=order.amount, currency="ZAR")
    with pytest.raises(provider.Refused):
        provider.take(store, charge, "link-1")


def test_books_of_an_earlier_version_learn_of_legs(tmp_path: Path) -> None:
    earlier = sqlite3.connect(tmp_path / "shop.sqlite")
    earlier.executescript(
        "CREATE TABLE payments (id TEXT PRIMARY KEY, order_reference TEXT NOT NULL, amount INTEGER NOT NULL,"
        " currency TEXT NOT NULL, status TEXT NOT NULL, method TEXT, idempotency_key TEXT UNIQUE, told_status INTEGER);"
        "CREATE UNIQUE INDEX one_success_per_order ON payments (order_reference) WHERE status = 'succeeded';"
        "INSERT INTO payments VALUES ('pay_1', 'D-1001', 100, 'ZAR', 'succeeded', 'card', NULL, NULL);"
    )
    earlier.close()
    opened = Store(tmp_path / "shop.sqlite")
    assert [payment.leg for payment in opened.payments_of("D-1001")] == [0]
    opened.close()


def test_a_plain_form_pays_without_the_shops_javascript(hurried: Stage, open_page: OpenPage) -> None:
    shopper = open_page(java_script_enabled=False)
    shopper.goto(hurried.shop_url)
    shopper.get_by_role("button", name="Check out").click()
    shopper.goto(f"{shopper.url.split('?')[0]}?embed=plain&scenario=plain_ok")
    shopper.get_by_role("button", name="Pay").click()
    expect(shopper.get_by_role("heading", name="Thank you, order paid")).to_be_visible()


def test_a_visitor_finds_a_scenario_and_reads_what_unjam_should_notice(hurried: Stage, page: Page) -> None:
    open_checkout(hurried, page, Scenario.OK)
    page.get_by_text("Demo controls").click()
    page.get_by_label("Find a scenario").fill("3-d secure never")
    page.get_by_label("3-D Secure never ends").check()
    expect(page.locator("#demo-expected")).to_have_text("challenge at authenticating")
    assert "scenario=challenge" in page.url


def test_a_scenario_of_the_page_itself_loads_the_page_anew(hurried: Stage, page: Page) -> None:
    open_checkout(hurried, page, Scenario.OK)
    page.get_by_text("Demo controls").click()
    page.get_by_label("Find a scenario").fill("not found")
    page.get_by_label("Provider’s script is not found").check()
    expect(page.locator("script[data-sdk=DemoPay]")).to_have_count(1)


def test_what_the_demo_s_provider_tells_of_a_payment_by_link_is_accepted(stage: Stage) -> None:
    wanted = {"order": "D-1001", "amount": 124_900, "currency": "ZAR", "expires_at": 4_000_000_000}
    back = {"return_url": f"{stage.shop_url}/back", "cancel_url": f"{stage.shop_url}/back"}
    link = urllib3.request("POST", f"{stage.shop_url}/provider/links", json=wanted | back).json()
    urllib3.request("POST", link["url"], fields={"answer": "pay"}, redirect=False)

    def look() -> list[str | None]:
        with stage.database.read() as session:
            return [each.state for each in session.scalars(sa.select(ProviderEvent))]

    assert wait_until(look, "the webhook") == ["charged"]
    assert "provider_unusable" not in stage.unjam.log.read_text()
