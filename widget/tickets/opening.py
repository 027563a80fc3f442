"""Opening a ticket: by a report, for agents, or because something went wrong with the money."""

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, orders
from widget.agents import address_of
from widget.attempts import Attempt, AttemptContext
from widget.database import add_once
from widget.ledger import Payment
from widget.orders import Order
from widget.shops import Shop
from widget.tickets.talk import say, was_said
from widget.tickets.ticket import (
    Author,
    Status,
    Ticket,
    Topic,
    hold,
    words_of,
)

# Crockford's alphabet: nothing in it is misheard on the phone.
_REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
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

    One that an agent took up for a caller is the customer's from now on, who is written to as if they had opened it.
    A second report of the attempt, or of an order whose ticket is not done, joins that ticket; new words are added
    to it, so that nothing the customer wrote is lost. Raises Malformed for an unusable address or too many words.
    """
    email, words = address_of(email), words_of(words)
    if attempt.order_id:
        # A payment that arrives at this moment waits, and then finds the ticket.
        orders.locked(session, attempt.order_id)
    new = None
    ticket = _open_already(session, attempt, email)
    if ticket is not None and _awaits_its_customer(session, ticket):
        ticket.email, ticket.locale, new = email, locale, ticket
    if ticket is None:
        ticket = new = _insert(session, shop, attempt, email, locale, now)
    if ticket is None:  # another report of this attempt was faster
        ticket = session.scalars(sa.select(Ticket).filter_by(attempt_id=attempt.id)).one()
    if words and (new is not None or not was_said(session, ticket, words)):
        say(session, ticket, Author.CUSTOMER, words, now)
    if ticket.email != email:
        say(session, ticket, Author.UNJAM, f"The report was repeated with the address {email}.", now, is_note=True)
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


def _open_already(session: Session, attempt: Attempt, email: str) -> Ticket | None:
    order = attempts.order_of(session, attempt)
    # Whoever knows an unsigned order's number and its customer's address must not be let into their ticket.
    order_id = order.id if order is not None and order.is_verified else None
    known = {"attempt_id": attempt.id, "order_id": order_id, "email": email}
    return session.scalars(_OPEN_ALREADY, known).first()


def _awaits_its_customer(session: Session, ticket: Ticket) -> bool:
    """Whether it is about this attempt alone and nobody is known to write to. What is about money has a topic."""
    if ticket.email or ticket.topic is not None:
        return False
    hold(session, ticket)
    return not ticket.email


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
