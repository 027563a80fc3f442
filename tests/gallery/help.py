"""Every screen of the payment help, made by the real application: what people see in each state, as pictures.

`python -m pytest tests/test_gallery.py` walks them. UNJAM_GALLERY names a folder that keeps the pictures, as
`make gallery` does for static/docs/panel.md.
"""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from tests.cast import Cast
from tests.fake_provider import FakeProvider
from widget import clock, guard, handovers, orders, signals, stalls
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.language import catalogue
from widget.settings import Settings
from widget.shops import Profile
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
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 "
    "Version/19.1 Mobile/15E148 Safari/604.1"
)


_COLOURS = 48


@dataclass
class World:
    """One shop, one attempt that is stuck, and a provider that says what a state needs."""

    database: Database
    provider: FakeProvider
    base_url: str
    app: Any
    attempt_id: int = 0
    cast: Cast | None = None

    @property
    def help(self) -> str:
        return f"{self.base_url}/help/{self.sign(Purpose.HELP, self.attempt_id)}"

    def sign(self, purpose: Purpose, subject: object) -> str:
        return str(self.app.extensions["unjam"].tokens.sign(purpose, subject))

    def says(self, status: str, **more: Any) -> None:
        """What the provider answers from now on about the payment of the order."""
        told = {"id": "pay_7QX2", "order": "D-1001", "status": status, "amount": 124900, "currency": "ZAR"}
        self.provider.body = json.dumps(told | more).encode()

    @contextmanager
    def changed(self) -> Iterator[tuple[Session, Attempt]]:
        with self.database.write() as session:
            yield session, session.get_one(Attempt, self.attempt_id)

    def change(self, **profile: Any) -> None:
        with self.changed() as (session, attempt):
            shop = session.get_one(type(self.cast.shop), attempt.shop_id)  # type: ignore[union-attr]
            shop.profile = Profile.model_validate(shop.profile | profile).model_dump(mode="json")


@dataclass(frozen=True)
class Picture:
    """A state: how it comes about, and what a person presses to see it."""

    name: str
    prepare: Callable[[World], None]
    presses: tuple[str, ...] = ()
    # A word that must be on the screen, so that no picture shows something else than its name says.
    shows: str = ""
    opens: Callable[[World], str] = field(default=lambda world: world.help)
    # The looks that are kept beside the phone in light: "dark", "desktop", and languages.
    also: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.name}.png", *(f"{self.name}-{look}.png" for look in self.also))


@contextmanager
def world(database: Database, provider: FakeProvider) -> Iterator[World]:
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
    made = World(database, provider, base, app)
    try:
        with database.write() as session:
            made.cast = Cast(session, profile=PROFILE | {"providers": {"demo": {"url": provider.url}}})
            attempt = made.cast.attempt()
            attempt.stage, attempt.user_agent = Stage.SUBMITTED.value, PHONE
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


def take(page: Page, world: World, picture: Picture, language: str = "en") -> None:
    """Bring the page to the state of this picture, in one of our languages."""
    words = catalogue(language).gettext
    picture.prepare(world)
    page.goto(f"{picture.opens(world)}?lang={language}")
    for pressed in picture.presses:
        for fold in page.locator("details.more:not([open]) > summary").all():
            fold.click()
        page.get_by_role("button", name=words(pressed)).first.click()
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
    page.get_by_text(words(picture.shows)).first.wait_for()


def keep(page: Page, file: Path) -> None:
    """The whole page as a picture of few colours: letters stay sharp, and it is a quarter as large."""
    page.mouse.move(0, 0)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled"))).convert("RGB")
    shot.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def _as_it_is(_world: World) -> None:
    pass


def _says(status: str, **more: Any) -> Callable[[World], None]:
    return lambda world: world.says(status, **more)


def _stuck(kind: StallKind, method: str | None = None, **evidence: Any) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        with world.changed() as (session, attempt):
            attempt.method = method or attempt.method
            stalls.record(session, attempt, kind, Stage.SUBMITTED, SeenBy.PAGE, clock.now(), evidence)

    return prepare


def _declined(code: str, **more: Any) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.says("requires_payment_method", code=code, **more)
        _stuck(StallKind.DECLINED, code=code)(world)

    return prepare


def _silent(world: World) -> None:
    world.provider.body, world.provider.answers_with = b"", 500


def _not_asked(world: World) -> None:
    world.change(providers={})


def _split(world: World) -> None:
    world.says("succeeded", amount=40000)
    with world.changed() as (session, attempt):
        attempt.stage = Stage.FAILED.value
        attempt.leg, attempt.legs = 2, 2
        stalls.record(
            session, attempt, StallKind.SPLIT, Stage.SUBMITTED, SeenBy.PAGE, clock.now(), {"leg": 2, "legs": 2}
        )
        cast = world.cast
        assert cast is not None
        cast.session = session
        first = cast.attempt()
        first.leg, first.legs, first.method, first.stage = 1, 2, "store_account", Stage.PAID.value


def _suspect(world: World) -> None:
    _declined("stolen_card")(world)
    with world.changed() as (session, attempt):
        attempt.address = guard.hash_of("gallery", "203.0.113.9")
        suspicion = guard.Suspicion(
            shop_id=attempt.shop_id,
            subject=guard.marks.all_of(attempt)["visitor"],
            pattern="declines",
            numbers={},
            flagged_at=clock.now(),
            seen_at=clock.now(),
            until=clock.now() + timedelta(hours=1),
        )
        session.add(suspicion)


def _outage(world: World) -> None:
    from widget.feeds import Feed

    now = clock.now()
    url = "https://status.provider.example/api/v2/summary.json"
    world.change(providers={"demo": {"url": world.provider.url, "status_feed": {"shape": "statuspage", "url": url}}})
    with world.changed() as (session, _attempt):
        times = {"answered_at": now, "asked_at": now, "wanted_at": now, "next_try_at": now}
        session.add(Feed(url=url, provider="", shape="statuspage", indicator="major", said="Outage", parts=[], **times))


def _handed_over(world: World) -> str:
    with world.changed() as (session, attempt):
        hand_over = handovers.open_for(session, attempt, clock.now())
        return f"{world.base_url}/continue/{world.sign(Purpose.CONTINUE, hand_over.key)}"


def _taken_elsewhere(world: World) -> str:
    with world.changed() as (session, attempt):
        hand_over = handovers.open_for(session, attempt, clock.now())
        handovers.take(session, hand_over.key, None, clock.now())
        return f"{world.base_url}/continue/{world.sign(Purpose.CONTINUE, hand_over.key)}"


def _in_euro(world: World) -> None:
    """The order and the shop's account are in euro, for which there is a code that banking apps read."""
    iban = "DE89370400440532013000"
    account = {"scheme": "epc", "holder": "Karoo Coffee Co.", "iban": iban}
    world.change(bank_accounts=[account], locale="de-DE")
    world.says("requires_payment_method", currency="EUR")
    with world.changed() as (session, attempt):
        order = session.get_one(orders.Order, attempt.order_id)
        order.currency, order.amount = "EUR", 4900


def _being_paid(world: World) -> None:
    with world.changed() as (session, attempt):
        assert attempt.order_id is not None
        order = orders.locked(session, attempt.order_id)
        order.paying_link, order.paying_until = "elsewhere", clock.now() + timedelta(minutes=5)


_TWICE = [{"id": "pay_7QX2", "amount": 124900}, {"id": "pay_9LM4", "amount": 124900}]

PICTURES: tuple[Picture, ...] = (
    Picture("not-charged", _as_it_is, shows="You have not been charged", also=("dark", "desktop", "de", "ar")),
    Picture("processing", _says("processing"), shows="We do not know yet", also=("dark",)),
    Picture("provider-silent", _silent, shows="We do not know yet"),
    Picture("nobody-asked", _not_asked, shows="Nobody could be asked"),
    Picture("may-be-confirmed", _says("requires_action"), shows="Refuse it there"),
    Picture("being-paid", _being_paid, shows="may be going on"),
    Picture("charged", _says("succeeded"), shows="You have paid", also=("dark",)),
    Picture("held", _says("requires_capture"), shows="reserved, not taken"),
    Picture("reversed", _says("canceled", is_reversed=True), shows="statement"),
    Picture("too-little", _says("succeeded", amount=5000), shows="is not paid yet"),
    Picture("too-much", _says("succeeded", amount=134900), shows="too much"),
    Picture("paid-twice", _says("succeeded", charged=_TWICE), shows="more than once"),
    Picture("split", _split, shows="Pay the rest"),
    Picture("rest", _split, presses=("Pay the rest",), shows="Open the payment page"),
    Picture("declined", _declined("insufficient_funds"), shows="You have not been charged"),
    Picture("declined-like-fraud", _declined("stolen_card"), shows="You have not been charged"),
    Picture("suspect", _suspect, shows="You have not been charged"),
    Picture("outage", _outage, shows="has a disruption"),
    Picture("apple-pay", _stuck(StallKind.WALLET, "apple_pay"), shows="You have not been charged"),
    Picture("samsung-pay", _stuck(StallKind.WALLET, "samsung_pay"), shows="You have not been charged"),
    Picture("retry", _as_it_is, presses=("Try again",), shows="Press Pay once more"),
    Picture("methods", _as_it_is, presses=("Pay another way",), shows="Choose another way to pay"),
    Picture(
        "device",
        _as_it_is,
        presses=("Go on with another device",),
        shows="This window notices when it is opened and paid there.",
        also=("desktop",),
    ),
    Picture("payment-link", _as_it_is, presses=("Pay on a separate page",), shows="Open the payment page"),
    Picture("transfer", _as_it_is, presses=("Pay by bank transfer",), shows="I have sent the transfer", also=("ar",)),
    Picture(
        "transfer-code",
        _in_euro,
        presses=("Pay by bank transfer",),
        shows="I have sent the transfer",
        also=("dark", "de"),
    ),
    Picture(
        "transfer-announced",
        _as_it_is,
        presses=("Pay by bank transfer", "I have sent the transfer"),
        shows="I did not send it",
    ),
    Picture("person", _as_it_is, presses=("Talk to a person",), shows="+27 21 000 0142"),
    Picture("call-back", _as_it_is, presses=("Ask us to call you",), shows="Your phone number"),
    Picture("later", _as_it_is, presses=("Pay later",), shows="When should we remind you?", also=("de", "ar")),
    Picture("later-kept", _as_it_is, presses=("Pay later", "Keep my order"), shows="Your order is kept"),
    Picture("report", _as_it_is, presses=("Report it",), shows="See everything that is sent"),
    Picture("reported", _as_it_is, presses=("Report it", "Send the report"), shows="We have your report"),
    Picture("continue", _as_it_is, opens=_handed_over, shows="Go on with order"),
    Picture("continue-elsewhere", _as_it_is, opens=_taken_elsewhere, shows="in use on another device"),
    Picture(
        "unknown-payment",
        _as_it_is,
        opens=lambda world: f"{world.base_url}/rescue/demo/{'0' * 32}",
        shows="Do not pay again",
    ),
)
