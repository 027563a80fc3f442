"""Tickets: one per attempt, nothing lost, strictly of one shop."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.cast import Cast
from tests.conftest import Clock
from widget import casework, followups, tickets
from widget.database import Database
from widget.errors import Malformed, NotFound
from widget.followups import FollowUp
from widget.tickets import Message, Status, Ticket, Topic


def test_a_report_owes_a_confirmation_now_and_a_reminder_in_a_day(database: Database, clock: Clock) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket()
        owed = {each.kind: each.due_at - clock.now for each in followups.of(session, ticket)}

    assert owed == {"opened": timedelta(0), "reminder": timedelta(hours=24)}


def test_the_same_attempt_reported_twice_is_one_ticket_with_both_sentences(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        first, second = cast.ticket(attempt, "It froze."), cast.ticket(attempt, "Still frozen.")
        said = [each.body for each in tickets.messages_of(session, first, notes=False)]

        assert first.id == second.id
        assert said == ["It froze.", "Still frozen."]
        assert len(followups.of(session, first)) == 2


def test_who_was_taken_up_on_the_phone_and_reports_then_is_written_to(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        taken_up = casework.take_up(session, cast.shop, attempt, clock.now)
        assert (taken_up.email, followups.of(session, taken_up)) == ("", [])

        reported = cast.ticket(attempt)

        assert reported.id == taken_up.id == casework.take_up(session, cast.shop, attempt, clock.now).id
        assert reported.email == "sam@example.com"
        assert {each.kind for each in followups.of(session, reported)} == {"opened", "reminder"}


def test_a_ticket_about_money_does_not_become_that_of_whoever_reports_it(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        about_money = casework.take_up(session, cast.shop, attempt, clock.now)
        about_money.topic = Topic.PAID_TWICE.value

        cast.ticket(attempt, email="stranger@example.com")

        assert about_money.email == ""


def test_the_same_sentence_sent_twice_is_kept_once(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        ticket = cast.ticket(attempt)
        cast.ticket(attempt)

        assert len(tickets.messages_of(session, ticket, notes=True)) == 1


def test_a_fresh_attempt_at_an_order_joins_the_ticket_that_is_not_done(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        first = cast.ticket(cast.attempt("D-1"))
        second = cast.ticket(cast.attempt("D-1"), "And again.")
        other = cast.ticket(cast.attempt("D-2"))

        assert first.id == second.id != other.id


def test_two_reports_at_the_same_moment_open_one_ticket(database: Database) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt_id, shop_id = cast.attempt().id, cast.shop.id
    together = threading.Barrier(2)
    failures: list[Exception] = []

    def report() -> None:
        from tests.cast import PACE
        from widget import attempts, casework, clock
        from widget.shops import Shop

        try:
            together.wait()
            with database.write() as session:
                shop, attempt = session.get_one(Shop, shop_id), attempts.by_id(session, attempt_id)
                casework.report(
                    session, shop, attempt, email="sam@example.com", words="x", locale="en", pace=PACE, now=clock.now()
                )
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=report) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        assert failures == []
        assert session.scalar(sa.select(sa.func.count()).select_from(Ticket)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(FollowUp)) == 2
        assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 1


def test_a_report_from_another_address_is_noted_for_agents_only(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        ticket = cast.ticket(attempt)
        cast.ticket(attempt, email="other@example.com")

        assert ticket.email == "sam@example.com"
        assert "other@example.com" in tickets.messages_of(session, ticket, notes=True)[-1].body
        assert all("other@" not in each.body for each in tickets.messages_of(session, ticket, notes=False))


@pytest.mark.parametrize("email", ["", "sam", "sam@", "sam@example.com\nBcc: all@example.com", "a" * 300 + "@x.com"])
def test_an_unusable_address_is_refused_with_a_reason(database: Database, clock: Clock, email: str) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        with pytest.raises(Malformed):
            cast.ticket(attempt, email=email)


def test_a_card_number_in_the_words_is_masked_before_it_is_kept(database: Database, clock: Clock) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket(words="My card 4111 1111-1111 1111 froze")
        said = tickets.messages_of(session, ticket, notes=False)[0].body

    assert said == "My card [card number removed] froze"


def test_a_ticket_of_another_shop_does_not_exist(database: Database, clock: Clock) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket()
        stranger = Cast(session, site="stranger")
        with pytest.raises(NotFound):
            tickets.by_reference(session, ticket.reference, [stranger.shop.id])


def test_the_queue_puts_what_waits_for_us_and_was_promised_soonest_first(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        late, done = cast.ticket(cast.attempt("D-1")), cast.ticket(cast.attempt("D-2"))
        tickets.move(session, done, Status.RESOLVED, clock.now, because="test")
        clock.forward(timedelta(hours=1))
        fresh = cast.ticket(cast.attempt("D-3"))

        found = tickets.queue(session, [cast.shop.id], statuses=[])
        assert [each.id for each in found] == [late.id, fresh.id, done.id]


def test_the_queue_is_searched_by_order_address_and_reference_and_wildcards_are_plain(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        ticket = cast.ticket(cast.attempt("D-77"))
        cast.ticket(cast.attempt("D-88"), email="kim@example.com")

        def found(search: str) -> list[int]:
            return [each.id for each in tickets.queue(session, [cast.shop.id], statuses=[], search=search)]

        assert found("d-77") == found(ticket.reference.lower()) == found("sam@") == [ticket.id]
        assert found("%") == []


def test_a_customer_who_writes_to_a_resolved_ticket_opens_it_again(database: Database, clock: Clock) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket()
        tickets.move(session, ticket, Status.RESOLVED, clock.now, because="test")
        tickets.hear(session, ticket, "It is still stuck.", clock.now)
        tickets.hear(session, ticket, "It is still stuck.", clock.now)

        assert ticket.status == Status.OPEN
        assert [each.body for each in tickets.messages_of(session, ticket, notes=False)].count(
            "It is still stuck."
        ) == 1


def test_an_unsigned_report_with_the_customers_address_opens_a_ticket_of_its_own(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        theirs = cast.ticket(cast.attempt("D-1", is_signed=False))
        stranger = cast.ticket(cast.attempt("D-1", is_signed=False))

        assert theirs.id != stranger.id
