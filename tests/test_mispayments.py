"""Too much, too little, twice: agents, the shop and the customer learn it once, and nobody is alarmed falsely."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.test_panel import heading
from widget import certainty, followups, payments, tickets, transfers, watches
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.hooks import Hook
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Paid
from widget.tickets import Status, Ticket, Topic

ZAR = Money(124900, "ZAR")
PROFILE = {"hook_url": "https://shop.example/unjam", "providers": {}}
ASKABLE = {"hook_url": "https://shop.example/unjam"}


def told(payment: str | None, source: Source = Source.PROVIDER, money: Money = ZAR, provider: str = "demo") -> Told:
    return Told(f"{source}:{payment}:{money.minor}", source, money, payment=payment, provider=provider)


def take(cast: Cast, clock: Clock, *tellings: Told, order: Order | None = None) -> None:
    for each in tellings:
        payments.record(cast.session, cast.shop, order or cast.order(), each, PACE, clock.now)


def events(cast: Cast) -> list[tuple[str, dict[str, object]]]:
    return [(each.event, each.body) for each in cast.session.scalars(sa.select(Hook).order_by(Hook.id))]


def tickets_about(cast: Cast, topic: Topic) -> list[Ticket]:
    return list(cast.session.scalars(sa.select(Ticket).filter_by(topic=topic.value)))


def test_an_order_paid_twice_is_one_ticket_with_the_refund_step_one_hook_and_one_mail(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2"), told("pi_2", Source.SHOP), told("pi_1", Source.LINK))
        (ticket,) = tickets_about(cast, Topic.PAID_TWICE)
        (note,) = tickets.messages_of(session, ticket, notes=True)

        assert (ticket.status, ticket.email) == (Status.NEW, "sam@example.com")
        assert f"paid by pi_1 ({ZAR.shown('en')})" in note.body
        assert "paid again by pi_2" in note.body
        assert "Refund that through Demo" in note.body
        assert [name for name, _ in events(cast)] == ["order.paid", "order.paid_twice"]
        assert [each.kind for each in followups.of(session, ticket)] == ["paid_twice"]


@pytest.mark.parametrize(
    ("tellings", "said"),
    [
        ((told("pi_1"), told("pi_2")), "It looks as if you paid twice"),
        ((told("pi_1", money=Money(134900, "ZAR")),), "We are working on it"),
    ],
)
def test_the_status_page_thanks_nobody_for_a_report_that_they_have_not_made(
    client: FlaskClient, database: Database, clock: Clock, tellings: tuple[Told, ...], said: str
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, *tellings)
        address = client.application.extensions["unjam"].addresses.status(session.scalars(sa.select(Ticket)).one())
    assert heading(client.get(address.removeprefix("http://localhost:8000"))) == said


def test_the_hook_of_a_double_charge_names_every_payment_and_which_one_to_refund(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2"))
        body = dict(events(cast))["order.paid_twice"]

    listed = {"provider": "demo", "amount": 124900, "currency": "ZAR"}
    assert body == {
        "order": "D-1001",
        "amount": 124900,
        "currency": "ZAR",
        "payments": [
            {"payment": "pi_1", "is_superfluous": False} | listed,
            {"payment": "pi_2", "is_superfluous": True} | listed,
        ],
    }


@pytest.mark.parametrize("channel", [Source.SHOP, Source.LINK, Source.PROVIDER, Source.PAGE])
def test_the_same_payment_told_by_another_channel_alarms_nobody(
    database: Database, clock: Clock, channel: Source
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_1", channel, Money(124900, "ZAR")), told(None, channel))

        assert session.scalars(sa.select(Ticket)).all() == []
        assert [name for name, _ in events(cast)] == ["order.paid"]


def test_a_page_that_claims_a_second_payment_gets_no_refund(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2", Source.PAGE), told("pi_3", Source.PAGE))

        assert tickets_about(cast, Topic.PAID_TWICE) == []


def test_two_names_by_two_channels_are_asked_about_before_anybody_is_alarmed(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=ASKABLE)
        cast.attempt()
        take(cast, clock, told("ch_1", Source.SHOP), told("pi_1"))
        (ticket,) = tickets_about(cast, Topic.PAID_TWICE)

        assert watches.is_open(session, ticket.attempt_id)
        assert "They may be two names of one" in tickets.messages_of(session, ticket, notes=True)[0].body
        assert followups.of(session, ticket) == []
        assert events(cast) == []


def test_where_nobody_can_be_asked_two_names_are_two_payments(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("ch_1", Source.SHOP), told("pi_1", Source.LINK))

        assert [name for name, _ in events(cast)] == ["order.paid_twice"]


def test_a_double_charge_stays_open_when_a_payment_is_told_of_once_more(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2"), told("pi_1", Source.SHOP))

        assert [each.status for each in tickets_about(cast, Topic.PAID_TWICE)] == [Status.NEW]


def test_a_third_payment_reopens_the_ticket_that_an_agent_had_solved(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2"))
        (ticket,) = tickets_about(cast, Topic.PAID_TWICE)
        tickets.move(session, ticket, Status.RESOLVED, clock.now, because="refunded")
        take(cast, clock, told("pi_3"))

        assert ticket.status == Status.OPEN
        assert [name for name, _ in events(cast)].count("order.paid_twice") == 2


def test_a_double_charge_of_an_order_that_no_page_told_of_is_a_ticket_too(database: Database, clock: Clock) -> None:
    from widget import orders

    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        order = orders.told_by_shop(session, cast.shop, "D-7", ZAR, clock.now)
        take(cast, clock, told("pi_1", Source.SHOP), told("pi_2", Source.SHOP), order=order)
        (ticket,) = tickets_about(cast, Topic.PAID_TWICE)

        assert session.get_one(Attempt, ticket.attempt_id).stage == Stage.PAID
        # Nobody is known to write to, so no mail is owed to nobody.
        assert (ticket.email, followups.of(session, ticket)) == ("", [])


def test_a_report_of_the_customer_and_the_double_charge_are_two_tickets(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        reported = cast.ticket()
        take(cast, clock, told("pi_1"), told("pi_2"))
        (ticket,) = tickets_about(cast, Topic.PAID_TWICE)

        assert ticket.id != reported.id
        assert reported.status == Status.RESOLVED


def test_too_much_is_a_ticket_with_both_figures_and_a_hook(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1", money=Money(130000, "ZAR")), told("pi_1", Source.SHOP, Money(130000, "ZAR")))
        (ticket,) = tickets_about(cast, Topic.REFUND)
        (note,) = tickets.messages_of(session, ticket, notes=True)
        wrong = dict(events(cast))["order.wrong_amount"]

        assert f"{Money(130000, 'ZAR').shown('en')} was taken by payment pi_1" in note.body
        assert f"the order is for {ZAR.shown('en')}" in note.body
        assert f"Refund {Money(5100, 'ZAR').shown('en')}" in note.body
        assert (wrong["paid_amount"], wrong["amount"], wrong["excess"]) == (130000, 124900, 5100)


def test_who_paid_too_much_is_written_to_once_while_it_is_true(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1", money=Money(130000, "ZAR")), told("pi_1", Source.SHOP, Money(130000, "ZAR")))
        (ticket,) = tickets_about(cast, Topic.REFUND)
        (owed,) = followups.of(session, ticket)
        assert (owed.kind, ticket.email) == ("paid_too_much", "sam@example.com")
        assert followups.reason_to_cancel(session, owed, clock.now) is None

        take(cast, clock, told("pi_2"))
        assert followups.reason_to_cancel(session, owed, clock.now) is not None
        (twice,) = tickets_about(cast, Topic.PAID_TWICE)
        assert [each.kind for each in followups.of(session, twice)] == ["paid_twice"]


def test_nobody_is_written_to_of_too_much_by_what_only_a_page_claims(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        ticket = cast.ticket(cast.attempt(is_signed=False))
        take(cast, clock, told("pi_1", money=Money(130000, "ZAR")))
        assert "paid_too_much" not in [each.kind for each in followups.of(session, ticket)]


def test_too_little_is_a_hook_and_a_note_and_the_difference_is_known(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        ticket = cast.ticket(attempt)
        take(cast, clock, told("pi_1", money=Money(100000, "ZAR")))
        wrong = dict(events(cast))["order.wrong_amount"]

        assert (wrong["paid_amount"], wrong["missing"]) == (100000, 24900)
        assert "the order is for" in tickets.messages_of(session, ticket, notes=True)[-1].body
        assert certainty.truth_of(session, attempt, cast.order(), clock.now).twice == ()


def test_the_difference_paid_by_our_link_settles_the_order_and_is_no_second_payment(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1", money=Money(100000, "ZAR")), told("pi_2", Source.LINK, Money(24900, "ZAR")))

        assert cast.order().paid_at is not None
        assert session.scalars(sa.select(Ticket)).all() == []
        assert [name for name, _ in events(cast)] == ["order.wrong_amount", "order.paid"]


def test_legs_of_a_split_payment_are_no_wrong_amounts(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        attempt.leg, attempt.legs = 1, 2
        take(cast, clock, told("pi_1", money=Money(62450, "ZAR")))
        truth = certainty.truth_of(session, attempt, cast.order(), clock.now)

        assert events(cast) == []
        assert (truth.missing, truth.excess) == (None, None)


@pytest.mark.parametrize(
    ("source", "events_owed"),
    [(Source.PROVIDER, ["order.paid"]), (Source.LINK, ["order.paid"]), (Source.SHOP, []), (Source.PAGE, [])],
)
def test_the_shop_is_told_of_a_payment_that_it_cannot_know_of(
    database: Database, clock: Clock, source: Source, events_owed: list[str]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        take(cast, clock, told("pi_1", source))

        assert [name for name, _ in events(cast)] == events_owed


def test_a_stranger_s_payment_of_the_number_does_not_use_up_the_word_about_the_real_one(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        strange = cast.order_of(cast.attempt(is_signed=False))
        strange.amount = 100
        session.flush()
        cast.attempt()
        take(cast, clock, told("pi_1", money=Money(100, "ZAR")), order=strange)
        take(cast, clock, told("pi_2"))

        assert [(name, body["amount"], body["is_verified"]) for name, body in events(cast)] == [
            ("order.paid", 100, False),
            ("order.paid", ZAR.minor, True),
        ]


def test_the_truth_lists_every_payment_of_an_order_that_is_paid_twice(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        take(cast, clock, told("pi_1"), told("pi_2"))

        assert certainty.truth_of(session, attempt, cast.order(), clock.now).twice == (
            Paid("pi_1", ZAR),
            Paid("pi_2", ZAR),
        )


def test_an_unsigned_context_is_told_nothing_of_the_signed_order_s_payments(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        cast.attempt()
        stranger = cast.attempt(is_signed=False)
        stranger_order = cast.order_of(stranger)
        stranger_order.amount = 1
        take(cast, clock, told("pi_1"), told("pi_2"))
        truth = certainty.truth_of(session, stranger, stranger_order, clock.now)

        assert (truth.state, truth.receipt, truth.money, truth.excess, truth.twice) == ("unknown", None, None, None, ())


def push(client: FlaskClient, cast: Cast, key: str, **said: object) -> TestResponse:
    headers = {"Authorization": f"Bearer {cast.api_key}", "Idempotency-Key": key}
    return client.post("/api/v1/payments", json={"amount": 124900, "currency": "ZAR"} | said, headers=headers)


def test_a_bank_transfer_is_told_of_by_its_reference_and_is_a_second_payment_when_it_comes_too_late(
    client: FlaskClient, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        attempt = cast.attempt()
        transfer = transfers.open_for(session, attempt, cast.order(), "eft", ZAR, clock.now)
        reference = transfer.reference

    assert push(client, cast, "1", order="D-1001", payment="pi_1", provider="stripe").status_code == 201
    late = push(client, cast, "2", reference=f"EFT {reference} SAM")
    assert (late.status_code, late.json["order"]) == (201, "D-1001")  # type: ignore[index]
    assert push(client, cast, "3", reference=f"EFT {reference} SAM").status_code == 201
    assert push(client, cast, "4", reference="0000000000").status_code == 404
    assert push(client, cast, "5").status_code == push(client, cast, "6", order="D", reference="R").status_code == 422
    with database.read() as session:
        (ticket,) = session.scalars(sa.select(Ticket).filter_by(topic=Topic.PAID_TWICE.value))
        (note,) = tickets.messages_of(session, ticket, notes=True)
        assert f"paid again by transfer:{reference}" in note.body


def transfer_of(cast: Cast, clock: Clock) -> str:
    given = transfers.open_for(cast.session, cast.attempt(), cast.order(), "eft", ZAR, clock.now)
    return given.reference


@pytest.mark.parametrize("names", [("booking-1", "booking-2"), (None, None), ("b" * 100, "b" * 99)])
def test_two_halves_of_a_transfer_pay_the_order_however_often_each_is_told(
    client: FlaskClient, database: Database, clock: Clock, names: tuple[str | None, str | None]
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        reference = transfer_of(cast, clock)

    for number, name in enumerate(names):
        half = {"reference": reference, "amount": 62450} | ({"payment": name} if name else {})
        assert push(client, cast, f"{number}", **half).status_code == 201
        again = push(client, cast, f"{number} again" if name else f"{number}", **half)
        assert again.json["paid"] is bool(number)  # type: ignore[index]
    with database.read() as session:
        assert session.scalars(sa.select(Ticket)).all() == []


@pytest.mark.parametrize(("names", "excess"), [(("booking-1", "booking-2"), "1,249.00"), ((None, None), None)])
def test_a_transfer_is_too_much_when_the_bank_has_booked_it_twice_and_not_when_it_was_only_told_twice(
    client: FlaskClient, database: Database, clock: Clock, names: tuple[str | None, str | None], excess: str | None
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        reference = transfer_of(cast, clock)

    for number, name in enumerate(names):
        told = {"reference": reference} | ({"payment": name} if name else {})
        assert push(client, cast, str(number), **told).status_code == 201
    with database.read() as session:
        told_to_agents = [
            tickets.messages_of(session, each, notes=True)[0].body
            for each in session.scalars(sa.select(Ticket).filter_by(topic=Topic.REFUND.value))
        ]
    assert len(told_to_agents) == bool(excess)
    assert all(f"taken by payment transfer:{reference};" in each for each in told_to_agents)
    assert all(f"Refund ZAR{excess}" in each for each in told_to_agents)
