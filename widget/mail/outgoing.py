"""What a mail is before it leaves, and what may happen to it then."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class OutgoingMail:
    """One e-mail, ready to go. Ids are without brackets and domain; the outbox adds the sender's domain.

    `asks_for_payment` says that it must not leave once the order is paid.
    """

    mail_id: str
    recipient: str
    subject: str
    text: str
    html: str
    sender_name: str
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    language: str = "en"
    asks_for_payment: bool = False


class SendFailed(Exception):
    """The mail was not taken. `detail` holds neither addresses nor secrets; a permanent failure is not tried again."""

    def __init__(self, detail: str, *, is_permanent: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_permanent = is_permanent


class NotWanted(Exception):
    """`still_wanted` said no at the last moment; nothing has left."""


class Post(Protocol):
    def send(self, mail: OutgoingMail, still_wanted: Callable[[], bool]) -> str:
        """Hand over one mail and return the server's answer. Raises SendFailed or NotWanted.

        `still_wanted` is asked when the server has agreed to take the mail and before it gets the content.
        """
        ...


class Outbox(Protocol):
    def open(self) -> AbstractContextManager[Post]:
        """A way to send several mails one after another. Never raises; a server that is away fails each mail."""
        ...
