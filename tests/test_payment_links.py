"""A payment link takes one order's amount once, on the provider's page, and never while other money may be moving."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, cashier, enquiry, links, orders, payments, signals
from widget import clock as widget_clock
from widget.attempts import Attempt, AttemptContext, Stage
from widget.audit import AuditRow
from widget.cashier import Ways
from widget.database import Database
from widget.errors import LinkExpired, Refused
from widget.links import PaymentLink, Purpose
from widget.money import Money
from widget.orders import Order
from widget.payments import Payment, Source, Told
from widget.providers import Bill, ChargeState, GivenUp, Hosted, Question
from widget.providers.demo import DemoProvider
from widget.shops import Shop
from widget.tokens import Purpose as TokenPurpose

ZAR = Money(124900, "ZAR")


@pytest.fixture
def cast(database: Database, provider: FakeProvider, clock: Clock) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


def make_link(
    database: Database, cast: Cast, attempt: Attempt | None = None, purpose: Purpose = Purpose.WHOLE, due: Any = None
) -> str:
    """The key of a link for order D-1001."""
    with database.write() as session:
        cast.session = session
        attempt = session.get_one(Attempt, attempt.id) if attempt else cast.attempt()
        order = orders.locked(session, cast.order().id)
        return links.link_for(session, cast.shop, attempt, order, widget_clock.now(), purpose, due).key


@pytest.fixture
def link(database: Database, cast: Cast) -> str:
    return make_link(database, cast)


def address(app: Flask, link: str) -> str:
    return f"/pay/{app.extensions['unjam'].tokens.sign(TokenPurpose.PAY, link)}"


def heading(answer: TestResponse) -> str:
    return answer.text.split("<h1>")[1].split("</h1>")[0].replace("<bdi>", "").replace("</bdi>", "")


def order_of(database: Database) -> Order:
    with database.read() as session:
        return session.scalars(sa.select(Order).filter_by(reference="D-1001", is_verified=True)).one()


def told_by_shop(database: Database, cast: Cast, money: Money = ZAR, payment: str = "pay_shop") -> None:
    with database.write() as session:
        shop, order = session.get_one(Shop, cast.shop.id), session.get_one(Order, order_of(database).id)
        told = Told(f"shop:{payment}", Source.SHOP, money, payment=payment)
        payments.record(session, shop, order, told, PACE, widget_clock.now())


def attempt_of(database: Database, link: str) -> int:
    with database.read() as session:
        return links.by_key(session, link).attempt_id


def look_at_everything(database: Database, clock: Clock) -> None:
    """As long as the worker has something to look at."""
    for _ in range(10):
        clock.forward(timedelta(minutes=2))
        while cashier.look_at_pages(database, PACE):
            pass


def test_a_link_pays_the_order_once(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, database: Database
) -> None:
    page = address(app, link)
    assert heading(client.get(page)) == "Pay order D-1001"
    assert provider.pages == {}
    onward = client.post(page)
    assert (onward.status_code, onward.location) == (303, f"{provider.url}/pay/pl_1")
    provider.answer(onward.location, "pay")
    assert heading(client.get(f"{page}/back")) == "We are asking whether your payment went through"
    assert order_of(database).paid_at is None
    assert heading(client.post(f"{page}/back")) == "Paid. Thank you"
    assert [heading(client.get(page)), heading(client.post(page))] == ["Paid. Thank you"] * 2
    assert [(each["order"], each["amount"]) for each in provider.taken] == [("D-1001", 124900)]
    with database.read() as session:
        told = session.scalars(sa.select(Payment)).all()
        assert [(each.source, each.payment, each.amount) for each in told] == [("link", "pay_pl_1", 124900)]


@pytest.fixture
def outlived(app: Flask, client: FlaskClient, link: str, database: Database, clock: Clock) -> tuple[str, str]:
    """The addresses of a link that has expired, and of its provider's page, which is still open."""
    page = address(app, link)
    hosted = client.post(page).location
    with database.write() as session:
        links.by_key(session, link).expires_at = clock.now
    clock.forward(timedelta(seconds=1))
    return page, hosted


def test_a_page_that_outlived_its_link_is_asked_before_anything_is_said(
    client: FlaskClient, outlived: tuple[str, str], provider: FakeProvider
) -> None:
    page, hosted = outlived
    provider.answer(hosted, "pay")
    opened = client.get(page)
    assert (opened.status_code, heading(opened)) == (200, "We are asking whether your payment went through")
    assert heading(client.post(f"{page}/back")) == "Paid. Thank you"


def test_a_page_that_outlived_its_link_and_took_nothing_is_closed(
    client: FlaskClient, outlived: tuple[str, str], provider: FakeProvider
) -> None:
    page, hosted = outlived
    client.get(page)
    assert "expired" in client.post(f"{page}/back").text
    assert not provider.answer(hosted, "pay")


def test_pressing_twice_and_two_tabs_lead_to_the_same_page(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider
) -> None:
    tabs = [address(app, link), address(app, link)]
    assert len({client.post(tab).location for tab in tabs for _ in range(2)}) == 1
    assert len(provider.pages) == 1


def test_pressing_twice_at_the_same_moment_shows_one_page(
    app: Flask, link: str, provider: FakeProvider, database: Database
) -> None:
    page, gate, shown = address(app, link), threading.Barrier(4), list[str]()

    def press() -> None:
        gate.wait()
        shown.append(app.test_client().post(page).location)

    presses = [threading.Thread(target=press) for _ in range(4)]
    for each in presses:
        each.start()
    for each in presses:
        each.join()
    assert len(set(shown)) == 1
    others = [page for page in provider.pages.values() if not shown[0].endswith(f"/{page['id']}")]
    assert all(page["is_closed"] for page in others)


def test_a_page_that_another_tab_opens_meanwhile_is_the_one_that_both_are_shown(
    link: str, provider: FakeProvider, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, other = DemoProvider.link, list[cashier.Taking]()

    def slowly(adapter: DemoProvider, bill: Bill) -> Hosted:
        monkeypatch.setattr(DemoProvider, "link", make)
        other.append(cashier.take(database, PACE, link, Ways("http://x/other", "http://x/other", "de")))
        return make(adapter, bill)

    monkeypatch.setattr(DemoProvider, "link", slowly)
    ours = cashier.take(database, PACE, link, Ways("http://x/ours", "http://x/ours", "en"))
    assert ours == other[0]
    assert [page["is_closed"] for page in provider.pages.values()] == [False, True]


def test_another_link_of_the_order_closes_the_page_that_is_open(
    app: Flask, client: FlaskClient, link: str, database: Database, cast: Cast, provider: FakeProvider
) -> None:
    first = client.post(address(app, link)).location
    second = client.post(address(app, make_link(database, cast))).location
    assert first != second
    assert not provider.answer(first, "pay")
    assert provider.answer(second, "pay")


def test_another_link_takes_nothing_when_the_open_page_was_paid_a_moment_ago(
    app: Flask, client: FlaskClient, link: str, database: Database, cast: Cast, provider: FakeProvider
) -> None:
    provider.answer(client.post(address(app, link)).location, "pay")
    other = client.post(address(app, make_link(database, cast)))
    assert heading(other) == "This order is already paid"
    assert len(provider.taken) == 1


@pytest.mark.parametrize("trouble", ["cannot_close", "processing"])
def test_another_link_waits_while_the_open_page_may_take_the_money(
    app: Flask, client: FlaskClient, link: str, database: Database, cast: Cast, provider: FakeProvider, trouble: str
) -> None:
    first = client.post(address(app, link)).location
    other = make_link(database, cast)
    provider.refuses_to_close = trouble == "cannot_close"
    if trouble == "processing":
        provider.answer(first, "process")
    answer = client.post(address(app, other))
    assert (answer.status_code, heading(answer)) == (409, "Please do not pay yet")
    assert len(provider.pages) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "You have not paid yet"),
        ("decline", "Your bank did not approve this payment"),
        ("process", "Please do not pay yet"),
        ("pay", "Paid. Thank you"),
    ],
)
def test_who_comes_back_is_told_what_the_provider_says(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, answer: str, said: str
) -> None:
    page = address(app, link)
    onward = client.post(page).location
    if answer:
        provider.answer(onward, answer)
    assert heading(client.post(f"{page}/back")) == said


def test_while_the_bank_works_on_it_nothing_asks_to_try_again(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, clock: Clock
) -> None:
    page = address(app, link)
    onward = client.post(page).location
    provider.answer(onward, "process")
    waiting = [client.post(f"{page}/back"), client.post(page)]
    assert all(f'action="{page}"' not in each.text for each in waiting)
    clock.forward(timedelta(hours=1))
    assert heading(client.post(page)) == "Please do not pay yet"
    provider.settle(onward, "succeeded")
    assert heading(client.post(f"{page}/back")) == "Paid. Thank you"


def test_the_order_is_kept_for_as_long_as_somebody_sees_the_bank_work_on_it(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, database: Database, clock: Clock
) -> None:
    page = address(app, link)
    provider.answer(client.post(page).location, "process")
    for _ in range(3):
        clock.forward(timedelta(minutes=9))
        client.post(f"{page}/back")
        assert orders.is_being_paid(order_of(database), clock.now + timedelta(minutes=9))


def test_a_provider_that_does_not_answer_afterwards_leaves_it_open_whether_money_moved(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider
) -> None:
    page = address(app, link)
    provider.answer(client.post(page).location, "pay")
    provider.answers_with = 500
    assert heading(client.post(f"{page}/back")) == "Please do not pay yet"
    assert heading(client.post(page)) == "Please do not pay yet"
    provider.answers_with = 200
    assert heading(client.post(f"{page}/back")) == "Paid. Thank you"


def test_a_page_that_could_not_be_made_took_nothing_and_can_be_asked_for_again(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, database: Database
) -> None:
    provider.fails_after_making = True
    answer = client.post(address(app, link))
    assert (answer.status_code, heading(answer)) == (502, "The payment page could not be opened")
    assert order_of(database).paying_link is None
    provider.fails_after_making = False
    client.post(address(app, link))
    assert len([page for page in provider.pages.values() if not page["is_closed"]]) == 1


def test_a_page_that_the_customer_leaves_is_closed_and_the_order_is_free(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, database: Database
) -> None:
    page = address(app, link)
    onward = client.post(page).location
    assert order_of(database).paying_link == link
    assert heading(client.post(f"{page}/leave")) == "Nothing was taken"
    assert order_of(database).paying_link is None
    assert not provider.answer(onward, "pay")
    assert client.post(page).location == f"{provider.url}/pay/pl_2"


def test_a_page_that_was_paid_before_it_was_left_is_paid(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider
) -> None:
    page = address(app, link)
    provider.answer(client.post(page).location, "pay")
    assert heading(client.post(f"{page}/leave")) in {"Paid. Thank you", "This order is already paid"}


def test_a_link_takes_nothing_while_an_earlier_payment_may_go_through(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "processing"
    answer = client.post(address(app, link))
    assert (answer.status_code, heading(answer)) == (409, "Please do not pay yet")
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(address(app, link))) == "This order is already paid"
    assert provider.pages == {}


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ("expired", 410, "This payment link has expired"),
        ("revoked", 410, "The shop has withdrawn this link"),
        ("amount", 410, "The order has changed"),
        ("currency", 410, "The order has changed"),
    ],
)
def test_a_link_that_is_over_says_why_and_is_noted(
    app: Flask, client: FlaskClient, link: str, database: Database, clock: Clock, change: str, status: int, reason: str
) -> None:
    page = address(app, link)
    if change == "expired":
        clock.forward(timedelta(hours=25))
    with database.write() as session:
        row = links.by_key(session, link)
        order = session.get_one(Order, row.order_id)
        if change == "revoked":
            links.revoke(row, clock.now)
        order.amount = 99900 if change == "amount" else order.amount
        order.currency = "EUR" if change == "currency" else order.currency
    answers = [client.get(page), client.post(page)]
    assert [answer.status_code for answer in answers] == [status] * 2
    assert all(reason in answer.text for answer in answers)
    assert all("Go to the checkout" in answer.text for answer in answers)
    with database.read() as session:
        assert {row.what for row in session.scalars(sa.select(AuditRow))} == {"link_refused"}


def test_an_order_that_was_paid_otherwise_closes_the_page_of_its_link(
    app: Flask, client: FlaskClient, link: str, database: Database, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    onward = client.post(address(app, link)).location
    told_by_shop(database, cast)
    assert heading(client.get(address(app, link))) == "This order is already paid"
    look_at_everything(database, clock)
    assert not provider.answer(onward, "pay")


def test_a_page_that_is_paid_although_the_order_was_paid_otherwise_is_not_lost(
    app: Flask, client: FlaskClient, link: str, database: Database, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    provider.answer(client.post(address(app, link)).location, "pay")
    told_by_shop(database, cast)
    look_at_everything(database, clock)
    with database.read() as session:
        assert {each.payment for each in session.scalars(sa.select(Payment))} == {"pay_shop", "pay_pl_1"}


def test_the_worker_learns_of_a_payment_whose_customer_never_came_back(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    provider.answer(client.post(address(app, link)).location, "pay")
    assert not cashier.look_at_pages(database, PACE)
    clock.forward(timedelta(seconds=31))
    assert cashier.look_at_pages(database, PACE)
    assert order_of(database).paid_at is not None


def test_the_worker_looks_more_and_more_rarely_and_then_no_more(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    client.post(address(app, link))
    looks = 0
    for _ in range(5 * 24 * 60):
        clock.forward(timedelta(minutes=1))
        looks += cashier.look_at_pages(database, PACE)
    assert 10 < looks < 120
    with database.read() as session:
        assert links.by_key(session, link).look_at is None


def test_no_other_way_is_handed_out_before_the_open_page_is_closed(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider
) -> None:
    onward = client.post(address(app, link)).location
    with database.read() as session:
        attempt_id = links.by_key(session, link).attempt_id
    provider.refuses_to_close = True
    assert not cashier.clear(database, PACE, attempt_id)
    provider.refuses_to_close = False
    assert cashier.clear(database, PACE, attempt_id)
    assert not provider.answer(onward, "pay")


@pytest.mark.parametrize("status", ["processing", "requires_capture"])
def test_a_closed_page_on_which_money_may_be_moving_keeps_the_order_until_the_provider_knows(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider, clock: Clock, status: str
) -> None:
    onward = client.post(address(app, link)).location
    provider.answer(onward, "process")
    provider.settle(onward, status)
    # The provider speaks of the shop's own payment only, as PayPal does.
    provider.speaks_of_pages = False
    attempt_id = attempt_of(database, link)
    for _ in range(4 * 24):
        clock.forward(timedelta(minutes=29))
        assert not cashier.clear(database, PACE, attempt_id)
        cashier.look_at_pages(database, PACE)
        assert orders.is_being_paid(order_of(database), clock.now + timedelta(hours=5))
    provider.settle(onward, "requires_payment_method")
    assert cashier.clear(database, PACE, attempt_id)
    assert not orders.is_being_paid(order_of(database), clock.now)


def test_money_that_arrives_days_after_its_page_has_closed_is_not_lost(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider, clock: Clock
) -> None:
    onward = client.post(address(app, link)).location
    provider.answer(onward, "process")
    for _ in range(3 * 24):
        clock.forward(timedelta(hours=1))
        cashier.look_at_pages(database, PACE)
    provider.settle(onward, "succeeded")
    clock.forward(timedelta(hours=7))
    cashier.look_at_pages(database, PACE)
    assert order_of(database).paid_at is not None


def test_what_the_bank_still_asks_to_confirm_is_closed_before_the_link_takes_the_money(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider
) -> None:
    provider.status = "requires_action"
    assert client.post(address(app, link)).status_code == 303
    assert (provider.status, provider.cancelled) == ("canceled", ["pay_0"])


@pytest.mark.parametrize("says", [{}, {"closed": "yes"}])
def test_a_link_takes_nothing_while_the_bank_asks_to_confirm_what_its_customer_alone_can_refuse(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, says: dict[str, str]
) -> None:
    provider.status, provider.refuses_to_cancel = "requires_action", True
    answer = client.post(address(app, link))
    assert (answer.status_code, heading(answer)) == (409, "Another payment is not finished yet")
    assert provider.pages == {}
    # Once they say that they will refuse it there, or it is over.
    provider.status = provider.status if says else "requires_payment_method"
    assert client.post(address(app, link), data=says).status_code == 303


def test_a_payment_that_is_confirmed_while_it_is_given_up_pays_the_order(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.status, give_up = "requires_action", DemoProvider.give_up

    def too_late(adapter: DemoProvider, question: Question) -> GivenUp:
        provider.status = "succeeded"
        return give_up(adapter, question)

    monkeypatch.setattr(DemoProvider, "give_up", too_late)
    assert heading(client.post(address(app, link))) == "This order is already paid"
    assert provider.pages == {}


def test_only_a_way_of_our_own_closes_what_the_customer_may_still_complete_in_the_shop(
    link: str, database: Database, provider: FakeProvider
) -> None:
    provider.status, attempt_id = "requires_action", attempt_of(database, link)
    enquiry.ask(database, PACE, attempt_id)
    assert cashier.clear(database, PACE, attempt_id)
    assert provider.status == "requires_action"
    # What its customer alone can refuse is no reason to close all other ways.
    provider.refuses_to_cancel = True
    assert cashier.clear(database, PACE, attempt_id, gives_up=True)
    assert provider.status == "requires_action"
    provider.refuses_to_cancel = False
    assert cashier.clear(database, PACE, attempt_id, gives_up=True)
    assert provider.status == "canceled"


def first_leg(database: Database, cast: Cast) -> Attempt:
    """The first of two legs went through; the second is the attempt that is returned."""
    with database.write() as session:
        cast.session = session
        order = cast.context()
        for leg, stage in ((1, Stage.PAID), (2, Stage.FAILED)):
            context = AttemptContext(key=key(), order=order, provider="demo", leg=leg, legs=2)
            attempt = attempts.open_for(session, session.get_one(Shop, cast.shop.id), context, widget_clock.now())
            attempts.reach(attempt, stage, 3)
        session.flush()
        return attempt


def test_a_link_for_the_rest_takes_exactly_the_rest_and_completes_the_order(
    app: Flask, client: FlaskClient, database: Database, cast: Cast, provider: FakeProvider
) -> None:
    rest = make_link(database, cast, first_leg(database, cast), Purpose.REST, Money(84900, "ZAR"))
    page = address(app, rest)
    assert "takes only the rest" in client.get(page).text
    onward = client.post(page).location
    provider.answer(onward, "pay")
    assert heading(client.post(f"{page}/back")) == "Paid. Thank you"
    assert [each["amount"] for each in provider.taken] == [84900]
    assert order_of(database).paid_at is not None


def test_a_link_for_the_difference_takes_what_a_too_small_payment_left(
    app: Flask, client: FlaskClient, database: Database, cast: Cast, provider: FakeProvider
) -> None:
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt(charge=ChargeState.CHARGED)
    told_by_shop(database, cast, Money(120000, "ZAR"), payment="pay_0")
    provider.status, provider.amount = "succeeded", 120000
    difference = make_link(database, cast, attempt, Purpose.DIFFERENCE, Money(4900, "ZAR"))
    onward = client.post(address(app, difference))
    assert onward.status_code == 303
    provider.answer(onward.location, "pay")
    assert heading(client.post(f"{address(app, difference)}/back")) == "Paid. Thank you"
    assert order_of(database).paid_at is not None


@pytest.mark.parametrize("due", [Money(4901, "ZAR"), Money(4900, "EUR"), ZAR])
def test_a_link_for_another_sum_than_is_missing_is_not_made(
    database: Database, cast: Cast, provider: FakeProvider, due: Money
) -> None:
    with database.write() as session:
        cast.session = session
        cast.attempt()
    told_by_shop(database, cast, Money(120000, "ZAR"))
    with pytest.raises(Refused):
        make_link(database, cast, None, Purpose.DIFFERENCE, due)


def test_a_link_for_the_whole_is_not_made_once_a_part_is_paid(database: Database, cast: Cast) -> None:
    with database.write() as session:
        cast.session = session
        cast.attempt()
    told_by_shop(database, cast, Money(120000, "ZAR"))
    with pytest.raises(Refused, match="Part of this order is paid"):
        make_link(database, cast)


def test_a_shop_without_a_provider_takes_the_money_on_its_own_page(
    app: Flask, client: FlaskClient, database: Database, clock: Clock
) -> None:
    template = "https://shop.example/pay?o={order}&a={amount}&c={currency}"
    with database.write() as session:
        cast = Cast(session, profile={"providers": {}, "link_template": template})
        attempt = cast.attempt("D/1&2", charge=ChargeState.NOT_CHARGED)
        order = cast.order_of(attempt)
        page = address(app, links.link_for(session, cast.shop, attempt, order, clock.now).key)
    with database.write() as session:
        signals.note(
            session, session.get_one(Attempt, attempt.id), "stage", clock.now, stage="started", seen_by="frame"
        )
    onward = client.post(page)
    assert onward.location == "https://shop.example/pay?o=D%2F1%262&a=1249.00&c=ZAR"


def test_a_shop_that_takes_no_links_offers_none(database: Database) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"providers": {"demo": {"url": "http://127.0.0.1:1", "links": False}}})
        assert not links.takes_links(cast.shop.settled, "demo")
        assert links.takes_links(cast.shop.settled.model_copy(update={"link_template": "https://x/{order}"}), "demo")


@pytest.mark.parametrize(
    ("configured", "provider", "chosen"),
    [
        ({"stripe": {}, "demo": {}}, "demo", "demo"),
        ({"stripe": {}, "demo": {}}, None, "stripe"),
        ({"stripe": {}, "demo": {"links": False}}, "demo", "stripe"),
        ({"shop": {}}, "shop", None),
        ({"klarna": {}}, "klarna", None),
        ({"shop": {"links": True}}, "shop", "shop"),
    ],
)
def test_which_provider_makes_the_page(
    database: Database, configured: dict[str, Any], provider: str | None, chosen: str | None
) -> None:
    with database.write() as session:
        profile = Cast(session).shop.settled.model_copy(update={"providers": configured})
    assert links.provider_for(profile, provider) == chosen


def test_a_link_of_a_deleted_order_is_over(database: Database, app: Flask, client: FlaskClient, cast: Cast) -> None:
    assert client.get(address(app, "gone")).status_code == 410
    with database.read() as session, pytest.raises(LinkExpired):
        links.by_key(session, "gone")


def test_looking_at_the_pages_in_any_way_but_by_pressing_changes_nothing(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider, database: Database
) -> None:
    page = address(app, link)
    for _ in range(3):
        client.get(page)
        client.get(f"{page}/back")
    assert provider.pages == {}
    provider.answer(client.post(page).location, "pay")
    client.get(f"{page}/back")
    assert order_of(database).paid_at is None


def test_the_page_of_the_provider_may_be_anywhere_but_nothing_else_may(
    app: Flask, client: FlaskClient, link: str, provider: FakeProvider
) -> None:
    policy = client.get(address(app, link)).headers["Content-Security-Policy"]
    assert "form-action 'self' https: http:;" in policy
    assert "default-src 'none'" in policy


def test_the_row_of_a_link_says_which_page_it_opened(
    app: Flask, client: FlaskClient, link: str, database: Database, provider: FakeProvider
) -> None:
    client.post(address(app, link))
    with database.read() as session:
        row: PaymentLink = links.by_key(session, link)
        assert (row.provider, row.hosted_id, row.hosted_url) == ("demo", "pl_1", f"{provider.url}/pay/pl_1")
