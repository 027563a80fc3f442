"""Follow-ups: the e-mails that a ticket owes, or an attempt that nobody reported.

The row is the promise; a worker claims it with a lease and sends it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts, charges, tickets
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Line, Text, Word, insert_new, insert_once, to
from widget.errors import NotFound
from widget.orders import Order
from widget.pulses import Pulse
from widget.tickets import Message, Status, Ticket

# Minutes until the next try after each failed one; after the last the follow-up is a dead letter on the desk.
BACKOFF_MINUTES = (1, 5, 15, 60, 240, 720)
POSTPONED_BY = timedelta(hours=6)
# Why the e-mail about an interrupted payment was taken back, when it may be owed again.
CAME_BACK = "the customer came back"


class Kind(StrEnum):
    OPENED = "opened"
    REPLY = "reply"
    RESOLVED = "resolved"
    REMINDER = "reminder"
    RATING = "rating"
    INTERRUPTED = "interrupted"  # of an attempt, not of a ticket

    @property
    def asks_for_payment(self) -> bool:
        return self is Kind.REMINDER

    @property
    def speaks_of_money(self) -> bool:
        """Whether the provider is asked right before, because the mail says what to pay or that nothing is due."""
        return self in {Kind.REMINDER, Kind.RESOLVED, Kind.INTERRUPTED}


class FollowUp(Base):
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
    # When a worker should next look at it: the due time, or later after a failed try.
    next_try_at: Mapped[Instant]
    tries: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[Key | None]
    claimed_until: Mapped[Instant | None]
    sent_at: Mapped[Instant | None]
    cancelled_at: Mapped[Instant | None]
    cancelled_because: Mapped[Line | None]
    dead_at: Mapped[Instant | None]

    __table_args__ = (
        sa.CheckConstraint("(ticket_id IS NULL) <> (attempt_id IS NULL)", name="follows_one"),
        sa.Index(
            "ix_follow_ups_open",
            "next_try_at",
            sqlite_where=sa.text("sent_at IS NULL AND cancelled_at IS NULL AND dead_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL AND cancelled_at IS NULL AND dead_at IS NULL"),
        ),
    )


@dataclass(frozen=True, slots=True)
class Parcel:
    """A follow-up with what a person must know to recognise it. `error` is why the last try failed, or empty."""

    follow_up: FollowUp
    ticket: Ticket | None
    order: Order | None
    shop_id: int
    error: str

    @property
    def email(self) -> str:
        return self.ticket.email if self.ticket else (self.order.customer_email or "" if self.order else "")

    @property
    def about(self) -> str:
        """What people call the case: the ticket's reference, or the order's number."""
        return self.ticket.reference if self.ticket else f"order {self.order.reference}" if self.order else ""


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
    mine = sa.update(FollowUp).where(FollowUp.subject_key == f"{Kind.INTERRUPTED.value}:order:{order_id}", _is_open())
    session.execute(mine.values(cancelled_at=now, cancelled_because=because))


def cancel(
    session: Session, ticket: Ticket, kinds: list[Kind], because: str, now: datetime, *, message: Message | None = None
) -> None:
    """Take back promises that are not kept yet, or only the one about this message.

    One that is being sent is checked again right before it leaves.
    """
    theirs = sa.update(FollowUp).where(FollowUp.ticket_id == ticket.id, _is_open())
    theirs = theirs.where(FollowUp.kind.in_([kind.value for kind in kinds]))
    if message is not None:
        theirs = theirs.where(FollowUp.message_id == message.id)
    session.execute(theirs.values(cancelled_at=now, cancelled_because=because))


def bring_forward(session: Session, ticket: Ticket, kind: Kind, due_at: datetime) -> None:
    session.execute(
        sa.update(FollowUp)
        .filter_by(ticket_id=ticket.id, kind=kind.value)
        .where(_is_open(), FollowUp.next_try_at > due_at)
        .values(due_at=due_at, next_try_at=due_at)
    )


def send_now(session: Session, follow_up: FollowUp, now: datetime) -> None:
    """Somebody does not want to wait for an e-mail that is owed."""
    mine = sa.update(FollowUp).where(FollowUp.id == follow_up.id, _is_open(), FollowUp.next_try_at > now)
    session.execute(mine.values(due_at=now, next_try_at=now))


def push_back(session: Session, ticket: Ticket, kind: Kind, due_at: datetime) -> None:
    session.execute(
        sa.update(FollowUp)
        .filter_by(ticket_id=ticket.id, kind=kind.value)
        .where(_is_open(), FollowUp.next_try_at < due_at)
        .values(due_at=due_at, next_try_at=due_at)
    )


def claim(session: Session, worker: str, now: datetime, *, lease: timedelta, limit: int = 20) -> list[FollowUp]:
    """Lease follow-ups that are due. No two workers hold the same one, and a dead worker's come back in the end."""
    is_free = sa.or_(FollowUp.claimed_until.is_(None), FollowUp.claimed_until <= now)
    due = session.scalars(
        sa.select(FollowUp)
        .where(_is_open(), FollowUp.next_try_at <= now, is_free)
        .order_by(FollowUp.next_try_at, FollowUp.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for follow_up in due:
        follow_up.claimed_by, follow_up.claimed_until = worker, now + lease
    return list(due)


def is_held_by(follow_up: FollowUp, worker: str, now: datetime) -> bool:
    """Whether this worker's lease still stands and nobody has settled the follow-up in the meantime."""
    is_open = not (follow_up.sent_at or follow_up.cancelled_at or follow_up.dead_at)
    return (
        is_open and follow_up.claimed_by == worker and bool(follow_up.claimed_until and follow_up.claimed_until > now)
    )


def reason_to_cancel(session: Session, follow_up: FollowUp) -> str | None:
    """Checked against the order at the moment of sending, because a payment may have come in since the claim."""
    kind = Kind(follow_up.kind)
    if not kind.asks_for_payment and kind is not Kind.INTERRUPTED:
        return None
    order = order_of(session, follow_up)
    if order is None or order.paid_at is not None:
        return "the order is paid"
    if kind is Kind.INTERRUPTED:
        return _reason_not_to_disturb(session, follow_up, order)
    if attempts.paid_legs(session, order):
        return "part of the order is paid"
    return "the ticket is closed" if ticket_of(session, follow_up).status == Status.CLOSED else None


def _reason_not_to_disturb(session: Session, follow_up: FollowUp, order: Order) -> str | None:
    """Whether the customer was heard of since the interruption, with this attempt or any other at the order."""
    if is_reported(session, order):
        return "the payment was reported"
    theirs = sa.select(Attempt.id).filter_by(order_id=order.id)
    beat = sa.exists().where(
        Pulse.shop_id == Attempt.shop_id, Pulse.attempt_key == Attempt.key, Pulse.at > follow_up.created_at
    )
    is_alive = theirs.where(sa.or_(Attempt.last_seen_at > follow_up.created_at, beat))
    return CAME_BACK if session.scalar(is_alive.limit(1)) is not None else None


def is_paid(session: Session, follow_up: FollowUp) -> bool:
    order = order_of(session, follow_up)
    return order is not None and order.paid_at is not None


def ticket_of(session: Session, follow_up: FollowUp) -> Ticket:
    """The ticket that this follows. Only for kinds that follow one."""
    if follow_up.ticket_id is None:
        raise NotFound("This e-mail follows no ticket.")
    return tickets.by_id(session, follow_up.ticket_id)


def order_of(session: Session, follow_up: FollowUp) -> Order | None:
    if follow_up.ticket_id is not None:
        return tickets.order_of(session, tickets.by_id(session, follow_up.ticket_id))
    return attempts.order_of(session, attempts.by_id(session, attempt_id_of(session, follow_up)))


def attempt_id_of(session: Session, follow_up: FollowUp) -> int:
    return follow_up.attempt_id or ticket_of(session, follow_up).attempt_id


def may_ask_for_payment(session: Session, follow_up: FollowUp, now: datetime) -> bool:
    """Whether the provider's last word leaves no doubt that nothing of the order was charged."""
    attempt = attempts.by_id(session, attempt_id_of(session, follow_up))
    return charges.may_pay_whole(session, attempt, order_of(session, follow_up), now)


def postpone(follow_up: FollowUp, now: datetime) -> None:
    follow_up.next_try_at = now + POSTPONED_BY
    release(follow_up)


def mark_sent(session: Session, follow_up: FollowUp, now: datetime, detail: str) -> None:
    session.add(Delivery(follow_up_id=follow_up.id, outcome="sent", detail=detail, at=now))
    follow_up.sent_at = now
    follow_up.tries += 1
    release(follow_up)


def mark_failed(session: Session, follow_up: FollowUp, now: datetime, detail: str, *, is_permanent: bool) -> None:
    """Note the failed try; plan the next, or make it a dead letter that agents see."""
    session.add(
        Delivery(follow_up_id=follow_up.id, outcome="refused" if is_permanent else "failed", detail=detail, at=now)
    )
    follow_up.tries += 1
    release(follow_up)
    if is_permanent or follow_up.tries > len(BACKOFF_MINUTES):
        follow_up.dead_at = now
    else:
        follow_up.next_try_at = now + timedelta(minutes=BACKOFF_MINUTES[follow_up.tries - 1])


def mark_cancelled(follow_up: FollowUp, because: str, now: datetime) -> None:
    follow_up.cancelled_at, follow_up.cancelled_because = now, because
    release(follow_up)


def revive(follow_up: FollowUp, now: datetime) -> None:
    """An agent asks for another round of tries for a dead letter."""
    follow_up.dead_at, follow_up.tries, follow_up.next_try_at = None, 0, now


def release(follow_up: FollowUp) -> None:
    follow_up.claimed_by = follow_up.claimed_until = None


def release_all(session: Session, worker: str) -> None:
    """A worker that stops in an orderly way gives back what it holds."""
    session.execute(sa.update(FollowUp).filter_by(claimed_by=worker).values(claimed_by=None, claimed_until=None))


def of(session: Session, ticket: Ticket) -> list[FollowUp]:
    return list(session.scalars(sa.select(FollowUp).filter_by(ticket_id=ticket.id).order_by(FollowUp.due_at)))


def dead_letters(session: Session, shop_ids: list[int]) -> list[Parcel]:
    """Mails that could not be delivered, the newest first."""
    query = _parcels().where(FollowUp.dead_at.is_not(None), Attempt.shop_id.in_(shop_ids))
    return _unpacked(session, query.order_by(FollowUp.dead_at.desc()).limit(200))


def waiting(session: Session, limit: int = 100) -> list[Parcel]:
    """What is still to be sent, soonest first."""
    return _unpacked(session, _parcels().where(_is_open()).order_by(FollowUp.next_try_at).limit(limit))


def retry(session: Session, follow_up_id: int, shop_ids: list[int], now: datetime) -> Parcel:
    """Revive a dead letter of one of these shops; one that lives again already stays as it is. Raises NotFound."""
    session.scalar(sa.select(FollowUp.id).filter_by(id=follow_up_id).with_for_update())
    found = _unpacked(session, _parcels().where(FollowUp.id == follow_up_id, Attempt.shop_id.in_(shop_ids)))
    if not found:
        raise NotFound("There is no such e-mail in your shops.")
    if found[0].follow_up.dead_at is not None:
        revive(found[0].follow_up, now)
    return found[0]


def count_dead(session: Session, shop_ids: list[int]) -> int:
    theirs = _parcels().where(FollowUp.dead_at.is_not(None), Attempt.shop_id.in_(shop_ids))
    return session.scalar(theirs.with_only_columns(sa.func.count(), maintain_column_froms=True)) or 0


def is_reported(session: Session, order: Order) -> bool:
    """Whether somebody opened a ticket about this order, which owes e-mails of its own."""
    return session.scalar(sa.select(Ticket.id).filter_by(order_id=order.id).limit(1)) is not None


def _is_open() -> sa.ColumnElement[bool]:
    return sa.and_(FollowUp.sent_at.is_(None), FollowUp.cancelled_at.is_(None), FollowUp.dead_at.is_(None))


def _parcels() -> Any:
    last_error = (
        sa.select(Delivery.detail)
        .where(Delivery.follow_up_id == FollowUp.id)
        .order_by(Delivery.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.select(FollowUp, Ticket, Order, Attempt.shop_id, sa.func.coalesce(last_error, ""))
        .outerjoin(Ticket, Ticket.id == FollowUp.ticket_id)
        .join(Attempt, Attempt.id == sa.func.coalesce(FollowUp.attempt_id, Ticket.attempt_id))
        .outerjoin(Order, Order.id == Attempt.order_id)
    )


def _unpacked(session: Session, query: Any) -> list[Parcel]:
    rows = session.execute(query.execution_options(populate_existing=True))
    return [Parcel(follow_up, ticket, order, shop_id, error) for follow_up, ticket, order, shop_id, error in rows]


def last_error(session: Session, follow_up: FollowUp) -> str:
    """What the latest try to send it said, or nothing when there was none."""
    query = sa.select(Delivery.detail).filter_by(follow_up_id=follow_up.id).order_by(Delivery.id.desc()).limit(1)
    return session.scalar(query) or ""


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
