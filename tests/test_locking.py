"""Who takes several orders takes them in one order, so that no two wait for each other."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from widget import digest, orders, tickets
from widget.beacons import Beacon
from widget.database import Database
from widget.orders import Order


@pytest.fixture
def cast(postgresql_database: Database, clock: Clock) -> Cast:
    with postgresql_database.write() as session:
        return Cast(session)


def lock(session: Session, order_id: int) -> None:
    """Raises when somebody else holds it."""
    session.execute(sa.select(Order.id).where(Order.id == order_id).with_for_update(nowait=True))


def is_anybody_waiting(session: Session) -> bool:
    return bool(session.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def while_waiting(database: Database, holds: int, wants: int, work: Callable[[Session], Any]) -> None:
    """Do the work in another transaction while this one holds a row; what it waits for, it must not have beforehand."""

    def run() -> None:
        with database.write() as session:
            work(session)

    worker = threading.Thread(target=run, daemon=True)
    with database.write() as session:
        lock(session, holds)
        worker.start()
        until = time.monotonic() + 20
        while not is_anybody_waiting(session) and time.monotonic() < until:
            time.sleep(0.02)
        assert is_anybody_waiting(session)
        lock(session, wants)
    worker.join(20)
    assert not worker.is_alive()


def test_a_context_takes_all_rows_of_its_number_by_their_ids(
    postgresql_database: Database, cast: Cast, clock: Clock
) -> None:
    with postgresql_database.write() as session:
        first = orders.open_for(session, cast.shop, cast.context(), clock.now).id
        second = orders.open_for(session, cast.shop, cast.context(is_signed=False), clock.now).id
    stranger = cast.context(is_signed=False)
    while_waiting(
        postgresql_database, first, second, lambda session: orders.open_for(session, cast.shop, stranger, clock.now)
    )


def test_an_answer_to_a_ticket_takes_all_rows_of_its_number_by_their_ids(
    postgresql_database: Database, cast: Cast, clock: Clock
) -> None:
    with postgresql_database.write() as session:
        first = orders.open_for(session, cast.shop, cast.context(is_signed=False), clock.now).id
        cast.session = session
        ticket = cast.ticket()
    assert ticket.order_id is not None
    assert ticket.order_id > first
    while_waiting(
        postgresql_database,
        first,
        ticket.order_id,
        lambda session: tickets.hold(session, tickets.by_id(session, ticket.id)),
    )


def arrival(cast: Cast, clock: Clock, reference: str) -> Beacon:
    attempt = {"key": key(), "order": cast.context(reference).model_dump(), "method": "card"}
    signals = [{"seq": 0, "at": 0, "name": "stage", "data": {"stage": "submitted"}}]
    body = {"v": 1, "id": key(), "site": "demo", "attempt": attempt, "facts": {}, "signals": signals}
    return Beacon(
        shop_id=cast.shop.id,
        key=key(),
        attempt_key=attempt["key"],
        body=json.dumps(body),
        fingerprint="",
        received_at=clock.now,
    )


def test_a_round_of_beacons_takes_their_orders_by_their_ids(
    postgresql_database: Database, cast: Cast, clock: Clock
) -> None:
    with postgresql_database.write() as session:
        first, second = (
            orders.open_for(session, cast.shop, cast.context(each), clock.now).id for each in ("D-1001", "D-1002")
        )
        for each in ("D-1002", "D-1001"):
            session.add(arrival(cast, clock, each))
            session.flush()
    while_waiting(postgresql_database, first, second, lambda session: digest.digest_all(session, PACE, clock.now))
    with postgresql_database.read() as session:
        assert session.scalars(sa.select(Beacon.id).where(Beacon.digested_at.is_(None))).all() == []
