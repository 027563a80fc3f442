"""What the customer, agents and Unjam say in a ticket."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget.agents import Agent
from widget.errors import Malformed, Refused
from widget.language import N_
from widget.tickets.ticket import Author, Message, Status, Ticket, hold, move, words_of


def messages_of(session: Session, ticket: Ticket, *, notes: bool) -> list[Message]:
    """What was said, oldest first; without notes it is what the customer may read."""
    query = sa.select(Message).filter_by(ticket_id=ticket.id).order_by(Message.said_at, Message.id)
    return list(session.scalars(query if notes else query.where(Message.is_note.is_(False))))


def last_reply(session: Session, ticket: Ticket) -> Message | None:
    """What an agent last told the customer."""
    said = sa.select(Message).filter_by(ticket_id=ticket.id, author=Author.AGENT.value, is_note=False)
    return session.scalars(said.order_by(Message.id.desc()).limit(1)).first()


def reply(session: Session, ticket: Ticket, agent: Agent, words: str, now: datetime) -> Message:
    """An agent's answer to the customer. A new ticket becomes open with it."""
    message = say(session, ticket, Author.AGENT, _required(words), now, agent=agent)
    ticket.answered_at = ticket.answered_at or now
    if ticket.status == Status.NEW:
        move(session, ticket, Status.OPEN, now, agent=agent, because="answered")
    return message


def add_note(session: Session, ticket: Ticket, agent: Agent, words: str, now: datetime) -> Message:
    return say(session, ticket, Author.AGENT, _required(words), now, agent=agent, is_note=True)


def add_system_note(session: Session, ticket: Ticket, words: str, now: datetime) -> Message:
    """What Unjam has to say to agents."""
    return say(session, ticket, Author.UNJAM, words, now, is_note=True)


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
    message = say(session, ticket, Author.CUSTOMER, said, now)
    if ticket.status not in {Status.NEW, Status.OPEN, Status.WAITING_ENGINEERS}:
        move(session, ticket, Status.OPEN, now, because="the customer wrote")
    return message


def was_said(session: Session, ticket: Ticket, words: str) -> bool:
    query = sa.select(Message.id).filter_by(ticket_id=ticket.id, author=Author.CUSTOMER.value, body=words)
    return session.scalar(query.limit(1)) is not None


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


def say(
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


def _said_since(session: Session, ticket: Ticket, message_id: int) -> list[Message]:
    query = sa.select(Message).filter_by(ticket_id=ticket.id).where(Message.id > message_id)
    return list(session.scalars(query.where(Message.author != Author.UNJAM.value)))
