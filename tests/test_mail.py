"""Mail over a real SMTP conversation: its headers, its last question, and every way in which a server can fail."""

import email
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default as parsed
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.conftest import Clock
from tests.mailserver import MailServer
from tests.processes import free_port
from widget import mailbox
from widget.database import Database
from widget.mail import NotWanted, OutgoingMail, SendFailed, SmtpOutbox, outbox_for
from widget.mail.mime import MimeMail
from widget.settings import Settings

MAIL = OutgoingMail(
    mail_id="opened.1234",
    recipient="sam@example.com",
    subject="[UJ-0000-0001] Your payment at Karoo",
    text="Käse\n",
    html="<p>Käse</p>",
    sender_name="Karoo",
)


class Recorder:
    """Something to call that answers always the same and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self._answer, self.calls = answer, list[tuple[Any, ...]]()

    def __call__(self, *said: Any) -> Any:
        self.calls.append(said)
        return self._answer


def settings_for(server: MailServer, **more: Any) -> Settings:
    settings = Settings(
        environment="test",
        smtp_host=server.host,
        smtp_port=server.port,
        smtp_security="none",
        mail_from="help@karoo.test",
    )
    return Settings.model_validate(settings.model_dump() | more)


def send(server: MailServer, mail: OutgoingMail = MAIL, *, is_wanted: bool = True, **more: Any) -> str:
    with SmtpOutbox(settings_for(server, **more)).open() as post:
        return post.send(mail, lambda: is_wanted)


def sent_form(mail: OutgoingMail, mail_from: str = "help@karoo.test") -> EmailMessage:
    return email.message_from_bytes(MimeMail(mail, mail_from).as_bytes(), policy=parsed)


@contextmanager
def answering(*lines: bytes) -> Iterator[MailServer]:
    """A server that answers with these lines, one for each that it gets, and says nothing more after the last."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def talk() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as heard:
                for line in lines:
                    connection.sendall(line + b"\r\n")
                    heard.readline()
                done.wait()

        thread = threading.Thread(target=talk)
        thread.start()
        yield MailServer(port=listener.getsockname()[1])
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-made certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    return folder / "cert", folder / "key"


@pytest.fixture
def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@contextmanager
def listening(**options: Any) -> Iterator[MailServer]:
    server = MailServer(port=free_port())
    controller = Controller(server, hostname=server.host, port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@pytest.fixture
def starttls(context: ssl.SSLContext) -> Iterator[MailServer]:
    """A server that takes mail only after STARTTLS and a login."""
    with listening(
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=lambda *said: AuthResult(success=said[-1].password == b"right", handled=False),
    ) as server:
        yield server


def test_a_mail_arrives_with_both_forms_and_the_servers_answer_comes_back(smtp: MailServer) -> None:
    answer = send(smtp)

    message = smtp.wait_for(1)[0]
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    assert [body.get_content().strip() for body in bodies if body] == ["Käse", "<p>Käse</p>"]
    assert answer == "250 Accepted"


def test_the_headers_tell_machines_what_this_is(smtp: MailServer, clock: Clock) -> None:
    send(smtp, replace(MAIL, in_reply_to="opened.1", references=("opened.1", "reply.2")))

    message = smtp.wait_for(1)[0]
    assert message["From"] == "Karoo <help@karoo.test>"
    assert message["To"] == "sam@example.com"
    assert message.get_all("Message-ID") == ["<opened.1234@karoo.test>"]
    assert message["In-Reply-To"] == "<opened.1@karoo.test>"
    assert message["References"].split() == ["<opened.1@karoo.test>", "<reply.2@karoo.test>"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Content-Language"] == "en"
    assert message["Date"].datetime == clock.now


@pytest.mark.parametrize("field", ["subject", "sender_name", "mail_id", "in_reply_to", "language"])
@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00\n"])
def test_nobody_smuggles_a_header_in(field: str, line_break: str) -> None:
    smuggled: Any = {field: f"x{line_break}Bcc: all@example.com{line_break}{line_break}Body"}
    message = sent_form(replace(MAIL, **smuggled))

    assert message["Bcc"] is None
    assert message["To"] == "sam@example.com"
    assert message.get_content_type() == "multipart/alternative"


def test_names_beyond_ascii_and_with_quotes_arrive_as_they_are() -> None:
    message = sent_form(replace(MAIL, sender_name='Bäcker, "Söhne" <evil@x.test>', subject="Zahlung bei Bäcker " * 9))

    address = message["From"].addresses[0]
    assert (address.display_name, address.addr_spec) == ('Bäcker, "Söhne" <evil@x.test>', "help@karoo.test")
    assert message["Subject"] == ("Zahlung bei Bäcker " * 9).strip()


def test_the_form_survives_seven_bit_servers_with_short_lines() -> None:
    form = MimeMail(
        replace(MAIL, text="ä" * 3000, html="x" * 3000, references=("opened.1234",) * 20), "help@karoo.test"
    )

    content = form.as_bytes()
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 78


def test_ids_stay_readable_under_a_long_domain() -> None:
    domain = "a-rather-long-name.of-a-mail-domain.belonging-to-some-shop.co.example"
    message = sent_form(replace(MAIL, in_reply_to="opened.1" * 3, references=("a" * 31, "b" * 31)), f"help@{domain}")

    assert message["References"].split() == [f"<{'a' * 31}@{domain}>", f"<{'b' * 31}@{domain}>"]
    assert f"\nIn-Reply-To: <{'opened.1' * 3}@{domain}>\n" in message.as_string(policy=parsed.clone(max_line_length=0))


def test_sending_looks_up_no_name_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = Recorder("machine.test")
    monkeypatch.setattr(socket, "getfqdn", looked_up)

    with answering(b"220 hi", *[b"250 OK"] * 3, b"354 go on", b"250 taken") as server, suppress(SendFailed):
        send(server, smtp_timeout_seconds=0.2)
    assert looked_up.calls == []


def test_a_mail_not_wanted_any_more_never_leaves_and_the_next_one_does(smtp: MailServer) -> None:
    with SmtpOutbox(settings_for(smtp)).open() as post:
        with pytest.raises(NotWanted):
            post.send(MAIL, lambda: False)
        post.send(replace(MAIL, mail_id="reply.2"), lambda: True)

    assert [message["Message-ID"] for message in smtp.wait_for(1)] == ["<reply.2@karoo.test>"]


def test_the_last_question_comes_after_the_server_agreed_to_the_recipient(smtp: MailServer) -> None:
    asked = Recorder(True)
    smtp.answers["sam@example.com"] = "550 unknown"

    with SmtpOutbox(settings_for(smtp)).open() as post:
        with pytest.raises(SendFailed):
            post.send(MAIL, asked)
        assert asked.calls == []
        post.send(replace(MAIL, recipient="kim@example.com"), asked)
    assert asked.calls == [()]


@pytest.mark.parametrize(
    ("answer", "is_permanent"),
    [
        ("550 5.1.1 <sam@example.com> is unknown", True),
        ("551 not here", True),
        ("451 4.7.1 come back later", False),
        ("452 the mailbox is full", False),
        ("421 too busy", False),
        ("530 5.7.0 sign in first", False),
    ],
)
def test_a_refused_recipient_is_final_only_when_the_server_means_the_recipient(
    smtp: MailServer, answer: str, is_permanent: bool
) -> None:
    smtp.answers["sam@example.com"] = answer

    with pytest.raises(SendFailed) as failure:
        send(smtp)
    assert failure.value.is_permanent is is_permanent
    assert answer[:3] in failure.value.detail
    assert "sam@" not in failure.value.detail


def test_a_refused_recipient_does_not_hold_up_the_next(smtp: MailServer) -> None:
    smtp.answers["sam@example.com"] = "550 unknown"

    with SmtpOutbox(settings_for(smtp)).open() as post:
        with pytest.raises(SendFailed):
            post.send(MAIL, lambda: True)
        post.send(replace(MAIL, recipient="kim@example.com"), lambda: True)
    assert [message["To"] for message in smtp.wait_for(1)] == ["kim@example.com"]


@pytest.mark.parametrize(("answer", "is_permanent"), [(b"554 spam", True), (b"451 later", False)])
def test_a_refused_message_is_final_only_when_the_server_says_so(answer: bytes, is_permanent: bool) -> None:
    said = (b"220 hi", b"250 hi", b"250 sender", b"250 recipient", answer, b"250 reset", b"221 bye")
    with answering(*said) as server, pytest.raises(SendFailed) as failure:
        send(server)
    assert failure.value.is_permanent is is_permanent


def test_a_refused_sender_is_our_own_fault_and_tried_again() -> None:
    said = (b"220 hi", b"250 hi", b"550 you may not send", b"250 reset", b"221 bye")
    with answering(*said) as server, pytest.raises(SendFailed, match="the sender: 550") as failure:
        send(server)
    assert not failure.value.is_permanent


@pytest.mark.parametrize("said", [(), (b"220 hi",), (b"220 hi", b"250 hi"), (b"220 hi", b"250 hi", b"250 sender")])
def test_a_server_that_hangs_costs_the_time_out_and_not_more(said: tuple[bytes, ...]) -> None:
    began = time.monotonic()
    with answering(*said) as server, pytest.raises(SendFailed, match="in time") as failure:
        send(server, smtp_timeout_seconds=0.2)
    assert not failure.value.is_permanent
    assert time.monotonic() - began < 4


def test_a_server_that_is_away_is_tried_again_later() -> None:
    with pytest.raises(SendFailed, match="cannot be reached") as failure:
        send(MailServer(port=free_port()))
    assert not failure.value.is_permanent


def test_a_server_that_is_away_costs_one_time_out_per_round_and_not_one_per_mail(smtp: MailServer) -> None:
    smtp.stop()
    with SmtpOutbox(settings_for(smtp)).open() as post:
        with pytest.raises(SendFailed):
            post.send(MAIL, lambda: True)
        smtp.start()
        with pytest.raises(SendFailed, match="cannot be reached"):
            post.send(MAIL, lambda: True)
    assert send(smtp) == "250 Accepted"


def test_a_server_that_restarts_between_two_mails_gets_both(smtp: MailServer) -> None:
    with SmtpOutbox(settings_for(smtp)).open() as post:
        post.send(MAIL, lambda: True)
        smtp.stop()
        smtp.start()
        post.send(replace(MAIL, mail_id="reply.2"), lambda: True)
    assert len(smtp.wait_for(2)) == 2


def test_a_question_that_breaks_does_not_spoil_the_next_mail(smtp: MailServer) -> None:
    with SmtpOutbox(settings_for(smtp)).open() as post:
        with pytest.raises(ZeroDivisionError):
            post.send(MAIL, lambda: bool(1 / 0))
        post.send(replace(MAIL, mail_id="reply.2"), lambda: True)
    assert [message["Message-ID"] for message in smtp.wait_for(1)] == ["<reply.2@karoo.test>"]


def test_starttls_with_a_certificate_we_were_told_to_trust(
    starttls: MailServer, certificate: tuple[Path, Path]
) -> None:
    security: dict[str, Any] = {"smtp_security": "starttls", "smtp_ca_file": certificate[0]}
    assert send(starttls, smtp_username="us", smtp_password="right", **security) == "250 Accepted"


def test_tls_from_the_first_byte(context: ssl.SSLContext, certificate: tuple[Path, Path]) -> None:
    with listening(ssl_context=context) as server:
        assert send(server, smtp_security="tls", smtp_ca_file=certificate[0]) == "250 Accepted"
        with pytest.raises(SendFailed, match="certificate is not trusted"):
            send(server, smtp_security="tls")


def test_a_wrong_password_is_our_own_fault_and_never_shown(
    starttls: MailServer, certificate: tuple[Path, Path]
) -> None:
    security: dict[str, Any] = {"smtp_security": "starttls", "smtp_ca_file": certificate[0]}
    with pytest.raises(SendFailed, match="refused our login") as failure:
        send(starttls, smtp_username="us", smtp_password="wrong-secret", **security)
    assert not failure.value.is_permanent
    assert "wrong-secret" not in failure.value.detail


def test_a_certificate_nobody_vouches_for_gets_no_mail(starttls: MailServer) -> None:
    with pytest.raises(SendFailed, match="certificate is not trusted"):
        send(starttls, smtp_security="starttls", smtp_username="us", smtp_password="right")
    assert starttls.messages == []


def test_a_server_without_starttls_gets_no_mail_in_clear(smtp: MailServer) -> None:
    with pytest.raises(SendFailed, match="UNJAM_SMTP_SECURITY"):
        send(smtp, smtp_security="starttls")
    assert smtp.messages == []


def test_an_address_in_another_script_goes_to_its_dns_name(smtp: MailServer) -> None:
    send(smtp, replace(MAIL, recipient="sam@bücher.example"))
    assert smtp.wait_for(1)[0]["To"] == "sam@xn--bcher-kva.example"


def test_a_name_in_another_script_needs_a_server_that_can(smtp: MailServer) -> None:
    mail = replace(MAIL, recipient="jörg@example.com")

    send(smtp, mail)
    with answering(b"220 hi", b"250 hi", b"221 bye") as old, pytest.raises(SendFailed, match="ASCII") as failure:
        send(old, mail)
    assert failure.value.is_permanent
    assert [message["To"] for message in smtp.wait_for(1)] == ["jörg@example.com"]


@pytest.mark.parametrize("recipient", ["", "sam", "sam@", "a b@example.com", "sam@example.com, eve@example.com"])
def test_an_address_that_is_none_is_a_final_failure(smtp: MailServer, recipient: str) -> None:
    with pytest.raises(SendFailed, match="not an e-mail address") as failure:
        send(smtp, replace(MAIL, recipient=recipient))
    assert failure.value.is_permanent


def test_without_a_server_mail_goes_to_the_mailbox_once(settings: Settings, database: Database) -> None:
    with outbox_for(settings, database).open() as post:
        post.send(MAIL, lambda: True)
        post.send(MAIL, lambda: True)

    with database.read() as session:
        letters = [mailbox.read(each) for each in mailbox.letters(session)]
    assert [(each.recipient, each.subject, each.text) for each in letters] == [
        (MAIL.recipient, MAIL.subject, MAIL.text)
    ]


def test_the_mailbox_gets_nothing_that_is_not_wanted(settings: Settings, database: Database) -> None:
    with outbox_for(settings, database).open() as post, pytest.raises(NotWanted):
        post.send(MAIL, lambda: False)
    with database.read() as session:
        assert mailbox.letters(session) == []


def test_a_configured_server_is_used(smtp: MailServer, database: Database) -> None:
    with outbox_for(settings_for(smtp), database).open() as post:
        post.send(MAIL, lambda: True)
    assert len(smtp.wait_for(1)) == 1
