"""A bank transfer that was announced and never arrives does not block its order for ever."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from widget import cashier, payments, tickets, transfers
from widget.attempts import Attempt
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.tickets import Message, Ticket
from widget.transfers import Transfer

WAITED = timedelta(days=14)


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    """The customer has announced a transfer of the order D-1001."""
    with database.write() as session:
        made = Cast(session)
        attempt = made.attempt()
        order = made.order_of(attempt)
        given = transfers.open_for(session, attempt, order, "eft", order.due, clock.now)
        transfers.announce(session, order, given.id, clock.now)
        return made


def report(cast: Cast, database: Database) -> Ticket:
    with database.write() as session:
        cast.session = session
        return cast.ticket(session.scalars(sa.select(Attempt)).first())


def the_transfer(database: Database) -> Transfer:
    with database.read() as session:
        return session.scalars(sa.select(Transfer)).one()


def notes(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Message.body).where(Message.is_note.is_(True))))


def test_it_is_awaited_for_fourteen_days(cast: Cast, database: Database, clock: Clock) -> None:
    clock.forward(WAITED - timedelta(seconds=1))
    assert not cashier.end_waiting(database)
    assert the_transfer(database).is_open


def test_then_the_order_can_be_paid_another_way_and_the_ticket_says_so(
    cast: Cast, database: Database, clock: Clock
) -> None:
    report(cast, database)
    clock.forward(WAITED)
    assert cashier.end_waiting(database)
    with database.read() as session:
        assert not transfers.is_announced(session, session.scalars(sa.select(Order)).one())
    assert the_transfer(database).cancelled_at == clock.now
    (said,) = notes(database)
    assert "announced on 2026-11-20, has not arrived in 14 days" in said
    assert "The customer can pay another way again." in said


def test_it_is_ended_and_noted_once(cast: Cast, database: Database, clock: Clock) -> None:
    report(cast, database)
    clock.forward(WAITED)
    cashier.end_waiting(database)
    ended_at = the_transfer(database).cancelled_at
    clock.forward(timedelta(days=1))
    assert not cashier.end_waiting(database)
    assert the_transfer(database).cancelled_at == ended_at
    assert len(notes(database)) == 1


def test_several_workers_at_once_note_it_once(cast: Cast, database: Database, clock: Clock) -> None:
    report(cast, database)
    clock.forward(WAITED)
    start, trouble = threading.Barrier(4), list[Exception]()

    def work() -> None:
        start.wait()
        try:
            cashier.end_waiting(database)
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert trouble == []
    assert len(notes(database)) == 1


def test_without_a_ticket_it_is_ended_all_the_same(cast: Cast, database: Database, clock: Clock) -> None:
    clock.forward(WAITED)
    assert cashier.end_waiting(database)
    assert not the_transfer(database).is_open
    assert notes(database) == []


@pytest.mark.parametrize("is_received", [True, False])
def test_what_arrived_or_was_taken_back_is_left_alone(
    cast: Cast, database: Database, clock: Clock, is_received: bool
) -> None:
    with database.write() as session:
        given, order = session.scalars(sa.select(Transfer)).one(), session.scalars(sa.select(Order)).one()
        if is_received:
            transfers.receive(given, clock.now)
        else:
            transfers.take_back(session, order, given.id, clock.now)
    before = the_transfer(database).cancelled_at
    clock.forward(WAITED)
    assert not cashier.end_waiting(database)
    assert the_transfer(database).cancelled_at == before


def test_of_an_order_that_was_paid_meanwhile_nobody_is_told_to_pay(
    cast: Cast, database: Database, clock: Clock
) -> None:
    report(cast, database)
    with database.write() as session:
        order = session.scalars(sa.select(Order)).one()
        told = Told("shop:1", Source.SHOP, Money(124900, "ZAR"), payment="pay_1", provider="demo")
        payments.record(session, cast.shop, order, told, PACE, clock.now)
    clock.forward(WAITED)
    cashier.end_waiting(database)
    (said,) = notes(database)
    assert "The order is paid." in said
    assert "can pay another way" not in said


def test_money_that_comes_after_all_still_finds_its_order(cast: Cast, database: Database, clock: Clock) -> None:
    clock.forward(WAITED)
    cashier.end_waiting(database)
    with database.read() as session:
        found = transfers.by_reference(session, cast.shop.id, the_transfer(database).reference)
        assert found is not None
        assert tickets.about(session, session.get_one(Order, found.order_id), tickets.Topic.PAID_TWICE) is None
