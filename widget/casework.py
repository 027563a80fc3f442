"""Casework: what each turn of a ticket owes the customer. The ticket and its e-mails are one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from widget import attempts, followups, tickets
from widget.agents import Agent, address_of
from widget.attempts import Attempt
from widget.errors import Malformed
from widget.followups import Kind
from widget.shops import Shop
from widget.tickets import Status, Ticket


@dataclass(frozen=True, slots=True)
class Pace:
    """How long after the event the reminder and the rating are due."""

    reminder: timedelta
    rating: timedelta

    def of(self, shop: Shop) -> "Pace":
        """This pace with what the shop has set for itself."""
        profile = shop.settled
        reminder, rating = profile.reminder_after_minutes, profile.rating_after_minutes
        return Pace(
            reminder=self.reminder if reminder is None else timedelta(minutes=reminder),
            rating=self.rating if rating is None else timedelta(minutes=rating),
        )


def pace_of(reminder_minutes: int, rating_minutes: int) -> Pace:
    return Pace(reminder=timedelta(minutes=reminder_minutes), rating=timedelta(minutes=rating_minutes))


def report(
    session: Session, shop: Shop, attempt: Attempt, *, email: str, words: str, locale: str, pace: Pace, now: datetime
) -> Ticket:
    """The customer reports the attempt: one ticket, one "we have it", one reminder if it stays unpaid."""
    ticket, is_new = tickets.open_for(session, shop, attempt, email=email, words=words, locale=locale, now=now)
    if is_new:
        if attempt.order_id is not None:
            followups.cancel_interrupted(session, attempt.order_id, "the payment was reported", now)
        owed = {Kind.OPENED: now}
        if _is_payable(session, ticket):
            owed[Kind.REMINDER] = now + pace.of(shop).reminder
        followups.owe_all(session, ticket, owed, now)
    return ticket


def reply(session: Session, ticket: Ticket, agent: Agent, words: str, now: datetime) -> None:
    message = tickets.reply(session, ticket, agent, words, now)
    followups.owe(session, ticket, Kind.REPLY, due_at=now, now=now, message=message)


def change_status(
    session: Session, shop: Shop, ticket: Ticket, status: Status, *, agent: Agent, pace: Pace, now: datetime
) -> None:
    """An agent moves the ticket. Resolving it tells the customer, with a way to try again if it is unpaid."""
    tickets.hold(session, ticket)
    if not tickets.move(session, ticket, status, now, agent=agent, because="set by an agent"):
        return
    if status is Status.RESOLVED:
        # The mail about the solution holds the last reply, so one that is still unsent need not go out beside it.
        if last := tickets.last_reply(session, ticket):
            followups.cancel(session, ticket, [Kind.REPLY], "told with the solution", now, message=last)
        round_of = len([each for each in tickets.changes_of(session, ticket) if each.status == Status.RESOLVED])
        followups.owe(session, ticket, Kind.RESOLVED, due_at=now, now=now, about=f"ticket:{ticket.id}:{round_of}")
        if _is_payable(session, ticket):
            due_at = now + pace.of(shop).reminder
            followups.owe(session, ticket, Kind.REMINDER, due_at=due_at, now=now)
            followups.push_back(session, ticket, Kind.REMINDER, due_at)
        followups.owe(session, ticket, Kind.RATING, due_at=now + pace.of(shop).rating, now=now)
    if status is Status.CLOSED:
        followups.cancel(session, ticket, [Kind.REMINDER], "the ticket is closed", now)


def interrupted(session: Session, shop: Shop, attempt: Attempt, now: datetime) -> None:
    """The attempt's page is gone in the middle of a payment: one e-mail that says where the money is.

    Only the shop's own word says whose order it is, so nobody is written to about an unsigned one.
    """
    order, after = attempts.order_of(session, attempt), _interrupted_after(shop)
    if after is None or order is None or not order.is_verified or order.paid_at is not None:
        return
    if _is_address(order.customer_email) and not followups.is_reported(session, order):
        followups.owe_interrupted(session, attempt, order, due_at=now + after, now=now)


def returned(session: Session, attempt: Attempt, now: datetime) -> None:
    """The customer is back and is told on the page what the e-mail would have said."""
    if attempt.order_id is not None:
        followups.cancel_interrupted(session, attempt.order_id, followups.CAME_BACK, now)


def settle(session: Session, shop: Shop, ticket: Ticket, pace: Pace, now: datetime) -> None:
    """The order was paid: resolve, stop asking, ask once how the help was."""
    tickets.move(session, ticket, Status.RESOLVED, now, because="the order was paid")
    followups.cancel(session, ticket, [Kind.REMINDER], "the order is paid", now)
    due_at = now + pace.of(shop).rating
    followups.owe(session, ticket, Kind.RATING, due_at=due_at, now=now)
    followups.bring_forward(session, ticket, Kind.RATING, due_at)


def _is_payable(session: Session, ticket: Ticket) -> bool:
    """Whether something is left to pay, by the order that is held already."""
    order = tickets.order_of(session, ticket)
    return order is not None and order.paid_at is None and not attempts.paid_legs(session, order)


def _interrupted_after(shop: Shop) -> timedelta | None:
    minutes = shop.settled.interrupted_after_minutes
    return None if minutes is None else timedelta(minutes=minutes)


def _is_address(email: str | None) -> bool:
    try:
        return bool(email) and bool(address_of(email or ""))
    except Malformed:
        return False
