"""At a shop that signs nothing, whoever knows an order's number is let into nobody else's affairs, nor mails."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_panel import heading
from widget import followups, orders, payments, tickets
from widget.attempts import Attempt
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.holds import Hold
from widget.hooks import Hook
from widget.links import PaymentLink
from widget.money import Money
from widget.orders import Order, OrderContext
from widget.payments import Source, Told
from widget.shops import Shop
from widget.tickets import Ticket, Topic
from widget.transfers import Transfer
from widget.web.limits import count_mail, limiter
from widget.web.panel import writing

EFT = {"scheme": "eft", "holder": "Karoo", "bank": "FNB", "account_number": "62000000001", "branch_code": "250655"}
PROFILE: dict[str, Any] = {
    "hold_hours": 48,
    "bank_accounts": [EFT | {"currency": "ZAR"}],
    "hook_url": "https://shop.example/unjam",
}


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile=PROFILE | {"providers": {"demo": {"url": provider.url}}})


STRANGER = {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "Stranger/1.0"}


def opened(
    client: FlaskClient,
    cast: Cast,
    *,
    order: str = "D-1001",
    email: str = "",
    is_signed: bool = False,
    amount: int = 124900,
    comes_from: dict[str, str] | None = None,
) -> str:
    """The token of a new attempt at this number, looked at once; its page tells no payment."""
    context = cast.context(order, is_signed=is_signed, amount=amount)
    told = context if is_signed else context.model_copy(update={"email": email})
    attempt = {"key": key(), "order": told.model_dump(), "method": "card", "provider": "demo"}
    body = {"site": "demo", "attempt": attempt}
    answer = client.post("/panel", json=body, headers={"Unjam-Frame": "1"}, environ_overrides=comes_from or {})
    found = re.search(r"/help/([^/]+)/check", answer.text)
    assert found
    client.post(f"/help/{found[1]}/check")
    return found[1]


def later(client: FlaskClient, token: str, clock: Clock, email: str) -> str:
    at = str(int((clock.now + timedelta(hours=6)).timestamp()))
    return client.post(f"/help/{token}/later", data={"email": email, "at": at}).text


def transfer_of(client: FlaskClient, token: str) -> dict[str, str]:
    found = re.search(r'name="transfer" value="(\d+)"', client.post(f"/help/{token}/choose/transfer").text)
    assert found
    return {"transfer": found[1]}


def claim(session: Any, cast: Cast, clock: Clock, amount: int, currency: str = "ZAR") -> Order:
    context = OrderContext(order="D-1001", amount=amount, currency=currency)
    return orders.open_for(session, session.get_one(Shop, cast.shop.id), context, clock.now)


def test_an_unsigned_number_is_a_row_for_each_claim(database: Database, cast: Cast, clock: Clock) -> None:
    with database.write() as session:
        rows = [claim(session, cast, clock, 100), claim(session, cast, clock, 124900), claim(session, cast, clock, 100)]
        assert rows[0].id == rows[2].id != rows[1].id
        assert [each.amount for each in rows] == [100, 124900, 100]
        assert claim(session, cast, clock, 100, "EUR").id not in {each.id for each in rows}


def test_a_page_whose_basket_changed_still_tells_how_its_own_attempt_ended(
    database: Database, cast: Cast, clock: Clock
) -> None:
    with database.write() as session:
        order = claim(session, cast, clock, 100)
        changed = OrderContext(order="D-1001", amount=200, currency="ZAR")
        shop = session.get_one(Shop, cast.shop.id)
        assert orders.speaks_of(session, shop, changed, order.id, clock.now)
        assert not orders.speaks_of(session, shop, cast.context(), order.id, clock.now)


def test_whoever_came_first_with_a_number_does_not_fix_its_amount(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock, provider: FakeProvider
) -> None:
    with database.write() as session:
        claim(session, cast, clock, 100)
    provider.status = "succeeded"
    token = opened(client, cast)
    assert heading(client.post(f"/help/{token}/check")) == "You have paid. There is nothing left to do"
    with database.read() as session:
        assert session.scalars(sa.select(Order.amount).where(Order.paid_at.is_not(None))).all() == [124900]
        assert session.scalars(sa.select(Ticket)).all() == []


def test_no_refund_rests_on_an_amount_that_nobody_vouches_for(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session, profile=PROFILE)
        ticket = cast.ticket(cast.attempt(is_signed=False))
        told = Told("k", Source.PROVIDER, Money(130000, "ZAR"), payment="pi_1", provider="demo")
        payments.record(session, cast.shop, cast.order(), told, PACE, clock.now)
        notes = [each.body for each in tickets.messages_of(session, ticket, notes=True)]
        assert any("before you refund anything" in body for body in notes)
        assert session.scalars(sa.select(Ticket).filter_by(topic=Topic.REFUND.value)).all() == []
        assert "order.wrong_amount" not in session.scalars(sa.select(Hook.event)).all()


def test_a_hold_is_seen_changed_and_let_go_by_its_own_attempt_only(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock
) -> None:
    later(client, opened(client, cast), clock, "sam@example.com")
    stranger = opened(client, cast)
    assert "sam@example.com" not in client.post(f"/help/{stranger}/choose/later").text
    client.post(f"/help/{stranger}/later/release")
    with database.read() as session:
        hold = session.scalars(sa.select(Hold)).one()
        assert (hold.email, hold.released_at) == ("sam@example.com", None)


def test_a_strangers_hold_does_not_stand_in_the_way_of_the_customers_own(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock
) -> None:
    later(client, opened(client, cast, comes_from=STRANGER), clock, "eve@example.com")
    assert "We will remind you" in later(client, opened(client, cast), clock, "sam@example.com")
    with database.read() as session:
        promises = session.scalars(sa.select(FollowUp).order_by(FollowUp.id)).all()
        assert [followups.recipient_of(session, each) for each in promises] == ["eve@example.com", "sam@example.com"]
        assert [followups.reason_to_cancel(session, each, clock.now) for each in promises] == [None, None]


def test_a_signed_order_is_kept_and_let_go_from_any_of_its_tabs(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock
) -> None:
    tabs = [opened(client, cast, is_signed=True) for _ in range(2)]
    later(client, tabs[0], clock, "pat@example.com")
    assert "pat@example.com" in client.post(f"/help/{tabs[1]}/choose/later").text
    client.post(f"/help/{tabs[1]}/later/release")
    with database.read() as session:
        assert session.scalars(sa.select(Hold)).one().released_at is not None


def test_only_whoever_announced_a_transfer_can_take_it_back(
    client: FlaskClient, database: Database, cast: Cast
) -> None:
    customer, stranger = opened(client, cast), opened(client, cast, comes_from=STRANGER)
    form = transfer_of(client, customer)
    for each in ("announce", "take-back"):
        assert client.post(f"/help/{stranger}/transfer/{each}", data=form).status_code == 409
    client.post(f"/help/{customer}/transfer/announce", data=form)
    assert client.post(f"/help/{stranger}/transfer/take-back", data=form).status_code == 409
    with database.read() as session:
        assert session.scalars(sa.select(Transfer.cancelled_at)).one() is None
    client.post(f"/help/{customer}/transfer/take-back", data=form)
    with database.read() as session:
        assert session.scalars(sa.select(Transfer.cancelled_at)).one() is not None


def test_a_strangers_transfer_closes_no_way_of_the_customer_nor_is_shown(
    client: FlaskClient, database: Database, cast: Cast
) -> None:
    stranger = opened(client, cast, comes_from=STRANGER)
    form = transfer_of(client, stranger)
    client.post(f"/help/{stranger}/transfer/announce", data=form)
    customer = opened(client, cast)
    assert heading(client.post(f"/help/{customer}/check")) == "You have not been charged"
    assert transfer_of(client, customer) != form
    assert heading(client.post(f"/help/{stranger}/check")) == "Your transfer is on its way"


@pytest.mark.parametrize("is_stranger", [True, False])
def test_an_announced_transfer_withdraws_the_links_of_the_same_visitors_other_basket(
    client: FlaskClient, database: Database, cast: Cast, provider: FakeProvider, *, is_stranger: bool
) -> None:
    provider.status = None
    customer = opened(client, cast, amount=114900)
    client.post(f"/help/{customer}/choose/payment_link")
    sender = opened(client, cast, comes_from=STRANGER if is_stranger else None)
    client.post(f"/help/{sender}/transfer/announce", data=transfer_of(client, sender))
    with database.read() as session:
        assert (session.scalars(sa.select(PaymentLink.revoked_at)).one() is None) is is_stranger


@pytest.mark.parametrize("amount", [124900, 114900])
@pytest.mark.parametrize("changed", [{}, {"REMOTE_ADDR": "198.51.100.2"}, {"HTTP_USER_AGENT": "Other/2.0"}])
def test_the_customers_own_transfer_is_known_in_another_tab_or_network_and_with_another_basket(
    client: FlaskClient, cast: Cast, changed: dict[str, str], amount: int
) -> None:
    first = opened(client, cast)
    client.post(f"/help/{first}/transfer/announce", data=transfer_of(client, first))
    again = opened(client, cast, comes_from=changed, amount=amount)
    assert heading(client.post(f"/help/{again}/check")) == "Your transfer is on its way"


def owed(database: Database) -> tuple[int, int]:
    """How many tickets there are, and how many e-mails will go out."""
    with database.read() as session:
        mails = sa.select(FollowUp.kind).filter_by(cancelled_at=None)
        kinds = session.scalars(mails).all()
        return len(session.scalars(sa.select(Ticket)).all()), kinds.count(Kind.OPENED) + kinds.count(Kind.REMINDER)


def test_reports_to_one_address_are_kept_but_confirmed_only_so_often(
    client: FlaskClient, database: Database, cast: Cast
) -> None:
    tokens = [opened(client, cast, order=f"Z-{number}") for number in range(6)]
    for token in tokens:
        form = {"email": "Victim@example.com", "words": "x"}
        assert heading(client.post(f"/help/{token}/report", data=form)) == "We have your report"
    assert owed(database) == (6, 8)


def test_a_sender_who_varies_the_address_is_limited_too(client: FlaskClient) -> None:
    with client.application.app_context():
        sent = [count_mail("sender", f"v{number}@example.com") for number in range(32)]
        assert (sent.count(True), count_mail("another", "v0@example.com")) == (30, True)


def test_the_address_that_the_shop_signed_is_always_written_to(
    client: FlaskClient, database: Database, cast: Cast
) -> None:
    for number in range(6):
        token = opened(client, cast, order=f"Z-{number}", is_signed=True)
        client.post(f"/help/{token}/report", data={"email": "Sam@example.com", "words": "x"})
    assert owed(database) == (6, 12)


def test_a_reminder_to_a_typed_address_counts_as_an_email(client: FlaskClient, cast: Cast, clock: Clock) -> None:
    tokens = [opened(client, cast, is_signed=True) for _ in range(5)]
    answers = [later(client, token, clock, "victim@example.com") for token in tokens]
    assert ["Your order is kept" in answer for answer in answers] == [True, True, True, True, False]


def test_announcing_a_transfer_closes_the_page_of_a_link_that_is_still_open(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock, provider: FakeProvider
) -> None:
    token = opened(client, cast, is_signed=True)
    form = transfer_of(client, token)
    found = re.search(r'/pay/([^"]+)"', client.post(f"/help/{token}/choose/payment_link").text)
    assert found
    page = client.post(f"/pay/{found[1]}").headers["Location"]
    clock.forward(timedelta(minutes=11))
    answer = client.post(f"/help/{token}/transfer/announce", data=form)
    assert heading(answer) == "Your transfer is on its way"
    assert not provider.answer(page, "pay")
    assert heading(client.post(f"/pay/{found[1]}")) != "Paid. Thank you"
    with database.read() as session:
        assert session.scalars(sa.select(Attempt)).one().stage != "paid"


def test_while_the_counts_are_away_what_was_sent_is_counted_in_the_database(
    client: FlaskClient, database: Database, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> bool:
        raise ConnectionError

    monkeypatch.setattr(limiter.limiter, "hit", away)
    for number in range(6):
        form = {"email": "victim@example.com", "words": "x"}
        client.post(f"/help/{opened(client, cast, order=f'Z-{number}')}/report", data=form)
    assert owed(database) == (6, 8)


def test_a_sender_who_varies_the_address_is_counted_in_the_database_too(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "count_mail", lambda *_: None)
    with database.write() as session:
        for number in range(30):
            attempt = Cast.attempt(cast_in(session, cast), f"Z-{number}", is_signed=False)
            attempt.address = "sender"
            cast_in(session, cast).ticket(attempt, email=f"v{number}@example.com")
        assert not writing.may_be_sent(session, "sender", "new@example.com", clock.now)
        assert writing.may_be_sent(session, "another", "new@example.com", clock.now)
        assert writing.may_be_sent(session, "sender", "new@example.com", clock.now + timedelta(hours=2))


def cast_in(session: Any, cast: Cast) -> Cast:
    cast.session = session
    return cast


@pytest.mark.parametrize("paid", ["pi_1", None])
def test_who_paid_twice_is_written_to_and_not_who_knows_the_number(
    database: Database, cast: Cast, clock: Clock, paid: str | None
) -> None:
    with database.write() as session:
        shown = cast_in(session, cast)
        customer, stranger = (shown.attempt(is_signed=False) for _ in range(2))
        customer.payment = paid
        shown.ticket(customer, email="sam@example.com")
        shown.ticket(stranger, email="eve@example.com")
        order, shop = shown.order_of(customer), session.get_one(Shop, cast.shop.id)
        for payment in ("pi_1", "pi_2"):
            told = Told(payment, Source.PROVIDER, Money(124900, "ZAR"), payment=payment, provider="demo")
            payments.record(session, shop, order, told, PACE, clock.now)
        ticket = tickets.about(session, order, Topic.PAID_TWICE)
        assert ticket is not None
        assert ticket.email == ("sam@example.com" if paid else "")


@pytest.mark.parametrize("status", ["processing", "requires_capture"])
def test_a_transfer_that_was_sent_is_heard_of_whatever_else_is_known(
    client: FlaskClient, cast: Cast, clock: Clock, provider: FakeProvider, status: str
) -> None:
    token = opened(client, cast, is_signed=True)
    form = transfer_of(client, token)
    provider.status = status
    clock.forward(timedelta(seconds=10))
    answer = client.post(f"/help/{token}/transfer/announce", data=form)
    assert heading(answer) == "Your transfer is on its way"


def test_a_form_that_is_refused_leaves_the_screen_with_its_ways_out(client: FlaskClient, cast: Cast) -> None:
    token = opened(client, cast, is_signed=True)
    answer = client.post(f"/help/{token}/transfer/announce", data={"transfer": "99"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Reswap"]) == (409, "afterbegin")
    assert "belongs to another order" in answer.text
