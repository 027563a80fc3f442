"""The mailbox: where mail goes when no SMTP server is configured in the demo, to be read in the browser."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, Line, Text


class Letter(Base):
    """A whole message as it would have gone out, in RFC 5322 form. A Message-ID arrives once."""

    __tablename__ = "letters"

    id: Mapped[Id]
    mail_id: Mapped[Line] = mapped_column(unique=True)
    recipient: Mapped[Line]
    source: Mapped[Text]
    arrived_at: Mapped[Instant]


def put(session: Session, *, mail_id: str, recipient: str, source: str, now: datetime) -> None:
    if session.scalar(sa.select(Letter.id).filter_by(mail_id=mail_id)) is None:
        session.add(Letter(mail_id=mail_id, recipient=recipient, source=source, arrived_at=now))


def letters(session: Session) -> list[Letter]:
    return list(session.scalars(sa.select(Letter).order_by(Letter.id.desc()).limit(200)))
