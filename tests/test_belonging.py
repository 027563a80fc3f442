"""A payment that nothing but a page ties to an order: whose it is, and who is told of it."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.tries import CHARGED, NOT_CHARGED, UNKNOWN, ZAR, Fake, fakes, tried
from widget import attempts, enquiry, payments, stalls, tickets
from widget.attempts import Stage
from widget.database import Database
from widget.hooks import Hook
from widget.ledger import Source, Told
from widget.providers import Answer, ChargeState
from widget.stalls import SeenBy, StallKind
from widget.tickets import Status, Ticket, Topic

__all__ = ["fakes"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(None, CHARGED), ("WC-D-1001", CHARGED), ("D-0007", UNKNOWN)],
)
def test_a_payment_with_the_number_of_another_order_is_not_this_ones(
    database: Database, clock: Clock, fakes: dict[str, Fake], names: str | None, expected: ChargeState
) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt("D-0007")
        attempt_id = tried(cast, "Y1").id
    fakes["demo"].known["Y1"] = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now, names=names)

    assert enquiry.ask(database, PACE, attempt_id) is expected


_NAMED = Answer(CHARGED, ZAR, "Y1", is_proven=False, names="D-9")


@pytest.mark.parametrize(
    ("provider", "is_link", "named", "expected"),
    [
        ("demo", False, _NAMED, UNKNOWN),
        ("demo", False, replace(_NAMED, state=NOT_CHARGED, asked=frozenset({"Y1"})), UNKNOWN),
        ("demo", True, _NAMED, CHARGED),
        ("paypal", False, _NAMED, CHARGED),
    ],
)
def test_where_the_shop_writes_our_numbers_another_text_is_another_order(
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fakes: dict[str, Fake],
    provider: str,
    is_link: bool,
    named: Answer,
    expected: ChargeState,
) -> None:
    monkeypatch.setattr(Fake, "ask", lambda fake, _question: fake.known["Y1"])
    with database.write() as session:
        cast = Cast(session)
        other = cast.order_of(cast.attempt("D-0007"))
        if is_link:
            payments.record(session, cast.shop, other, Told("l", Source.LINK, ZAR, payment="Y7"), PACE, clock.now)
        told = Told("k", Source.PROVIDER, ZAR, payment="Y7", provider=provider)
        payments.record(session, cast.shop, other, told, PACE, clock.now)
        attempt_id = tried(cast, "Y1").id
    fakes["demo"].known["Y1"] = replace(named, taken_at=clock.now)

    assert enquiry.ask(database, PACE, attempt_id) is expected


@pytest.mark.parametrize("source", [Source.PAGE, Source.SHOP])
def test_nobody_compares_a_payment_that_the_shop_tells_of_itself(
    database: Database, clock: Clock, fakes: dict[str, Fake], source: Source
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast, "Y1")
        stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now)
    fakes["demo"].known["Y1"] = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now)
    enquiry.ask(database, PACE, attempt.id)

    with database.write() as session:
        _attempt, shop, order = attempts.with_shop_and_order(session, attempt.id)
        assert order is not None
        ticket = tickets.about(session, order, Topic.UNPROVEN)
        assert ticket is not None
        assert not Status(ticket.status).is_done
        payments.record(session, shop, order, Told("told", source, ZAR, payment="Y1"), PACE, clock.now)
        assert Status(ticket.status).is_done


def test_the_shop_is_told_of_a_payment_once_the_provider_calls_it_the_orders(
    database: Database, clock: Clock, fakes: dict[str, Fake]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"hook_url": "https://shop.example/hook"})
        attempt = tried(cast, "Y1")
        stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now)
        attempt_id = attempt.id
    named = Answer(CHARGED, ZAR, "Y1", is_proven=False, taken_at=clock.now)
    told = []
    for is_proven in (False, True, True):
        fakes["demo"].known["Y1"] = Answer(**{**_fields(named), "is_proven": is_proven})
        enquiry.ask(database, PACE, attempt_id, fresh=True)
        with database.read() as session:
            open_tickets = [
                each.topic for each in session.scalars(sa.select(Ticket).where(Ticket.status != "resolved"))
            ]
            told.append((sorted(each.event for each in session.scalars(sa.select(Hook))), open_tickets))

    maybe, paid = "order.maybe_paid", "order.paid"
    assert told == [([maybe], ["unproven"]), ([maybe, paid], []), ([maybe, paid], [])]


def _fields(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Answer.__slots__}
