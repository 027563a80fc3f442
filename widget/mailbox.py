"""The mailbox: where mail goes when no SMTP server is configured in the demo, to be read in the browser."""

import email
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import default as parsed

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, Line, Text
from widget.errors import NotFound

SHOWN_LETTERS = 100


class Letter(Base):
    """A whole message as it would have gone out, in RFC 5322 form. A Message-ID arrives once."""

    __tablename__ = "letters"

    id: Mapped[Id]
    mail_id: Mapped[Line] = mapped_column(unique=True)
    recipient: Mapped[Line]
    source: Mapped[Text]
    arrived_at: Mapped[Instant]


@dataclass(frozen=True, slots=True)
class Opened:
    """A letter taken apart for reading. `thread` is the Message-ID of the mail that began it."""

    id: int
    recipient: str
    sender: str
    subject: str
    text: str
    html: str
    source: str
    thread: str
    arrived_at: datetime

    @property
    def first_line(self) -> str:
        return next((line.strip().rstrip(".:") for line in self.text.splitlines() if line.strip()), self.subject)


@dataclass(frozen=True, slots=True)
class Thread:
    """Letters that belong together, the newest first."""

    letters: tuple[Opened, ...]

    @property
    def subject(self) -> str:
        return self.letters[-1].subject.removeprefix("Re: ")

    @property
    def recipient(self) -> str:
        return self.letters[0].recipient


def put(session: Session, *, mail_id: str, recipient: str, source: str, now: datetime) -> None:
    if session.scalar(sa.select(Letter.id).filter_by(mail_id=mail_id)) is None:
        session.add(Letter(mail_id=mail_id, recipient=recipient, source=source, arrived_at=now))


def letters(session: Session) -> list[Letter]:
    """The latest letters, newest first."""
    return list(session.scalars(sa.select(Letter).order_by(Letter.id.desc()).limit(SHOWN_LETTERS)))


def threads(session: Session) -> list[Thread]:
    """The latest letters by thread; the thread with the newest letter comes first."""
    found: dict[str, list[Opened]] = {}
    for letter in letters(session):
        opened = read(letter)
        found.setdefault(opened.thread, []).append(opened)
    return [Thread(tuple(each)) for each in found.values()]


def by_id(session: Session, letter_id: int) -> Letter:
    letter = session.get(Letter, letter_id)
    if letter is None:
        raise NotFound("This e-mail is not in the mailbox.")
    return letter


def read(letter: Letter) -> Opened:
    message = email.message_from_string(letter.source, policy=parsed)
    references = str(message["References"] or message["In-Reply-To"] or letter.mail_id).split()
    return Opened(
        id=letter.id,
        recipient=letter.recipient,
        sender=str(message["From"] or ""),
        subject=str(message["Subject"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        source=letter.source,
        thread=references[0],
        arrived_at=letter.arrived_at,
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
