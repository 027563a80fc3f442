"""The desk: who gets in, what they see, and what their clicks owe the customer."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page
from werkzeug.test import TestResponse

from tests.browsers import OpenPage
from tests.cast import PACE, PASSWORD, Cast
from tests.conftest import Clock
from widget import (
    agents,
    attempts,
    clock,
    deadlines,
    feeds,
    followups,
    guard,
    health,
    holds,
    offers,
    orders,
    payments,
    stalls,
    tickets,
)
from widget.agents import Agent
from widget.attempts import Attempt, AttemptContext, Stage
from widget.database import Database
from widget.diagnosis import Side
from widget.feeds import Feed, Indicator, Source, Status
from widget.followups import FollowUp, Kind
from widget.guard import Suspicion
from widget.guard.patterns import PATTERNS
from widget.health import HealthCell
from widget.health.cells import moment_of, slot_of
from widget.hooks import Event, Hook
from widget.money import Money
from widget.offers import OfferKind
from widget.orders import Order
from widget.payments import Told
from widget.providers import ChargeState
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind
from widget.tickets import Message, Ticket, Topic
from widget.web.desk import words
from widget.web.desk.signin import way_back

HTMX = {"HX-Request": "true", "HX-Target": "pane"}
HOUR = timedelta(hours=1)


class Desk:
    """An agent at the desk, with one ticket in their shop."""

    def __init__(self, client: FlaskClient, database: Database) -> None:
        self.client, self.database = client, database
        with database.write() as session:
            self.cast = Cast(session)
            self.cast.agent()
            self.ticket = self.cast.ticket()
        self.path = f"/desk/tickets/{self.ticket.reference}"

    def sign_in(self, email: str = "agent@example.com", password: str = PASSWORD, **more: str) -> TestResponse:
        return self.post("/desk/login", "/desk/login", email=email, password=password, **more)

    def post(self, path: str, page: str | None = None, headers: Any = None, **form: Any) -> TestResponse:
        """Send a form of `page` (the ticket's own unless told), with the hidden fields it came with."""
        shown = self.client.get(page or self.path).text
        return self.client.post(path, data={"csrf_token": field(shown, "csrf_token")} | form, headers=headers)

    def say(self, typed: str, mode: str = "reply", **form: Any) -> TestResponse:
        seen = field(self.client.get(self.path).text, "seen")
        return self.post(f"{self.path}/messages", words=typed, mode=mode, **({"seen": seen} | form))

    def now(self) -> Ticket:
        with self.database.read() as session:
            return tickets.by_id(session, self.ticket.id)

    def messages(self, *, notes: bool = True) -> list[Message]:
        with self.database.read() as session:
            return tickets.messages_of(session, self.ticket, notes=notes)

    def owed(self, kind: Kind) -> list[FollowUp]:
        with self.database.read() as session:
            return [each for each in followups.of(session, self.ticket) if each.kind == kind]

    def hear(self, typed: str) -> None:
        with self.database.write() as session:
            tickets.hear(session, tickets.by_id(session, self.ticket.id), typed, clock.now())

    def break_apple_pay(self) -> None:
        """On iPhones it fails; cards and Macs are well; the provider says what it says."""
        groups = [
            ("apple_pay", "ios", "phone", 1, 9),
            ("apple_pay", "mac", "desktop", 12, 0),
            ("card", "ios", "phone", 20, 0),
        ]
        with self.database.write() as session:
            for method, os, device, worked, failed in groups:
                place = {"method": method, "provider": "demo", "browser": "safari", "os": os, "device": device}
                counts = {"worked": worked, "failed": failed, "latency": {str(deadlines.bucket_of(4)): worked}}
                since = moment_of(slot_of(clock.now()))
                session.add(HealthCell(shop_id=self.cast.shop.id, since=since, **place, **counts))
            source = Source.model_validate({"shape": "statuspage", "url": "https://status.example/api"})
            feeds.want(session, source, "demo", clock.now())
            feed = session.scalars(sa.select(Feed)).one()
            feeds.answered(feed, Status(Indicator.MAJOR, "Elevated <errors>", ("API: down",)), None, clock.now(), HOUR)

    def suspect(self) -> Suspicion:
        now = clock.now()
        with self.database.write() as session:
            numbers = {"attempts": 14, "declines": 12, "orders": 6, "minutes": 10}
            made = Suspicion(
                shop_id=self.cast.shop.id,
                subject="visitor:9f3a17c2b4d1",
                pattern="rapid",
                numbers=numbers,
                flagged_at=now,
                seen_at=now,
                until=now + HOUR,
            )
            session.add(made)
        return made

    def dead_event(self) -> Hook:
        with self.database.write() as session:
            made = Hook(
                shop_id=self.cast.shop.id,
                event="order.paid",
                key="paid:1",
                public_id="ev_1",
                body={"order": "D-1001"},
                created_at=clock.now(),
                next_try_at=clock.now(),
                dead_at=clock.now(),
                tries=12,
                trouble="It answered 500 <html>.",
            )
            session.add(made)
        return made

    def dead_letter(self) -> FollowUp:
        with self.database.write() as session:
            letter = next(each for each in followups.of(session, self.ticket) if each.kind == Kind.OPENED)
            followups.mark_failed(session, letter, clock.now(), "550 no such <user>", is_permanent=True)
        return letter


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"\s+value="([^"]*)"', page)
    return found[1] if found else ""


@pytest.fixture
def door(client: FlaskClient, database: Database) -> Desk:
    """The desk before signing in."""
    return Desk(client, database)


@pytest.fixture
def desk(door: Desk) -> Desk:
    assert door.sign_in().status_code == 303
    return door


@pytest.fixture
def stranger(app: Flask, desk: Desk) -> FlaskClient:
    """An agent of another shop, signed in beside ours."""
    with desk.database.write() as session:
        Cast(session, site="other", origin="http://127.0.0.1:8009").agent("stranger@example.com")
    client = app.test_client()
    form = {"email": "stranger@example.com", "password": PASSWORD}
    client.post("/desk/login", data=form | {"csrf_token": field(client.get("/desk/login").text, "csrf_token")})
    return client


# Signing in


def test_signing_in_leads_to_the_page_that_was_asked_for(door: Desk) -> None:
    asked = door.client.get(door.path)
    assert asked.location == f"/desk/login?next={door.path}"
    assert door.sign_in(next=door.path).location == door.path


def test_nothing_but_the_sign_in_page_is_shown_to_a_visitor(app: Flask, door: Desk) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("desk.")]
    assert len(rules) > 8
    for rule in rules:
        path = re.sub(r"<int:\w+>", "1", rule.rule.replace("<reference>", door.ticket.reference))
        if "GET" in (rule.methods or ()) and rule.endpoint != "desk.login":
            assert door.client.get(path).location.startswith("/desk/login"), path
        if rule.endpoint != "desk.login" and "POST" in (rule.methods or ()):
            answer = door.post(path, "/desk/login")
            assert answer.location == "/desk/login", path


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(door: Desk) -> None:
    wrong = door.sign_in(password="not the password")
    unknown = door.sign_in(email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert (
        wrong.text.replace("agent@", "nobody@").split("<h1>")[1].split("hidden")[0]
        == (unknown.text.split("<h1>")[1].split("hidden")[0])
    )


def test_guessing_is_stopped_for_one_agent_and_then_the_right_password_waits_too(door: Desk) -> None:
    tries = [door.sign_in(password="guess") for _ in range(5)]
    stopped = door.sign_in()
    assert {each.status_code for each in tries} == {401}
    assert stopped.status_code == 429
    assert "Wait 1 minute" in stopped.text
    assert 0 < int(stopped.headers["Retry-After"]) <= 60


def test_guessing_is_stopped_for_one_address_that_tries_many_agents(door: Desk) -> None:
    tries = [door.sign_in(email=f"agent{number}@example.com") for number in range(11)]
    assert [each.status_code for each in tries] == [401] * 10 + [429]


def test_signing_in_with_success_is_not_counted(door: Desk) -> None:
    for _ in range(7):
        assert door.sign_in().status_code == 303
        door.post("/desk/logout")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/desk/",
        "//evil.example/desk/",
        "/\\evil.example/desk/",
        "/desk/\\evil",
        "javascript:alert(1)",
        "/desk/\r\nSet-Cookie: a=b",
        "/pay/abc",
        "",
    ],
)
def test_signing_in_never_leads_out_of_the_desk(app: Flask, wanted: str) -> None:
    with app.test_request_context():
        assert way_back(wanted) == "/desk/"


def test_signing_out_ends_the_session(desk: Desk) -> None:
    assert desk.post("/desk/logout").location == "/desk/login"
    assert desk.client.get("/desk/").status_code == 302


def test_a_session_ends_after_twelve_hours_however_busy_it_was(door: Desk, clock: Clock) -> None:
    door.sign_in()
    for _ in range(12):
        clock.forward(timedelta(minutes=59))
        assert door.client.get("/desk/queue").status_code == 200
    clock.forward(timedelta(minutes=13))
    assert door.client.get("/desk/").status_code == 302


def test_a_new_password_ends_the_sessions_that_are_open(desk: Desk) -> None:
    with desk.database.write() as session:
        agents.change_password(session.scalars(sa.select(Agent)).one(), "another password")
    assert desk.client.get("/desk/").status_code == 302


def test_a_disabled_agent_is_out_at_once(desk: Desk) -> None:
    with desk.database.write() as session:
        session.scalars(sa.select(Agent)).one().disabled_at = clock.now()
    assert desk.client.get("/desk/").status_code == 302


def test_a_form_without_its_token_changes_nothing_and_shows_what_was_typed(desk: Desk) -> None:
    answer = desk.client.post(f"{desk.path}/messages", data={"words": "A long reply", "mode": "reply"})
    assert answer.status_code == 400
    assert "A long reply</textarea>" in answer.text
    assert len(desk.messages()) == 1


def test_pages_of_the_desk_are_never_kept_in_a_cache(desk: Desk) -> None:
    for path in ("/desk/", "/desk/queue", desk.path, "/desk/undelivered", "/desk/tickets/none"):
        assert desk.client.get(path).headers["Cache-Control"] == "no-store"


# Reading


def test_the_queue_and_the_ticket_say_what_is_stuck_and_for_whom(desk: Desk) -> None:
    page = desk.client.get(desk.path).text
    for said in (desk.ticket.reference, "sam@example.com", "D-1001", "ZAR", "It froze.", "Signed by the shop"):
        assert said in page


@pytest.mark.parametrize("has_hook", [True, False])
def test_a_ticket_says_until_when_its_order_is_kept_and_whether_the_shop_was_told(desk: Desk, has_hook: bool) -> None:
    now = clock.now()
    with desk.database.write() as session:
        shop = session.merge(desk.cast.shop)
        shop.profile = shop.profile | {"hook_url": "https://shop.example/hooks" if has_hook else None}
        attempt = session.get_one(Attempt, tickets.by_id(session, desk.ticket.id).attempt_id)
        order = orders.locked(session, attempt.order_id or 0)
        at = now + HOUR
        hold = holds.keep(session, shop, attempt, order, email="sam@example.com", remind_at=at, now=now)
    page = " ".join(desk.client.get(desk.path).text.split())

    told, untold = "The shop’s server was told to keep the order until", "Only a reminder,"
    assert ("Pays later" in page, told in page, untold in page) == (True, has_hook, not has_hook)
    assert f'datetime="{(hold.until if has_hook else hold.remind_at).isoformat()}' in page


def test_an_order_the_shop_did_not_sign_is_marked(desk: Desk) -> None:
    with desk.database.write() as session:
        desk.cast.session = session
        unsigned = desk.cast.ticket(desk.cast.attempt("D-2", is_signed=False))
    assert (
        "Not signed by the shop: check before you act." in desk.client.get(f"/desk/tickets/{unsigned.reference}").text
    )


def test_a_report_from_another_address_than_the_shop_signed_is_marked(desk: Desk) -> None:
    with desk.database.write() as session:
        desk.cast.session = session
        other = desk.cast.ticket(desk.cast.attempt("D-2"), email="other@example.com")
    assert "The shop’s order belongs to sam@example.com" in desk.client.get(f"/desk/tickets/{other.reference}").text


def test_what_a_customer_wrote_is_shown_as_text(desk: Desk) -> None:
    desk.hear("<script>alert(1)</script>")
    page = desk.client.get(desk.path).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("search", ["D-1001", "SAM@example", "reference"])
def test_a_search_finds_by_order_address_and_reference_in_every_status(desk: Desk, search: str) -> None:
    desk.post(f"{desk.path}/status", status="closed")
    wanted = desk.ticket.reference[3:] if search == "reference" else search
    assert f"line-{desk.ticket.reference}" not in desk.client.get("/desk/").text
    assert f"line-{desk.ticket.reference}" in desk.client.get("/desk/", query_string={"q": wanted}).text
    assert "No ticket matches" in desk.client.get("/desk/?q=nothing-like-it").text


def test_who_calls_with_a_code_is_found_and_taken_up_once(desk: Desk) -> None:
    key = "10ab" + "0" * 28
    with desk.database.write() as session:
        made = attempts.open_for(session, desk.cast.shop, AttemptContext(key=key), clock.now())
        session.flush()
        take_up = f"/desk/attempts/{made.id}/ticket"

    for typed in ("10AB-0000", "loab oooo", "10ab0000"):
        page = desk.client.get("/desk/", query_string={"q": typed}).text
        assert '<span class="mono">10AB-0000</span> has no ticket yet' in page
    for typed in ("10AB-0001", "10AB"):
        assert "has no ticket yet" not in desk.client.get("/desk/", query_string={"q": typed}).text
    opened = {desk.post(take_up).location for _ in range(2)}
    page = desk.client.get("/desk/?q=10AB-0000").text

    assert len(opened) == 1
    assert f"line-{opened.pop().rsplit('/', 1)[1]}" in page
    assert "has no ticket yet" not in page
    assert "No address known" in page


def test_a_code_of_another_shop_is_neither_found_nor_taken_up(desk: Desk, stranger: FlaskClient) -> None:
    key = "10ab" + "0" * 28
    with desk.database.write() as session:
        made = attempts.open_for(session, desk.cast.shop, AttemptContext(key=key), clock.now())
        session.flush()
        take_up = f"/desk/attempts/{made.id}/ticket"
    token = {"csrf_token": field(stranger.get("/desk/").text, "csrf_token")}

    assert "has no ticket yet" not in stranger.get("/desk/?q=10AB-0000").text
    assert stranger.post(take_up, data=token).status_code == 404
    assert stranger.post("/desk/attempts/99999999999999999999999/ticket", data=token).status_code == 404


def test_the_queue_says_what_a_ticket_is_about_before_it_is_opened(desk: Desk) -> None:
    assert "Paid twice" not in desk.client.get("/desk/").text
    with desk.database.write() as session:
        tickets.by_id(session, desk.ticket.id).topic = Topic.PAID_TWICE.value
    line = desk.client.get("/desk/").text.split(f'id="line-{desk.ticket.reference}"')[1].split("</a>")[0]
    assert "Paid twice" in line


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_address_with_a_slip_in_it_stays_at_the_desk(desk: Desk, headers: dict[str, str]) -> None:
    shown = desk.client.get("/desk/tikets/2026", headers=headers)
    assert shown.status_code == 404
    assert "Back to the queue" in shown.text
    assert "e-mail again" not in shown.text


def test_an_agent_of_another_shop_meets_no_trace_of_the_ticket(desk: Desk, stranger: FlaskClient) -> None:
    letter = desk.dead_letter()
    assert stranger.get(desk.path).status_code == 404
    assert desk.ticket.reference not in stranger.get("/desk/?view=all").text
    assert desk.ticket.reference not in stranger.get("/desk/?q=sam@example.com").text
    assert desk.ticket.reference not in stranger.get("/desk/undelivered").text
    token = {"csrf_token": field(stranger.get("/desk/").text, "csrf_token")}
    forms = [
        ("messages", {"words": "Hello", "mode": "reply"}),
        ("status", {"status": "closed"}),
        ("charge", {}),
        (f"emails/{letter.id}/retry", {}),
    ]
    for path, form in forms:
        assert stranger.post(f"{desk.path}/{path}", data=token | form).status_code == 404
    assert stranger.post(f"/desk/undelivered/{letter.id}/retry", data=token).status_code == 404
    assert (desk.now().status, len(desk.messages())) == ("new", 1)


def test_htmx_gets_the_pane_alone_and_history_gets_the_whole_page(desk: Desk) -> None:
    pane = desk.client.get(desk.path, headers=HTMX).text
    again = desk.client.get(desk.path, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}).text
    assert pane.lstrip().startswith("<title>")
    assert "</html>" in again


def test_the_list_alone_keeps_the_open_ticket_marked(desk: Desk) -> None:
    address = {"HX-Request": "true", "HX-Current-URL": f"http://localhost{desk.path}?view=all"}
    alone = desk.client.get("/desk/queue", headers=address).text
    assert 'aria-current="true"' in alone
    assert 'id="words"' not in alone


def test_a_signed_out_htmx_request_is_told_so_beside_the_pane(door: Desk) -> None:
    answer = door.client.get("/desk/queue", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Retarget"] == "#alert"


# Answering


def test_a_reply_is_owed_to_the_customer_once(desk: Desk) -> None:
    answer = desk.say("Nothing was charged.")
    assert answer.location == desk.path
    assert "Reply on its way by e-mail." in desk.client.get(desk.path).text
    assert [each.body for each in desk.messages(notes=False)] == ["It froze.", "Nothing was charged."]
    assert len(desk.owed(Kind.REPLY)) == 1
    assert desk.now().status == "open"


@pytest.mark.parametrize("mode", ["reply", "note", "resolve"])
def test_the_same_form_sent_twice_counts_once(desk: Desk, mode: str) -> None:
    seen = field(desk.client.get(desk.path).text, "seen")
    answers = [desk.say("Once", mode, seen=seen) for _ in range(2)]
    assert {each.status_code for each in answers} == {303}
    assert len(desk.messages()) == 2
    assert len(desk.owed(Kind.REPLY)) == (0 if mode == "note" else 1)
    assert len(desk.owed(Kind.RESOLVED)) == (1 if mode == "resolve" else 0)


def test_the_same_words_may_be_sent_again_on_purpose(desk: Desk) -> None:
    desk.say("Still looking.")
    desk.say("Still looking.")
    assert len(desk.owed(Kind.REPLY)) == 2


def test_a_reply_that_the_customer_overtook_waits_and_keeps_its_words(desk: Desk) -> None:
    seen = field(desk.client.get(desk.path).text, "seen")
    desk.hear("It is paid now.")
    answer = desk.say("Please try again", seen=seen)
    assert answer.status_code == 409
    assert "The customer wrote in the meantime" in answer.text
    assert "Please try again</textarea>" in answer.text
    assert desk.owed(Kind.REPLY) == []


def test_a_note_stays_with_the_agents(desk: Desk) -> None:
    desk.say("Looks like a bank outage", "note")
    assert [each.body for each in desk.messages(notes=False)] == ["It froze."]
    assert desk.owed(Kind.REPLY) == []
    assert "Note, not shown to the customer" in desk.client.get(desk.path).text


@pytest.mark.parametrize(("typed", "said"), [("  ", "Write something first"), ("x" * 5001, "at most 5000 characters")])
def test_words_that_cannot_be_sent_come_back_with_the_reason(desk: Desk, typed: str, said: str) -> None:
    answer = desk.say(typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert f">{typed}</textarea>" in answer.text


def test_resolving_tells_the_customer_and_asks_later_how_it_went(desk: Desk) -> None:
    desk.post(f"{desk.path}/status", status="resolved")
    assert desk.now().status == "resolved"
    assert len(desk.owed(Kind.RESOLVED)) == len(desk.owed(Kind.RATING)) == 1
    assert "Reopen" in desk.client.get(desk.path).text


def test_an_unknown_status_is_refused(desk: Desk) -> None:
    assert desk.post(f"{desk.path}/status", status="forgotten").status_code == 422
    assert desk.now().status == "new"


def test_a_change_by_htmx_answers_the_pane_and_refreshes_the_list(desk: Desk) -> None:
    answer = desk.post(f"{desk.path}/status", headers=HTMX, status="waiting_engineers")
    assert answer.status_code == 200
    assert answer.headers["HX-Trigger"] == "tickets-changed"
    assert "Status: Waiting engineers." in answer.text


def test_asking_a_provider_that_is_silent_warns_against_a_second_payment(desk: Desk) -> None:
    desk.post(f"{desk.path}/charge")
    page = desk.client.get(desk.path).text
    assert "Do not ask the customer to pay again until this is known." in page


# Undelivered mail


def test_a_dead_letter_shows_its_reason_and_can_be_tried_again(desk: Desk) -> None:
    letter = desk.dead_letter()
    assert "550 no such &lt;user&gt;" in desk.client.get("/desk/undelivered").text
    answer = desk.post(f"/desk/undelivered/{letter.id}/retry")
    assert answer.location == "/desk/undelivered"
    assert (desk.owed(Kind.OPENED)[0].dead_at, desk.owed(Kind.OPENED)[0].tries) == (None, 0)
    assert "Every e-mail has been delivered" in desk.client.get("/desk/undelivered").text


def test_an_e_mail_that_is_not_dead_stays_as_it_is(desk: Desk) -> None:
    letter = desk.dead_letter()
    with desk.database.write() as session:
        living = session.get_one(FollowUp, letter.id)
        living.dead_at, living.sent_at, living.tries = None, clock.now(), 3
    desk.post(f"{desk.path}/emails/{letter.id}/retry")
    assert desk.owed(Kind.OPENED)[0].tries == 3


def test_there_is_no_e_mail_with_this_number(desk: Desk) -> None:
    assert desk.post("/desk/undelivered/99999999999999999999999/retry").status_code == 404


def test_an_event_that_the_shop_did_not_take_can_be_told_again(desk: Desk) -> None:
    event = desk.dead_event()
    assert "It answered 500 &lt;html&gt;." in desk.client.get("/desk/undelivered").text
    assert desk.post(f"/desk/undelivered/events/{event.id}/retry", "/desk/undelivered").location == "/desk/undelivered"
    with desk.database.read() as session:
        assert session.get_one(Hook, event.id).dead_at is None
    assert "No event is waiting" in desk.client.get("/desk/undelivered").text


# Live


def test_the_live_page_shows_where_a_method_fails_and_what_the_provider_says(desk: Desk) -> None:
    desk.break_apple_pay()
    page = desk.client.get("/desk/live").text
    assert "Apple pay is failing" in page
    assert "iPhone Safari: 9 of the last 10" in " ".join(page.split())
    assert page.count("square-bad") == 1
    for said in ("Elevated &lt;errors&gt;", "API: down", "Outage", "Last good answer", "4.0 s"):
        assert said in page


@pytest.mark.parametrize(("failed", "is_coloured"), [(2, False), (3, False), (4, True)])
def test_the_live_page_colours_only_what_counts_as_failing(desk: Desk, failed: int, is_coloured: bool) -> None:
    place = {"method": "card", "provider": "demo", "browser": "chrome", "os": "windows", "device": "desktop"}
    with desk.database.write() as session:
        since = moment_of(slot_of(clock.now()))
        session.add(HealthCell(shop_id=desk.cast.shop.id, since=since, failed=failed, **place))
    page = desk.client.get("/desk/live").text
    assert f"0 of {failed}" in page
    assert ("Card is failing" in page) is is_coloured
    assert bool(re.search(r"square-(bad|warn)", page)) is is_coloured


def test_the_live_page_shows_which_provider_behind_a_method_fails(desk: Desk) -> None:
    desk.break_apple_pay()
    with desk.database.write() as session:
        for provider, worked, failed in (("stripe", 40, 0), ("adyen", 0, 9)):
            place = {"method": "card", "provider": provider, "browser": "chrome", "os": "windows", "device": "desktop"}
            since, counts = moment_of(slot_of(clock.now())), {"worked": worked, "failed": failed}
            session.add(HealthCell(shop_id=desk.cast.shop.id, since=since, **place, **counts))
    page = " ".join(desk.client.get("/desk/live").text.split())
    assert "Card through Adyen is failing</strong> · Windows Chrome: 9 of the last 9" in page
    assert "through Stripe" in page
    assert "Card is failing" not in page
    assert "Apple pay through" not in page


def test_the_live_page_without_any_payment_says_so(desk: Desk) -> None:
    page = desk.client.get("/desk/live").text
    assert "Nothing was paid or got stuck in the last day" in page
    assert "Nobody looks like that now." in page


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({}, "Unjam knows no status page of it that answers machines."),
        ({"status_feed": False}, "says that its status page is not to be asked."),
        (
            {"status_feed": {"shape": "statuspage", "url": "https://status.example/api"}},
            "Its status page has not been asked yet.",
        ),
    ],
)
def test_the_live_page_says_why_a_provider_is_not_asked_how_it_is(
    desk: Desk, configured: dict[str, object], said: str
) -> None:
    with desk.database.write() as session:
        shop = session.get_one(Shop, desk.cast.shop.id)
        shop.profile = shop.profile | {"providers": {"adyen": configured}}
    page = " ".join(desk.client.get("/desk/live").text.split())
    assert said in page
    assert page.count("Not asked") == 1


def test_a_status_that_is_old_is_marked_as_old(clock: Clock, desk: Desk) -> None:
    desk.break_apple_pay()
    clock.forward(timedelta(minutes=20))
    assert "Outage, as it was" in desk.client.get("/desk/live").text


def test_outcomes_that_nobody_counts_are_noticed(clock: Clock, desk: Desk) -> None:
    with desk.database.write() as session:
        attempt = session.get_one(Attempt, desk.ticket.attempt_id)
        stalls.record(session, attempt, StallKind.WALLET, Stage.SUBMITTED, SeenBy.PAGE, clock.now, {})
        health.count(session, attempt, clock.now)
    assert "These figures are behind." not in desk.client.get("/desk/live").text
    clock.forward(timedelta(minutes=20))
    assert "These figures are behind." in desk.client.get("/desk/live").text


def test_the_moving_part_comes_alone(desk: Desk) -> None:
    part = desk.client.get("/desk/live", headers={"HX-Request": "true", "HX-Target": "live"}).text
    assert "<h2" in part
    assert "</html>" not in part
    assert "csrf_token" not in part


def test_every_page_of_the_desk_counts_the_faults(desk: Desk) -> None:
    desk.break_apple_pay()
    rail = desk.client.get("/desk/").text.split('id="view-live"')[1].split("</a>")[0]
    assert "count-bad" in rail
    assert ">2<" in rail.replace(" ", "")


def test_honest_customers_are_believed_again_by_one_click(desk: Desk) -> None:
    suspicion = desk.suspect()
    assert "14 tries · 12 declines · 6 orders, in 10 min" in desk.client.get("/desk/live").text
    assert desk.post(f"/desk/live/suspicions/{suspicion.id}/lift", "/desk/live").location == "/desk/live"
    with desk.database.read() as session:
        assert guard.flagged(session, [desk.cast.shop.id], clock.now())[0].lifted_by is not None
    assert "These are honest customers" not in desk.client.get("/desk/live").text


def test_a_stranger_sees_and_lifts_nothing_of_our_shop(desk: Desk, stranger: FlaskClient) -> None:
    desk.break_apple_pay()
    suspicion, event = desk.suspect(), desk.dead_event()
    page = stranger.get("/desk/live").text
    assert "failing" not in page
    assert "12 declines" not in page
    token = {"csrf_token": field(stranger.get("/desk/").text, "csrf_token")}
    assert stranger.post(f"/desk/live/suspicions/{suspicion.id}/lift", data=token).status_code == 404
    assert stranger.post(f"/desk/undelivered/events/{event.id}/retry", data=token).status_code == 404


def test_the_ticket_says_why_with_side_confidence_and_evidence(desk: Desk) -> None:
    with desk.database.write() as session:
        attempt = session.get_one(Attempt, desk.ticket.attempt_id)
        stalls.record(
            session, attempt, StallKind.DECLINED, Stage.SUBMITTED, SeenBy.PAGE, clock.now(), {"code": "stolen_card"}
        )
    page = desk.client.get(desk.path).text
    for said in ("stolen_card", "reported lost or stolen", "Bank’s side", "Certain (95 %)", "decline:generic"):
        assert said in page


# Words


@pytest.mark.parametrize(
    ("words_of", "codes"),
    [
        (words._SIDES, Side),
        (words._OFFERS, OfferKind),
        (words._MAILS, Kind),
        (words._EVENTS, Event),
        (words._TOPICS, Topic),
        (words._PATTERNS, [pattern.name for pattern in PATTERNS]),
    ],
)
def test_every_code_has_its_words(words_of: dict[str, str], codes: Any) -> None:
    assert set(words_of) == set(codes)


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(seconds=59), "under 1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3, hours=5), "3 days"),
    ],
)
def test_a_length_is_shown_in_its_largest_unit(length: timedelta, shown: str) -> None:
    assert words.span(length) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "+0.0 s"), (4.04, "+4.0 s"), (-2, "+0.0 s"), (599.9, "+599.9 s"), (7200, "+2 h")]
)
def test_the_timeline_counts_in_seconds_while_the_attempt_runs(seconds: float, shown: str) -> None:
    start = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert words.offset(start + timedelta(seconds=seconds), start) == shown


def test_not_charged_is_only_safe_while_it_is_fresh(door: Desk, clock: Clock) -> None:
    with door.database.write() as session:
        door.cast.session = session
        attempt = door.cast.attempt("D-3", charge=ChargeState.NOT_CHARGED)
        door.ticket = door.cast.ticket(attempt)
    door.path = f"/desk/tickets/{door.ticket.reference}"
    door.sign_in()
    assert "The customer can pay again." in door.client.get(door.path).text
    clock.forward(timedelta(hours=1))
    assert "Ask again before you rely on it." in door.client.get(door.path).text


# In a browser


@pytest.fixture
def at_work(page: Page, address: str, door: Desk) -> Page:
    """A browser signed in at the desk's front page."""
    return signed_in(page, address)


def signed_in(page: Page, address: str) -> Page:
    page.goto(f"{address}/desk/")
    page.fill("#email", "agent@example.com")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#queue")
    return page


def test_keys_open_a_ticket_and_a_fresh_list_leaves_what_is_typed_alone(at_work: Page, door: Desk) -> None:
    at_work.keyboard.press("j")
    at_work.keyboard.press("Enter")
    at_work.wait_for_selector(".ticket")
    at_work.keyboard.press("r")
    at_work.keyboard.type("Nothing was ch")
    with door.database.write() as session:
        door.cast.session = session
        second = door.cast.ticket(door.cast.attempt("D-2"), email="new@example.com")
    at_work.evaluate("document.body.dispatchEvent(new Event('tickets-changed'))")
    at_work.wait_for_selector(f"#line-{second.reference}")
    at_work.keyboard.type("arged.")
    assert at_work.input_value("#words") == "Nothing was charged."
    assert at_work.get_attribute(f"#line-{door.ticket.reference}", "aria-current") == "true"


def test_a_reply_by_keyboard_swaps_the_pane_and_says_so_where_the_focus_is(at_work: Page, door: Desk) -> None:
    at_work.click("[data-line]")
    at_work.fill("#words", "Nothing was charged.")
    at_work.press("#words", "Control+Enter")
    at_work.wait_for_selector(".toast:focus")
    assert at_work.url.endswith(door.path)
    assert len(door.owed(Kind.REPLY)) == 1
    at_work.go_back()
    at_work.wait_for_selector("text=Choose a ticket")
    assert at_work.locator("#queue").count() == 1


def test_a_session_that_ended_does_not_take_the_typed_words_with_it(at_work: Page, door: Desk) -> None:
    at_work.click("[data-line]")
    at_work.fill("#words", "A long reply")
    at_work.context.clear_cookies()
    at_work.click("#send-reply")
    at_work.wait_for_selector("#alert >> text=You are signed out")
    assert at_work.input_value("#words") == "A long reply"
    assert len(door.messages()) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 375])
def test_the_desk_is_accessible_and_fits_the_window(
    open_page: OpenPage, address: str, door: Desk, width: int, scheme: str
) -> None:
    page = signed_in(open_page(viewport={"width": width, "height": 800}, color_scheme=scheme), address)
    door.break_apple_pay()
    door.suspect()
    door.dead_event()
    door.dead_letter()
    for path in ("/desk/", door.path, "/desk/live", "/desk/undelivered", "/desk/?q=nothing"):
        page.goto(address + path)
        assert Axe().run(page).response["violations"] == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_on_a_phone_one_area_is_shown_at_a_time(open_page: OpenPage, address: str, door: Desk) -> None:
    page = signed_in(open_page(viewport={"width": 375, "height": 740}), address)
    page.click("[data-line]")
    page.wait_for_selector(".ticket")
    assert not page.is_visible("#queue")
    page.click(".back a")
    page.wait_for_selector("#queue")
    assert page.is_visible("#queue")


def test_without_javascript_a_reply_is_sent_all_the_same(open_page: OpenPage, address: str, door: Desk) -> None:
    page = signed_in(open_page(java_script_enabled=False), address)
    page.click("[data-line]")
    page.fill("#words", "Nothing was charged.")
    page.click("#send-reply")
    assert page.is_visible("text=Reply on its way by e-mail.")
    assert len(door.owed(Kind.REPLY)) == 1


def test_an_agent_sees_what_was_taken_after_the_way_out_that_worked(desk: Desk) -> None:
    with desk.database.write() as session:
        attempt = session.get_one(Attempt, desk.ticket.attempt_id)
        offers.choose(session, attempt, OfferKind.REST, clock.now())
        for payment, minor in (("pay_1", 84_900), ("pay_2", 40_000)):
            told = Told(payment, payments.Source.SHOP, Money(minor, "ZAR"), payment=payment)
            order = session.get_one(Order, attempt.order_id)
            payments.record(session, session.get_one(Shop, desk.cast.shop.id), order, told, PACE, clock.now())
            offers.of(session, attempt.id)[0].chosen_at = clock.now()
    desk.sign_in()
    ways = desk.client.get(desk.path).text.split('id="offers-title"')[1].split("</section>")[0]

    assert "400.00" in ways
    assert "Worked" in ways
    assert "1,249.00" not in ways
