"""What the gallery's pictures are taken of: a shop with one stuck attempt, and how a page shows a state of it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from playwright.sync_api import Page
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from tests.cast import Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import clock, signals, stalls
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.language import catalogue
from widget.orders import Order
from widget.settings import Settings
from widget.shops import Profile, Shop
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose
from widget.web.app import create_app

PROFILE: dict[str, Any] = {
    "methods": [
        {"id": "card", "label": "Card"},
        {"id": "eft", "label": "Instant EFT"},
        {"id": "apple_pay", "label": "Apple Pay"},
    ],
    "contacts": [
        {"kind": "phone", "label": "Call us", "value": "+27 21 000 0142"},
        {"kind": "chat", "label": "Chat with us", "value": "https://shop.example/chat"},
    ],
    "hours": [{"day": day, "opens": "08:00", "closes": "17:00"} for day in range(5)],
    "time_zone": "Africa/Johannesburg",
    "locale": "en-ZA",
    "calls_back": True,
    "hook_url": "https://shop.example/hooks",
    "bank_accounts": [
        {
            "scheme": "eft",
            "currency": "ZAR",
            "holder": "Karoo Coffee Co.",
            "bank": "Example Bank",
            "branch_code": "250655",
            "account_number": "62001234567",
        }
    ],
}
# What a phone says of itself, so that the words about devices are those of a phone.
_PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 "
    "Version/19.1 Mobile/15E148 Safari/604.1"
)


@dataclass
class World:
    """One shop, one attempt that is stuck, and a provider that says what a state needs."""

    database: Database
    provider: FakeProvider
    clock: Clock
    base_url: str
    app: Any
    attempt_id: int = 0
    cast: Cast | None = None

    @property
    def help(self) -> str:
        return self.page("help", Purpose.HELP, self.attempt_id)

    def page(self, name: str, purpose: Purpose, subject: object) -> str:
        """The address of a page that a signed link opens."""
        return f"{self.base_url}/{name}/{self.app.extensions['unjam'].tokens.sign(purpose, subject)}"

    def says(self, status: str, **more: Any) -> None:
        """What the provider answers from now on about the payment of the order."""
        told = {"id": "pay_7QX2", "order": "D-1001", "status": status, "amount": 124900, "currency": "ZAR"}
        self.provider.body = json.dumps(told | more).encode()

    @contextmanager
    def changed(self) -> Iterator[tuple[Session, Attempt]]:
        with self.database.write() as session:
            yield session, session.get_one(Attempt, self.attempt_id)

    @contextmanager
    def ordered(self) -> Iterator[tuple[Session, Shop, Attempt, Order]]:
        with self.changed() as (session, attempt):
            yield session, session.get_one(Shop, attempt.shop_id), attempt, session.get_one(Order, attempt.order_id)

    def change(self, **profile: Any) -> None:
        with self.ordered() as (_session, shop, *_others):
            shop.profile = Profile.model_validate(shop.profile | profile).model_dump(mode="json")


# What a person presses, or what happens meanwhile.
Step = str | Callable[[World, Page], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """A state: how it comes about, and what is done to see it."""

    name: str
    prepare: Callable[[World], None]
    steps: tuple[Step, ...] = ()
    # A word that must be on the screen, so that no picture shows something else than its name says.
    shows: str = ""
    opens: Callable[[World], str] = field(default=lambda world: world.help)
    # Addresses whose forms get no answer, where the screen would go on by itself.
    holds: str = ""
    # The looks that are kept beside the phone in light: "dark", "desktop", and languages.
    also: tuple[str, ...] = ()
    # Whether it says what became of the money, and so is looked at in every language.
    is_of_money: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.name}.png", *(f"{self.name}-{look}.png" for look in self.also))


@contextmanager
def world(database: Database, provider: FakeProvider, stopped: Clock) -> Iterator[World]:
    """The application on a port of its own, with one stuck attempt."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    base = f"http://127.0.0.1:{server.server_port}"
    settings = Settings(
        environment="test", database_url=str(database.engine.url), embedded_worker=False, public_url=base
    )
    app = create_app(settings, database)
    server.app = app
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    made = World(database, provider, stopped, base, app)
    try:
        with database.write() as session:
            made.cast = Cast(session, profile=PROFILE | {"providers": {"demo": {"url": provider.url}}})
            attempt = made.cast.attempt()
            attempt.stage, attempt.user_agent = Stage.SUBMITTED.value, _PHONE
            attempt.started_at = attempt.last_seen_at = clock.now() - timedelta(minutes=5)
            signals.note(session, attempt, "stage", attempt.started_at, stage="submitted", seen_by="frame")
            stalls.record(
                session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now(), {"seconds": 10}
            )
            session.flush()
            made.attempt_id = attempt.id
        made.says("requires_payment_method")
        yield made
    finally:
        server.shutdown()
        server.server_close()


def show(page: Page, world: World, picture: Picture, language: str = "en") -> None:
    """Bring the page to the state of this picture, which was prepared, in one of our languages."""
    words = catalogue(language).gettext
    if picture.holds:
        page.route(picture.holds, lambda route: route.fallback() if route.request.method == "GET" else None)
    page.goto(f"{picture.opens(world)}?lang={language}")
    for step in picture.steps:
        if callable(step):
            step(world, page)
            continue
        for fold in page.locator("details.more:not([open]) > summary").all():
            fold.click()
        page.get_by_role("button", name=words(step)).first.click()
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
    page.get_by_text(words(picture.shows)).first.wait_for()


def as_it_is(_world: World) -> None:
    """Nothing has to be prepared."""
