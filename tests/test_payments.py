"""Paid is the ground truth: recorded once, it ends whatever was asking for money."""

import re
import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, casework, certainty, charges, followups, links, offers, payments, tickets
from widget.attempts import AttemptContext, Stage
from widget.clock import now as clock_now
from widget.database import Database
from widget.errors import LinkExpired, Refused, Replayed
from widget.followups import Kind
from widget.links import PaymentLink as Link
from widget.money import Money
from widget.offers import OfferKind
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState
from widget.shops import Shop
from widget.tickets import Status
from widget.tokens import Purpose, Tokens
from widget.web.desk import words

ZAR = Money(124900, "ZAR")


def told(key: str = "k1", money: Money = ZAR, source: Source = Source.SHOP) -> Told:
    return Told(key, source, money, payment="pay_1")


def test_a_payment_resolves_the_ticket_cancels_the_reminder_and_schedules_one_rating(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        ticket = cast.ticket()
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        owed = {each.kind: each for each in followups.of(session, ticket)}

        assert ticket.status == Status.RESOLVED
        assert owed["reminder"].cancelled_because == "the order is paid"
        assert owed["opened"].cancelled_at is None
        assert owed["rating"].due_at == clock.now + PACE.rating


def test_the_same_payment_told_twice_is_recorded_once(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        ticket = cast.ticket()
        order = cast.order()
        firsts = [payments.record(session, cast.shop, order, told(), PACE, clock.now) for _ in range(2)]

        assert firsts == [True, False]
        assert len(payments.of(session, order)) == 1
        assert [each.kind for each in followups.of(session, ticket)].count("rating") == 1


def test_a_key_used_for_another_amount_is_refused(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt()
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        with pytest.raises(Replayed):
            payments.record(session, cast.shop, cast.order(), told(money=Money(1, "ZAR")), PACE, clock.now)


@pytest.mark.parametrize("money", [Money(100, "ZAR"), Money(124900, "USD")])
def test_a_payment_that_does_not_cover_the_order_leaves_it_unpaid_and_is_noted(
    database: Database, clock: Clock, money: Money
) -> None:
    with database.write() as session:
        cast = Cast(session)
        ticket = cast.ticket()
        payments.record(session, cast.shop, cast.order(), told(money=money), PACE, clock.now)

        assert cast.order().paid_at is None
        assert ticket.status == Status.NEW
        assert "the order is for" in tickets.messages_of(session, ticket, notes=True)[-1].body


def test_two_part_payments_of_one_channel_cover_the_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt()
        for key, minor in (("a", 100_000), ("b", 24_900)):
            payments.record(session, cast.shop, cast.order(), told(key, Money(minor, "ZAR")), PACE, clock.now)

        assert cast.order().paid_at is not None


@pytest.mark.parametrize("named", ["the one that was not charged", None])
def test_who_has_paid_is_told_the_reference_of_the_payment_that_was_charged(
    database: Database, clock: Clock, named: str | None
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        charges.record(session, attempt, Answer(ChargeState.NOT_CHARGED, payment=named), clock.now)
        payments.record(session, cast.shop, cast.order(), told(source=Source.LINK), PACE, clock.now)

        assert certainty.truth_of(session, attempt, cast.order(), clock.now).receipt == "pay_1"


def test_half_the_money_told_by_two_channels_is_not_the_whole(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt()
        half = Money(62_450, "ZAR")
        for source in (Source.SHOP, Source.PAGE):
            payments.record(session, cast.shop, cast.order(), told(source.value, half, source), PACE, clock.now)

        assert cast.order().paid_at is None


def test_an_unverified_twin_of_the_same_amount_is_paid_too_and_one_of_another_amount_is_not(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        cast.attempt()
        twin = cast.order_of(cast.attempt(is_signed=False))
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        late_twin = cast.order_of(cast.attempt(is_signed=False))

        assert cast.order().is_verified
        assert twin.id == late_twin.id != cast.order().id
        assert twin.paid_at is not None


def test_a_report_after_the_payment_owes_no_reminder(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        ticket = cast.ticket(attempt)

        assert [each.kind for each in followups.of(session, ticket)] == ["opened"]


def test_the_way_out_that_was_chosen_last_is_credited_with_the_money(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        offers.show(session, attempt, list(OfferKind), clock.now)
        for kind in (OfferKind.RETRY, OfferKind.PAYMENT_LINK):
            clock.forward(timedelta(seconds=5))
            offers.choose(session, attempt, kind, clock.now)
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        session.expire_all()
        worked = {each.kind: each.recovered for each in offers.of(session, attempt.id) if each.worked_at}

        assert worked == {"payment_link": 124900}


@pytest.mark.parametrize(
    ("before", "after", "recovered"),
    [
        # The rest by a link; the provider, asked again, repeats the part that it told of before.
        ([(Source.PROVIDER, "pay_1", 40000)], [(Source.LINK, "pay_2", 84900)], 84900),
        ([(Source.PROVIDER, "pay_1", 40000)], [(Source.PROVIDER, "pay_1", 124900)], 84900),
        ([(Source.SHOP, "pay_1", 40000)], [(Source.PROVIDER, "pay_1", 40000), (Source.LINK, "pay_2", 84900)], 84900),
        # One transfer in two bookings, of which one came before.
        (
            [(Source.SHOP, "transfer:1234567890:a", 50000)],
            [(Source.SHOP, "transfer:1234567890:b", 74900)],
            74900,
        ),
        ([], [(Source.SHOP, "transfer:1234567890:a", 50000), (Source.SHOP, "transfer:1234567890:b", 74900)], 124900),
        # What was paid too much is given back, so nobody recovered it.
        ([], [(Source.SHOP, "pay_1", 130000)], 124900),
    ],
)
def test_a_way_out_is_credited_with_what_was_taken_after_it_was_chosen(
    database: Database,
    clock: Clock,
    before: list[tuple[Source, str, int]],
    after: list[tuple[Source, str, int]],
    recovered: int,
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()

        def hear(tellings: list[tuple[Source, str, int]]) -> None:
            for source, payment, minor in tellings:
                one = Told(f"{source}:{payment}:{minor}", source, Money(minor, "ZAR"), payment=payment)
                payments.record(session, cast.shop, cast.order(), one, PACE, clock.now)

        hear(before)
        clock.forward(timedelta(seconds=5))
        offers.choose(session, attempt, OfferKind.REST, clock.now)
        clock.forward(timedelta(seconds=5))
        hear(after)
        session.expire_all()

        assert [each.recovered for each in offers.of(session, attempt.id)] == [recovered]


def test_a_clock_that_was_put_back_takes_nothing_from_what_was_recovered(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        offers.choose(session, attempt, OfferKind.RETRY, clock.now)
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now - timedelta(hours=1))
        session.expire_all()

        assert [each.recovered for each in offers.of(session, attempt.id)] == [124900]


def test_a_resolved_ticket_owes_the_news_a_later_reminder_and_a_rating(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        agent, ticket = cast.agent(), cast.ticket()
        clock.forward(timedelta(hours=5))
        casework.change_status(session, cast.shop, ticket, Status.RESOLVED, agent=agent, pace=PACE, now=clock.now)
        session.expire_all()
        due = {each.kind: each.due_at - clock.now for each in followups.of(session, ticket)}

        assert due["resolved"] == timedelta(0)
        assert due["reminder"] == PACE.reminder
        assert due["rating"] == PACE.rating


def test_a_payment_link_is_reused_while_it_lives_and_refused_when_paid(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        link = links.link_for(session, cast.shop, attempt, cast.order(), clock.now)
        assert links.link_for(session, cast.shop, attempt, cast.order(), clock.now).id == link.id

        clock.forward(timedelta(hours=24))
        with pytest.raises(LinkExpired):
            links.check_payable(session, link, cast.order(), clock.now)
        fresh = links.link_for(session, cast.shop, attempt, cast.order(), clock.now)
        payments.record(session, cast.shop, cast.order(), told(), PACE, clock.now)
        with pytest.raises(Refused):
            links.check_payable(session, fresh, cast.order(), clock.now)


def test_a_link_for_the_old_amount_takes_nothing_after_the_basket_changed(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = cast.attempt()
        link = links.link_for(session, cast.shop, attempt, cast.order(), clock.now)
        cast.order().amount = 99900
        with pytest.raises(LinkExpired):
            links.check_payable(session, link, cast.order(), clock.now)


def test_two_links_of_one_order_cannot_take_money_at_the_same_time(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        one = links.link_for(session, cast.shop, cast.attempt(), cast.order(), clock.now)
        other = links.link_for(session, cast.shop, cast.attempt(), cast.order(), clock.now)
        links.start_paying(session, one, cast.order(), clock.now)
        links.start_paying(session, one, cast.order(), clock.now)
        with pytest.raises(Refused):
            links.start_paying(session, other, cast.order(), clock.now)
        clock.forward(timedelta(minutes=2))
        links.start_paying(session, other, cast.order(), clock.now)


def test_a_rating_owed_after_resolution_comes_sooner_when_the_payment_does(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        agent, ticket = cast.agent(), cast.ticket()
        casework.change_status(session, cast.shop, ticket, Status.RESOLVED, agent=agent, pace=PACE, now=clock.now)
        followups.push_back(session, ticket, Kind.RATING, clock.now + timedelta(days=3))
        casework.settle(session, cast.shop, ticket, PACE, clock.now)
        session.expire_all()
        ratings = [each for each in followups.of(session, ticket) if each.kind == "rating"]

        assert [each.due_at for each in ratings] == [clock.now + PACE.rating]


def test_an_unsigned_payment_never_settles_the_signed_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        ticket = cast.ticket()
        stranger = cast.order_of(cast.attempt(is_signed=False))
        payments.record(session, cast.shop, stranger, told("page:x", source=Source.PAGE), PACE, clock.now)

        assert stranger.paid_at is not None
        assert cast.order().is_verified
        assert cast.order().paid_at is None
        assert ticket.status == Status.NEW


def test_an_unsigned_payment_before_the_signed_context_leaves_the_signed_order_unpaid(
    database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast = Cast(session)
        stranger = cast.order_of(cast.attempt(is_signed=False))
        payments.record(session, cast.shop, stranger, told("page:x", source=Source.PAGE), PACE, clock.now)

        assert cast.order_of(cast.attempt()).paid_at is None


def test_payments_of_both_twins_and_reports_at_once_do_not_lock_each_other_out(database: Database) -> None:
    with database.write() as session:
        cast = Cast(session)
        ids = [cast.attempt().id, cast.attempt(is_signed=False).id]
        shop_id = cast.shop.id
    failures: list[Exception] = []

    def pay(attempt_id: int, number: int) -> None:
        from widget import attempts, clock
        from widget.shops import Shop

        try:
            with database.write() as session:
                shop, attempt = session.get_one(Shop, shop_id), attempts.by_id(session, attempt_id)
                casework.report(
                    session, shop, attempt, email="s@x.com", words="x", locale="en", pace=PACE, now=clock.now()
                )
            with database.write() as session:
                shop, order = session.get_one(Shop, shop_id), attempts.order_of(session, attempt)
                assert order is not None
                payments.record(session, shop, order, told(f"{attempt_id}:{number}"), PACE, clock.now())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=pay, args=(each, number)) for number in range(6) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


def leg(database: Database, cast: Cast, number: int, stage: Stage, method: str = "card", payment: str = "pay_1") -> int:
    """A leg of D-1001 that has got so far. Returns the attempt."""
    said = {"order": cast.context(), "method": method, "provider": "demo", "payment": payment}
    context = AttemptContext.model_validate({"key": key(), "leg": number, "legs": 2} | said)
    with database.write() as session:
        attempt = attempts.open_for(session, session.get_one(Shop, cast.shop.id), context, clock_now())
        attempts.reach(attempt, stage, 3)
        session.flush()
        return attempt.id


def help_page(client: FlaskClient, attempt_id: int) -> str:
    tokens: Tokens = client.application.extensions["unjam"].tokens
    answer = client.get(f"/help/{tokens.sign(Purpose.HELP, attempt_id)}")
    assert answer.status_code == 200
    return answer.text


WAYS_THAT_PAY = [f"/choose/{kind.value}" for kind in OfferKind if kind.pays]


@pytest.mark.parametrize("status", ["requires_payment_method", "processing", "requires_capture"])
def test_a_customer_who_paid_a_part_is_told_so_and_never_asked_for_the_whole(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, status: str
) -> None:
    provider.status = status
    leg(database, cast, 1, Stage.PAID, "store_account", "pay_first")
    page = help_page(client, leg(database, cast, 2, Stage.FAILED))

    assert "Part of this order is paid" in page
    assert "This part went through: Store account." in page
    assert "not been charged" not in page
    assert "/choose/report" in page
    assert not any(way in page for way in WAYS_THAT_PAY)


def test_what_the_first_part_took_is_told_and_may_be_asked_back_to_pay_by_one_method(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider
) -> None:
    provider.status = "requires_payment_method"
    leg(database, cast, 1, Stage.PAID, "store_account", "pay_first")
    second = leg(database, cast, 2, Stage.FAILED)
    with database.write() as session:
        _, shop, order = attempts.with_shop_and_order(session, second)
        assert order is not None
        first = Told("till-1", Source.SHOP, Money(100000, "ZAR"), payment="pay_first")
        payments.record(session, shop, order, first, PACE, clock_now())
    page = help_page(client, second)
    assert re.search(r"This part went through: Store account, ZAR\s?1,000\.00\.", page)

    tokens: Tokens = client.application.extensions["unjam"].tokens
    form = client.post(f"/help/{tokens.sign(Purpose.HELP, second)}/choose/one_method").text
    assert "Please give the first part back." in form
    assert "Send the report" in form


@pytest.mark.parametrize("kind", [kind for kind in OfferKind if kind.pays])
def test_a_way_to_pay_that_is_still_on_the_screen_is_closed_once_a_part_is_paid(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider, kind: OfferKind
) -> None:
    provider.status = "requires_payment_method"
    second = leg(database, cast, 2, Stage.FAILED)
    leg(database, cast, 1, Stage.PAID, "store_account", "pay_first")
    tokens: Tokens = client.application.extensions["unjam"].tokens
    answer = client.post(f"/help/{tokens.sign(Purpose.HELP, second)}/choose/{kind.value}")

    assert "Part of this order is paid" in answer.text
    with database.read() as session:
        assert session.scalars(sa.select(Link)).all() == []


def test_a_link_made_before_takes_nothing_once_a_part_is_paid(
    database: Database, cast: Cast, provider: FakeProvider
) -> None:
    second = leg(database, cast, 2, Stage.FAILED)
    with database.write() as session:
        attempt, shop, order = attempts.with_shop_and_order(session, second)
        assert order is not None
        link = links.link_for(session, shop, attempt, order, clock_now())
    leg(database, cast, 1, Stage.PAID, "store_account", "pay_first")

    with database.write() as session, pytest.raises(Refused, match="Part of this order is paid"):
        links.start_paying(session, link, order, clock_now())


def test_a_later_part_alone_never_proves_that_nothing_was_charged(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider
) -> None:
    provider.status = "requires_payment_method"
    page = help_page(client, leg(database, cast, 2, Stage.FAILED))

    assert "We do not know yet if you were charged" in page
    assert not any(way in page for way in WAYS_THAT_PAY)


def test_the_help_of_the_part_that_went_through_does_not_say_that_all_is_paid(
    client: FlaskClient, cast: Cast, database: Database, provider: FakeProvider
) -> None:
    provider.status = "processing"
    page = help_page(client, leg(database, cast, 1, Stage.PAID, "store_account"))

    assert "Part of this order is paid" in page
    assert "The rest is not paid yet." in page


@pytest.mark.parametrize("payment", ["pay_2", "pay_other"])
def test_a_part_that_the_provider_knows_of_completes_the_order(database: Database, cast: Cast, payment: str) -> None:
    leg(database, cast, 1, Stage.PAID, "store_account", "pay_1")
    leg(database, cast, 2, Stage.CONFIRMING, payment="pay_2")
    half = Told("provider:1", Source.PROVIDER, Money(62_450, "ZAR"), payment=payment)
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        order = session.scalars(sa.select(Order).filter_by(reference="D-1001")).one()
        payments.record(session, shop, order, half, PACE, clock_now())

        assert (order.paid_at is not None) is (payment == "pay_2")


def test_agents_are_told_that_a_part_is_paid() -> None:
    said = words.charge_said(None, None, "en", clock_now(), is_part_paid=True)
    assert said.title == "Part of it is paid"
    assert "whole amount" in said.advice
