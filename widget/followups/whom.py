"""What a follow-up is about, and whom it goes to: found when it is written, because both may change until then."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, holds, tickets
from widget.attempts import Attempt
from widget.errors import NotFound
from widget.followups.promise import FollowUp, Kind
from widget.handovers import HandOver
from widget.holds import Hold
from widget.orders import Order
from widget.tickets import Ticket


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


def is_paid(session: Session, follow_up: FollowUp) -> bool:
    order = order_of(session, follow_up)
    return order is not None and order.paid_at is not None


def is_reported(session: Session, order: Order) -> bool:
    """Whether somebody opened a ticket about this order, which owes e-mails of its own."""
    return session.scalar(sa.select(Ticket.id).filter_by(order_id=order.id).limit(1)) is not None


def hand_over_of(session: Session, follow_up: FollowUp) -> HandOver | None:
    """The hand-over that an e-mail of the kind DEVICE is about: `about` is its key."""
    key = follow_up.subject_key.partition(":")[2]
    return session.scalars(sa.select(HandOver).filter_by(key=key)).one_or_none()


def hold_of(session: Session, follow_up: FollowUp) -> Hold | None:
    """The hold that an e-mail of the kind LATER is about, unless it was let go: `about` is hold:ID:UNIX-SECONDS."""
    told = follow_up.subject_key.split(":")[2]
    return holds.by_id(session, int(told))


def recipient_of(session: Session, follow_up: FollowUp) -> str:
    """Whom it goes to, as of now; nothing when nobody is known."""
    if follow_up.ticket_id is not None:
        return ticket_of(session, follow_up).email
    attempt = attempts.by_id(session, attempt_id_of(session, follow_up))
    if follow_up.kind == Kind.DEVICE:
        hand_over = hand_over_of(session, follow_up)
        return hand_over.email or "" if hand_over else ""
    if follow_up.kind == Kind.LATER:
        hold = hold_of(session, follow_up)
        return hold.email if hold else ""
    return address_for(session, attempt)


def address_for(session: Session, attempt: Attempt) -> str:
    """Whom an e-mail about this attempt goes to, or nothing: who was vouched for by the shop, or has reported it."""
    order = attempts.order_of(session, attempt)
    if order is not None and order.is_verified and order.customer_email:
        return order.customer_email
    ticket = tickets.of_attempt(session, attempt.id)
    return ticket.email if ticket else ""
