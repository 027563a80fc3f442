"""A payment link in a real browser: our page, Stripe's page, back, paid; and every other state looks as it should."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from tests.cast import Cast
from tests.processes import free_port
from tests.providers.fake_stripe import FakeStripe
from widget import clock, links
from widget.database import Database
from widget.settings import Settings
from widget.tokens import Purpose
from widget.web.app import create_app

# Where pictures are kept for somebody who wants to look at them.
FOLDER = os.environ.get("UNJAM_SHOTS")
SIGHTS: list[tuple[int, Literal["light", "dark"]]] = [(375, "light"), (375, "dark"), (1200, "light")]


@dataclass
class Scene:
    """A shop that takes payments with Stripe, and a link for its order D-1001."""

    app: Flask
    url: str
    stripe: FakeStripe
    database: Database
    key: str

    @property
    def link(self) -> str:
        return f"{self.url}/pay/{self.app.extensions['unjam'].tokens.sign(Purpose.PAY, self.key)}"


@pytest.fixture
def scene(sqlite_database: Database, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for name in [name for name in os.environ if name.startswith("UNJAM_") and not name.startswith("UNJAM_TESTS_")]:
        monkeypatch.delenv(name)
    stripe, port = FakeStripe(), free_port()
    stripe.intent("requires_payment_method")
    url = f"http://127.0.0.1:{port}"
    settings = Settings(environment="test", database_url=sqlite_url, embedded_worker=False, public_url=url)
    app = create_app(settings, sqlite_database)
    with sqlite_database.write() as session:
        cast = Cast(session, profile={"providers": {"stripe": stripe.config}, "locale": "en-ZA"})
        attempt = cast.attempt()
        attempt.provider = "stripe"
        key = links.link_for(session, cast.shop, attempt, cast.order(), clock.now()).key
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Scene(app, url, stripe, sqlite_database, key)
    server.shutdown()
    server.server_close()
    stripe.stop()


def picture(page: Page, name: str) -> None:
    for width, scheme in SIGHTS if FOLDER else ():
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=str(Path(str(FOLDER)) / f"{name}-{width}-{scheme}.png"), full_page=True)


def test_a_link_is_paid_on_stripes_page(scene: Scene, page: Page) -> None:
    page.goto(scene.link)
    picture(page, "open")
    page.get_by_role("button", name="Pay").click()
    expect(page).to_have_url(f"{scene.stripe.url}/c/pay/{next(iter(scene.stripe.sessions))}")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", name="Paid. Thank you")).to_be_visible()
    picture(page, "done")
    page.go_back()
    page.goto(scene.link)
    expect(page.get_by_role("heading", name="Paid. Thank you")).to_be_visible()


def test_a_payment_that_is_processing_is_told_when_it_is_known(scene: Scene, page: Page) -> None:
    page.goto(scene.link)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Process").click()
    expect(page.get_by_role("heading", name="Please do not pay yet")).to_be_visible()
    picture(page, "wait")
    intent = scene.stripe.intents[str(next(iter(scene.stripe.sessions.values()))["payment_intent"])]
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    # By itself: nobody presses anything.
    expect(page.get_by_role("heading", name="Paid. Thank you")).to_be_visible(timeout=20_000)


def test_who_goes_back_can_go_on_or_pay_another_way(scene: Scene, page: Page) -> None:
    page.goto(scene.link)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("heading", name="You have not paid yet")).to_be_visible()
    picture(page, "not_taken")
    page.get_by_role("button", name="Go back to the payment page").click()
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Pay another way").click()
    expect(page.get_by_role("heading", name="Nothing was taken")).to_be_visible()
    picture(page, "left")
    assert next(iter(scene.stripe.sessions.values()))["status"] == "expired"


def test_without_scripts_the_answer_is_one_press_away(scene: Scene, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(scene.link)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", name="We are asking whether your payment went through")).to_be_visible()
    picture(page, "checking")
    page.get_by_role("button", name="Show the answer").click()
    expect(page.get_by_role("heading", name="Paid. Thank you")).to_be_visible()


def test_a_stripe_that_does_not_answer_is_a_page_with_a_way_on(scene: Scene, page: Page) -> None:
    page.goto(scene.link)
    failing = (500, {"type": "api_error", "message": "Down"})
    scene.stripe.fails_with = failing
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("heading", name="Please do not pay yet")).to_be_visible()
    picture(page, "unknown")
    scene.stripe.fails_with = None
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
