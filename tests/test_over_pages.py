"""A page whose link may take nothing any more: what it took is heard of, what it may still take is not asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.tries import WAYS, ZAR, Fake, fakes, tried, two
from widget import attempts, cashier, links, orders, tickets
from widget import clock as clocks
from widget.cashier import Step
from widget.database import Database
from widget.links import HeldFor
from widget.orders import Order
from widget.providers import Answer, ChargeState, GivenUp, Hosted
from widget.web.desk import payment_pages

__all__ = ["fakes", "two"]


@pytest.fixture
def link(database: Database, clock: Clock, fakes: dict[str, Fake], two: tuple[int, int]) -> str:
    """The key of a link whose page is open at the provider."""
    with database.write() as session:
        attempt, shop, order = attempts.with_shop_and_order(session, two[1])
        assert order is not None
        key = links.link_for(session, shop, attempt, order, clock.now).key
    assert cashier.take(database, PACE, key, WAYS).step is Step.GO
    return key


def revoke(database: Database, link: str, clock: Clock) -> None:
    with database.write() as session:
        links.revoke(links.by_key(session, link), clock.now)


def test_what_a_page_took_that_cannot_be_closed_pays_the_order(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    revoke(database, link, clock)
    fakes["demo"].closes, fakes["demo"].page = False, Answer(ChargeState.CHARGED, ZAR, "page_1")

    assert cashier.look(database, PACE, link).step is Step.DONE


def test_a_page_that_cannot_be_closed_is_not_believed_to_take_nothing(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    revoke(database, link, clock)
    fakes["demo"].closes = False
    assert cashier.look(database, PACE, link).step is Step.WAIT

    fakes["demo"].closes = True
    assert cashier.look(database, PACE, link).step is Step.OVER


def test_a_page_is_not_looked_at_where_that_would_take_the_money(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    revoke(database, link, clock)
    fakes["demo"].closes, fakes["demo"].TAKES_BY_LOOKING = False, True
    fakes["demo"].page = Answer(ChargeState.CHARGED, ZAR, "page_1")

    assert cashier.look(database, PACE, link).step is Step.WAIT


def test_a_window_that_opened_after_the_page_is_asked_about(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    clock.forward(timedelta(minutes=5))
    fakes["paypal"].left = GivenUp.CUSTOMER

    assert cashier.take(database, PACE, link, WAYS).step is Step.CUSTOMER


def test_a_link_whose_page_was_released_is_withdrawn(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    fakes["demo"].closes, fakes["demo"].page = False, Answer(ChargeState.UNKNOWN)
    with database.write() as session:
        links.release(links.by_key(session, link), session.scalars(sa.select(Order)).one(), clock.now)

    taking = cashier.look(database, PACE, link)
    assert (taking.step, taking.why) == (Step.OVER, links.WITHDRAWN)


def test_the_page_of_another_basket_is_shown_to_the_agent(database: Database) -> None:
    now = clocks.now()
    with database.write() as session:
        cast = Cast(session)
        one = tried(cast, is_signed=False, amount=124900, address="x")
        other = tried(cast, is_signed=False, amount=99900, address="x")
        _, shop, order = attempts.with_shop_and_order(session, other.id)
        assert order is not None
        link = links.link_for(session, shop, other, order, now)
        links.keep_page(link, order, "demo", Hosted("page_1", "https://x.example/1", now - timedelta(hours=26)), now)
        links.keep_for_money(link, order, now)
        ticket, _ = tickets.open_for(session, shop, one, email="sam@example.com", words="Help", locale="en", now=now)
        assert payment_pages.key_of(session, ticket) == link.key


class Slow:
    """A provider's page on which looking takes what was approved, and takes its time."""

    def __init__(self, fake: Fake) -> None:
        self._fake, self.is_asked, self.may_answer = fake, threading.Event(), threading.Event()
        fake.TAKES_BY_LOOKING = True
        self._answer = fake.link_state
        fake.link_state = self._take  # type: ignore[method-assign]

    def _take(self, _hosted_id: str) -> Answer:
        self.is_asked.set()
        assert self.may_answer.wait(20)
        return self._answer(_hosted_id)

    @contextmanager
    def taking(self, database: Database, key: str) -> Iterator[None]:
        """While the worker takes the money of this link's page."""
        worker = threading.Thread(target=cashier.look, args=(database, PACE, key))
        worker.start()
        assert self.is_asked.wait(20)
        try:
            yield
        finally:
            self.may_answer.set()
            worker.join()


def test_a_page_is_not_closed_while_its_money_is_being_taken(
    database: Database, fakes: dict[str, Fake], link: str, two: tuple[int, int]
) -> None:
    slow = Slow(fakes["demo"])
    with slow.taking(database, link):
        assert cashier.leave(database, PACE, link).step is Step.WAIT
        assert not cashier.clear(database, PACE, two[1])
        fakes["demo"].page = Answer(ChargeState.CHARGED, ZAR, "page_1")

    assert cashier.look(database, PACE, link).step is Step.DONE


def test_no_money_is_taken_on_a_page_that_is_being_closed(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    fakes["demo"].TAKES_BY_LOOKING = True
    fakes["demo"].page = Answer(ChargeState.CHARGED, ZAR, "page_1")
    with database.write() as session:
        hold = links.hold_page(session, link, HeldFor.CLOSING, clock.now)
    assert hold is not None
    assert cashier.look(database, PACE, link).step is Step.WAIT

    with database.write() as session:
        links.let_page_go(session, link, hold)
    assert cashier.look(database, PACE, link).step is Step.DONE


@pytest.mark.parametrize("is_first_done", [True, False])
def test_of_two_who_take_the_money_neither_lets_the_page_go_before_the_other(
    database: Database, clock: Clock, link: str, is_first_done: bool
) -> None:
    with database.write() as session:
        first = links.hold_page(session, link, HeldFor.TAKING, clock.now)
        second = links.hold_page(session, link, HeldFor.TAKING, clock.now + timedelta(seconds=1))
        assert first is not None
        assert second is not None
        links.let_page_go(session, link, first if is_first_done else second)
        assert links.hold_page(session, link, HeldFor.CLOSING, clock.now + timedelta(seconds=2)) is None


def test_a_look_that_found_the_page_being_closed_does_not_keep_the_order_afterwards(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    fakes["demo"].TAKES_BY_LOOKING = True
    with database.write() as session:
        links.hold_page(session, link, HeldFor.CLOSING, clock.now)
        links.by_key(session, link).look_at = None

    assert cashier.look(database, PACE, link).step is Step.WAIT
    with database.read() as session:
        until = session.scalars(sa.select(Order)).one().paying_until
        assert until is None or until < clock.now + timedelta(hours=1)


def test_who_was_killed_while_taking_money_keeps_the_page_for_a_minute(
    database: Database, clock: Clock, fakes: dict[str, Fake], link: str
) -> None:
    fakes["demo"].TAKES_BY_LOOKING = True
    with database.write() as session:
        assert links.hold_page(session, link, HeldFor.TAKING, clock.now)

    assert cashier.leave(database, PACE, link).step is Step.WAIT
    clock.forward(timedelta(seconds=61))
    assert cashier.leave(database, PACE, link).step is Step.OPEN


def test_a_page_of_which_nobody_can_say_anything_is_handed_to_an_agent_and_let_go_at_last(
    database: Database, clock: Clock, fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast)
        link = links.link_for(session, cast.shop, attempt, cast.order_of(attempt), clock.now).key
    fakes["demo"].is_of_order = True
    assert cashier.take(database, PACE, link, WAYS).step is Step.GO
    del fakes["demo"]

    found = []
    for pause in (timedelta(hours=1), timedelta(days=2), timedelta(days=1), timedelta(days=30)):
        clock.forward(pause)
        cashier.look(database, PACE, link)
        with database.read() as session:
            order = session.scalars(sa.select(Order)).one()
            found.append((len(tickets.unfinished_of(session, order)), orders.is_being_paid(order, clock.now)))

    assert found == [(0, True), (1, True), (1, True), (1, False)]
