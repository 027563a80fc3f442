"""The demo's mailbox: threads, a safe reading pane, and mails that need not be waited for."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.browsers import OpenPage
from tests.cast import Cast
from tests.conftest import Clock
from tests.processes import Running, free_port, start
from widget import followups, mailbox
from widget.database import Database
from widget.followups import Kind
from widget.mail import OutgoingMail, outbox_for
from widget.settings import Settings
from widget.web.app import create_app

OPENED = OutgoingMail(
    mail_id="opened.1",
    recipient="sam@example.com",
    subject="[UJ-0000-0001] Your payment at Karoo",
    text="We have your report.\n",
    html='<html><head></head><body><p>We have it.</p><a href="/health">See</a></body></html>',
    sender_name="Karoo",
)
REPLY = replace(
    OPENED,
    mail_id="reply.2",
    subject=f"Re: {OPENED.subject}",
    text="\n\nAda has answered you:\n",
    in_reply_to="opened.1",
    references=("opened.1",),
)
RATING = replace(
    REPLY, mail_id="rating.3", text="How was the help?\n", in_reply_to="reply.2", references=("opened.1", "reply.2")
)


@pytest.fixture
def filled(settings: Settings, database: Database) -> Database:
    """A database whose mailbox holds one thread of three mails, and one mail to somebody else."""
    fill(settings, database)
    return database


@pytest.fixture
def unjam(sqlite_url: str, tmp_path: Path) -> Iterator[Running]:
    """A server that sends nothing by itself."""
    env = {"UNJAM_ENVIRONMENT": "test", "UNJAM_DATABASE_URL": sqlite_url, "UNJAM_EMBEDDED_WORKER": "false"}
    running = start("serve", env=env, log=tmp_path / "unjam.log", port=free_port())
    yield running
    running.stop()


def fill(settings: Settings, database: Database) -> None:
    with outbox_for(settings, database).open() as post:
        for mail in (OPENED, replace(OPENED, mail_id="opened.9", recipient="kim@example.com"), REPLY, RATING):
            post.send(mail, lambda: True)


def letter_id(database: Database, mail: OutgoingMail) -> int:
    with database.read() as session:
        return next(each.id for each in mailbox.letters(session) if mail.mail_id in each.mail_id)


def test_letters_are_kept_by_thread_the_newest_first(filled: Database) -> None:
    with filled.read() as session:
        threads = mailbox.threads(session)

    assert [thread.recipient for thread in threads] == ["sam@example.com", "kim@example.com"]
    assert [each.first_line for each in threads[0].letters] == [
        "How was the help?",
        "Ada has answered you",
        "We have your report",
    ]
    assert threads[0].subject == OPENED.subject


def test_an_empty_mailbox_says_what_will_come(client: FlaskClient) -> None:
    assert "No e-mail yet" in client.get("/mailbox/").text


def test_a_letter_is_unread_until_this_visitor_opens_it(app: Flask, client: FlaskClient, filled: Database) -> None:
    before = client.get("/mailbox/").text.count("letter-unread")
    client.get(f"/mailbox/{letter_id(filled, REPLY)}")

    assert before == 4
    assert client.get("/mailbox/").text.count("letter-unread") == 3
    assert app.test_client().get("/mailbox/").text.count("letter-unread") == 4


def test_a_letter_is_shown_as_text_and_as_it_travelled(client: FlaskClient, filled: Database) -> None:
    address = f"/mailbox/{letter_id(filled, REPLY)}"

    assert "Ada has answered you:" in client.get(address, query_string={"view": "text"}).text
    assert "In-Reply-To: &lt;opened.1@localhost&gt;" in client.get(address, query_string={"view": "source"}).text
    assert "/html" in client.get(address, query_string={"view": "nonsense"}).text


def test_the_mail_in_the_frame_may_do_nothing_but_open_links(client: FlaskClient, filled: Database) -> None:
    response = client.get(f"/mailbox/{letter_id(filled, OPENED)}/html")

    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"sandbox [^;]*", policy)
    assert "script" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_blank">' in response.text


@pytest.mark.parametrize("path", ["/mailbox/4711", "/mailbox/4711/html"])
def test_a_letter_that_is_not_there_is_a_readable_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "not in the mailbox" in response.text


def test_a_waiting_mail_can_be_sent_now(app: Flask, database: Database, clock: Clock) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    with database.write() as session:
        ticket = Cast(session).ticket()
        reminder = next(each for each in followups.of(session, ticket) if each.kind == Kind.REMINDER)

    response = app.test_client().post(f"/mailbox/waiting/{reminder.id}")

    assert response.status_code == 303
    with database.write() as session:
        claimed = followups.claim(session, "worker", clock.now, lease=timedelta(minutes=3))
        assert reminder.id in [each.id for each in claimed]


def test_looking_at_the_mailbox_sends_nothing(client: FlaskClient, database: Database, clock: Clock) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket()
        due = {each.id: each.next_try_at for each in followups.of(session, ticket)}

    page = client.get("/mailbox/").text
    assert "Leaves <time" in page
    assert "in 1 day" in page
    with database.read() as session:
        assert {each.id: each.next_try_at for each in followups.of(session, ticket)} == due


def test_sending_now_needs_our_own_form(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        ticket = Cast(session).ticket()
        reminder = next(each for each in followups.of(session, ticket) if each.kind == Kind.REMINDER)

    assert client.post(f"/mailbox/waiting/{reminder.id}").status_code == 400


def test_sending_what_is_not_there_is_a_404(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    assert app.test_client().post("/mailbox/waiting/4711").status_code == 404


@pytest.mark.parametrize("settings_change", [{"smtp_host": "mail.test"}, {"environment": "production"}])
def test_there_is_no_mailbox_where_mail_really_leaves(
    settings: Settings, sqlite_database: Database, settings_change: dict[str, str]
) -> None:
    known = settings.model_dump() | {"secret_key": "x" * 40} | settings_change
    app = create_app(Settings.model_validate(known), sqlite_database)
    assert app.test_client().get("/mailbox/").status_code == 404


def test_a_link_in_a_mail_opens_beside_the_mailbox(
    unjam: Running, sqlite_database: Database, open_page: OpenPage
) -> None:
    with outbox_for(Settings(environment="test"), sqlite_database).open() as post:
        post.send(replace(OPENED, html=OPENED.html.replace("/health", f"{unjam.url}/health")), lambda: True)
    page = open_page(viewport={"width": 375, "height": 740})
    page.goto(f"{unjam.url}/mailbox/")
    page.get_by_role("link", name="We have your report").click()

    with page.context.expect_page() as beside:
        page.frame_locator("iframe").get_by_role("link", name="See").click()
    beside.value.wait_for_url(f"{unjam.url}/health")


def test_a_mail_appears_in_an_open_mailbox_by_itself(
    unjam: Running, sqlite_database: Database, open_page: OpenPage
) -> None:
    page = open_page()
    page.goto(f"{unjam.url}/mailbox/")
    fill(Settings(environment="test"), sqlite_database)
    page.get_by_role("link", name="Ada has answered you").wait_for()
