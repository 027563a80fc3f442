"""A payment was interrupted: the e-mail, the rescue page and the greeting tell the customer what happened, once."""

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import ORIGIN, PACE, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.mailserver import MailServer
from widget import payments, pulses, stalls
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.followups import FollowUp
from widget.money import Money
from widget.orders import Order
from widget.payments import Source, Told
from widget.pulses import Presence
from widget.settings import Settings
from widget.shops import Shop
from widget.stalls import SeenBy, Stall, StallKind
from widget.worker import Worker, worker_for

TEN_MINUTES = timedelta(minutes=10)
SECOND = timedelta(seconds=1)


@pytest.fixture
def worker(settings: Settings, database: Database, smtp: MailServer) -> Worker:
    changed = {"smtp_host": smtp.host, "smtp_port": smtp.port, "smtp_security": "none", "smtp_timeout_seconds": 5}
    return worker_for(settings.model_copy(update=changed), database)


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


@pytest.fixture
def attempt(database: Database, cast: Cast, clock: Clock) -> Attempt:
    return started(database, cast)


def started(database: Database, cast: Cast, *, is_signed: bool = True, stage: Stage = Stage.SUBMITTED) -> Attempt:
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt(is_signed=is_signed)
        attempt.stage, attempt.stage_seq = stage.value, 1
        return attempt


def falls_silent(database: Database, worker: Worker, clock: Clock, attempt: Attempt) -> None:
    """The page beats once, then no more, while the server listens."""
    with database.write() as session:
        pulses.heard(session, attempt.shop_id, attempt.key, Presence.SEEN, clock.now)
    for _ in range(12):
        with database.write_rows() as connection:
            pulses.listen(connection, clock.now)
        worker.work_once()
        clock.forward(SECOND)


def pay(database: Database, clock: Clock) -> None:
    with database.write() as session:
        shop, order = session.scalars(sa.select(Shop)).one(), session.scalars(sa.select(Order)).one()
        payments.record(session, shop, order, Told("k", Source.SHOP, Money(124900, "ZAR")), PACE, clock.now)


def owed(database: Database) -> list[FollowUp]:
    with database.read() as session:
        return list(session.scalars(sa.select(FollowUp).filter_by(kind="interrupted")))


def text_of(smtp: MailServer) -> str:
    body = smtp.messages[0].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def heading(answer: TestResponse) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert found, answer.text
    return found[1].strip()


def come_back(client: FlaskClient, attempt_key: str) -> TestResponse:
    body = {"site": "demo", "attempt": {"key": attempt_key}, "back": True}
    return client.post("/panel", data=json.dumps(body), headers={"Unjam-Frame": "1"})


def test_an_interrupted_payment_is_told_of_by_one_mail_after_ten_minutes(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer, client: FlaskClient
) -> None:
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES - 10 * SECOND)
    worker.work_once()
    assert smtp.messages == []
    clock.forward(10 * SECOND)
    worker.work_once()
    assert smtp.messages[0]["To"] == "sam@example.com"
    assert "You have not been charged" in text_of(smtp)
    assert "/again/" not in text_of(smtp)
    link = re.search(r"http://localhost:8000(/help/\S+)", text_of(smtp))
    assert link
    assert "Your payment was interrupted." in client.get(link[1]).text


def test_two_interruptions_of_one_order_are_one_mail(
    database: Database, worker: Worker, clock: Clock, cast: Cast, attempt: Attempt, smtp: MailServer
) -> None:
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    falls_silent(database, worker, clock, started(database, cast))
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert len(smtp.messages) == 1


def test_a_payment_takes_the_mail_back(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer
) -> None:
    falls_silent(database, worker, clock, attempt)
    pay(database, clock)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert smtp.messages == []
    assert owed(database)[0].cancelled_because == "the order is paid"


def test_a_payment_right_before_the_mail_leaves_takes_it_back(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer
) -> None:
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES)
    smtp.on_recipient = lambda _address: pay(database, clock)
    worker.work_once()
    assert smtp.messages == []
    assert owed(database)[0].cancelled_because == "the order is paid"


def test_a_charge_that_the_provider_knows_of_takes_the_mail_back(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer, provider: FakeProvider
) -> None:
    provider.status = "succeeded"
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert smtp.messages == []


def test_money_on_the_way_is_told_as_it_is(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer, provider: FakeProvider
) -> None:
    provider.status = "processing"
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert "We do not know yet if you were charged" in text_of(smtp)


def test_a_report_takes_the_mail_back(
    database: Database, worker: Worker, clock: Clock, cast: Cast, attempt: Attempt, smtp: MailServer
) -> None:
    falls_silent(database, worker, clock, attempt)
    with database.write() as session:
        cast.session = session
        cast.ticket(session.get_one(Attempt, attempt.id))
    assert owed(database)[0].cancelled_because == "the payment was reported"


def test_who_comes_back_gets_no_mail(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, smtp: MailServer, client: FlaskClient
) -> None:
    falls_silent(database, worker, clock, attempt)
    assert come_back(client, attempt.key).status_code == 200
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert smtp.messages == []


def test_another_try_of_the_same_order_takes_the_mail_back_and_its_silence_promises_it_anew(
    database: Database, worker: Worker, clock: Clock, cast: Cast, attempt: Attempt, smtp: MailServer
) -> None:
    falls_silent(database, worker, clock, attempt)
    clock.forward(timedelta(minutes=5))
    second = started(database, cast)
    clock.forward(timedelta(minutes=5))
    worker.work_once()
    assert (smtp.messages, owed(database)[0].cancelled_because) == ([], "the customer came back")
    falls_silent(database, worker, clock, second)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert len(smtp.messages) == 1


def test_nobody_is_written_to_about_an_order_that_the_shop_did_not_sign(
    database: Database, worker: Worker, clock: Clock, cast: Cast
) -> None:
    falls_silent(database, worker, clock, started(database, cast, is_signed=False))
    assert owed(database) == []


@pytest.mark.parametrize("email", ["", "sam", None])
def test_nobody_is_written_to_without_an_address(
    database: Database, worker: Worker, clock: Clock, attempt: Attempt, email: str | None
) -> None:
    with database.write() as session:
        session.scalars(sa.select(Order)).one().customer_email = email
    falls_silent(database, worker, clock, attempt)
    assert owed(database) == []


def test_a_mail_without_a_ticket_that_cannot_be_delivered_is_shown_to_the_desk(
    database: Database,
    worker: Worker,
    clock: Clock,
    attempt: Attempt,
    smtp: MailServer,
    client: FlaskClient,
    cast: Cast,
) -> None:
    smtp.answers["sam@example.com"] = "550 5.1.1 No such user"
    falls_silent(database, worker, clock, attempt)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    with database.write() as session:
        cast.session = session
        cast.shop = session.scalars(sa.select(Shop)).one()
        cast.agent()
    page = client.get("/desk/login").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token
    form = {"csrf_token": token[1], "email": "agent@example.com", "password": "correct horse battery"}
    client.post("/desk/login", data=form)
    shown = client.get("/desk/undelivered").text
    assert "order D-1001" in shown
    assert "No such user" in shown


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage.SUBMITTED, "Your payment was interrupted."),
        (Stage.CONFIRMING, "Your payment was interrupted."),
        (Stage.AUTHENTICATING, "Your payment was interrupted."),
    ],
)
def test_who_comes_back_is_told_what_happened_and_then_of_the_charge(
    client: FlaskClient, database: Database, cast: Cast, clock: Clock, stage: Stage, said: str
) -> None:
    attempt = started(database, cast, stage=stage)
    clock.forward(timedelta(minutes=3))
    answer = come_back(client, attempt.key)
    assert answer.status_code == 200
    assert said in answer.text
    assert heading(answer) == "Were you charged?"
    token = re.search(r"/help/([^/]+)/check", answer.text)
    assert token
    checked = client.post(f"/help/{token[1]}/check", data={"greet": "yes"})
    assert heading(checked) == "You have not been charged"
    assert said in checked.text


def check_of(client: FlaskClient, answer: TestResponse) -> TestResponse:
    token = re.search(r"/help/([^/]+)/check", answer.text)
    assert token, answer.text
    return client.post(f"/help/{token[1]}/check", data={"greet": "yes"})


def test_a_return_right_after_pay_offers_nothing_that_pays_until_the_payment_cannot_run_any_more(
    client: FlaskClient, attempt: Attempt, clock: Clock
) -> None:
    clock.forward(SECOND)
    answer = come_back(client, attempt.key)
    checked = check_of(client, answer)
    assert heading(checked) == "We do not know yet if you were charged"
    assert "/choose/retry" not in checked.text
    clock.forward(10 * SECOND)
    assert heading(check_of(client, answer)) == "You have not been charged"


def test_a_return_in_a_second_tab_leaves_the_first_one_alone(
    client: FlaskClient, database: Database, attempt: Attempt, clock: Clock
) -> None:
    clock.forward(TEN_MINUTES)
    with database.write() as session:
        pulses.heard(session, attempt.shop_id, attempt.key, Presence.SEEN, clock.now)
    answer = come_back(client, attempt.key)
    assert "Your payment may still be going on." in answer.text
    assert "/choose/retry" not in check_of(client, answer).text
    with database.read() as session:
        pulse = session.scalars(sa.select(pulses.Pulse)).one()
        assert (pulse.presence, pulse.judged_at) == (Presence.SEEN, None)
    clock.forward(11 * SECOND)
    assert "/choose/retry" in check_of(client, answer).text


def test_who_comes_back_from_the_bank_is_told_so(client: FlaskClient, database: Database, cast: Cast) -> None:
    attempt = started(database, cast, stage=Stage.AUTHENTICATING)
    beacon = {
        "v": 1,
        "id": key(),
        "site": "demo",
        "attempt": {"key": attempt.key},
        "signals": [{"seq": 5, "name": "left", "data": {"stage": "authenticating"}}],
    }
    client.post("/api/v1/beacons", data=json.dumps(beacon), headers={"Origin": ORIGIN})
    assert "You left to confirm the payment and came back." in come_back(client, attempt.key).text


@pytest.mark.parametrize("stage", [Stage.STARTED, Stage.SDK, Stage.FAILED])
def test_there_is_nothing_to_say_where_no_payment_was_interrupted(
    client: FlaskClient, database: Database, cast: Cast, stage: Stage
) -> None:
    assert come_back(client, started(database, cast, stage=stage).key).status_code == 204


def test_an_unknown_attempt_is_not_greeted_nor_made(client: FlaskClient, database: Database, cast: Cast) -> None:
    assert come_back(client, key()).status_code == 204
    with database.read() as session:
        assert session.scalars(sa.select(Attempt)).all() == []


def test_a_payment_that_arrived_is_told_of_once(
    client: FlaskClient, database: Database, attempt: Attempt, clock: Clock
) -> None:
    pay(database, clock)
    answers = [come_back(client, attempt.key) for _ in range(2)]
    assert heading(answers[0]).startswith("You have paid")
    assert answers[1].status_code == 204


def test_a_page_that_was_left_behind_is_not_called_silent_after_the_return(
    client: FlaskClient, database: Database, attempt: Attempt, worker: Worker, clock: Clock
) -> None:
    assert come_back(client, attempt.key).status_code == 200
    for _ in range(60):
        with database.write_rows() as connection:
            pulses.listen(connection, clock.now)
        worker.work_once()
        clock.forward(timedelta(seconds=5))
    with database.read() as session:
        assert session.scalars(sa.select(Stall)).all() == []


def test_the_rescue_link_leads_to_the_help_of_its_attempt(
    client: FlaskClient, database: Database, attempt: Attempt, clock: Clock
) -> None:
    with database.write() as session:
        mine = session.get_one(Attempt, attempt.id)
        stalls.record(session, mine, StallKind.FROZEN, Stage.SUBMITTED, SeenBy.WORKER, clock.now)
    answer = client.get(f"/rescue/demo/{attempt.key}")
    assert answer.status_code == 303
    shown = client.get(answer.headers["Location"])
    assert heading(shown) == "You have not been charged"
    assert "The payment page froze" in shown.text


def test_a_rescue_before_anything_was_detected_is_asked_for_by_the_shopper(
    client: FlaskClient, database: Database, attempt: Attempt
) -> None:
    for _ in range(2):
        client.get(f"/rescue/demo/{attempt.key}")
    with database.read() as session:
        assert [(each.kind, each.seen_by) for each in session.scalars(sa.select(Stall))] == [("asked", "shopper")]


def test_a_rescue_that_nobody_knows_helps_all_the_same_and_tells_nothing(
    client: FlaskClient, database: Database, attempt: Attempt, cast: Cast
) -> None:
    with database.write() as session:
        Cast(session, site="other")
    strange = [client.get(f"/rescue/demo/{each}") for each in (key(), "D-1001", "a' OR 1=1")]
    assert {answer.status_code for answer in strange} == {404}
    assert len({answer.text for answer in strange}) == 1
    assert heading(strange[0]) == "Do not pay again yet"
    assert "/start/demo" in strange[0].text
    assert "tel:+27215550100" in strange[0].text
    assert client.get(f"/rescue/other/{attempt.key}").status_code == 404
    assert client.get(f"/rescue/nobody/{attempt.key}").status_code == 404


def test_a_part_that_is_paid_is_never_called_nothing(
    database: Database, worker: Worker, clock: Clock, cast: Cast, attempt: Attempt, smtp: MailServer
) -> None:
    with database.write() as session:
        first = session.get_one(Attempt, attempt.id)
        first.leg, first.legs, first.stage = 1, 2, Stage.PAID.value
    second = started(database, cast)
    with database.write() as session:
        mine = session.get_one(Attempt, second.id)
        mine.leg, mine.legs = 2, 2
    falls_silent(database, worker, clock, second)
    clock.forward(TEN_MINUTES)
    worker.work_once()
    assert "Part of your order is paid" in text_of(smtp)
    assert "not been charged" not in text_of(smtp)


def test_a_shop_may_switch_the_mail_off(database: Database, worker: Worker, clock: Clock, attempt: Attempt) -> None:
    with database.write() as session:
        shop = session.scalars(sa.select(Shop)).one()
        shop.profile = shop.profile | {"interrupted_after_minutes": None}
    falls_silent(database, worker, clock, attempt)
    assert owed(database) == []


def test_who_reads_the_help_after_a_rescue_gets_no_mail(
    client: FlaskClient, database: Database, worker: Worker, clock: Clock, attempt: Attempt
) -> None:
    falls_silent(database, worker, clock, attempt)
    page = client.get(f"/rescue/demo/{attempt.key}").headers["Location"]
    assert [mail.cancelled_because for mail in owed(database)] == [None]
    assert client.post(f"{page}/check").status_code == 200
    assert [mail.cancelled_because for mail in owed(database)] == ["the customer came back"]
