"""What is not known is asked again, more and more rarely, and the outcome reaches the customer once."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, PASSWORD, Cast
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.mailserver import MailServer
from tests.test_desk import field
from widget import agents, casework, enquiry, followups, payments, signals, tickets, watches
from widget.attempts import Attempt
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Paid, Question
from widget.settings import Settings
from widget.shops import Shop
from widget.tickets import Ticket, Topic
from widget.tokens import Purpose
from widget.watches import Watch
from widget.worker import Worker, worker_for

ZAR = Money(124900, "ZAR")
LOOKED_AWAY = watches.LOOKING_LASTS + timedelta(seconds=1)


@pytest.fixture
def worker(settings: Settings, smtp: MailServer, database: Database) -> Worker:
    changed = {"smtp_host": smtp.host, "smtp_port": smtp.port, "smtp_security": "none", "smtp_timeout_seconds": 5}
    return worker_for(settings.model_copy(update=changed), database)


@pytest.fixture
def attempt_id(database: Database, clock: Clock, provider: FakeProvider) -> int:
    """An attempt of a signed order, past Pay, about which the provider knows nothing for certain."""
    provider.status = "processing"
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": provider.url}}})
        return pressed(cast).id


def pressed(cast: Cast, order: str = "D-1001") -> Attempt:
    attempt = cast.attempt(order)
    attempt.stage = "confirming"
    signals.note(cast.session, attempt, "stage", attempt.started_at, stage="submitted")
    cast.session.flush()
    return attempt


def the_watch(database: Database) -> Watch | None:
    with database.read() as session:
        return session.scalars(sa.select(Watch)).one_or_none()


def look(database: Database, attempt_id: int) -> ChargeState:
    """The customer's panel asks."""
    return enquiry.ask(database, PACE, attempt_id)


def go_on(worker: Worker, clock: Clock, by: timedelta) -> None:
    clock.forward(by)
    worker.work_once()
    worker.work_once()


def text_of(smtp: MailServer) -> str:
    (message,) = smtp.messages
    body = message.get_body(("plain",))
    assert body is not None
    return " ".join(str(body.get_content()).split())


def test_a_doubt_is_watched_and_asked_about_more_and_more_rarely(
    worker: Worker, attempt_id: int, database: Database, clock: Clock
) -> None:
    look(database, attempt_id)
    pauses = []
    for _ in range(6):
        watch = the_watch(database)
        assert watch is not None
        pauses.append(int((watch.next_try_at - clock.now).total_seconds()))
        clock.now = watch.next_try_at
        worker.work_once()

    assert pauses == [5, 5, 10, 20, 40, 80]


def test_a_watch_ends_after_a_day(worker: Worker, attempt_id: int, database: Database, clock: Clock) -> None:
    look(database, attempt_id)
    asked, began = 0, clock.now
    while (watch := the_watch(database)) is not None and watch.ended_at is None:
        clock.now, asked = watch.next_try_at, asked + 1
        worker.work_once()

    assert asked < 40
    assert clock.now - began <= watches.LASTS
    assert watch is not None
    assert watch.outcome is None


@pytest.mark.parametrize(
    ("status", "subject", "words", "has_link"),
    [
        ("succeeded", "You have paid: your payment at Karoo, order D-1001", "You need do nothing.", False),
        ("requires_payment_method", "You have not been charged: your payment at Karoo, order D-1001", "/help/", True),
        ("requires_capture", "The money is reserved, not taken: your payment", "3 to 10 days", False),
    ],
)
def test_the_outcome_reaches_who_has_gone_by_one_mail(
    worker: Worker,
    attempt_id: int,
    database: Database,
    provider: FakeProvider,
    smtp: MailServer,
    clock: Clock,
    status: str,
    subject: str,
    words: str,
    has_link: bool,
) -> None:
    look(database, attempt_id)
    go_on(worker, clock, LOOKED_AWAY)
    assert smtp.messages == []
    provider.status = status
    for _ in range(3):
        go_on(worker, clock, timedelta(hours=1))

    assert str(smtp.messages[0]["Subject"]).startswith(subject)
    assert smtp.messages[0]["To"] == "sam@example.com"
    assert words in text_of(smtp)
    assert ("/help/" in text_of(smtp)) is has_link
    assert not any(way in text_of(smtp) for way in ("/pay/", "/again/"))


def test_who_is_looking_at_the_panel_gets_no_mail(
    worker: Worker, attempt_id: int, database: Database, provider: FakeProvider, smtp: MailServer, clock: Clock
) -> None:
    look(database, attempt_id)
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=5))
    worker.work_once()
    clock.forward(timedelta(seconds=3))
    look(database, attempt_id)
    go_on(worker, clock, timedelta(hours=1))

    assert smtp.messages == []
    with database.read() as session:
        kept = session.scalars(sa.select(FollowUp).filter_by(kind="outcome")).one()
        assert kept.cancelled_because == "the customer saw it on the page"


@pytest.mark.parametrize(
    ("status", "subject"), [("succeeded", "You have paid"), ("requires_payment_method", "You have not been charged")]
)
@pytest.mark.parametrize("opens", ["the link of the help", "the desk"])
def test_a_link_that_was_only_opened_and_what_an_agent_looks_at_are_no_customer_who_has_seen_it(
    worker: Worker,
    client: FlaskClient,
    attempt_id: int,
    database: Database,
    provider: FakeProvider,
    smtp: MailServer,
    clock: Clock,
    opens: str,
    status: str,
    subject: str,
) -> None:
    with database.write() as session:
        shop, attempt = session.scalars(sa.select(Shop)).one(), session.get_one(Attempt, attempt_id)
        agents.add(session, email="agent@example.com", name="Ada", password=PASSWORD, shops=[shop], now=clock.now)
        reference = casework.take_up(session, shop, attempt, clock.now).reference
    look(database, attempt_id)
    go_on(worker, clock, LOOKED_AWAY)
    provider.status = status
    clock.forward(timedelta(minutes=1))
    if opens == "the desk":
        form = {"email": "agent@example.com", "password": PASSWORD}
        client.post("/desk/login", data=form | {"csrf_token": field(client.get("/desk/login").text, "csrf_token")})
        pane = f"/desk/tickets/{reference}"
        token = field(client.get(pane).text, "csrf_token")
        assert client.post(f"{pane}/charge", data={"csrf_token": token}).status_code == 303
    else:
        link = client.application.extensions["unjam"].tokens.sign(Purpose.HELP, str(attempt_id))
        assert client.get(f"/help/{link}").status_code == 200
    for _ in range(3):
        go_on(worker, clock, timedelta(hours=1))

    assert [str(each["Subject"]).split(":")[0] for each in smtp.messages] == [subject]


@pytest.mark.parametrize("is_alive", [False, True])
def test_the_outcome_is_mailed_once_whether_or_not_the_interrupted_page_shows_life_again(
    worker: Worker,
    attempt_id: int,
    database: Database,
    provider: FakeProvider,
    smtp: MailServer,
    clock: Clock,
    is_alive: bool,
) -> None:
    look(database, attempt_id)
    clock.forward(timedelta(minutes=5))
    with database.write() as session:
        attempt = session.get_one(Attempt, attempt_id)
        casework.interrupted(session, session.get_one(Shop, attempt.shop_id), attempt, clock.now)
    provider.status = "requires_payment_method"
    go_on(worker, clock, timedelta(minutes=1))
    if is_alive:
        with database.write() as session:
            session.get_one(Attempt, attempt_id).last_seen_at = clock.now
    for _ in range(3):
        go_on(worker, clock, timedelta(hours=1))

    assert [str(each["Subject"]).split(":")[0] for each in smtp.messages] == ["You have not been charged"]


def test_who_comes_back_and_is_greeted_gets_no_mail(
    worker: Worker, attempt_id: int, database: Database, provider: FakeProvider, smtp: MailServer, clock: Clock
) -> None:
    look(database, attempt_id)
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=5))
    worker.work_once()
    clock.forward(timedelta(seconds=5))
    with database.write() as session:
        signals.note(session, session.get_one(Attempt, attempt_id), "greeted", clock.now)
    go_on(worker, clock, timedelta(hours=1))

    assert smtp.messages == []


def test_a_panel_that_hears_the_outcome_itself_ends_the_watch_without_a_mail(
    worker: Worker, attempt_id: int, database: Database, provider: FakeProvider, smtp: MailServer, clock: Clock
) -> None:
    look(database, attempt_id)
    provider.status = "requires_payment_method"
    clock.forward(timedelta(seconds=4))
    assert look(database, attempt_id) is ChargeState.NOT_CHARGED
    go_on(worker, clock, timedelta(hours=1))

    watch = the_watch(database)
    assert watch is not None
    assert watch.outcome == "not_charged"
    assert smtp.messages == []


@pytest.mark.parametrize(("source", "mails"), [(Source.SHOP, 1), (Source.PAGE, 0), (Source.LINK, 0)])
def test_a_payment_ends_the_watch_and_is_told_to_who_cannot_have_seen_it(
    worker: Worker, attempt_id: int, database: Database, smtp: MailServer, clock: Clock, source: Source, mails: int
) -> None:
    look(database, attempt_id)
    go_on(worker, clock, LOOKED_AWAY)
    with database.write() as session:
        order = session.scalars(sa.select(Order)).one()
        payments.record(session, session.scalars(sa.select(Shop)).one(), order, Told("k", source, ZAR), PACE, clock.now)
    go_on(worker, clock, timedelta(minutes=1))

    watch = the_watch(database)
    assert watch is not None
    assert watch.outcome == "charged"
    assert len(smtp.messages) == mails


def test_an_outcome_that_is_in_doubt_again_is_not_told_but_the_next_one_is(
    worker: Worker, attempt_id: int, database: Database, provider: FakeProvider, smtp: MailServer, clock: Clock
) -> None:
    look(database, attempt_id)
    provider.status = "requires_payment_method"
    clock.forward(timedelta(seconds=5))
    worker.work_once()
    # The mail waits for who may still be looking; in this time they try again.
    provider.status = "processing"
    go_on(worker, clock, LOOKED_AWAY)
    assert smtp.messages == []
    provider.status = "requires_payment_method"
    go_on(worker, clock, timedelta(minutes=5))
    assert len(smtp.messages) == 1


def test_before_pay_nothing_is_watched(
    worker: Worker, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "processing"
    with database.write() as session:
        attempt_id = Cast(session, profile={"providers": {"demo": {"url": provider.url}}}).attempt().id
    look(database, attempt_id)

    assert the_watch(database) is None


def test_nobody_is_promised_that_we_keep_asking_where_nobody_can_be_asked(database: Database, clock: Clock) -> None:
    with database.write() as session:
        attempt_id = pressed(Cast(session, profile={"providers": {}})).id
    look(database, attempt_id)

    assert the_watch(database) is None


def test_a_watch_of_a_dead_worker_goes_on_with_another(
    worker: Worker, attempt_id: int, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    look(database, attempt_id)
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=5))
    with database.write() as session:
        assert len(watches.claim(session, "dead", clock.now, lease=timedelta(seconds=180), limit=5)) == 1
    worker.work_once()
    assert [each.ended_at for each in [the_watch(database)] if each] == [None]
    go_on(worker, clock, timedelta(seconds=180))

    watch = the_watch(database)
    assert watch is not None
    assert watch.outcome == "charged"


class Lister:
    """A provider that lists what it knows of an order."""

    def __init__(self, *payments: str) -> None:
        self.paid = tuple(Paid(each, ZAR) for each in payments)
        self.questions: list[Question] = []

    def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        charged = self.paid if len(self.paid) > 1 else ()
        return Answer(ChargeState.CHARGED, money=ZAR, payment=self.paid[0].payment, charged=charged)


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lister]:
    def known(*payments: str) -> Lister:
        provider = Lister(*payments)
        monkeypatch.setattr("widget.enquiry.subject.adapter_for", lambda _name, _config: provider)
        return provider

    return known


def test_a_second_payment_that_the_provider_lists_is_found_when_its_webhook_comes(
    attempt_id: int, database: Database, clock: Clock, lists: Callable[..., Lister]
) -> None:
    lists("pi_1")
    look(database, attempt_id)
    lists("pi_1", "pi_2")
    with database.read() as session:
        shop_id = session.scalars(sa.select(Shop.id)).one()
    for _ in range(2):
        enquiry.hear(database, PACE, shop_id, "D-1001")

    with database.read() as session:
        (ticket,) = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value))
        assert [each.kind for each in followups.of(session, ticket)] == [Kind.PAID_TWICE]


@pytest.mark.parametrize(("known", "status"), [(("pi_1",), "resolved"), (("pi_1", "ch_1"), "new")])
def test_the_provider_s_word_decides_whether_two_names_are_two_payments(
    worker: Worker,
    attempt_id: int,
    database: Database,
    smtp: MailServer,
    clock: Clock,
    lists: Callable[..., Lister],
    known: tuple[str, ...],
    status: str,
) -> None:
    lists(*known)
    with database.write() as session:
        order, shop = session.scalars(sa.select(Order)).one(), session.scalars(sa.select(Shop)).one()
        for source, name in ((Source.SHOP, "ch_1"), (Source.LINK, "pi_1")):
            told = Told(f"{source}:{name}", source, ZAR, payment=name)
            payments.record(session, shop, order, told, PACE, clock.now)
    go_on(worker, clock, timedelta(minutes=5))

    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value)).one()
        assert ticket.status == status
        assert ("Refund nothing" in tickets.messages_of(session, ticket, notes=True)[-1].body) is (status == "resolved")
    assert len(smtp.messages) == (0 if status == "resolved" else 1)


class ById:
    """A provider that knows payments by id only, and each of them by no other name than `named` says."""

    def __init__(self, **named: str) -> None:
        self.named = named

    def ask(self, question: Question) -> Answer:
        if question.payment not in self.named:
            return Answer(ChargeState.UNKNOWN)
        return Answer(ChargeState.CHARGED, money=ZAR, payment=self.named[question.payment])


@pytest.mark.parametrize(
    ("named", "status", "mails"),
    [
        # Two payments, each of which was taken.
        ({"cap_1": "cap_1", "cap_2": "cap_2"}, "new", 1),
        # One payment, under the names of its order and of its capture.
        ({"cap_1": "cap_1", "cap_2": "cap_1"}, "resolved", 0),
        # It knows nothing of the other one, which does not mean that there is none.
        ({"cap_1": "cap_1"}, "new", 0),
    ],
)
def test_a_provider_that_knows_payments_by_id_alone_is_asked_about_each(
    worker: Worker,
    attempt_id: int,
    database: Database,
    smtp: MailServer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    named: dict[str, str],
    status: str,
    mails: int,
) -> None:
    monkeypatch.setattr("widget.enquiry.subject.adapter_for", lambda _name, _config: ById(**named))
    with database.write() as session:
        session.get_one(Attempt, attempt_id).payment = "cap_1"
        order, shop = session.scalars(sa.select(Order)).one(), session.scalars(sa.select(Shop)).one()
        for source, name in ((Source.LINK, "cap_2"), (Source.PROVIDER, "cap_1")):
            told = Told(f"{source}:{name}", source, ZAR, payment=name, provider="demo")
            payments.record(session, shop, order, told, PACE, clock.now)
    for _ in range(3):
        go_on(worker, clock, timedelta(minutes=5))

    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value)).one()
        said = " ".join(each.body for each in tickets.messages_of(session, ticket, notes=True))
    watch = the_watch(database)
    assert watch is not None
    assert (ticket.status, len(smtp.messages), watch.ended_at is None) == (status, mails, len(named) == 1)
    assert ("Refund nothing" in said) is (status == "resolved")


def never_answered(worker: Worker, database: Database, clock: Clock) -> None:
    """A day in which the provider says nothing."""
    while (watch := the_watch(database)) is not None and watch.ended_at is None:
        clock.now = watch.next_try_at
        worker.work_once()
    worker.work_once()


def test_a_doubt_between_two_names_that_is_never_decided_is_left_to_agents(
    worker: Worker, attempt_id: int, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("widget.enquiry.subject.adapter_for", lambda _name, _config: ById())
    with database.write() as session:
        order, shop = session.scalars(sa.select(Order)).one(), session.scalars(sa.select(Shop)).one()
        for source, name in ((Source.LINK, "cap_2"), (Source.SHOP, "cap_1")):
            payments.record(session, shop, order, Told(name, source, ZAR, payment=name), PACE, clock.now)
    never_answered(worker, database, clock)

    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value)).one()
        assert ticket.status == "new"
        assert "Look for each of them there" in tickets.messages_of(session, ticket, notes=True)[-1].body


def test_when_nobody_ever_knows_an_agent_looks_it_up_and_the_customer_is_told_so_once(
    worker: Worker, attempt_id: int, database: Database, smtp: MailServer, clock: Clock
) -> None:
    look(database, attempt_id)
    never_answered(worker, database, clock)
    look(database, attempt_id)
    never_answered(worker, database, clock)

    with database.read() as session:
        (ticket,) = session.scalars(sa.select(Ticket))
        (note,) = [each for each in tickets.messages_of(session, ticket, notes=True) if each.is_note]
    assert (ticket.attempt_id, ticket.status, ticket.email) == (attempt_id, "new", "sam@example.com")
    assert "Demo has not said whether the payment of this order went through" in note.body
    assert "A person at the shop now looks it up and writes to you." in text_of(smtp)
    assert "/status/" in text_of(smtp)


def test_a_customer_who_has_reported_it_hears_in_the_same_ticket_that_nobody_knows(
    worker: Worker, attempt_id: int, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        shop, attempt = session.scalars(sa.select(Shop)).one(), session.get_one(Attempt, attempt_id)
        ticket_id = casework.report(
            session, shop, attempt, email="sam@example.com", words="", locale="en", pace=PACE, now=clock.now
        ).id
    look(database, attempt_id)
    never_answered(worker, database, clock)

    with database.read() as session:
        (ticket,) = session.scalars(sa.select(Ticket))
        assert ticket.id == ticket_id
        assert [each.kind for each in followups.of(session, ticket)].count(Kind.REPLY) == 1


@pytest.mark.parametrize("is_reported", [True, False])
def test_of_an_unsigned_order_only_who_has_reported_it_hears_that_nobody_knows(
    worker: Worker, database: Database, provider: FakeProvider, clock: Clock, is_reported: bool
) -> None:
    provider.status = "processing"
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": provider.url}}})
        attempt = cast.attempt(is_signed=False)
        signals.note(session, attempt, "stage", clock.now, stage="submitted")
        attempt.stage, attempt_id = "confirming", attempt.id
        if is_reported:
            cast.ticket(attempt, words="")
    look(database, attempt_id)
    never_answered(worker, database, clock)

    with database.read() as session:
        found = list(session.scalars(sa.select(Ticket)))
        notes = [each.body for ticket in found for each in tickets.messages_of(session, ticket, notes=True)]
        kinds = [each.kind for ticket in found for each in followups.of(session, ticket)]
    # To agents what to look up, to the customer that a person does.
    assert (len(found), len(notes), Kind.REPLY in kinds) == ((1, 2, True) if is_reported else (0, 0, False))


def test_of_a_signed_order_without_an_address_an_agent_hears_that_nobody_knows(
    worker: Worker, attempt_id: int, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        session.execute(sa.update(Order).values(customer_email=""))
    look(database, attempt_id)
    never_answered(worker, database, clock)

    with database.read() as session:
        (ticket,) = session.scalars(sa.select(Ticket))
        (note,) = tickets.messages_of(session, ticket, notes=True)
        assert (ticket.attempt_id, ticket.email, note.is_note) == (attempt_id, "", True)
        assert followups.of(session, ticket) == []


def test_an_order_that_only_the_shop_told_of_is_asked_about_when_a_webhook_comes(
    database: Database, clock: Clock, provider: FakeProvider, lists: Callable[..., Lister]
) -> None:
    from widget import orders

    lists("pi_1", "pi_2")
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": provider.url}}})
        orders.told_by_shop(session, cast.shop, "D-7", ZAR, clock.now)
        shop_id = cast.shop.id
    enquiry.hear(database, PACE, shop_id, "D-7")

    with database.read() as session:
        assert session.scalars(sa.select(Ticket.topic)).all() == ["paid_twice"]
        assert session.scalars(sa.select(Order.paid_at)).one() == clock.now


def test_a_report_keeps_its_own_address_for_the_outcome(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt(is_signed=False)
        assert followups.address_for(session, attempt) == ""
        casework.report(
            session, cast.shop, attempt, email="kim@example.com", words="", locale="en", pace=PACE, now=clock.now
        )
        assert followups.address_for(session, attempt) == "kim@example.com"
