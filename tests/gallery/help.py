"""The payment help in each state: whether the customer was charged, why, the ways out, and the other device's page."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from playwright.sync_api import Page

from tests.cast import PACE
from tests.gallery.world import Picture, World, as_it_is
from widget import casework, clock, guard, handovers, orders, stalls
from widget.attempts import Stage
from widget.feeds import Feed
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose


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
    now = clock.now()
    url = "https://status.provider.example/api/v2/summary.json"
    world.change(providers={"demo": {"url": world.provider.url, "status_feed": {"shape": "statuspage", "url": url}}})
    with world.changed() as (session, _attempt):
        times = {"answered_at": now, "asked_at": now, "wanted_at": now, "next_try_at": now}
        session.add(Feed(url=url, provider="", shape="statuspage", indicator="major", said="Outage", parts=[], **times))


def _handed_over(*, taken: bool = False, over: bool = False) -> Callable[[World], str]:
    """The page on the other device, which another has opened already, or which is opened too late."""

    def opens(world: World) -> str:
        with world.changed() as (session, attempt):
            hand_over = handovers.open_for(session, attempt, clock.now())
            if taken:
                handovers.take(session, hand_over.key, None, clock.now())
            if over:
                hand_over.expires_at = clock.now()
            return world.page("continue", Purpose.CONTINUE, hand_over.key)

    return opens


def _opened_there(world: World, _page: Page) -> None:
    _handed_over(taken=True)(world)


def _too_late(world: World, _page: Page) -> None:
    _handed_over(over=True)(world)


def _number_typed(_world: World, page: Page) -> None:
    page.locator("#phone").fill("+27 21 000 0199")


def _reported(world: World) -> None:
    with world.ordered() as (session, shop, attempt, _order):
        casework.report(
            session, shop, attempt, email="sam@example.com", words="", locale="en", pace=PACE, now=clock.now()
        )


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

HELP: tuple[Picture, ...] = (
    Picture(
        "not-charged",
        as_it_is,
        shows="You have not been charged",
        also=("dark", "desktop", "de", "ar"),
        is_of_money=True,
    ),
    Picture(
        "processing",
        _says("processing"),
        shows="We do not know yet if you were charged",
        also=("dark",),
        is_of_money=True,
    ),
    Picture("provider-silent", _silent, shows="We do not know yet"),
    Picture(
        "nobody-asked",
        _not_asked,
        shows="Nobody could be asked yet. Look whether your bank has sent a message about this payment.",
        is_of_money=True,
    ),
    Picture(
        "may-be-confirmed",
        _says("requires_action"),
        shows="Your bank may still ask you to confirm the first payment. Refuse it there.",
        is_of_money=True,
    ),
    Picture(
        "being-paid",
        _being_paid,
        shows="Another payment for this order may be going on, in another window or by a link.",
        is_of_money=True,
    ),
    Picture(
        "charged",
        _says("succeeded"),
        shows="You have paid. There is nothing left to do",
        also=("dark",),
        is_of_money=True,
    ),
    Picture("held", _says("requires_capture"), shows="The money is reserved, not taken", is_of_money=True),
    Picture(
        "reversed",
        _says("canceled", is_reversed=True),
        shows="Your bank had reserved the amount and has let it go.",
        is_of_money=True,
    ),
    Picture(
        "too-little",
        _says("succeeded", amount=5000),
        shows="A payment came in that was less than the order. Do not pay the whole amount again.",
        is_of_money=True,
    ),
    Picture(
        "too-much",
        _says("succeeded", amount=134900),
        shows="We have told the shop what to give back. A person looks into it.",
        is_of_money=True,
    ),
    Picture(
        "paid-twice", _says("succeeded", charged=_TWICE), shows="Your order was paid more than once", is_of_money=True
    ),
    Picture("split", _split, shows="Pay the rest", is_of_money=True),
    Picture("rest", _split, steps=("Pay the rest",), shows="Open the payment page"),
    Picture("declined", _declined("insufficient_funds"), shows="You have not been charged"),
    Picture("declined-like-fraud", _declined("stolen_card"), shows="You have not been charged"),
    Picture("suspect", _suspect, shows="You have not been charged", is_of_money=True),
    Picture("outage", _outage, shows="You have not been charged", is_of_money=True),
    Picture("apple-pay", _stuck(StallKind.WALLET, "apple_pay"), shows="You have not been charged"),
    Picture("samsung-pay", _stuck(StallKind.WALLET, "samsung_pay"), shows="You have not been charged"),
    Picture("retry", as_it_is, steps=("Try again",), shows="Press Pay once more"),
    Picture("methods", as_it_is, steps=("Pay another way",), shows="Choose another way to pay"),
    Picture(
        "device",
        as_it_is,
        steps=("Go on with another device",),
        shows="This window notices when it is opened and paid there.",
        also=("desktop",),
    ),
    Picture("payment-link", as_it_is, steps=("Pay on a separate page",), shows="Open the payment page"),
    Picture("transfer", as_it_is, steps=("Pay by bank transfer",), shows="I have sent the transfer", also=("ar",)),
    Picture(
        "transfer-code",
        _in_euro,
        steps=("Pay by bank transfer",),
        shows="I have sent the transfer",
        also=("dark", "de"),
    ),
    Picture(
        "transfer-announced",
        as_it_is,
        steps=("Pay by bank transfer", "I have sent the transfer"),
        shows="I did not send it",
    ),
    Picture(
        "device-opened",
        as_it_is,
        steps=("Go on with another device", _opened_there),
        shows="Opened on another device.",
    ),
    Picture(
        "device-expired",
        as_it_is,
        steps=("Go on with another device", _too_late),
        shows="The code and its link have expired.",
    ),
    Picture("missing", _says("succeeded", amount=5000), steps=("Pay the missing",), shows="Open the payment page"),
    Picture("person", as_it_is, steps=("Talk to a person",), shows="+27 21 000 0142"),
    Picture("call-back", as_it_is, steps=("Ask us to call you",), shows="Your phone number"),
    Picture(
        "call-booked",
        as_it_is,
        steps=("Ask us to call you", _number_typed, "Ask for the call"),
        shows="Follow it on your status page",
    ),
    Picture("later", as_it_is, steps=("Pay later",), shows="When should we remind you?", also=("de", "ar")),
    Picture("later-kept", as_it_is, steps=("Pay later", "Keep my order"), shows="Your order is kept"),
    Picture("report", as_it_is, steps=("Report it",), shows="See everything that is sent"),
    Picture("reported", as_it_is, steps=("Report it", "Send the report"), shows="We have your report"),
    Picture("reported-before", _reported, shows="You have reported this."),
    Picture("continue", as_it_is, opens=_handed_over(), shows="Go on with order"),
    Picture("continue-elsewhere", as_it_is, opens=_handed_over(taken=True), shows="in use on another device"),
    Picture("continue-expired", as_it_is, opens=_handed_over(over=True), shows="This link has expired"),
)
