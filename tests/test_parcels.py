"""Dead letters as agents see them: each with the address that it would go to, found for all of them at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.cast import Cast
from tests.conftest import Clock
from widget import followups, handovers, holds
from widget.database import Database
from widget.followups import FollowUp, Kind


def promise_all(session: Session, cast: Cast, clock: Clock, order: str, *, is_signed: bool) -> None:
    """One e-mail of every sort that has an address of its own."""
    now = clock.now
    attempt = cast.attempt(order, is_signed=is_signed)
    hand_over = handovers.send(session, attempt, "device@example.com", now)
    kept = cast.order_of(attempt)
    hold = holds.keep(session, cast.shop, attempt, kept, email="later@example.com", remind_at=now, now=now)
    abouts = {Kind.DEVICE: hand_over.key, Kind.LATER: f"hold:{hold.id}:1", Kind.OUTCOME: f"attempt:{attempt.id}"}
    for kind, about in abouts.items():
        followups.owe_to_attempt(session, attempt, kind, about=about, due_at=now, now=now)
    cast.ticket(cast.attempt(f"T-{order}", is_signed=is_signed), email="ticket@example.com")


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    said: list[str] = []
    bind = session.get_bind()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement != "BEGIN":
            said.append(statement)

    sa.event.listen(bind, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(bind, "before_cursor_execute", note)


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_dead_letter_shows_the_address_that_it_would_go_to(
    database: Database, clock: Clock, *, is_signed: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        promise_all(session, cast, clock, "D-1", is_signed=is_signed)
        session.execute(sa.update(FollowUp).values(dead_at=clock.now))
        parcels = followups.dead_letters(session, [cast.shop.id])
        assert len(parcels) == len(session.scalars(sa.select(FollowUp.id)).all())
        for each in parcels:
            assert each.email == followups.recipient_of(session, each.follow_up), each.follow_up.kind
        kinds = {each.follow_up.kind: each.email for each in parcels}
        assert kinds["device"] == "device@example.com"
        assert kinds["later"] == "later@example.com"
        assert kinds["outcome"] == ("sam@example.com" if is_signed else "")


def test_many_dead_letters_take_no_more_questions_than_one(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        for number in range(10):
            promise_all(session, cast, clock, f"D-{number}", is_signed=number % 2 == 0)
        session.execute(sa.update(FollowUp).values(dead_at=clock.now))
        shop_id = cast.shop.id
    with database.read() as session, statements(session) as said:
        assert len(followups.dead_letters(session, [shop_id])) >= 40
    assert len(said) == 1
