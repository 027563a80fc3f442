"""Tickets: the case that is opened when no offer helped, what was said in it, and where it stands."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts, orders
from widget.agents import Agent, address_of
from widget.attempts import Attempt, AttemptContext
from widget.database import Base, Id, Instant, Key, Line, Text, add_once, to
from widget.errors import Malformed, NotFound, Refused
from widget.language import N_, Said
from widget.ledger import Payment
from widget.orders import Order
from widget.redaction import mask_card_numbers
from widget.shops import Shop

MAX_WORDS_CHARS = 5_000
# Crockford's alphabet: nothing in it is misheard on the phone.
_REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Status(StrEnum):
    NEW = "new"
    OPEN = "open"
    PENDING_CUSTOMER = "pending_customer"
    WAITING_ENGINEERS = "waiting_engineers"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def is_done(self) -> bool:
        return self in {Status.RESOLVED, Status.CLOSED}


class Author(StrEnum):
    CUSTOMER = "customer"
    AGENT = "agent"
    UNJAM = "unjam"


class Topic(StrEnum):
    """What a ticket is about that was not opened by a report."""

    PAID_TWICE = "paid_twice"
    REFUND = "refund"  # more was taken than the order is worth
    CALL_BACK = "call_back"
    DISPUTE = "dispute"  # the customer's bank takes the money back, or may do so
    UNPROVEN = "unproven"  # only a page ties the payment to this order

    @property
    def outlasts_payment(self) -> bool:
        """Whether it has to be worked on although the order is paid."""
        return self in {Topic.PAID_TWICE, Topic.REFUND, Topic.DISPUTE, Topic.UNPROVEN}


class Ticket(Base):
    __tablename__ = "tickets"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    reference: Mapped[Key] = mapped_column(unique=True)
    # One attempt, one ticket: reporting twice, from two tabs or by a double click, meets this constraint.
    attempt_id: Mapped[int] = to("attempts", unique=True, index=False)
    order_id: Mapped[int | None] = to("orders")
    email: Mapped[Line]
    locale: Mapped[Key]
    status: Mapped[Key]
    opened_at: Mapped[Instant]
    # The first answer is promised by then.
    answer_due_at: Mapped[Instant]
    answered_at: Mapped[Instant | None]
    changed_at: Mapped[Instant]
    topic: Mapped[Key | None]
    # Where and when to call back, as the customer asked.
    phone: Mapped[Line | None]
    call_at: Mapped[Instant | None]

    __table_args__ = (sa.Index("ix_tickets_queue", "shop_id", "status", "answer_due_at"),)


class Message(Base):
    """Something said in a ticket. A note is for agents only."""

    __tablename__ = "messages"

    id: Mapped[Id]
    ticket_id: Mapped[int] = to("tickets")
    author: Mapped[Key]
    agent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("agents.id", ondelete="SET NULL"))
    is_note: Mapped[bool]
    body: Mapped[Text]
    said_at: Mapped[Instant]


class StatusChange(Base):
    """Who moved a ticket, when and why; the ticket's own column holds only the outcome."""

    __tablename__ = "status_changes"

    id: Mapped[Id]
    ticket_id: Mapped[int] = to("tickets")
    status: Mapped[Key]
    agent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("agents.id", ondelete="SET NULL"))
    because: Mapped[Line]
    at: Mapped[Instant]


_IS_OF_THE_ATTEMPT = Ticket.attempt_id == sa.bindparam("attempt_id")
_IS_OF_THE_ORDER = sa.and_(
    Ticket.order_id == sa.bindparam("order_id"),
    Ticket.email == sa.bindparam("email"),
    Ticket.status.not_in([status.value for status in Status if status.is_done]),
)
_OPEN_ALREADY = (
    sa.select(Ticket)
    .where(sa.or_(_IS_OF_THE_ATTEMPT, _IS_OF_THE_ORDER))
    .order_by(_IS_OF_THE_ATTEMPT.desc(), Ticket.id)
    .limit(1)
)


def open_for(
    session: Session, shop: Shop, attempt: Attempt, *, email: str, words: str, locale: str, now: datetime
) -> tuple[Ticket, bool]:
    """The ticket of this attempt, and whether it was opened just now.

    A second report of the attempt, or of an order whose ticket is not done, joins that ticket; new words are added
    to it, so that nothing the customer wrote is lost. Raises Malformed for an unusable address or too many words.
    """
    email, words = address_of(email), words_of(words)
    if attempt.order_id:
        # A payment that arrives at this moment waits, and then finds the ticket.
        orders.locked(session, attempt.order_id)
    new = None
    ticket = _open_already(session, attempt, email)
    if ticket is None:
        ticket = new = _insert(session, shop, attempt, email, locale, now)
    if ticket is None:  # another report of this attempt was faster
        ticket = session.scalars(sa.select(Ticket).filter_by(attempt_id=attempt.id)).one()
    if words and (new is not None or not _was_said(session, ticket, words)):
        _say(session, ticket, Author.CUSTOMER, words, now)
    if ticket.email != email:
        _say(session, ticket, Author.UNJAM, f"The report was repeated with the address {email}.", now, is_note=True)
    return ticket, new is not None


def open_for_agents(session: Session, shop: Shop, attempt: Attempt, locale: str, now: datetime) -> Ticket:
    """The ticket of this attempt, opened where there is none: for agents, because nobody knows whom to write to."""
    made = _insert(session, shop, attempt, "", locale, now)
    return made or session.scalars(sa.select(Ticket).filter_by(attempt_id=attempt.id)).one()


def open_about(session: Session, shop: Shop, order: Order, topic: Topic, locale: str, now: datetime) -> Ticket:
    """The one ticket of this order about this topic, opened when there is none. The order must be locked.

    It goes to the address that the shop signed, else to that of an earlier report; to nobody when none is known. Of an
    order that nobody vouches for, only who reported the try that paid is known to be its customer.
    """
    known = sa.select(Ticket).filter_by(order_id=order.id, topic=topic.value).order_by(Ticket.id)
    if (ticket := session.scalars(known.limit(1)).first()) is not None:
        return ticket
    attempt = _unreported(session, order) or _attempt_behind(session, shop, order, now)
    email = order.customer_email or _address_of_reports(session, order)
    made = _insert(session, shop, attempt, email, locale, now)
    if made is None:  # somebody reports this attempt at this moment
        made = session.scalars(sa.select(Ticket).filter_by(attempt_id=attempt.id)).one()
    made.order_id, made.topic = order.id, topic.value
    session.flush()
    return made


def by_reference(session: Session, reference: str, shop_ids: list[int]) -> Ticket:
    """A ticket of one of these shops. Raises NotFound, also for a ticket of any other shop."""
    ticket = session.scalar(sa.select(Ticket).where(Ticket.reference == reference, Ticket.shop_id.in_(shop_ids)))
    if ticket is None:
        raise NotFound(f"There is no ticket {reference} in your shops.")
    return ticket


def by_id(session: Session, ticket_id: int) -> Ticket:
    return session.get_one(Ticket, ticket_id)


def of_attempt(session: Session, attempt_id: int) -> Ticket | None:
    return session.scalar(sa.select(Ticket).filter_by(attempt_id=attempt_id))


def unfinished_of(session: Session, order: Order) -> list[Ticket]:
    """Tickets that a payment of the order ends, and that it concerns until then."""
    done = [status.value for status in Status if status.is_done]
    lasting = [topic.value for topic in Topic if topic.outlasts_payment]
    open_ones = sa.select(Ticket).filter_by(order_id=order.id).where(Ticket.status.not_in(done))
    return list(session.scalars(open_ones.where(sa.func.coalesce(Ticket.topic, "").not_in(lasting))))


def about(session: Session, order: Order, topic: Topic) -> Ticket | None:
    return session.scalars(sa.select(Ticket).filter_by(order_id=order.id, topic=topic.value).limit(1)).first()


def order_of(session: Session, ticket: Ticket) -> Order | None:
    return session.get(Order, ticket.order_id) if ticket.order_id else None


def attempt_of(session: Session, ticket: Ticket) -> Attempt:
    return attempts.by_id(session, ticket.attempt_id)


def messages_of(session: Session, ticket: Ticket, *, notes: bool) -> list[Message]:
    """What was said, oldest first; without notes it is what the customer may read."""
    query = sa.select(Message).filter_by(ticket_id=ticket.id).order_by(Message.said_at, Message.id)
    return list(session.scalars(query if notes else query.where(Message.is_note.is_(False))))


def last_reply(session: Session, ticket: Ticket) -> Message | None:
    """What an agent last told the customer."""
    said = sa.select(Message).filter_by(ticket_id=ticket.id, author=Author.AGENT.value, is_note=False)
    return session.scalars(said.order_by(Message.id.desc()).limit(1)).first()


def changes_of(session: Session, ticket: Ticket) -> list[StatusChange]:
    return list(session.scalars(sa.select(StatusChange).filter_by(ticket_id=ticket.id).order_by(StatusChange.id)))


def queue(
    session: Session, shop_ids: list[int], *, statuses: list[Status], search: str = "", limit: int = 100
) -> list[Ticket]:
    """Tickets in the order an agent should take them: what waits for us first, soonest promise first."""
    waiting_for_us = sa.case((Ticket.status.in_([Status.NEW.value, Status.OPEN.value]), 0), else_=1)
    query = sa.select(Ticket).where(Ticket.shop_id.in_(shop_ids))
    if statuses:
        query = query.where(Ticket.status.in_([status.value for status in statuses]))
    if search.strip():
        query = query.outerjoin(Order, Order.id == Ticket.order_id).where(_matches(search.strip()))
    return list(session.scalars(query.order_by(waiting_for_us, Ticket.answer_due_at, Ticket.id).limit(limit)))


def counts(session: Session, shop_ids: list[int]) -> dict[str, int]:
    query = sa.select(Ticket.status, sa.func.count()).where(Ticket.shop_id.in_(shop_ids)).group_by(Ticket.status)
    return {row[0]: row[1] for row in session.execute(query)}


def reply(session: Session, ticket: Ticket, agent: Agent, words: str, now: datetime) -> Message:
    """An agent's answer to the customer. A new ticket becomes open with it."""
    message = _say(session, ticket, Author.AGENT, _required(words), now, agent=agent)
    ticket.answered_at = ticket.answered_at or now
    if ticket.status == Status.NEW:
        move(session, ticket, Status.OPEN, now, agent=agent, because="answered")
    return message


def add_note(session: Session, ticket: Ticket, agent: Agent, words: str, now: datetime) -> Message:
    return _say(session, ticket, Author.AGENT, _required(words), now, agent=agent, is_note=True)


def add_system_note(session: Session, ticket: Ticket, words: str, now: datetime) -> Message:
    """What Unjam has to say to agents."""
    return _say(session, ticket, Author.UNJAM, words, now, is_note=True)


def note_once(session: Session, ticket: Ticket, words: str, now: datetime) -> bool:
    """The same, unless just this was noted before. Returns whether it is news."""
    same = sa.select(Message.id).filter_by(ticket_id=ticket.id, author=Author.UNJAM.value, body=words)
    if session.scalar(same.limit(1)) is not None:
        return False
    add_system_note(session, ticket, words, now)
    return True


def hear(session: Session, ticket: Ticket, words: str, now: datetime) -> Message:
    """The customer says more. Whatever waited for them, or was done, is open again."""
    said = _required(words)
    # A payment that solves the ticket at this moment comes before these words or after them, never in between.
    hold(session, ticket)
    known = session.scalars(
        sa.select(Message).filter_by(ticket_id=ticket.id).order_by(Message.id.desc()).limit(1)
    ).first()
    if known is not None and known.author == Author.CUSTOMER and known.body == said:
        return known  # a double click, or the page sent again
    message = _say(session, ticket, Author.CUSTOMER, said, now)
    if ticket.status not in {Status.NEW, Status.OPEN, Status.WAITING_ENGINEERS}:
        move(session, ticket, Status.OPEN, now, because="the customer wrote")
    return message


def move(
    session: Session, ticket: Ticket, status: Status, now: datetime, *, because: str, agent: Agent | None = None
) -> bool:
    """Change the status and write down who did it. Returns False when the ticket was there already."""
    if ticket.status == status:
        return False
    ticket.status, ticket.changed_at = status.value, now
    agent_id = agent.id if agent else None
    session.add(StatusChange(ticket_id=ticket.id, status=status.value, agent_id=agent_id, because=because, at=now))
    session.flush()
    return True


def words_of(text: str) -> str:
    """What a person typed, ready to keep: trimmed, without control characters or card numbers."""
    clean = "".join(char for char in text.replace("\r\n", "\n") if char == "\n" or char == "\t" or char >= " ")
    if len(clean) > MAX_WORDS_CHARS:
        text = N_("Please use at most {most} characters; yours has {count}.")
        raise Malformed(Said(text, {"most": MAX_WORDS_CHARS, "count": len(clean)}))
    return mask_card_numbers(clean.strip())


def _open_already(session: Session, attempt: Attempt, email: str) -> Ticket | None:
    order = attempts.order_of(session, attempt)
    # Whoever knows an unsigned order's number and its customer's address must not be let into their ticket.
    order_id = order.id if order is not None and order.is_verified else None
    known = {"attempt_id": attempt.id, "order_id": order_id, "email": email}
    return session.scalars(_OPEN_ALREADY, known).first()


def _insert(session: Session, shop: Shop, attempt: Attempt, email: str, locale: str, now: datetime) -> Ticket | None:
    values = {
        "shop_id": shop.id,
        "reference": _new_reference(),
        "attempt_id": attempt.id,
        "order_id": attempt.order_id,
        "email": email,
        "locale": locale,
        "status": Status.NEW.value,
        "opened_at": now,
        "answer_due_at": now + timedelta(hours=shop.settled.answer_within_hours),
        "changed_at": now,
    }
    return add_once(session, Ticket, values, unique=["attempt_id"])


def _unreported(session: Session, order: Order) -> Attempt | None:
    """The latest attempt at the order that has no ticket yet."""
    free = sa.select(Attempt).filter_by(order_id=order.id).where(~sa.exists().where(Ticket.attempt_id == Attempt.id))
    return session.scalars(free.order_by(Attempt.id.desc()).limit(1)).first()


def _attempt_behind(session: Session, shop: Shop, order: Order, now: datetime) -> Attempt:
    """An attempt that no page told of: somebody paid this order, and every ticket has an attempt."""
    key = hashlib.sha256(f"unjam:behind:{shop.id}:{order.id}".encode()).hexdigest()[:32]
    attempt = attempts.open_for(session, shop, AttemptContext(key=key), now)
    attempt.order_id, attempt.amount, attempt.currency = order.id, order.amount, order.currency
    attempts.settle(attempt)
    session.flush()
    return attempt


def _address_of_reports(session: Session, order: Order) -> str:
    theirs = sa.select(Ticket.email).filter_by(order_id=order.id).where(Ticket.email != "")
    if not order.is_verified:
        paid = sa.select(Payment.payment).where(Payment.order_id == order.id, Payment.payment.is_not(None))
        theirs = theirs.join(Attempt, Attempt.id == Ticket.attempt_id).where(Attempt.payment.in_(paid))
    return session.scalar(theirs.order_by(Ticket.id.desc()).limit(1)) or ""


def _new_reference() -> str:
    letters = "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(8))
    return f"UJ-{letters[:4]}-{letters[4:]}"


def _was_said(session: Session, ticket: Ticket, words: str) -> bool:
    query = sa.select(Message.id).filter_by(ticket_id=ticket.id, author=Author.CUSTOMER.value, body=words)
    return session.scalar(query.limit(1)) is not None


def _say(
    session: Session,
    ticket: Ticket,
    author: Author,
    body: str,
    now: datetime,
    *,
    agent: Agent | None = None,
    is_note: bool = False,
) -> Message:
    message = Message(
        ticket_id=ticket.id,
        author=author.value,
        agent_id=agent.id if agent else None,
        is_note=is_note,
        body=body,
        said_at=now,
    )
    session.add(message)
    session.flush()
    ticket.changed_at = now
    return message


def _required(words: str) -> str:
    said = words_of(words)
    if not said:
        raise Malformed(N_("Write something first."))
    return said


def _matches(search: str) -> sa.ColumnElement[bool]:
    return sa.or_(
        Ticket.reference.icontains(search, autoescape=True),
        Ticket.email.icontains(search, autoescape=True),
        Order.reference.icontains(search, autoescape=True),
    )


def hold(session: Session, ticket: Ticket) -> None:
    """Bring the ticket up to date and hold it until the transaction ends, so that two answers come one after another.

    The order is held first, as a payment does, so that the two never wait for each other.
    """
    if ticket.order_id:
        orders.locked(session, ticket.order_id)
    session.refresh(ticket, with_for_update=True)


def was_sent(session: Session, ticket: Ticket, agent: Agent, words: str, *, is_note: bool, since: int) -> bool:
    """Whether this agent has said just that after message `since`: the form was sent twice."""
    said = _said_since(session, ticket, since)
    return any((each.agent_id, each.is_note, each.body) == (agent.id, is_note, words_of(words)) for each in said)


def check_read(session: Session, ticket: Ticket, since: int) -> None:
    """Raise Refused when the customer or an agent has spoken after message `since`, the last that the reader saw."""
    said = _said_since(session, ticket, since)
    if any(each.author == Author.CUSTOMER for each in said):
        raise Refused("The customer wrote in the meantime. Read it below, then send your reply.")
    if any(not each.is_note for each in said):
        raise Refused(
            "Another agent replied in the meantime. Read it below, then send your reply if it is still needed."
        )


def _said_since(session: Session, ticket: Ticket, message_id: int) -> list[Message]:
    query = sa.select(Message).filter_by(ticket_id=ticket.id).where(Message.id > message_id)
    return list(session.scalars(query.where(Message.author != Author.UNJAM.value)))
