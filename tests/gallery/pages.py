"""The pages beside the help: the payment link in its states, and those that customers reach without a checkout."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Page

from tests.cast import PACE
from tests.gallery.world import Picture, World, as_it_is
from widget import casework, charges, clock, links, payments, tickets
from widget.ledger import Source, Told
from widget.money import Money
from widget.providers import Answer, ChargeState
from widget.tickets import Status, Ticket
from widget.tokens import Purpose

_MINUTE = timedelta(minutes=1)


def _link(path: str = "", **changed: Any) -> Callable[[World], str]:
    """The page of a payment link for the order, after this has changed about it."""

    def opens(world: World) -> str:
        with world.ordered() as (session, shop, attempt, order):
            link = links.link_for(session, shop, attempt, order, clock.now())
            for name, value in changed.items():
                setattr(link, name, value() if callable(value) else value)
            return world.page("pay", Purpose.PAY, link.key) + path

    return opens


def _on_pages(world: World) -> None:
    """The provider tells of the payments that are made on its pages."""
    world.provider.body = None


def _says(status: str) -> Callable[[World], None]:
    return lambda world: world.says(status)


def _makes_no_page(world: World) -> None:
    _on_pages(world)
    world.provider.fails_after_making = True


def _in_a_window(world: World) -> None:
    """What was begun can be completed by its customer only, and is not ended when we ask for that."""
    world.says("requires_payment_method", waiting=["pay_7QX2"])


def _waits_at_the_bank(world: World) -> None:
    """What was begun could not be ended, so that only its customer can say what becomes of it."""
    _in_a_window(world)
    world.provider.is_down_to_cancel = True


def _grows(world: World, _page: Page) -> None:
    """The shop adds something to the order while its customer pays."""
    with world.ordered() as (*_others, order):
        order.amount += 10000


def _reserves(world: World, page: Page) -> None:
    """The bank sets the amount aside while its customer is on the provider's page."""
    world.provider.answer(page.url, "process")
    world.provider.settle(page.url, "requires_capture")


def _processes(world: World, _page: Page) -> None:
    world.says("processing")


def _paid_meanwhile(world: World) -> None:
    _case()(world)
    with world.ordered() as (session, shop, _attempt, order):
        told = Told("told-by-the-shop", Source.SHOP, Money(order.amount, order.currency), payment="pay_7QX2")
        payments.record(session, shop, order, told, PACE, clock.now())


def _case(*, answered: bool = False, solved: bool = False) -> Callable[[World], None]:
    """The customer has reported the payment."""

    def prepare(world: World) -> None:
        with world.ordered() as (session, shop, attempt, _order):
            said: dict[str, Any] = {
                "email": "sam@example.com",
                "words": "It froze after I pressed Pay.",
                "locale": "en",
            }
            ticket = casework.report(session, shop, attempt, pace=PACE, now=clock.now(), **said)
            assert world.cast is not None
            world.cast.session, world.cast.shop = session, shop
            agent = world.cast.agent()
            if answered or solved:
                words = "We have freed your order.\n\nPlease try once more."
                tickets.reply(session, ticket, agent, words, clock.now())
            if solved:
                charges.record(session, attempt, Answer(ChargeState.NOT_CHARGED, is_of_order=True), clock.now())
                casework.change_status(session, shop, ticket, Status.RESOLVED, agent=agent, pace=PACE, now=clock.now())

    return prepare


def _of_case(name: str, purpose: Purpose) -> Callable[[World], str]:
    def opens(world: World) -> str:
        with world.database.read() as session:
            return world.page(name, purpose, session.scalars(sa.select(Ticket.id)).one())

    return opens


def _very_good(_world: World, page: Page) -> None:
    page.get_by_label("Very good").check()


def _a_minute_later(world: World, _page: Page) -> None:
    world.clock.forward(_MINUTE)


def _too_old(world: World) -> str:
    address = world.help
    world.clock.forward(timedelta(days=3))
    return address


def _at(path: str) -> Callable[[World], str]:
    return lambda world: world.base_url + path


_BEGUN: dict[str, Any] = {
    "provider": "demo",
    "hosted_id": "pl_1",
    "hosted_url": "https://pay.example/pl_1",
    "hosted_until": lambda: clock.now() + 30 * _MINUTE,
}
_RATE, _AGAIN, _STATUS = (
    _of_case(name, purpose)
    for name, purpose in (("rate", Purpose.RATE), ("again", Purpose.AGAIN), ("status", Purpose.STATUS))
)

_FIRST_WE_ASK = (
    "We first make sure that nothing was charged before. Then the shop’s payment provider asks for your card or bank."
)

PAGES: tuple[Picture, ...] = (
    Picture("pay", _on_pages, opens=_link(), shows=_FIRST_WE_ASK, also=("dark", "ar")),
    Picture("pay-begun", _on_pages, opens=_link(**_BEGUN), shows="Go on with this payment"),
    Picture("pay-checking", _on_pages, opens=_link("/back", **_BEGUN), holds="**/back*", shows="We are asking whether"),
    Picture("pay-paid", _on_pages, opens=_link(), steps=("Pay", "Pay"), shows="Paid. Thank you"),
    Picture("pay-part", _on_pages, opens=_link(), steps=("Pay", _grows, "Pay"), shows="is still to be paid"),
    Picture("pay-back", _on_pages, opens=_link(), steps=("Pay", "Back"), shows="You have not paid yet"),
    Picture(
        "pay-declined",
        _on_pages,
        opens=_link(),
        steps=("Pay", "Decline", "Back"),
        shows="Your bank did not approve this payment",
    ),
    Picture(
        "pay-left",
        _on_pages,
        opens=_link(),
        steps=("Pay", "Back", "Pay another way"),
        shows="The payment page is closed",
    ),
    Picture("pay-wait", _says("processing"), opens=_link(), steps=("Pay",), shows="Please do not pay yet"),
    Picture("pay-held", _on_pages, opens=_link(), steps=("Pay", _reserves, "Back"), shows="set the amount aside"),
    Picture("pay-window", _in_a_window, opens=_link(), steps=("Pay",), shows="I will not confirm it"),
    Picture("pay-confirm", _waits_at_the_bank, opens=_link(), steps=("Pay",), shows="Confirm it or cancel it there."),
    Picture("pay-unanswered", _makes_no_page, opens=_link(), steps=("Pay",), shows="could not be opened"),
    Picture("pay-expired", as_it_is, opens=_link(expires_at=lambda: clock.now()), shows="has expired"),
    Picture("pay-withdrawn", as_it_is, opens=_link(revoked_at=lambda: clock.now()), shows="This link takes no payment"),
    Picture("start", as_it_is, opens=_at("/start/demo"), shows="What happened?", also=("desktop", "ar")),
    Picture("start-mistakes", as_it_is, opens=_at("/start/demo"), steps=("Continue",), shows="Check your answers"),
    Picture("start-nowhere", as_it_is, opens=_at("/start/unknown"), shows="Ask the shop about your payment"),
    Picture("status", _case(), opens=_STATUS, shows="We have your report", also=("desktop",)),
    Picture("status-answered", _case(answered=True), opens=_STATUS, shows="We have freed your order."),
    Picture("status-solved", _case(solved=True), opens=_STATUS, shows="Try to pay again"),
    Picture("rate", _case(solved=True), opens=_RATE, shows="How was the help with your payment?"),
    Picture(
        "rate-confirm",
        _case(solved=True),
        opens=_RATE,
        steps=(_very_good, "Send the answer"),
        shows="Is this your answer?",
    ),
    Picture(
        "rated",
        _case(solved=True),
        opens=_RATE,
        steps=(_very_good, _a_minute_later, "Send the answer"),
        shows="Thank you",
    ),
    Picture("again", _case(), opens=_AGAIN, shows="We first make sure"),
    Picture("again-paid", _paid_meanwhile, opens=_AGAIN, shows="already paid"),
    Picture("again-wait", _case(), opens=_AGAIN, steps=(_processes, "Continue"), shows="Please do not pay yet"),
    Picture("unknown-payment", as_it_is, opens=_at(f"/rescue/demo/{'0' * 32}"), shows="Do not pay again"),
    Picture("link-wrong", as_it_is, opens=_at("/help/nonsense"), shows="This link does not work"),
    Picture("link-expired", as_it_is, opens=_too_old, shows="This link has expired"),
)
