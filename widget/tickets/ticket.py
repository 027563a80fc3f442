"""A ticket, where it stands, and what was said in it, as rows."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts, orders
from widget.agents import Agent
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Line, Text, to
from widget.errors import Malformed, NotFound
from widget.language import N_, Said
from widget.orders import Order
from widget.redaction import mask_card_numbers

MAX_WORDS_CHARS = 5_000


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


def changes_of(session: Session, ticket: Ticket) -> list[StatusChange]:
    return list(session.scalars(sa.select(StatusChange).filter_by(ticket_id=ticket.id).order_by(StatusChange.id)))


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


def hold(session: Session, ticket: Ticket) -> None:
    """Bring the ticket up to date and hold it until the transaction ends, so that two answers come one after another.

    The order is held first, with every row of its number, as a payment does, so that the two never wait for each other.
    """
    if ticket.order_id:
        orders.locked_by_reference(session, session.get_one(Order, ticket.order_id))
    session.refresh(ticket, with_for_update=True)
