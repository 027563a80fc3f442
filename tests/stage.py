"""The whole installation for stories in a browser: Unjam as a real process, the demo shop, a real mail server."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import FrameLocator, Locator, Page
from werkzeug.serving import BaseWSGIServer, make_server

from tests.cast import PASSWORD
from tests.mailserver import MailServer
from tests.processes import Running, free_port, start
from widget import agents, clock, shops
from widget.database import Database
from widget.demo.keys import AGENT, profile_for
from widget.demo.shop import DemoConfig, create_shop
from widget.shops import KeyKind, Profile

Found = TypeVar("Found")
PATIENCE_SECONDS = 20


@dataclass
class Stage:
    """Where everything is. Unjam answers on `localhost`, the shop on `127.0.0.1`: two sites to a browser."""

    unjam: Running
    shop_url: str
    smtp: MailServer
    database: Database

    def check_out(self, page: Page, scenario: str) -> None:
        """A shopper puts something into the basket, goes to the checkout and presses Pay."""
        page.goto(self.shop_url)
        page.get_by_role("button", name="Check out").click()
        page.wait_for_url("**/checkout/**")
        page.goto(f"{page.url.split('?')[0]}?scenario={scenario}")
        page.get_by_role("button", name="Pay").click()

    def panel(self, page: Page) -> FrameLocator:
        return page.frame_locator("iframe[title='Payment help']")


def press(target: Locator) -> None:
    """Click, once the frame around it has stopped growing or shrinking to its new content."""
    before, still = None, 0
    while still < 3:
        now = target.bounding_box()
        still = still + 1 if now is not None and now == before else 0
        before = now
        target.page.wait_for_timeout(30)
    target.click()


def wait_until(look: Callable[[], Found | None], what: str) -> Found:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE_SECONDS} s in vain: {what}")


@pytest.fixture
def stage(database_url: str, smtp: MailServer, tmp_path: Path) -> Iterator[Stage]:
    database, unjam_port = Database(database_url), free_port()
    env = {
        "UNJAM_ENVIRONMENT": "test",
        "UNJAM_DATABASE_URL": database_url,
        "UNJAM_PUBLIC_URL": f"http://localhost:{unjam_port}",
        "UNJAM_SMTP_HOST": smtp.host,
        "UNJAM_SMTP_PORT": str(smtp.port),
        "UNJAM_SMTP_SECURITY": "none",
    }
    server, config = _shop(database, f"http://localhost:{unjam_port}", tmp_path)
    unjam = start("serve", env=env, log=tmp_path / "unjam.log", port=unjam_port)
    try:
        yield Stage(unjam, config.shop_url, smtp, database)
    finally:
        unjam.kill()
        server.shutdown()
        database.dispose()


def _shop(database: Database, unjam_url: str, folder: Path) -> tuple[BaseWSGIServer, DemoConfig]:
    port = free_port()
    shop_url = f"http://127.0.0.1:{port}"
    # Short enough for a test, long enough for a healthy answer on a busy machine.
    hurried = {"deadlines": {"submitted": 2, "confirming": 2}, "rating_after_minutes": 0}
    profile = Profile.model_validate(profile_for(shop_url).model_dump() | hurried)
    with database.write() as session:
        shop = shops.add(session, site="demo", name="Karoo Coffee Co.", profile=profile, now=clock.now())
        secret = shops.rotate_key(session, shop, KeyKind.SIGNING, clock.now())
        api_key = shops.rotate_key(session, shop, KeyKind.API, clock.now())
        agents.add(session, email=AGENT, name="Ada", password=PASSWORD, shops=[shop], now=clock.now())
    config = DemoConfig(
        shop_url=shop_url,
        unjam_url=unjam_url,
        site="demo",
        signing_secret=secret,
        api_key=api_key,
        store_path=folder / "shop.sqlite",
    )
    server = make_server("127.0.0.1", port, create_shop(config), threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server, config
