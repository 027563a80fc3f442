"""A dispute, or a warning of one, that a provider tells of reaches an agent: once, with what they have to know."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import cashier, payments, provider_events, tickets
from widget.attempts import Attempt
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Happened
from widget.tickets import Message, Status, Ticket, Topic

DUE = "Answer by 2026-12-04 23:59 UTC."


class Desk:
    """A shop whose order D-1001 is paid by pi_1; its provider tells of it, and the worker heeds that."""

    def __init__(self, database: Database, provider: FakeProvider, clock: Clock) -> None:
        self.database, self.clock, self.told = database, clock, 0
        with database.write() as session:
            self.cast = Cast(session, profile={"providers": {"stripe_like": {"url": provider.url}}})
            order = self.cast.order_of(self.cast.attempt())
            told = Told("shop:1", Source.SHOP, Money(124900, "ZAR"), payment="pi_1", provider="stripe_like")
            payments.record(session, self.cast.shop, order, told, PACE, clock.now)

    def hear(self, status: str, **more: Any) -> None:
        self.told += 1
        said: dict[str, Any] = {"payment": "pi_1", "money": Money(124900, "ZAR"), "code": "fraudulent", "detail": DUE}
        event = Happened(f"evt_{self.told}", "dispute", self.clock.now, status=status, **(said | more))
        with self.database.write() as session:
            provider_events.keep(session, self.cast.shop, "stripe_like", event, self.clock.now)

    def heed(self) -> None:
        cashier.heed_webhooks(self.database, PACE)

    def tickets(self) -> list[Ticket]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Ticket).order_by(Ticket.id)))

    def notes(self) -> list[str]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Message.body).order_by(Message.id)))


@pytest.fixture
def desk(database: Database, provider: FakeProvider, clock: Clock) -> Desk:
    return Desk(database, provider, clock)


def test_a_dispute_opens_a_ticket_that_says_how_much_why_and_until_when(desk: Desk) -> None:
    desk.hear("charge.dispute.created")
    desk.heed()
    (ticket,), (said,) = desk.tickets(), desk.notes()
    assert (ticket.topic, ticket.status, ticket.email) == (Topic.DISPUTE, Status.NEW, "sam@example.com")
    assert "payment pi_1 of ZAR1,249.00 is disputed. Reason: fraudulent. " + DUE in said


def test_what_is_told_of_it_again_is_noted_once(desk: Desk) -> None:
    for status in ("charge.dispute.created", "charge.dispute.updated", "charge.dispute.funds_withdrawn"):
        desk.hear(status)
        desk.heed()
    assert len(desk.tickets()) == len(desk.notes()) == 1


def test_one_that_tripped_us_is_tried_again_until_agents_know_of_it(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.hear("charge.dispute.created")
    with monkeypatch.context() as broken:
        broken.setattr(tickets, "open_about", lambda *_args: 1 / 0)
        for _ in range(3):
            desk.heed()
            clock.forward(timedelta(days=1))
    assert desk.tickets() == []

    for _ in range(3):
        desk.heed()
        clock.forward(timedelta(minutes=10))
    assert len(desk.tickets()) == len(desk.notes()) == 1
    with desk.database.read() as session:
        assert provider_events.unheeded(session, clock.now, 10) == []


def test_several_workers_open_one_ticket(desk: Desk) -> None:
    desk.hear("charge.dispute.created")
    start, trouble = threading.Barrier(3), list[Exception]()

    def work() -> None:
        start.wait()
        try:
            desk.heed()
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert trouble == []
    assert len(desk.tickets()) == len(desk.notes()) == 1


def test_another_date_joins_the_same_ticket_and_opens_it_again(desk: Desk) -> None:
    desk.hear("charge.dispute.created")
    desk.heed()
    with desk.database.write() as session:
        session.execute(sa.update(Ticket).values(status=Status.RESOLVED.value))
    desk.hear("charge.dispute.updated", detail="Answer by 2026-12-09 23:59 UTC.")
    desk.heed()
    (ticket,) = desk.tickets()
    assert ticket.status == Status.OPEN
    assert "2026-12-09" in desk.notes()[-1]


@pytest.mark.parametrize("status", ["radar.early_fraud_warning.created", "NOTIFICATION_OF_FRAUD"])
def test_a_warning_is_called_a_warning(desk: Desk, status: str) -> None:
    desk.hear(status, money=None, code=None, detail="")
    desk.heed()
    (said,) = desk.notes()
    assert "(the order is for ZAR1,249.00) may be fraud. It is not disputed yet. It told no reason." in said


def test_an_order_that_is_named_needs_no_payment(desk: Desk) -> None:
    desk.hear("CUSTOMER.DISPUTE.CREATED", payment=None, order="D-1001", money=None, detail="")
    desk.heed()
    (said,) = desk.notes()
    assert "Look at Stripe like by when you have to answer." in said


@pytest.mark.parametrize("status", ["charge.dispute.closed", "CUSTOMER.DISPUTE.RESOLVED", "CHARGEBACK_REVERSED"])
def test_its_end_is_noted_where_it_was_known(desk: Desk, status: str) -> None:
    desk.hear(status)
    desk.heed()
    assert desk.tickets() == []
    desk.hear("charge.dispute.created")
    desk.hear(status)
    desk.heed()
    assert f"has ended the dispute about payment pi_1 of ZAR1,249.00: {status}." in desk.notes()[-1]


def test_a_providers_own_review_and_an_unknown_order_have_no_ticket(desk: Desk) -> None:
    desk.hear("review.opened")
    desk.hear("charge.dispute.created", payment="pi_unknown")
    desk.hear("charge.dispute.created", payment=None, order="X-9")
    desk.heed()
    assert desk.tickets() == []


def test_a_ticket_of_the_order_is_left_to_what_it_is_about(desk: Desk) -> None:
    with desk.database.write() as session:
        desk.cast.session = session
        reported = desk.cast.ticket(session.scalars(sa.select(Attempt)).first())
    desk.hear("charge.dispute.created")
    desk.heed()
    first, second = desk.tickets()
    assert (first.reference, first.topic) == (reported.reference, None)
    assert second.topic == Topic.DISPUTE


def test_a_payment_of_the_order_does_not_close_it(desk: Desk) -> None:
    desk.hear("charge.dispute.created")
    desk.heed()
    desk.clock.forward(timedelta(days=1))
    with desk.database.write() as session:
        order = session.scalars(sa.select(Order)).one()
        told = Told("shop:2", Source.SHOP, Money(124900, "ZAR"), payment="pi_1", provider="stripe_like")
        payments.record(session, desk.cast.shop, order, told, PACE, desk.clock.now)
    assert [each.status for each in desk.tickets()] == [Status.NEW]
