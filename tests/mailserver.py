"""A real SMTP server on loopback that keeps what it is given, and that can be stopped, started and made to refuse."""

import email
import email.policy
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """`messages` in the order they came; `answers` maps a recipient to what RCPT TO is answered for it."""

    host: str = "127.0.0.1"
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    # Called with each message before it is accepted, so that a test can act in the middle of the conversation.
    on_message: Callable[[EmailMessage], None] | None = None
    # Called with each recipient before it is answered; what happens in it happens between RCPT and DATA.
    on_recipient: Callable[[str], None] | None = None
    _controller: Controller | None = None
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Listen; again on the same port after a `stop`."""
        self.port = self.port or _free_port(self.host)
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def wait_for(self, number: int, timeout_seconds: float = 15) -> list[EmailMessage]:
        """The messages, as soon as there are that many. Fails the test when they do not come."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.messages) >= number, timeout_seconds):
                subjects = [message["Subject"] for message in self.messages]
                pytest.fail(f"waited {timeout_seconds} s for {number} messages; came: {subjects}")
        return self.messages

    async def handle_RCPT(  # noqa: N802 -- the name that aiosmtpd looks for
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.on_recipient is not None:
            self.on_recipient(address)
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        message: Any = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        if self.on_message is not None:
            self.on_message(message)
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()
        return "250 Accepted"


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    """A running mail server: `smtp.host`, `smtp.port`, `smtp.messages`, `smtp.stop()`, `smtp.start()`."""
    server = MailServer()
    server.start()
    yield server
    server.stop()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
