"""The panel and the pages behind signed links, as a browser without scripts meets them."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.cast import ORIGIN, Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from widget import clock as clock_module
from widget import feeds, followups, handovers, links, pulses, siblings, stalls, tickets
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.feeds import Feed, Indicator, Source
from widget.feeds import Status as ProviderStatus
from widget.followups import FollowUp
from widget.moments import moment
from widget.offers import Offer
from widget.orders import Order
from widget.providers import ChargeState
from widget.pulses import Presence
from widget.ratings import Rating
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind
from widget.tickets import Status, Ticket
from widget.tokens import Purpose, Tokens

ENDLESS = b'{"site":"demo","attempt":{"key":"%s"},"facts":{"memory":1e999}}' % (b"a" * 32)


@pytest.fixture
def cast(database: Database, clock: Clock, provider: FakeProvider) -> Cast:
    with database.write() as session:
        return Cast(session, profile={"providers": {"demo": {"url": provider.url}}})


@pytest.fixture
def tokens(client: FlaskClient) -> Tokens:
    found: Tokens = client.application.extensions["unjam"].tokens
    return found


def open_panel(
    client: FlaskClient, cast: Cast, *, attempt: str | None = None, is_signed: bool = True, method: str = "card"
) -> str:
    """The token in the panel that the frame opens."""
    order = cast.context(is_signed=is_signed).model_dump()
    body = {
        "site": "demo",
        "attempt": {"key": attempt or key(), "order": order, "method": method, "provider": "demo"},
        "facts": {"language": "en-ZA", "password": "no"},
    }
    answer = client.post("/panel", json=body, headers={"Unjam-Frame": "1"})
    assert answer.status_code == 200
    found = re.search(r"/help/([^/]+)/check", answer.text)
    assert found
    return found[1]


def heading(answer: TestResponse) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert found, answer.text
    return re.sub(r"</?bdi>", "", found[1]).strip()


def offered(answer: TestResponse) -> list[str]:
    return re.findall(r'action="/help/[^/]+/choose/(\w+)"', answer.text)


@pytest.mark.parametrize(
    ("status", "said", "ways"),
    [
        (
            "requires_payment_method",
            "You have not been charged",
            ["retry", "method", "device", "payment_link", "later", "person", "report"],
        ),
        ("processing", "We do not know yet if you were charged", ["person", "report"]),
        ("requires_capture", "The money is reserved, not taken", ["person", "report"]),
        ("succeeded", "You have paid. There is nothing left to do", []),
    ],
)
def test_the_first_words_are_about_the_charge_and_decide_what_is_offered(
    client: FlaskClient, cast: Cast, provider: FakeProvider, status: str, said: str, ways: list[str]
) -> None:
    provider.status = status
    answer = client.post(f"/help/{open_panel(client, cast)}/check")
    assert heading(answer) == said
    assert sorted(offered(answer)) == sorted(ways)
    assert offered(answer)[-2:] == ways[-2:]


def test_a_silent_provider_leaves_the_charge_unknown_and_nothing_to_pay(
    client: FlaskClient, cast: Cast, provider: FakeProvider
) -> None:
    provider.answers_with = 500
    answer = client.post(f"/help/{open_panel(client, cast)}/check")
    assert heading(answer) == "We do not know yet if you were charged"
    assert offered(answer) == ["person", "report"]


@pytest.mark.parametrize(
    ("indicator", "said"),
    [
        (Indicator.MINOR, "says that a part of its service has trouble."),
        (Indicator.MAJOR, "says that it has a disruption."),
    ],
)
def test_what_the_status_page_says_is_told_with_its_time_and_not_once_it_is_old(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock, indicator: Indicator, said: str
) -> None:
    token = open_panel(client, cast)
    with database.write() as session:
        attempt = session.scalars(sa.select(Attempt)).one()
        stalls.record(session, attempt, StallKind.NO_ANSWER, Stage.SUBMITTED, SeenBy.PAGE, clock.now, {})
        source = Source.model_validate({"shape": "statuspage", "url": "https://status.example/api"})
        feeds.want(session, source, "demo", clock.now)
        feed = session.scalars(sa.select(Feed)).one()
        feeds.answered(feed, ProviderStatus(indicator, "API errors"), None, clock.now, timedelta(hours=1))

    answered = clock.now
    clock.forward(timedelta(minutes=14))
    as_of = f"{said} As of {moment(answered, 'UTC', 'en')}."
    assert as_of in client.post(f"/help/{token}/check").text
    clock.forward(timedelta(minutes=2))
    assert "As of" not in client.post(f"/help/{token}/check").text


def test_a_way_out_that_pays_is_withdrawn_when_the_charge_changed_meanwhile(
    client: FlaskClient, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    provider.status = "processing"
    clock.forward(timedelta(seconds=10))
    answer = client.post(f"/help/{token}/choose/payment_link")
    assert heading(answer) == "We do not know yet if you were charged"


def test_every_way_out_has_a_screen_and_is_remembered_as_chosen(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    token = open_panel(client, cast)
    ways = offered(client.post(f"/help/{token}/check"))
    screens = {way: client.post(f"/help/{token}/choose/{way}") for way in ways}
    assert {answer.status_code for answer in screens.values()} == {200}
    assert screens["retry"].headers["HX-Trigger"] == "unjam:retry"
    assert "<svg" in screens["device"].text
    assert "style=" not in screens["device"].text
    with database.read() as session:
        chosen = session.scalars(sa.select(Offer.kind).where(Offer.chosen_at.is_not(None)))
        assert set(chosen) == set(ways)


def test_another_method_is_handed_to_the_shops_page(client: FlaskClient, cast: Cast) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    answer = client.post(f"/help/{token}/choose/method", data={"method": "eft"})
    assert answer.headers["HX-Trigger"] == '{"unjam:method": {"method": "eft"}}'
    unknown = client.post(f"/help/{token}/choose/method", data={"method": "x\r\nSet-Cookie: a=b"})
    assert unknown.headers["HX-Trigger"] == answer.headers["HX-Trigger"], "there is only one other method"


@pytest.mark.parametrize(
    ("address", "said", "buttons"),
    [
        (
            "https://shop.example/checkout/{order}?method={method}",
            "Go on at the checkout, where this way to pay is selected.",
            [("a", True, "Open the checkout"), ("button", False, "Choose it on this page")],
        ),
        (
            "https://shop.example/checkout/{order}",
            "Choose this way to pay at the checkout.",
            [("a", True, "Open the checkout"), ("button", False, "Back to the checkout")],
        ),
        (None, "Choose this way to pay at the checkout.", [("button", True, "Back to the checkout")]),
    ],
)
def test_a_method_is_called_selected_only_where_the_checkouts_address_names_it(
    client: FlaskClient,
    cast: Cast,
    database: Database,
    address: str | None,
    said: str,
    buttons: list[tuple[str, bool, str]],
) -> None:
    with database.write() as session:
        shop = session.get_one(Shop, cast.shop.id)
        shop.profile = shop.profile | {"checkout_url": address}
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/frame/demo"}
    page = client.post(f"/help/{token}/choose/method", data={"method": "eft"}, headers=headers).text
    shown = re.findall(r'<(a|button)[^>]*class="button ([^"]*button-wide[^"]*)"[^>]*>([^<]+)<', page)

    assert said in page
    assert [(tag, "button-primary" in style, words) for tag, style, words in shown] == buttons


def test_a_report_opens_one_ticket_however_often_it_is_sent(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    token = open_panel(client, cast)
    form = {"email": "sam@example.com", "words": "It hangs."}
    answers = [client.post(f"/help/{token}/report", data=form) for _ in range(3)]
    assert {heading(answer) for answer in answers} == {"We have your report"}
    with database.read() as session:
        ticket = session.scalars(sa.select(Ticket)).one()
        assert ticket.reference in answers[0].text
        assert len(tickets.messages_of(session, ticket, notes=True)) == 1


def test_a_report_with_a_bad_address_keeps_the_words_and_says_what_to_do(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    answer = client.post(f"/help/{open_panel(client, cast)}/report", data={"email": "sam", "words": "<b>It hangs</b>"})
    assert answer.status_code == 422
    assert "Check the e-mail address." in answer.text
    assert "&lt;b&gt;It hangs&lt;/b&gt;" in answer.text


def test_the_preview_shows_what_is_sent_and_only_allowed_facts(client: FlaskClient, cast: Cast) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    preview = client.post(f"/help/{token}/choose/report").text
    for shown in ("D-1001", "Card", "en-ZA", "not charged", "sam@example.com"):
        assert shown in preview
    assert "password" not in preview


def test_the_open_panel_learns_that_the_order_was_paid_elsewhere(
    client: FlaskClient, cast: Cast, provider: FakeProvider
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    assert client.get(f"/help/{token}/live").status_code == 204
    told = {"order": "D-1001", "amount": 124900, "currency": "ZAR"}
    headers = {"Authorization": f"Bearer {cast.api_key}", "Idempotency-Key": "pay_1"}
    assert client.post("/api/v1/payments", json=told, headers=headers).status_code == 201
    answer = client.get(f"/help/{token}/live")
    assert heading(answer) == "You have paid. There is nothing left to do"
    assert answer.headers["HX-Trigger"] == '{"unjam:paid": {"order": "D-1001"}}'


def test_an_open_panel_stops_asking_after_an_hour(client: FlaskClient, cast: Cast, clock: Clock) -> None:
    token = open_panel(client, cast)
    clock.forward(timedelta(hours=1, seconds=1))
    assert client.get(f"/help/{token}/live").status_code == 286


def pay_link(client: FlaskClient, token: str) -> str:
    found = re.search(
        r'value="http://localhost:8000(/pay/[^"]+)"', client.post(f"/help/{token}/choose/payment_link").text
    )
    assert found
    return found[1]


def test_an_expired_link_takes_nothing_and_says_so(
    client: FlaskClient, cast: Cast, clock: Clock, provider: FakeProvider
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    link = pay_link(client, token)
    clock.forward(timedelta(hours=25))
    assert client.get(link).status_code == 410
    assert "expired" in client.post(link).text
    assert provider.taken == []


@pytest.mark.parametrize("page", ["help", "pay", "status", "rate", "again", "continue"])
def test_a_link_that_is_not_ours_meets_a_helpful_page(
    client: FlaskClient, cast: Cast, tokens: Tokens, page: str
) -> None:
    for token in ("nonsense", tokens.sign(Purpose.FORM, 1), Tokens("stranger").sign(Purpose(page), 1)):
        answer = client.get(f"/{page}/{token}")
        assert answer.status_code == 404
        assert heading(answer) == "This link does not work"


@pytest.mark.parametrize("page", ["help", "pay", "status", "rate", "again", "continue"])
def test_a_link_to_what_was_deleted_meets_a_helpful_page(
    client: FlaskClient, cast: Cast, tokens: Tokens, page: str
) -> None:
    answer = client.get(f"/{page}/{tokens.sign(Purpose(page), 999)}")
    assert answer.status_code in {404, 410}
    assert heading(answer) in {
        "This link does not work",
        "This link has expired",
        "What this link led to has been deleted",
    }


@pytest.fixture
def ticket(cast: Cast, database: Database) -> Ticket:
    with database.write() as session:
        cast.session = session
        return cast.ticket()


def test_the_status_page_shows_the_conversation_without_notes_and_takes_an_answer(
    client: FlaskClient, cast: Cast, ticket: Ticket, tokens: Tokens, database: Database, clock: Clock
) -> None:
    with database.write() as session:
        cast.session = session
        tickets.add_note(session, tickets.by_id(session, ticket.id), cast.agent(), "Looks like fraud?", clock.now)
    address = f"/status/{tokens.sign(Purpose.STATUS, ticket.id)}"
    assert client.post(address, data={"words": "Any news? 4111111111111111"}).status_code == 303
    assert client.post(address, data={"words": "  "}).status_code == 422
    text = client.get(address).text
    assert "Any news? [card number removed]" in text
    assert "fraud" not in text


def test_looking_at_the_rating_page_records_nothing_and_a_persons_answer_does(
    client: FlaskClient, cast: Cast, ticket: Ticket, tokens: Tokens, database: Database, clock: Clock
) -> None:
    address = f"/rate/{tokens.sign(Purpose.RATE, ticket.id)}"
    form = rating_form(client.get(address))
    client.head(address)
    assert rating(database) is None

    clock.forward(timedelta(seconds=20))
    assert heading(client.post(address, data=form | {"score": "5", "comment": "Quick!"})) == "Thank you"
    assert rating(database) == (5, "Quick!")


def rating_form(answer: TestResponse) -> dict[str, str]:
    """The fields as a scanner would submit them: nothing is chosen beforehand."""
    assert " checked" not in answer.text
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', answer.text))


def rating(database: Database) -> tuple[Any, ...] | None:
    with database.read() as session:
        found = session.scalars(sa.select(Rating)).one_or_none()
        return (found.score, found.comment) if found else None


def test_a_scanner_that_submits_the_rating_form_records_nothing(
    client: FlaskClient, ticket: Ticket, tokens: Tokens, database: Database, clock: Clock
) -> None:
    address = f"/rate/{tokens.sign(Purpose.RATE, ticket.id)}"
    form = rating_form(client.get(address))
    clock.forward(timedelta(seconds=30))
    assert client.post(address, data=form).status_code == 422
    clock.forward(timedelta(seconds=30))
    assert heading(client.post(address, data={"score": "5"})) == "Is this your answer?"
    fast = rating_form(client.get(address)) | {"score": "1"}
    assert heading(client.post(address, data=fast)) == "Is this your answer?"
    assert heading(client.post(address, data={"nonce": "forged", "score": "1"})) == "Is this your answer?"
    assert rating(database) is None


def test_the_first_answer_stands_and_a_later_one_is_a_note(
    client: FlaskClient, ticket: Ticket, tokens: Tokens, database: Database, clock: Clock
) -> None:
    address = f"/rate/{tokens.sign(Purpose.RATE, ticket.id)}"
    for score in ("4", "1"):
        form = rating_form(client.get(address))
        clock.forward(timedelta(seconds=20))
        client.post(address, data=form | {"score": score})
    assert rating(database) == (4, "")
    with database.read() as session:
        notes = tickets.messages_of(session, tickets.by_id(session, ticket.id), notes=True)
        assert "answered the rating again: Very poor" in notes[-1].body


def test_trying_again_leads_to_a_fresh_link_unless_the_order_is_paid(
    client: FlaskClient,
    cast: Cast,
    ticket: Ticket,
    tokens: Tokens,
    provider: FakeProvider,
    clock: Clock,
    database: Database,
) -> None:
    address = f"/again/{tokens.sign(Purpose.AGAIN, ticket.id)}"
    assert heading(client.get(address)) == "Pay order D-1001"
    assert client.post(address).location.startswith("http://localhost:8000/pay/")
    provider.status = "processing"
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(address)) == "Please do not pay yet"
    provider.status = "succeeded"
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(address)) == "This order is already paid"
    with database.read() as session:
        assert session.scalars(sa.select(Order.paid_at)).one() is not None
        assert session.scalars(sa.select(Ticket.status)).one() == Status.RESOLVED


def test_every_page_forbids_inline_script_and_style(
    client: FlaskClient, cast: Cast, ticket: Ticket, tokens: Tokens
) -> None:
    pages = [f"/status/{tokens.sign(Purpose.STATUS, ticket.id)}", "/frame/demo", "/nothing", "/desk/login"]
    for page in pages:
        answer = client.get(page)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<style|<script(?![^>]*src=)| style=| on\w+=", answer.text)
    assert (
        "frame-ancestors 'self' http://127.0.0.1:8001" in client.get("/frame/demo").headers["Content-Security-Policy"]
    )


def test_an_unsigned_panel_learns_nothing_of_an_order_that_the_shop_has_signed(
    client: FlaskClient, cast: Cast, provider: FakeProvider
) -> None:
    client.post(f"/help/{open_panel(client, cast)}/check")
    provider.status = "succeeded"
    answer = client.post(f"/help/{open_panel(client, cast, is_signed=False)}/check")
    assert heading(answer) == "We do not know yet if you were charged"
    assert "pay_0" not in answer.text


def test_a_database_that_cannot_answer_leaves_the_form_and_its_words_alone(
    client: FlaskClient, cast: Cast, database: Database
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    database.dispose()
    with database.engine.connect() as connection:
        connection.execute(sa.text("ALTER TABLE tickets RENAME TO gone"))
        connection.commit()
    form = {"email": "sam@example.com", "words": "It hangs."}
    answer = client.post(f"/help/{token}/report", data=form, headers={"HX-Request": "true"})
    assert answer.status_code >= 500
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#screen", "afterbegin")
    assert "Something broke" in answer.text or "cannot answer" in answer.text


def test_one_link_that_is_asked_for_without_end_meets_a_helpful_page(
    client: FlaskClient, ticket: Ticket, tokens: Tokens
) -> None:
    address = f"/status/{tokens.sign(Purpose.STATUS, ticket.id)}"
    answers = [client.get(address) for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert heading(answers[-1]) == "Many tries in a short time"
    assert client.get(f"/status/{tokens.sign(Purpose.STATUS, ticket.id)[:-1]}x").status_code == 404


def told_by_shop(client: FlaskClient, cast: Cast, amount: int = 124900) -> TestResponse:
    told = {"order": "D-1001", "amount": amount, "currency": "ZAR"}
    headers = {"Authorization": f"Bearer {cast.api_key}", "Idempotency-Key": "pay_1"}
    return client.post("/api/v1/payments", json=told, headers=headers)


def test_the_shops_word_settles_the_signed_order_though_a_stranger_came_first(client: FlaskClient, cast: Cast) -> None:
    forged = cast.context(is_signed=False, amount=100).model_dump()
    body = {"site": "demo", "attempt": {"key": key(), "order": forged}}
    assert client.post("/panel", json=body, headers={"Unjam-Frame": "1"}).status_code == 200
    assert told_by_shop(client, cast).get_json()["paid"] is True
    answer = client.post(f"/help/{open_panel(client, cast)}/check")
    assert heading(answer) == "You have paid. There is nothing left to do"


def test_nothing_else_is_offered_while_a_link_takes_the_money(
    client: FlaskClient, cast: Cast, database: Database, clock: Clock
) -> None:
    token = open_panel(client, cast)
    client.post(f"/help/{token}/check")
    with database.write() as session:
        session.execute(sa.update(Order).values(paying_link="x", paying_until=clock.now + timedelta(minutes=1)))
    answer = client.post(f"/help/{token}/check")
    assert heading(answer) == "We do not know yet if you were charged"
    assert offered(answer) == ["person", "report"]


def test_a_charge_that_two_contexts_hear_of_is_told_to_both(
    client: FlaskClient, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    provider.status = "succeeded"
    unsigned = open_panel(client, cast, is_signed=False)
    assert heading(client.post(f"/help/{unsigned}/check")) == "You have paid. There is nothing left to do"
    signed = open_panel(client, cast)
    assert heading(client.post(f"/help/{signed}/check")) == "You have paid. There is nothing left to do"


def reach(client: FlaskClient, attempt: str, seq: int, stage: str) -> None:
    """The page's own word of a stage."""
    signal = {"seq": seq, "at": seq + 1, "name": "stage", "data": {"stage": stage}}
    body = {"v": 1, "id": key(), "site": "demo", "attempt": {"key": attempt}, "signals": [signal]}
    assert client.post("/api/v1/beacons", json=body, headers={"Origin": ORIGIN}).status_code == 204


@pytest.fixture
def silent_cast(database: Database, clock: Clock) -> Cast:
    """A shop without a provider that could be asked."""
    with database.write() as session:
        return Cast(session, profile={"providers": {}})


def test_nobody_is_told_not_charged_whose_page_never_spoke(client: FlaskClient, silent_cast: Cast) -> None:
    answer = client.post(f"/help/{open_panel(client, silent_cast)}/check")
    assert heading(answer) == "We do not know yet if you were charged"


def test_who_asks_for_help_before_pay_is_told_so_by_the_word_of_the_page(
    client: FlaskClient, silent_cast: Cast
) -> None:
    told = {"key": key(), "order": silent_cast.context().model_dump()}
    opened = client.post("/panel", json={"site": "demo", "attempt": told, "stage": "started"})
    token = opened.text.split("/help/")[1].split("/")[0]
    assert heading(client.post(f"/help/{token}/check")) == "You have not been charged"


def test_a_pulse_means_that_pay_was_pressed_although_the_beacons_are_lost(
    client: FlaskClient, silent_cast: Cast, database: Database, clock: Clock
) -> None:
    attempt = key()
    reach(client, attempt, 0, "started")
    with database.write() as session:
        pulses.heard(session, silent_cast.shop.id, attempt, Presence.SEEN, clock.now)
    token = open_panel(client, silent_cast, attempt=attempt)
    assert heading(client.post(f"/help/{token}/check")) == "We do not know yet if you were charged"
    with database.write() as session:
        pulses.end(session, silent_cast.shop.id, attempt)
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(f"/help/{token}/check")) == "We do not know yet if you were charged"


def test_facts_of_the_frame_mean_that_pay_was_pressed_in_another_attempt_of_the_order(
    client: FlaskClient, silent_cast: Cast, tokens: Tokens
) -> None:
    attempt, other = key(), key()
    reach(client, attempt, 0, "started")
    told = {"key": other, "order": silent_cast.context().model_dump()}
    body = {"v": 1, "id": key(), "site": "demo", "source": "frame", "attempt": told, "facts": {}, "signals": []}
    sent = client.post("/api/v1/beacons?frame=" + tokens.sign(Purpose.FRAME, "demo"), json=body)
    assert sent.status_code == 204
    open_panel(client, silent_cast, attempt=other)
    token = open_panel(client, silent_cast, attempt=attempt)
    assert heading(client.post(f"/help/{token}/check")) == "We do not know yet if you were charged"


@pytest.mark.parametrize(("stage", "reached"), [("submitted", "submitted"), ("paid", "started"), (["x"], "started")])
def test_the_panel_is_told_how_far_the_page_is(
    client: FlaskClient, silent_cast: Cast, database: Database, stage: object, reached: str
) -> None:
    attempt = key()
    reach(client, attempt, 0, "started")
    client.post("/panel", json={"site": "demo", "attempt": {"key": attempt}, "stage": stage})
    with database.read() as session:
        found = session.scalars(sa.select(Attempt).filter_by(key=attempt)).one()
        assert (found.stage, siblings.was_pressed(session, found)) == (reached, reached == "submitted")


def test_a_part_that_was_charged_is_not_the_whole_and_is_asked_about_again(
    client: FlaskClient, cast: Cast, provider: FakeProvider, clock: Clock
) -> None:
    provider.status, provider.amount = "succeeded", 5000
    token = open_panel(client, cast)
    answer = client.post(f"/help/{token}/check")
    assert heading(answer) == "ZAR1,199.00 of your order is not paid yet"
    assert offered(answer) == ["difference", "person", "report"]
    provider.amount = 124900
    clock.forward(timedelta(seconds=10))
    assert heading(client.post(f"/help/{token}/check")) == "You have paid. There is nothing left to do"


def part(database: Database, cast: Cast, *, leg: int, stage: str = "started") -> Ticket:
    """A reported part of an order, of which the provider says that nothing was charged."""
    with database.write() as session:
        cast.session = session
        attempt = cast.attempt(charge=ChargeState.NOT_CHARGED)
        attempt.leg, attempt.legs, attempt.stage = leg, 2, stage
        ticket = cast.ticket(attempt)
        tickets.move(session, ticket, Status.RESOLVED, clock_module.now(), because="tested")
        return ticket


@pytest.mark.parametrize("is_first_paid", [True, False])
def test_a_later_part_leads_nobody_to_pay_the_whole(
    client: FlaskClient, cast: Cast, database: Database, tokens: Tokens, is_first_paid: bool
) -> None:
    if is_first_paid:
        part(database, cast, leg=1, stage="paid")
    ticket = part(database, cast, leg=2)
    said = "Part of this order is paid" if is_first_paid else "Please do not pay yet"
    again = client.post(f"/again/{tokens.sign(Purpose.AGAIN, ticket.id)}")
    assert (again.status_code, heading(again)) == (200, said)
    with database.write() as session:
        hand_over = handovers.open_for(session, session.get_one(Attempt, ticket.attempt_id), clock_module.now())
    handed = client.post(f"/continue/{tokens.sign(Purpose.CONTINUE, hand_over.key)}")
    assert (handed.status_code, heading(handed)) == (200, said)
    assert "/again/" not in client.get(f"/status/{tokens.sign(Purpose.STATUS, ticket.id)}").text
    with database.read() as session:
        owed = session.scalars(sa.select(FollowUp).filter_by(ticket_id=ticket.id)).first()
        assert owed is not None
        assert not followups.may_ask_for_payment(session, owed, clock_module.now())


def test_a_payment_link_of_a_later_part_takes_nothing_while_the_first_is_not_known(
    client: FlaskClient, cast: Cast, database: Database, tokens: Tokens, provider: FakeProvider
) -> None:
    ticket = part(database, cast, leg=2)
    with database.write() as session:
        attempt = session.get_one(Attempt, ticket.attempt_id)
        cast.session, shop = session, session.get_one(Shop, ticket.shop_id)
        link = links.link_for(session, shop, attempt, cast.order_of(attempt), clock_module.now())
        token = tokens.sign(Purpose.PAY, link.key)
    assert client.post(f"/pay/{token}").status_code == 409
    assert provider.taken == []


@pytest.mark.parametrize("stage", ["submitted", "authenticating", "confirming"])
def test_without_a_provider_to_ask_nothing_is_offered_once_pay_was_pressed(
    client: FlaskClient, database: Database, clock: Clock, stage: str
) -> None:
    with database.write() as session:
        cast = Cast(session, profile={"providers": {}})
    attempt = key()
    reach(client, attempt, 0, "started")
    token = open_panel(client, cast, attempt=attempt)
    answer = client.post(f"/help/{token}/check")
    assert heading(answer) == "You have not been charged"
    assert "Pay was not pressed on this page" in answer.text
    assert "provider confirms" not in answer.text
    clock.forward(timedelta(seconds=10))
    reach(client, attempt, 1, stage)
    answer = client.post(f"/help/{token}/check")
    assert heading(answer) == "We do not know yet if you were charged"
    assert "retry" not in offered(answer)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/frame/a%00b", {}),
        ("/look/a%00b.css", {}),
        ("/desk/queue", {"headers": {"HX-Current-URL": "http://[x"}}),
        ("/desk/login?next=http://[x", {}),
        ("/panel", {"method": "POST", "json": {"site": "a\x00", "attempt": {"key": "a" * 32}}}),
        (
            "/panel",
            {
                "method": "POST",
                "data": ENDLESS,
            },
        ),
    ],
)
def test_hostile_input_never_meets_a_bug(client: FlaskClient, cast: Cast, path: str, options: dict[str, Any]) -> None:
    assert client.open(path, **options).status_code < 500


def test_a_score_that_is_none_of_the_five_is_asked_for_again(
    client: FlaskClient, ticket: Ticket, tokens: Tokens, database: Database, clock: Clock
) -> None:
    address = f"/rate/{tokens.sign(Purpose.RATE, ticket.id)}"
    form = rating_form(client.get(address))
    clock.forward(timedelta(seconds=20))
    for score in ("050000", "0", "6", "٣", "-1", ""):
        assert client.post(address, data=form | {"score": score}).status_code == 422
    assert rating(database) is None
