"""What is promised: one row for each e-mail, made once and taken back where it is not needed any more."""

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Line, Text, Word, insert_new, insert_once, to
from widget.leases import Leased
from widget.orders import Order
from widget.tickets import Message, Ticket

# Why an e-mail was taken back, when it may be owed again.
CAME_BACK = "the customer came back"
NOT_CERTAIN = "it is not certain any more"
GIVEN_BACK = "one payment was given back"


class Kind(StrEnum):
    OPENED = "opened"
    REPLY = "reply"
    RESOLVED = "resolved"
    REMINDER = "reminder"
    RATING = "rating"
    PAID_TWICE = "paid_twice"
    PAID_TOO_MUCH = "paid_too_much"
    # These are of an attempt, not of a ticket.
    INTERRUPTED = "interrupted"
    OUTCOME = "outcome"  # what nobody knew while the customer was there is known now
    LATER = "later"  # the customer asked to be reminded of the order
    DEVICE = "device"  # the customer goes on with the order elsewhere

    @property
    def asks_for_payment(self) -> bool:
        return self in {Kind.REMINDER, Kind.LATER}

    @property
    def speaks_of_money(self) -> bool:
        """Whether the provider is asked right before, because the mail says what to pay or that nothing is due."""
        return self in {Kind.REMINDER, Kind.RESOLVED, Kind.INTERRUPTED, Kind.OUTCOME, Kind.LATER}


class FollowUp(Leased, Base):
    __tablename__ = "follow_ups"

    id: Mapped[Id]
    # What it follows: a ticket, or an attempt that nobody has reported.
    ticket_id: Mapped[int | None] = to("tickets")
    attempt_id: Mapped[int | None] = to("attempts")
    kind: Mapped[Key]
    # What it is about, so that the same promise is never made twice: the ticket, a message, a status change.
    subject_key: Mapped[Key] = mapped_column(unique=True)
    message_id: Mapped[int | None] = to("messages", index=False)
    # The Message-ID header without brackets. Fixed here, so that a mail sent twice after a crash is seen as one.
    mail_id: Mapped[Word]
    created_at: Mapped[Instant]
    due_at: Mapped[Instant]
    sent_at: Mapped[Instant | None]
    cancelled_at: Mapped[Instant | None]
    cancelled_because: Mapped[Line | None]
    dead_at: Mapped[Instant | None]
    # How often it was put off because nobody could say whether the order was charged.
    postponed: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (
        sa.CheckConstraint("(ticket_id IS NULL) <> (attempt_id IS NULL)", name="follows_one"),
        sa.Index(
            "ix_follow_ups_open",
            "next_try_at",
            sqlite_where=sa.text("sent_at IS NULL AND cancelled_at IS NULL AND dead_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL AND cancelled_at IS NULL AND dead_at IS NULL"),
        ),
    )


class Delivery(Base):
    """One try to send a follow-up, and how it went."""

    __tablename__ = "deliveries"

    id: Mapped[Id]
    follow_up_id: Mapped[int] = to("follow_ups")
    outcome: Mapped[Key]  # sent, failed, refused
    detail: Mapped[Text]
    at: Mapped[Instant]


def owe(
    session: Session,
    ticket: Ticket,
    kind: Kind,
    *,
    due_at: datetime,
    now: datetime,
    message: Message | None = None,
    about: str = "",
) -> None:
    """Promise an e-mail once. `about` tells apart several of one kind; replies are told apart by their message."""
    row = _promise(ticket, kind, due_at, now)
    if message is not None:
        row |= {"message_id": message.id, "subject_key": f"{kind.value}:message:{message.id}"}
    if about:
        row["subject_key"] = f"{kind.value}:{about}"
    insert_once(session, FollowUp, row, unique=["subject_key"])


def owe_all(session: Session, ticket: Ticket, due: dict[Kind, datetime], now: datetime) -> None:
    """Promise several e-mails in one statement, each once in the life of the ticket."""
    insert = insert_new(session.get_bind().dialect.name, FollowUp, ("subject_key",))
    session.execute(insert, [_promise(ticket, kind, due_at, now) for kind, due_at in due.items()])


def owe_to_attempt(
    session: Session, attempt: Attempt, kind: Kind, *, about: str, due_at: datetime, now: datetime
) -> None:
    """Promise an e-mail that follows no ticket, once for each `about` of its kind.

    Whom it goes to is found when it is written: DEVICE to the hand-over's address, LATER to the hold's, others to the
    customer of the verified order, or of the ticket. `about` is the hand-over's key, or hold:ID:UNIX-SECONDS. One that
    was taken back because it was not certain any more is promised anew.
    """
    row = _row(kind, f"{kind.value}:{about}", due_at, now) | {"attempt_id": attempt.id}
    if insert_once(session, FollowUp, row, unique=["subject_key"]) is not None:
        return
    again = sa.update(FollowUp).where(FollowUp.subject_key == row["subject_key"], FollowUp.sent_at.is_(None))
    session.execute(
        again.where(FollowUp.cancelled_because == NOT_CERTAIN).values(
            created_at=now, due_at=due_at, next_try_at=due_at, cancelled_at=None, cancelled_because=None
        )
    )


def owe_interrupted(session: Session, attempt: Attempt, order: Order, *, due_at: datetime, now: datetime) -> None:
    """Promise the one e-mail about an interrupted payment of this order.

    One that was taken back because the customer returned, and is gone again, is promised anew; one that was sent is
    never followed by another.
    """
    kind = Kind.INTERRUPTED
    row = _row(kind, f"{kind.value}:order:{order.id}", due_at, now) | {"attempt_id": attempt.id}
    if insert_once(session, FollowUp, row, unique=["subject_key"]) is not None:
        return
    session.execute(
        sa.update(FollowUp)
        .where(FollowUp.subject_key == row["subject_key"], FollowUp.sent_at.is_(None), FollowUp.dead_at.is_(None))
        .where(sa.or_(FollowUp.cancelled_at.is_(None), FollowUp.cancelled_because == CAME_BACK))
        .values(attempt_id=attempt.id, created_at=now, due_at=due_at, next_try_at=due_at)
        .values(cancelled_at=None, cancelled_because=None)
    )


def cancel_interrupted(session: Session, order_id: int, because: str, now: datetime) -> None:
    """Take back the e-mail about an interrupted payment, if it has not been sent."""
    mine = sa.update(FollowUp).where(FollowUp.subject_key == f"{Kind.INTERRUPTED.value}:order:{order_id}", is_open())
    session.execute(mine.values(cancelled_at=now, cancelled_because=because))


def cancel(
    session: Session, ticket: Ticket, kinds: list[Kind], because: str, now: datetime, *, message: Message | None = None
) -> None:
    """Take back promises that are not kept yet, or only the one about this message.

    One that is being sent is checked again right before it leaves.
    """
    theirs = sa.update(FollowUp).where(FollowUp.ticket_id == ticket.id, is_open())
    theirs = theirs.where(FollowUp.kind.in_([kind.value for kind in kinds]))
    if message is not None:
        theirs = theirs.where(FollowUp.message_id == message.id)
    session.execute(theirs.values(cancelled_at=now, cancelled_because=because))


def bring_forward(session: Session, ticket: Ticket, kind: Kind, due_at: datetime) -> None:
    session.execute(
        sa.update(FollowUp)
        .filter_by(ticket_id=ticket.id, kind=kind.value)
        .where(is_open(), FollowUp.next_try_at > due_at)
        .values(due_at=due_at, next_try_at=due_at)
    )


def send_now(session: Session, follow_up: FollowUp, now: datetime) -> None:
    """Somebody does not want to wait for an e-mail that is owed."""
    mine = sa.update(FollowUp).where(FollowUp.id == follow_up.id, is_open(), FollowUp.next_try_at > now)
    session.execute(mine.values(due_at=now, next_try_at=now))


def push_back(session: Session, ticket: Ticket, kind: Kind, due_at: datetime) -> None:
    session.execute(
        sa.update(FollowUp)
        .filter_by(ticket_id=ticket.id, kind=kind.value)
        .where(is_open(), FollowUp.next_try_at < due_at)
        .values(due_at=due_at, next_try_at=due_at)
    )


def is_open() -> sa.ColumnElement[bool]:
    return sa.and_(FollowUp.sent_at.is_(None), FollowUp.cancelled_at.is_(None), FollowUp.dead_at.is_(None))


def of(session: Session, ticket: Ticket) -> list[FollowUp]:
    return list(session.scalars(sa.select(FollowUp).filter_by(ticket_id=ticket.id).order_by(FollowUp.due_at)))


def _promise(ticket: Ticket, kind: Kind, due_at: datetime, now: datetime) -> dict[str, Any]:
    return _row(kind, f"{kind.value}:ticket:{ticket.id}", due_at, now) | {"ticket_id": ticket.id}


def _row(kind: Kind, subject_key: str, due_at: datetime, now: datetime) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "subject_key": subject_key,
        "message_id": None,
        "mail_id": f"{kind.value}.{secrets.token_hex(12)}",
        "created_at": now,
        "due_at": due_at,
        "next_try_at": due_at,
        "tries": 0,
    }
