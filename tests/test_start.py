"""Help without JavaScript: the shopper tells what happened in a form, and goes on to the help of that attempt."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import expect
from werkzeug.test import TestResponse

from tests.browsers import OpenPage
from tests.cast import Cast
from tests.conftest import Clock
from tests.test_pages import LOOKS, check
from widget import clock as widget_clock
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.orders import Order
from widget.shops import change
from widget.signals import Signal
from widget.stalls import SeenBy, Stall
from widget.tickets import Ticket
from widget.web.start import HAPPENINGS, _minor


@pytest.fixture
def cast(database: Database) -> Cast:
    with database.write() as session:
        return Cast(session)


def nonce_of(answer: TestResponse) -> str:
    return unescape(re.findall(r'name="form" value="([^"]+)"', answer.text)[0])


def send(client: FlaskClient, nonce: str | None = None, **said: str) -> TestResponse:
    fields = {"form": nonce or nonce_of(client.get("/start/demo")), "happened": "endless"} | said
    return client.post("/start/demo", data=fields)


def link(cast: Cast, **other: Any) -> dict[str, Any]:
    return cast.context().model_dump() | other


def attempts_in(database: Database) -> list[Attempt]:
    with database.read() as session:
        return list(session.scalars(sa.select(Attempt).order_by(Attempt.id)))


def orders_in(database: Database) -> list[tuple[str, bool, int, str]]:
    with database.read() as session:
        rows = session.scalars(sa.select(Order).order_by(Order.id))
        return [(row.reference, row.is_verified, row.amount, row.currency) for row in rows]


@pytest.mark.parametrize("happened", HAPPENINGS)
def test_what_the_shopper_says_becomes_a_stall_and_leads_to_its_help(
    client: FlaskClient, cast: Cast, database: Database, happened: str
) -> None:
    answer = send(client, happened=happened)

    assert (answer.status_code, answer.location[:6]) == (303, "/help/")
    with database.read() as session:
        stall = session.scalars(sa.select(Stall)).one()
    told = HAPPENINGS[happened]
    assert (stall.kind, stall.stage, stall.seen_by) == (told.kind, told.stage, SeenBy.SHOPPER)
    assert "charged" in client.get(answer.location).text


@pytest.mark.parametrize("happened", HAPPENINGS)
def test_nobody_is_told_not_charged_while_nobody_could_be_asked(
    client: FlaskClient, database: Database, happened: str
) -> None:
    with database.write() as session:
        Cast(session, profile={"providers": {}})
    told = client.get(send(client, happened=happened, order="D-5", price="5", currency="ZAR").location).text

    assert "We do not know yet if you were charged" in told
    assert "provider confirms" not in told


def test_the_signed_link_of_the_shop_opens_the_verified_order(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    shown = client.get("/start/demo", query_string=link(cast))
    assert 'type="text"' not in shown.text
    assert ">D-1001<" in shown.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown.text))

    answer = client.post("/start/demo", data={name: unescape(fields[name]) for name in fields} | {"happened": "bank"})

    assert answer.status_code == 303
    assert orders_in(database) == [("D-1001", True, 124900, "ZAR")]


def test_a_changed_amount_makes_the_link_unverified(client: FlaskClient, cast: Cast, database: Database) -> None:
    send(client, **{name: str(value) for name, value in link(cast, amount=100).items()})

    assert orders_in(database) == [("D-1001", False, 100, "ZAR")]


def test_who_types_only_a_known_number_is_told_nothing_personal(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    with database.write() as session:
        cast.session = session
        cast.attempt()
    answer = send(client, order="D-1001", price="1", currency="ZAR")

    told = client.get(answer.location).text + client.post(answer.location + "/choose/report").text

    assert "sam@example.com" not in told
    assert "249" not in told
    assert "You have not been charged" not in told


def test_an_order_without_an_amount_is_named_to_the_agent(client: FlaskClient, cast: Cast, database: Database) -> None:
    send(client, order="D-77")

    assert orders_in(database) == []
    with database.read() as session:
        assert session.scalars(sa.select(Signal).filter_by(name="named")).one().data == {"order": "D-77"}


def test_who_has_neither_order_nor_ticket_has_a_code_to_read_out(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    address = send(client).location
    person = client.post(f"{address}/choose/person").text
    key = attempts_in(database)[0].key.upper()

    assert f'<bdi dir="ltr">{key[:4]}-{key[4:8]}</bdi>' in person
    with_order = client.post(f"{send(client, **link(cast)).location}/choose/person").text
    assert "D-1001" in with_order
    assert not re.search(r'<bdi dir="ltr">[0-9A-F]{4}-', with_order)


def test_sent_twice_it_is_one_attempt(client: FlaskClient, cast: Cast, database: Database) -> None:
    nonce = nonce_of(client.get("/start/demo"))
    first, second = send(client, nonce), send(client, nonce, happened="error")

    assert (first.status_code, second.status_code) == (303, 303)
    with database.read() as session:
        assert len(session.scalars(sa.select(Attempt)).all()) == len(session.scalars(sa.select(Stall)).all()) == 1


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"happened": ""}, "Choose what happened."),
        ({"happened": "hacked"}, "Choose what happened."),
        ({"order": "4242 4242 4242 4242"}, "This looks like a card number."),
        ({"order": "a\nb"}, "in one line"),
        ({"price": "lots", "currency": "EUR"}, "Enter the amount in figures"),
        ({"price": "5", "currency": "XXY"}, "three letters"),
    ],
)
def test_a_mistake_is_said_beside_its_field_and_the_answers_stay(
    client: FlaskClient, cast: Cast, database: Database, said: dict[str, str], complaint: str
) -> None:
    answer = send(client, **{"order": "D-5", "price": "12.50", "currency": "eur"} | said)

    assert answer.status_code == 422
    assert answer.text.count(complaint) == 2
    assert 'value="EUR"' in answer.text or "currency" in said
    assert attempts_in(database) == []


def test_a_form_that_was_open_for_too_long_keeps_its_answers_and_works_again(
    client: FlaskClient, cast: Cast, clock: Clock
) -> None:
    nonce = nonce_of(client.get("/start/demo"))
    clock.forward(timedelta(hours=13))
    answer = send(client, nonce, order="D-5")

    assert answer.status_code == 422
    assert "open for too long" in answer.text
    assert 'value="D-5"' in answer.text
    assert send(client, nonce_of(answer), order="D-5").status_code == 303


def test_a_form_of_another_shop_opens_nothing(client: FlaskClient, cast: Cast, database: Database) -> None:
    with database.write() as session:
        Cast(session, site="other")
    assert send(client, nonce_of(client.get("/start/other"))).status_code == 422


@pytest.mark.parametrize("site", ["nobody", "demo"])
def test_an_unknown_or_disabled_shop_gets_a_page_with_a_way_on(
    client: FlaskClient, cast: Cast, database: Database, site: str
) -> None:
    with database.write() as session:
        change(session.merge(cast.shop), name=None, profile={}, disable=True, now=widget_clock.now())
    for answer in (client.get(f"/start/{site}"), client.post(f"/start/{site}", data={"happened": "error"})):
        assert answer.status_code == 404
        assert "Ask the shop" in answer.text
        assert "Karoo" not in answer.text


def test_one_address_cannot_open_attempts_without_end(client: FlaskClient, cast: Cast, app: Flask) -> None:
    nonce = nonce_of(client.get("/start/demo"))

    assert {send(client, nonce).status_code for _ in range(62)} == {303, 429}


def test_looking_changes_nothing(client: FlaskClient, cast: Cast, database: Database) -> None:
    client.get("/start/demo", query_string=link(cast))

    assert attempts_in(database) == []
    assert orders_in(database) == []


def test_nobody_waits_for_the_page_that_the_shopper_came_from(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    send(client)

    assert [attempt.stage for attempt in attempts_in(database)] == [Stage.LEFT]


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("49.90", "EUR", 4990),
        ("1 249,50", "ZAR", 124950),
        ("1.249,5", "EUR", 124950),
        ("1,249", "USD", 124900),
        ("500", "JPY", 500),
        ("5.50", "JPY", None),
        ("0", "EUR", None),
        ("-5", "EUR", None),
        ("5.", "EUR", 500),
        ("1.249", "BHD", 1249),
        ("1e5", "EUR", None),
        ("9" * 19, "EUR", None),
        ("5", "EURO", None),
        ("", "EUR", None),
    ],
)
def test_amounts_as_people_write_them(price: str, currency: str, minor: int | None) -> None:
    assert _minor(price, currency) == minor


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("look", LOOKS)
def test_the_form_can_be_read_and_used_by_everybody(
    open_page: OpenPage, address: str, cast: Cast, tmp_path: Path, look: dict[str, Any]
) -> None:
    page = open_page(**look)
    page.goto(f"{address}/start/demo")
    check(page, "empty", tmp_path)
    page.get_by_label("Amount").fill("lots")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter the amount in figures")
    check(page, "mistakes", tmp_path)
    page.goto(f"{address}/start/nobody")
    check(page, "nobody", tmp_path)


def test_without_javascript_a_shopper_gets_from_the_link_to_a_report(
    open_page: OpenPage, address: str, cast: Cast, database: Database
) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 375, "height": 740})
    page.goto(f"{address}/start/demo?{urlencode(link(cast))}")
    page.get_by_label("I pressed Pay and it does not finish").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Report").click()
    page.get_by_role("button", name="Send the report").click()

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket)).one()
        assert (ticket.attempt_id, ticket.email) == (session.scalars(sa.select(Attempt.id)).one(), "sam@example.com")
