"""The worker keeps every promise of a follow-up once, through a real SMTP server, whatever happens in between."""

import threading
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.mailserver import MailServer
from widget import casework, followups, holds, payments, tickets, transfers
from widget.database import Database
from widget.followups import Delivery, FollowUp, Kind
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.settings import Settings
from widget.shops import Shop
from widget.tickets import Status, Ticket
from widget.worker import Worker, worker_for

DAY = timedelta(hours=24)


@pytest.fixture
def mail_settings(settings: Settings, smtp: MailServer) -> Settings:
    changed = {"smtp_host": smtp.host, "smtp_port": smtp.port, "smtp_security": "none", "smtp_timeout_seconds": 5}
    return settings.model_copy(update=changed)


@pytest.fixture
def worker(mail_settings: Settings, database: Database) -> Worker:
    return worker_for(mail_settings, database)


@pytest.fixture
def ticket(database: Database, clock: Clock, provider: FakeProvider) -> Ticket:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}}).ticket()


def subjects(smtp: MailServer) -> list[str]:
    return [str(message["Subject"]) for message in smtp.messages]


def pay(database: Database, clock: Clock) -> None:
    with database.write() as session:
        shop = session.scalars(sa.select(Shop).filter_by(site="demo")).one()
        order = session.scalars(sa.select(Order).filter_by(shop_id=shop.id)).one()
        payments.record(session, shop, order, Told("k", Source.SHOP, Money(124900, "ZAR")), PACE, clock.now)


def follow_up(database: Database, kind: Kind) -> FollowUp:
    with database.read() as session:
        return session.scalars(sa.select(FollowUp).where(FollowUp.kind == kind.value)).one()


def test_the_confirmation_goes_out_once_and_is_written_down(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database
) -> None:
    assert worker.work_once()
    assert not worker.work_once()

    assert len(smtp.messages) == 1
    assert smtp.messages[0]["To"] == "sam@example.com"
    assert ticket.reference in subjects(smtp)[0]
    assert follow_up(database, Kind.OPENED).sent_at is not None
    with database.read() as session:
        assert session.scalars(sa.select(Delivery.outcome)).all() == ["sent"]


def test_an_unpaid_order_is_reminded_of_after_a_day_once(
    worker: Worker, ticket: Ticket, smtp: MailServer, clock: Clock
) -> None:
    worker.work_once()
    clock.forward(DAY - timedelta(seconds=1))
    worker.work_once()
    assert len(smtp.messages) == 1
    clock.forward(timedelta(seconds=1))
    worker.work_once()
    clock.forward(7 * DAY)
    worker.work_once()
    assert len(smtp.messages) == 2
    assert "/again/" in text_of(smtp.messages[1])


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_a_paid_order_is_never_reminded_of_but_asked_for_a_rating_once(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    pay(database, clock)
    for _ in range(5):
        clock.forward(DAY)
        worker.work_once()
    assert len(smtp.messages) == 2
    assert "/rate/" in text_of(smtp.messages[1])


def test_a_payment_in_the_middle_of_the_smtp_conversation_stops_the_reminder(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    clock.forward(DAY)
    smtp.on_recipient = lambda _address: pay(database, clock)
    worker.work_once()
    assert len(smtp.messages) == 1
    assert follow_up(database, Kind.REMINDER).cancelled_because == "the order is paid"


@pytest.mark.parametrize("status", ["processing", "requires_capture"])
def test_no_reminder_while_money_may_have_moved(
    worker: Worker, ticket: Ticket, smtp: MailServer, provider: FakeProvider, clock: Clock, status: str
) -> None:
    worker.work_once()
    provider.status = status
    clock.forward(DAY)
    worker.work_once()
    assert len(smtp.messages) == 1
    provider.status = "requires_payment_method"
    clock.forward(followups.POSTPONED_BY)
    worker.work_once()
    assert len(smtp.messages) == 2


def test_a_reminder_of_which_nobody_ever_knows_is_given_up_and_an_agent_told(
    worker: Worker, ticket: Ticket, smtp: MailServer, provider: FakeProvider, clock: Clock, database: Database
) -> None:
    worker.work_once()
    provider.status = "processing"
    clock.forward(DAY)
    for _ in range(followups.MOST_POSTPONED + 1):
        worker.work_once()
        clock.forward(followups.POSTPONED_BY)

    assert len(smtp.messages) == 1
    assert follow_up(database, Kind.REMINDER).cancelled_because == followups.NOT_CERTAIN
    with database.read() as session:
        notes = [each.body for each in tickets.messages_of(session, ticket, notes=True)]
    assert any("For two days nobody could say" in body for body in notes)


def test_who_has_sent_a_transfer_is_not_reminded_of_paying(
    worker: Worker, smtp: MailServer, provider: FakeProvider, clock: Clock, database: Database
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"hold_hours": 48, "providers": {"demo": {"url": provider.url}}})
        attempt, at = cast.attempt(), clock.now + timedelta(hours=2)
        order = cast.order()
        hold = holds.keep(session, cast.shop, attempt, order, email="kim@example.com", remind_at=at, now=clock.now)
        about = f"hold:{hold.id}:{int(at.timestamp())}"
        followups.owe_to_attempt(session, attempt, Kind.LATER, about=about, due_at=at, now=clock.now)
        transfer = transfers.open_for(session, attempt, order, "epc", order.due, clock.now)
        transfers.announce(session, order, transfer.id, clock.now, attempt)
    clock.forward(timedelta(hours=2))
    for _ in range(followups.MOST_POSTPONED + 1):
        worker.work_once()
        clock.forward(followups.POSTPONED_BY)

    assert not [each for each in smtp.messages if each["To"] == "kim@example.com"]
    assert follow_up(database, Kind.LATER).cancelled_because == "a transfer is on its way"


def test_who_asked_to_be_reminded_is_written_to_in_time_and_asked_for_nothing_while_money_may_have_moved(
    worker: Worker, smtp: MailServer, provider: FakeProvider, clock: Clock, database: Database
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"hold_hours": 48, "providers": {"demo": {"url": provider.url}}})
        attempt = cast.attempt()
        at = clock.now + timedelta(hours=2)
        order, email = cast.order(), "kim@example.com"
        hold = holds.keep(session, cast.shop, attempt, order, email=email, remind_at=at, now=clock.now)
        about = f"hold:{hold.id}:{int(at.timestamp())}"
        followups.owe_to_attempt(session, attempt, Kind.LATER, about=about, due_at=at, now=clock.now)
    provider.status = "processing"
    clock.forward(timedelta(hours=2))
    worker.work_once()

    (mail,) = smtp.messages
    assert mail["To"] == "kim@example.com"
    assert "We do not know yet if you were charged" in text_of(mail)
    assert "/help/" not in text_of(mail)


def test_a_charge_the_provider_reports_at_the_last_moment_ends_the_reminder_and_solves_the_ticket(
    worker: Worker, ticket: Ticket, smtp: MailServer, provider: FakeProvider, clock: Clock, database: Database
) -> None:
    worker.work_once()
    provider.status = "succeeded"
    clock.forward(DAY)
    worker.work_once()
    assert len(smtp.messages) == 1
    with database.read() as session:
        assert tickets.by_id(session, ticket.id).status == Status.RESOLVED


def test_with_the_mail_server_down_nothing_is_lost_and_tries_space_out(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    smtp.stop()
    for minutes in followups.BACKOFF_MINUTES[:3]:
        worker.work_once()
        assert follow_up(database, Kind.OPENED).next_try_at == clock.now + timedelta(minutes=minutes)
        clock.forward(timedelta(minutes=minutes))
    smtp.start()
    worker.work_once()
    assert len(smtp.messages) == 1
    assert follow_up(database, Kind.OPENED).tries == 4


def test_after_the_last_try_it_is_a_dead_letter_that_an_agent_can_revive(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    smtp.stop()
    for minutes in (*followups.BACKOFF_MINUTES, 0):
        worker.work_once()
        clock.forward(timedelta(minutes=minutes))
    with database.write() as session:
        dead = followups.dead_letters(session, [ticket.shop_id])
        opened = [each for each in dead if each.follow_up.kind == "opened"]
        assert [(each.about, each.email) for each in opened] == [(ticket.reference, ticket.email)]
        assert dead[0].error != ""
        for each in dead:
            followups.revive(each.follow_up, clock.now)
    smtp.start()
    worker.work_once()
    assert ticket.reference in subjects(smtp)[0]


def test_an_address_that_does_not_exist_is_a_dead_letter_at_once_and_holds_up_nobody(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        Cast(session, site="other").ticket(email="gone@example.com")
    smtp.answers["gone@example.com"] = "550 5.1.1 No such user"
    worker.work_once()
    assert [message["To"] for message in smtp.messages] == ["sam@example.com"]
    with database.read() as session:
        dead = session.scalars(sa.select(FollowUp).where(FollowUp.dead_at.is_not(None))).all()
        assert [each.kind for each in dead] == ["opened"]


def test_two_workers_share_the_work_and_send_nothing_twice(
    mail_settings: Settings, database: Database, smtp: MailServer, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        for number in range(12):
            cast.ticket(cast.attempt(f"D-{number}"))
    crew = [worker_for(mail_settings, database) for _ in range(2)]
    run_together([each.work_once for each in crew])
    run_together([each.work_once for each in crew])
    assert len({message["Message-ID"] for message in smtp.messages}) == len(smtp.messages) == 12


def run_together(jobs: list[Callable[[], object]]) -> None:
    failures: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_a_dead_worker_had_claimed_is_sent_by_another_after_the_lease_under_the_same_message_id(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock, mail_settings: Settings
) -> None:
    lease = timedelta(seconds=mail_settings.lease_seconds)
    with database.write() as session:
        claimed = followups.claim(session, "dead", clock.now, lease=lease)
        mail_id = claimed[0].mail_id
    assert not worker.work_once()
    clock.forward(lease)
    worker.work_once()
    assert [message["Message-ID"] for message in smtp.messages] == [f"<{mail_id}@localhost>"]


def test_a_worker_whose_lease_ran_out_in_the_conversation_leaves_the_mail_to_the_next(
    worker: Worker, ticket: Ticket, smtp: MailServer, clock: Clock, mail_settings: Settings, database: Database
) -> None:
    smtp.on_recipient = lambda _address: clock.forward(timedelta(seconds=mail_settings.lease_seconds))
    worker.work_once()
    assert smtp.messages == []
    smtp.on_recipient = None
    worker_for(mail_settings, database).work_once()
    assert len(smtp.messages) == 1


def test_a_reply_and_the_news_of_the_solution_join_the_thread(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    with database.write() as session:
        shop = session.scalars(sa.select(Shop)).one()
        agent = Cast(session, site="other").agent()
        mine = tickets.by_id(session, ticket.id)
        casework.reply(session, mine, agent, "We are looking.", clock.now)
    worker.work_once()
    with database.write() as session:
        mine = tickets.by_id(session, ticket.id)
        casework.change_status(session, shop, mine, Status.RESOLVED, agent=agent, pace=PACE, now=clock.now)
    worker.work_once()
    first, reply, news = smtp.messages
    assert "We are looking." in text_of(reply)
    assert reply["In-Reply-To"] == first["Message-ID"]
    assert str(first["Message-ID"]) in str(news["References"])
    assert "/again/" in text_of(news)


def test_a_reply_after_the_solution_is_no_substitute_for_the_one_that_came_with_it(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    resolve(database, ticket, clock, "Your refund has the number R-77.")
    with database.write() as session:
        agent = Cast(session, site="third").agent("b@example.com")
        casework.reply(session, tickets.by_id(session, ticket.id), agent, "Have a nice day.", clock.now)
    worker.work_once()

    said = [text_of(each) for each in smtp.messages[1:]]
    assert sorted(("R-77" in each, "a nice day" in each) for each in said) == [(False, True), (True, False)]


def test_a_letter_that_cannot_be_composed_ends_where_agents_see_it_and_holds_up_nobody(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from widget import letters

    compose = letters.compose
    with database.write() as session:
        broken = Cast(session, site="other").ticket(email="kim@example.com")

    def compose_or_break(session, follow_up, *rest):  # type: ignore[no-untyped-def]
        if follow_up.ticket_id == broken.id:
            raise KeyError("template")
        return compose(session, follow_up, *rest)

    monkeypatch.setattr(letters, "compose", compose_or_break)
    worker.work_once()
    assert [message["To"] for message in smtp.messages] == ["sam@example.com"]
    with database.read() as session:
        assert "could not be composed" in session.scalars(sa.select(Delivery.detail).filter_by(outcome="failed")).one()


def resolve(database: Database, ticket: Ticket, clock: Clock, words: str = "") -> None:
    """An agent resolves the ticket, with a reply if there are words."""
    with database.write() as session:
        shop, mine = session.get_one(Shop, ticket.shop_id), tickets.by_id(session, ticket.id)
        agent = Cast(session, site="other").agent()
        if words:
            casework.reply(session, mine, agent, words, clock.now)
        casework.change_status(session, shop, mine, Status.RESOLVED, agent=agent, pace=PACE, now=clock.now)


def test_a_payment_while_the_news_of_the_solution_leaves_takes_the_button_out_of_it(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    resolve(database, ticket, clock)
    smtp.on_recipient = lambda _address: pay(database, clock)
    worker.work_once()
    assert len(smtp.messages) == 1
    smtp.on_recipient = None
    worker.work_once()
    assert "/again/" not in text_of(smtp.messages[1])
    assert "Your order is paid" in text_of(smtp.messages[1])


def test_a_reply_that_resolves_is_one_mail(
    worker: Worker, ticket: Ticket, smtp: MailServer, database: Database, clock: Clock
) -> None:
    worker.work_once()
    resolve(database, ticket, clock, words="We have freed your order.")
    worker.work_once()
    worker.work_once()
    assert len(smtp.messages) == 2
    assert "We have freed your order." in text_of(smtp.messages[1])
