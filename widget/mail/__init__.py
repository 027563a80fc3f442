"""Mail: how a composed e-mail leaves us, by SMTP or into the demo's mailbox."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from widget import clock, mailbox
from widget.database import Database
from widget.mail.mime import MimeMail
from widget.mail.outgoing import NotWanted, Outbox, OutgoingMail, Post, SendFailed
from widget.mail.smtp import SmtpOutbox
from widget.settings import Settings

__all__ = ["MailboxOutbox", "NotWanted", "Outbox", "OutgoingMail", "Post", "SendFailed", "SmtpOutbox", "outbox_for"]


def outbox_for(settings: Settings, database: Database) -> Outbox:
    return SmtpOutbox(settings) if settings.smtp_host else MailboxOutbox(settings, database)


class MailboxOutbox:
    """Puts mail into our own database, to be read on the mailbox page."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._sender, self._database = settings.mail_from, database

    @contextmanager
    def open(self) -> Iterator["MailboxOutbox"]:
        yield self

    def send(self, mail: OutgoingMail, still_wanted: Callable[[], bool]) -> str:
        letter = MimeMail(mail, self._sender)
        if not still_wanted():
            raise NotWanted
        with self._database.write() as session:
            mailbox.put(
                session,
                mail_id=letter.msgId,
                recipient=mail.recipient,
                source=letter.as_string(),
                now=clock.now(),
            )
        return "250 in the mailbox"
