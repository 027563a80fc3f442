"""Forged, changed, expired, swapped and used links: each meets a clear page, leaves an audit row and leaks nothing."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from tests.cast import ORIGIN, PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import attempts, audit, digest, guard, handovers, links, orders
from widget.attempts import Attempt, AttemptContext
from widget.beacons import Beacon
from widget.database import Database
from widget.guard import Sighting
from widget.money import Money
from widget.orders import OrderContext
from widget.providers import Answer, ChargeState, Question
from widget.providers.demo import DemoProvider
from widget.settings import Settings
from widget.tokens import LIFETIMES, Purpose, Tokens
from widget.web.app import create_app

PURPOSES = {purpose.value: purpose for purpose in Purpose}


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


@pytest.fixture
def tokens(app: Flask) -> Tokens:
    found: Tokens = app.extensions["unjam"].tokens
    return found


@pytest.fixture
def subjects(database: Database, cast: Cast, clock: Clock) -> dict[Purpose, Any]:
    """What a good link of each purpose is about."""
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        ticket = cast.ticket(attempt)
        link = links.link_for(session, cast.shop, attempt, cast.order_of(attempt), clock.now)
        hand_over = handovers.open_for(session, attempt, clock.now)
        return {
            Purpose.HELP: attempt.id,
            Purpose.STATUS: ticket.id,
            Purpose.RATE: ticket.id,
            Purpose.AGAIN: ticket.id,
            Purpose.PAY: link.key,
            Purpose.CONTINUE: hand_over.key,
        }


def signed_routes() -> list[tuple[str, str]]:
    """Every way to use a signed link, from the routes themselves, so that a new one is tried here too."""
    app = create_app_for_routes()
    found = []
    for rule in app.url_map.iter_rules():
        if "<token>" in rule.rule:
            path = re.sub(r"<(?!token)[^>]+>", "report", rule.rule)
            found += [(method, path) for method in sorted((rule.methods or set()) & {"GET", "POST"})]
    return sorted(set(found))


def create_app_for_routes() -> Flask:
    return create_app(Settings(environment="test", database_url="sqlite://"), object())  # type: ignore[arg-type]


ROUTES = signed_routes()
IDS = [f"{method} {path}" for method, path in ROUTES]


def purpose_of(path: str) -> Purpose:
    return PURPOSES[path.split("/")[1]]


def ask(client: FlaskClient, method: str, path: str, token: str) -> TestResponse:
    return client.open(path.replace("<token>", token), method=method)


def words(answer: TestResponse, *without: str) -> str:
    text = re.sub(r"\s+", " ", answer.text)
    for each in without:
        text = text.replace(each, "")
    return text


def noted(database: Database) -> list[tuple[str, str, dict[str, Any]]]:
    with database.read() as session:
        return [(row.what, row.about, row.detail) for row in audit.latest(session)]


def changed(token: str) -> str:
    return ("A" if token[0] != "A" else "B") + token[1:]


def test_every_purpose_of_a_page_is_tried() -> None:
    assert {purpose_of(path) for _, path in ROUTES} == set(Purpose) - {Purpose.FRAME, Purpose.FORM}


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=IDS)
def test_a_forged_a_changed_and_a_swapped_link_meet_the_same_page(
    client: FlaskClient, database: Database, tokens: Tokens, subjects: dict[Purpose, Any], method: str, path: str
) -> None:
    purpose = purpose_of(path)
    other = next(each for each in Purpose if each not in {purpose, Purpose.FRAME})
    forged = URLSafeTimedSerializer("a key of the forger's", salt=f"unjam.{purpose.value}.1").dumps(subjects[purpose])
    tried = [
        "nonsense",
        forged,
        changed(tokens.sign(purpose, subjects[purpose])),
        tokens.sign(other, subjects[purpose]),
    ]
    answers = [ask(client, method, path, token) for token in tried]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert len({words(answer, token) for answer, token in zip(answers, tried, strict=True)}) == 1
    assert "This link does not work" in answers[0].text
    page = purpose.value
    assert noted(database) == [
        ("link_refused", page, {"reason": "wrong_purpose", "made_for": other.value}),
        ("link_refused", page, {"reason": "changed"}),
        ("link_refused", page, {"reason": "changed"}),
        ("link_refused", page, {"reason": "forged"}),
    ]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=IDS)
def test_a_link_of_which_nothing_is_left_says_no_more_than_a_forged_one_did(
    client: FlaskClient, tokens: Tokens, cast: Cast, method: str, path: str
) -> None:
    gone: Any = 10**9 if purpose_of(path) not in {Purpose.PAY, Purpose.CONTINUE} else "never-made"
    answer = ask(client, method, path, tokens.sign(purpose_of(path), gone))
    assert answer.status_code in {404, 410}
    assert "D-1001" not in answer.text


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=IDS)
def test_an_expired_link_says_that_it_has_expired_and_tells_nothing_else(
    client: FlaskClient,
    database: Database,
    tokens: Tokens,
    subjects: dict[Purpose, Any],
    clock: Clock,
    method: str,
    path: str,
) -> None:
    token = tokens.sign(purpose_of(path), subjects[purpose_of(path)])
    clock.forward(LIFETIMES[purpose_of(path)] + timedelta(minutes=1))
    answer = ask(client, method, path, token)
    assert answer.status_code == 410
    assert "This link has expired" in answer.text
    assert "D-1001" not in answer.text
    assert noted(database) == [("link_refused", purpose_of(path).value, {"reason": "expired"})]


def test_no_audit_row_holds_a_link(
    client: FlaskClient, database: Database, tokens: Tokens, subjects: dict[Purpose, Any]
) -> None:
    token = tokens.sign(Purpose.STATUS, subjects[Purpose.STATUS])
    ask(client, "GET", "/help/<token>", token)
    ask(client, "GET", "/status/<token>", changed(token))
    with database.read() as session:
        kept = str([vars(row) for row in audit.latest(session)])
    assert token not in kept
    assert token.rsplit(".", 1)[1] not in kept


def test_a_link_of_one_shop_shows_nothing_of_another(client: FlaskClient, database: Database, tokens: Tokens) -> None:
    with database.write() as session:
        cast, other = Cast(session), Cast(session, site="other", origin="http://127.0.0.1:8002")
        cast.attempt()
        token = tokens.sign(Purpose.STATUS, other.ticket(other.attempt("O-7")).id)
    text = client.get(f"/status/{token}").text
    assert "O-7" in text
    assert "D-1001" not in text


def test_a_frame_of_one_shop_cannot_report_for_another(
    client: FlaskClient, database: Database, tokens: Tokens, cast: Cast
) -> None:
    with database.write() as session:
        Cast(session, site="other", origin="http://127.0.0.1:8002")
    body = {"v": 1, "id": key(), "site": "demo", "attempt": {"key": key()}, "signals": []}
    for site, status in (("demo", 204), ("other", 403)):
        token = tokens.sign(Purpose.FRAME, site)
        answer = client.post("/api/v1/beacons", query_string={"frame": token}, json=body, headers={"Origin": "null"})
        assert answer.status_code == status


@pytest.mark.parametrize("change", [{"amount": 99900}, {"currency": "EUR"}])
def test_a_payment_link_takes_nothing_once_amount_or_currency_changed(
    client: FlaskClient,
    database: Database,
    tokens: Tokens,
    subjects: dict[Purpose, Any],
    provider: FakeProvider,
    change: dict[str, Any],
) -> None:
    with database.write() as session:
        order = session.scalars(sa.select(orders.Order).filter_by(is_verified=True)).one()
        for name, value in change.items():
            setattr(order, name, value)
    address = f"/pay/{tokens.sign(Purpose.PAY, subjects[Purpose.PAY])}"
    answers = [client.get(address), client.post(address)]
    assert [answer.status_code for answer in answers] == [410, 410]
    assert "The order has changed" in answers[0].text
    assert provider.taken == []


def test_a_used_payment_link_says_so_and_takes_nothing_again(
    client: FlaskClient, database: Database, tokens: Tokens, subjects: dict[Purpose, Any], clock: Clock
) -> None:
    with database.write() as session:
        order = session.scalars(sa.select(orders.Order).filter_by(is_verified=True)).one()
        links.finish_paying(links.by_key(session, subjects[Purpose.PAY]), order, "pay_1", clock.now)
        orders.settle(session, order, clock.now)
    address = f"/pay/{tokens.sign(Purpose.PAY, subjects[Purpose.PAY])}"
    assert [answer.status_code for answer in (client.get(address), client.post(address))] == [200, 200]
    assert "paid" in client.get(address).text


@pytest.fixture
def statements(database: Database) -> Iterator[Callable[[], int]]:
    """How many statements were run since this was last asked."""
    seen: list[str] = []
    listener = lambda *told: seen.append(told[2])  # noqa: E731
    sa.event.listen(database.engine, "before_cursor_execute", listener)

    def count() -> int:
        number = len(seen)
        seen.clear()
        return number

    yield count
    sa.event.remove(database.engine, "before_cursor_execute", listener)


def open_panel(client: FlaskClient, context: OrderContext) -> str:
    body = {"site": "demo", "attempt": {"key": key(), "order": context.model_dump(), "provider": "demo"}}
    answer = client.post("/panel", json=body, headers={"Unjam-Frame": "1"})
    found = re.search(r"/help/([^/]+)/check", answer.text)
    assert found
    return found[1]


@pytest.fixture
def knowing_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that has charged D-1001, and has never heard of any other number."""

    def ask(_self: DemoProvider, question: Question) -> Answer:
        if question.order == "D-1001":
            return Answer(ChargeState.CHARGED, payment="pay_0", money=Money(124900, "ZAR"))
        return Answer(ChargeState.NOT_CHARGED)

    monkeypatch.setattr(DemoProvider, "ask", ask)


@pytest.mark.parametrize("is_paid", [False, True])
def test_a_stranger_cannot_tell_a_real_order_number_from_an_invented_one(
    client: FlaskClient,
    database: Database,
    cast: Cast,
    knowing_provider: None,
    statements: Callable[[], int],
    is_paid: bool,
) -> None:
    with database.write() as session:
        cast.session = session
        real = cast.attempt("D-1001")
        if is_paid:
            orders.settle(session, cast.order_of(real), real.started_at)
    told = []
    for reference in ("D-1001", "D-7777"):
        statements()
        token = open_panel(client, cast.context(reference, is_signed=False, amount=100))
        pages = [client.post(f"/help/{token}/check"), client.get(f"/help/{token}/live"), client.get(f"/help/{token}")]
        shown = [words(page, token, reference) for page in pages]
        told.append(
            (statements(), [page.status_code for page in pages], [re.sub(r"v=\w+", "", each) for each in shown])
        )
    assert told[0] == told[1]
    assert "sam@example.com" not in str(told)
    assert "1 249" not in str(told)


def test_nor_by_the_page_without_scripts(
    client: FlaskClient, database: Database, cast: Cast, knowing_provider: None
) -> None:
    with database.write() as session:
        cast.session = session
        cast.attempt("D-1001")
    told = []
    for reference in ("D-1001", "D-7777"):
        form = re.findall(r'name="form" value="([^"]+)"', client.get("/start/demo").text)[0]
        said = {"form": form, "order": reference, "price": "1", "currency": "ZAR", "happened": "endless"}
        answer = client.post("/start/demo", data=said)
        token = answer.location.rsplit("/", 1)[1]
        told.append((answer.status_code, words(client.get(answer.location), token, reference)))
    assert told[0] == told[1]


def test_a_stranger_who_guesses_the_amount_wrong_is_shown_no_sum_where_orders_are_not_signed(
    client: FlaskClient, database: Database, cast: Cast, provider: FakeProvider
) -> None:
    provider.status, provider.amount = "succeeded", 124900
    token = open_panel(client, cast.context(is_signed=False, amount=100))
    shown = client.post(f"/help/{token}/check").text
    assert "249" not in shown
    assert "pay_0" not in shown
    with database.read() as session:
        assert session.scalars(sa.select(orders.Order)).one().paid_at is None


def test_beacons_and_panel_and_form_remember_where_an_attempt_came_from(
    client: FlaskClient, database: Database, cast: Cast
) -> None:
    here = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.7"}}
    body = {"site": "demo", "attempt": {"key": key()}}
    client.post("/panel", json=body, headers={"Unjam-Frame": "1"}, **here)
    beacon = {"v": 1, "id": key(), "site": "demo", "attempt": {"key": key()}, "signals": []}
    client.post("/api/v1/beacons", json=beacon, headers={"Origin": ORIGIN}, **here)
    client.post("/panel", json=body | {"attempt": beacon["attempt"]}, **here)
    form = re.findall(r'name="form" value="([^"]+)"', client.get("/start/demo").text)[0]
    client.post("/start/demo", data={"form": form, "happened": "endless"}, **here)
    expected = guard.hash_of(client.application.extensions["unjam"].settings.signing_key, "203.0.113.7")
    with database.read() as session:
        assert set(session.scalars(sa.select(Attempt.address))) == {expected}
        assert len(list(session.scalars(sa.select(Sighting)))) == 3


@pytest.mark.parametrize(("proxies", "counted"), [(0, "10.0.0.1"), (1, "203.0.113.7")])
def test_a_forwarded_address_counts_only_from_trusted_proxies(
    app: Flask, database: Database, cast: Cast, proxies: int, counted: str
) -> None:
    settings = app.extensions["unjam"].settings.model_copy(update={"trusted_proxies": proxies})
    client = create_app(settings, database).test_client()
    beacon = {"v": 1, "id": key(), "site": "demo", "attempt": {"key": key()}, "signals": []}
    headers = {"Origin": ORIGIN, "X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    client.post("/api/v1/beacons", json=beacon, headers=headers, environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    with database.read() as session:
        assert session.scalars(sa.select(Beacon.address)).one() == guard.hash_of(settings.signing_key, counted)


def test_cards_that_are_tried_on_the_shops_page_are_found_by_its_beacons(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock
) -> None:
    for number in range(8):
        order = cast.context(f"D-{number * 31}", amount=1000 + number).model_dump()
        failed = [{"seq": 0, "at": 0, "name": "failed", "data": {"code": "card_declined"}}]
        body = {"v": 1, "id": key(), "site": "demo", "attempt": {"key": key(), "order": order}, "signals": failed}
        assert client.post("/api/v1/beacons", json=body, headers={"Origin": ORIGIN}).status_code == 204
    with database.write() as session:
        # A round ends after a second, however much is left.
        while digest.digest_all(session, PACE, clock.now):
            pass
    with database.read() as session:
        assert [each.pattern for each in guard.flagged(session, [cast.shop.id], clock.now)] == ["rapid"]
        assert {row.what for row in audit.latest(session)} == {"suspected"}


def test_who_is_suspect_gets_no_link_and_no_hint_but_the_truth_and_a_person(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock, provider: FakeProvider
) -> None:
    provider.status = None
    address = guard.hash_of(client.application.extensions["unjam"].settings.signing_key, "127.0.0.1")
    with database.write() as session:
        cast.session = session
        for number in range(8):
            context = AttemptContext(key=key(), order=cast.context(f"D-{number * 31}"))
            attempt = attempts.open_for(session, cast.shop, context, clock.now)
            attempt.user_agent = "Werkzeug/3"
            guard.remember(session, attempt, address)
            guard.count(session, attempt, clock.now, was_declined=True)
        assert guard.is_suspect(session, attempt, clock.now)
    body = {"site": "demo", "attempt": {"key": attempt.key}}
    answer = client.post("/panel", json=body, headers={"Unjam-Frame": "1"})
    token = re.findall(r"/help/([^/]+)/check", answer.text)[0]
    shown = client.post(f"/help/{token}/check")
    assert set(re.findall(r'action="/help/[^/]+/choose/(\w+)', shown.text)) <= {"person", "call_back", "report"}
    assert "You have not been charged" in shown.text
    client.post(f"/help/{token}/choose/payment_link")
    with database.read() as session:
        assert list(session.scalars(sa.select(links.PaymentLink))) == []
