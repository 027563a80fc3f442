"""What is tried and refused leaves a row that says where and why, but holds no link, no address and no person."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from limits import parse as parse_limit

from tests.cast import Cast
from tests.conftest import Clock
from widget import audit, guard
from widget.audit import AuditRow
from widget.database import Database
from widget.web import refusals


def rows(database: Database) -> list[AuditRow]:
    with database.read() as session:
        return audit.latest(session, limit=10_000)


def test_a_row_says_what_where_and_when(database: Database, clock: Clock) -> None:
    with database.write() as session:
        shop = Cast(session).shop
        audit.note(session, "link_refused", "pay", shop_id=shop.id, address="a" * 32, now=clock.now, reason="expired")
    [row] = rows(database)
    assert (row.what, row.about, row.address, row.detail) == ("link_refused", "pay", "a" * 32, {"reason": "expired"})
    assert (row.shop_id, row.at) == (shop.id, clock.now)


def test_card_numbers_and_what_no_column_holds_are_left_out(database: Database, clock: Clock) -> None:
    with database.write() as session:
        audit.note(
            session,
            "x" * 100,
            "4111 1111 1111 1111\x00",
            shop_id=None,
            address=None,
            now=clock.now,
            said="4111111111111111",
        )
    [row] = rows(database)
    assert "4111" not in row.about + str(row.detail)
    assert len(row.what) == 64


def test_the_latest_come_first_and_of_one_shop_only_its_own(database: Database, clock: Clock) -> None:
    with database.write() as session:
        one, other = Cast(session).shop, Cast(session, site="other").shop
        for number, shop in enumerate([one, other, one]):
            audit.note(session, "tried", str(number), shop_id=shop.id, address=None, now=clock.now)
            clock.forward(timedelta(seconds=1))
    with database.read() as session:
        assert [row.about for row in audit.latest(session, one.id)] == ["2", "0"]
        assert [row.about for row in audit.latest(session, limit=2)] == ["2", "1"]


def test_rows_are_forgotten_after_more_than_a_year(database: Database, clock: Clock) -> None:
    with database.write() as session:
        audit.note(session, "tried", "it", shop_id=None, address=None, now=clock.now)
        guard.tidy(session, clock.now + timedelta(days=399))
        assert len(audit.latest(session)) == 1
        guard.tidy(session, clock.now + timedelta(days=401))
        assert audit.latest(session) == []


def test_an_address_is_kept_as_its_keyed_hash(client: FlaskClient, database: Database) -> None:
    client.get("/help/nonsense", environ_overrides={"REMOTE_ADDR": "203.0.113.7"})
    [row] = rows(database)
    key = client.application.extensions["unjam"].settings.signing_key
    assert row.address == guard.hash_of(key, "203.0.113.7")


def test_one_address_cannot_flood_the_audit(client: FlaskClient, database: Database) -> None:
    for number in range(30):
        answer = client.get(f"/help/nonsense{number}")
        assert answer.status_code == 404
    assert len(rows(database)) == 20


def test_many_addresses_cannot_flood_it_either(app: Flask, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "NOTED_IN_ALL", parse_limit("5/hour"))
    for number in range(9):
        with app.test_request_context("/", environ_base={"REMOTE_ADDR": f"203.0.113.{number}"}):
            refusals.note("link_refused", "pay")
    assert len(rows(database)) == 5


def test_a_page_is_answered_though_the_audit_cannot_be_written(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("DROP TABLE audit_rows"))
    assert client.get("/help/nonsense").status_code == 404
