"""Bank transfers on the desk: an agent finds the order of a reference, and records its money once."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient

from tests.browsers import OpenPage
from tests.cast import PASSWORD, Cast
from tests.conftest import Clock
from tests.test_desk import HTMX, Desk, field, signed_in
from widget import clock as time
from widget import ledger, tickets, transfers
from widget.database import Database
from widget.money import Money
from widget.orders import Order
from widget.payments import Payment, Source
from widget.tickets import Status, Ticket, Topic
from widget.transfers import Transfer, references

LIST = "/desk/transfers"
ARRIVED = "The money has arrived"


class Teller:
    """A desk whose ticket's order has a bank transfer that the customer announced."""

    def __init__(self, client: FlaskClient, database: Database) -> None:
        self.desk, self.database = Desk(client, database), database
        with database.write() as session:
            self.order = session.scalars(sa.select(Order)).one()
            attempt = tickets.attempt_of(session, self.desk.ticket)
            given = transfers.open_for(session, attempt, self.order, "eft", self.order.due, time.now())
            self.transfer = transfers.announce(session, self.order, given.id, time.now())
        self.press = f"{LIST}/{self.transfer.id}/received"
        self.press_in_pane = f"{self.desk.path}/transfers/{self.transfer.id}/received"
        self.reference = self.transfer.reference

    def rows(self, model: type[Any]) -> list[Any]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(model).order_by(model.id)))

    def shown(self, text: str = "") -> str:
        return self.desk.client.get(LIST, query_string={"q": text} if text else {}).text


@pytest.fixture
def teller(client: FlaskClient, database: Database) -> Teller:
    made = Teller(client, database)
    assert made.desk.sign_in().status_code == 303
    return made


def agent_beside(app: Flask, email: str) -> FlaskClient:
    client = app.test_client()
    form = {"email": email, "password": PASSWORD}
    client.post("/desk/login", data=form | {"csrf_token": field(client.get("/desk/login").text, "csrf_token")})
    return client


@pytest.fixture
def stranger(app: Flask, teller: Teller) -> FlaskClient:
    with teller.database.write() as session:
        Cast(session, site="other", origin="http://127.0.0.1:8009").agent("stranger@example.com")
    return agent_beside(app, "stranger@example.com")


def test_the_ticket_shows_the_transfer_and_since_when_it_is_announced(clock: Clock, teller: Teller) -> None:
    clock.forward(timedelta(hours=3))
    page = teller.desk.client.get(teller.desk.path).text
    section = page[page.index("transfers-title") : page.index("talk-title")]
    for said in ("EFT", transfers.shown_reference(teller.reference), "1,249.00", "they sent it", "3 h ago", ARRIVED):
        assert said in section


def test_the_money_that_has_arrived_pays_the_order_and_resolves_the_ticket(teller: Teller) -> None:
    answer = teller.desk.post(teller.press_in_pane, headers=HTMX)
    (paid,), (order,), (given,) = teller.rows(Payment), teller.rows(Order), teller.rows(Transfer)
    assert (paid.source, paid.method, paid.amount) == (Source.SHOP, "transfer", given.amount)
    assert (paid.key, paid.payment) == (f"transfer:{teller.reference}",) * 2
    assert order.paid_at is not None
    assert given.received_at is not None
    assert teller.desk.now().status == Status.RESOLVED
    assert "Order D-1001 is paid." in answer.text
    assert ARRIVED not in answer.text
    assert any("Ada recorded that the bank transfer" in each.body for each in teller.desk.messages())


def test_pressed_again_on_either_page_nothing_more_is_recorded(teller: Teller) -> None:
    teller.desk.post(teller.press_in_pane)
    teller.desk.post(teller.press, page=teller.desk.path)
    said = teller.desk.client.get(LIST).text
    assert "This transfer was recorded before. Nothing has changed." in said
    assert len(teller.rows(Payment)) == 1


def test_two_agents_at_once_record_it_once(app: Flask, teller: Teller) -> None:
    with teller.database.write() as session:
        teller.desk.cast.session = session
        teller.desk.cast.agent("second@example.com")
    clients = [teller.desk.client, agent_beside(app, "second@example.com")]
    tokens = [field(each.get(teller.desk.path).text, "csrf_token") for each in clients]
    start, statuses = threading.Barrier(2), list[int]()

    def press(client: FlaskClient, token: str) -> None:
        start.wait()
        statuses.append(client.post(teller.press, data={"csrf_token": token}).status_code)

    threads = [threading.Thread(target=press, args=pair) for pair in zip(clients, tokens, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert statuses == [303, 303]
    assert len(teller.rows(Payment)) == 1
    assert len(teller.rows(Ticket)) == 1


def test_the_shops_server_that_told_of_it_too_makes_no_second_payment(teller: Teller) -> None:
    teller.desk.post(teller.press_in_pane)
    headers = {"Authorization": f"Bearer {teller.desk.cast.api_key}", "Idempotency-Key": "statement-1"}
    told = {"reference": teller.reference, "amount": teller.transfer.amount, "currency": "ZAR"}
    assert teller.desk.client.post("/api/v1/payments", json=told, headers=headers).status_code == 201
    assert [each.topic for each in teller.rows(Ticket)] == [None]


@pytest.mark.parametrize("bookings", [[None], ["b-1"], ["b-1", "b-1"]])
def test_what_the_bank_has_booked_replaces_what_the_agent_typed(teller: Teller, bookings: list[str | None]) -> None:
    teller.desk.post(teller.press_in_pane)
    for number, booking in enumerate(bookings):
        told = {"reference": teller.reference, "amount": 124850, "currency": "ZAR", "payment": booking}
        headers = {"Authorization": f"Bearer {teller.desk.cast.api_key}", "Idempotency-Key": f"statement-{number}"}
        assert teller.desk.client.post("/api/v1/payments", json=told, headers=headers).status_code == 201

    with teller.database.read() as session:
        order = session.scalars(sa.select(Order)).one()
        balance = ledger.balance(session, order)
        assert (balance.total, balance.excess, order.paid_at is not None) == (124850, None, True)
    assert [each.topic for each in teller.rows(Ticket)] == [None]
    assert "recorded here by hand as ZAR1,249.00. What your server tells counts." in teller.desk.messages()[-1].body


def test_a_second_booking_after_the_agent_s_is_a_payment_too_many(teller: Teller) -> None:
    teller.desk.post(teller.press_in_pane)
    for number in range(2):
        told = {"reference": teller.reference, "amount": 124900, "currency": "ZAR", "payment": f"b-{number}"}
        headers = {"Authorization": f"Bearer {teller.desk.cast.api_key}", "Idempotency-Key": f"statement-{number}"}
        assert teller.desk.client.post("/api/v1/payments", json=told, headers=headers).status_code == 201

    assert [each.topic for each in teller.rows(Ticket)] == [None, Topic.REFUND]


def test_money_for_an_order_that_was_paid_meanwhile_is_a_second_payment(teller: Teller) -> None:
    headers = {"Authorization": f"Bearer {teller.desk.cast.api_key}", "Idempotency-Key": "card-1"}
    told = {"order": "D-1001", "amount": 124900, "currency": "ZAR", "payment": "pay_1", "provider": "demo"}
    teller.desk.client.post("/api/v1/payments", json=told, headers=headers)
    assert "This would be a second payment" in teller.shown()
    teller.desk.post(teller.press, page=teller.desk.path)
    assert Topic.PAID_TWICE in [each.topic for each in teller.rows(Ticket)]


@pytest.mark.parametrize(
    "written",
    [
        "{0}",
        "{1} {2}",
        "SVWZ+ {1}-{2} Sam",
        "{rf}",
        "order d-1001 ref. {1} {2} thank you",
        "{qr}",
    ],
)
def test_a_reference_finds_the_order_however_the_bank_writes_it(teller: Teller, written: str) -> None:
    known = teller.reference
    spelling = written.format(
        known,
        known[:5],
        known[5:],
        rf=references.as_creditor_reference(known),
        qr=references.as_qr_reference(known),
    )
    page = teller.shown(spelling)
    assert "Order D-1001" in page
    assert teller.desk.ticket.reference in page


def test_a_reference_of_no_transfer_says_so(teller: Teller) -> None:
    assert "No transfer has this reference" in teller.shown("12345 67890")


def test_what_is_on_its_way_is_listed_and_counted_until_it_arrives(teller: Teller) -> None:
    assert "Order D-1001" in teller.shown()
    teller.desk.post(teller.press, page=LIST)
    assert "Nothing is on its way" in teller.shown()
    assert "Order D-1001" in teller.shown(teller.reference)


def test_without_the_forms_token_nothing_is_recorded(teller: Teller) -> None:
    for path in (teller.press, teller.press_in_pane):
        assert teller.desk.client.post(path).status_code == 400
    assert teller.rows(Payment) == []


def test_an_agent_of_another_shop_finds_and_records_nothing(teller: Teller, stranger: FlaskClient) -> None:
    page = stranger.get(LIST, query_string={"q": teller.reference}).text
    assert "D-1001" not in page
    token = field(page, "csrf_token")
    for path in (teller.press, teller.press_in_pane):
        assert stranger.post(path, data={"csrf_token": token}).status_code == 404
    assert teller.rows(Payment) == []


def test_a_transfer_of_another_order_is_not_recorded_on_this_ticket(teller: Teller) -> None:
    with teller.database.write() as session:
        teller.desk.cast.session = session
        other = teller.desk.cast.ticket(teller.desk.cast.attempt("D-2002"), email="kim@example.com")
    path = f"/desk/tickets/{other.reference}/transfers/{teller.transfer.id}/received"
    assert teller.desk.post(path).status_code == 404
    assert teller.rows(Payment) == []


def test_an_order_that_the_shop_did_not_sign_is_marked(teller: Teller) -> None:
    with teller.database.write() as session:
        teller.desk.cast.session = session
        attempt = teller.desk.cast.attempt("D-3003", is_signed=False)
        order = teller.desk.cast.order_of(attempt)
        given = transfers.open_for(session, attempt, order, "eft", Money(100, "ZAR"), time.now())
    assert "Not signed by the shop" in teller.shown(given.reference)
    assert "Not signed by the shop" not in teller.shown(teller.reference)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_the_pages_are_accessible_and_fit_the_window(
    open_page: OpenPage, address: str, client: FlaskClient, database: Database, width: int, scheme: str
) -> None:
    teller = Teller(client, database)
    page = signed_in(open_page(viewport={"width": width, "height": 900}, color_scheme=scheme), address)
    for path in (teller.desk.path, LIST, f"{LIST}?q={teller.reference}", f"{LIST}?q=nothing"):
        page.goto(address + path)
        assert Axe().run(page).response["violations"] == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_one_press_without_javascript_records_it(
    open_page: OpenPage, address: str, client: FlaskClient, database: Database
) -> None:
    teller = Teller(client, database)
    page = signed_in(open_page(java_script_enabled=False), address)
    page.goto(address + LIST)
    page.get_by_role("button", name=re.compile(ARRIVED)).click()
    assert page.is_visible("text=Recorded. Order D-1001 is paid.")
    assert len(teller.rows(Payment)) == 1
