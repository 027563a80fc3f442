"""Casework: what each turn of a ticket owes the customer. The ticket and its e-mails are one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from widget import attempts, followups, ledger, orders, tickets, watches
from widget.agents import Agent, address_of
from widget.attempts import Attempt
from widget.errors import Malformed
from widget.followups import Kind
from widget.language import N_, locale_for, say
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop
from widget.tickets import Author, Message, Status, Ticket, Topic
from widget.watches import About, Watch

_NOT_KNOWN = N_(
    "We have asked the payment provider for a day, and it has not said whether you were charged. "
    "A person at the shop now looks it up and writes to you. Please do not pay again until then."
)


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


def take_up(session: Session, shop: Shop, attempt: Attempt, now: datetime) -> Ticket:
    """An agent takes up an attempt that nobody has reported, for its customer who calls: one ticket, however often."""
    if attempt.order_id is not None:
        # A payment that arrives at this moment waits, and then finds the ticket.
        orders.locked(session, attempt.order_id)
    return tickets.open_for_agents(session, shop, attempt, _locale_of(shop, attempt), now)


def call_back(
    session: Session,
    shop: Shop,
    attempt: Attempt,
    *,
    email: str,
    phone: str,
    call_at: datetime,
    words: str,
    locale: str,
    pace: Pace,
    now: datetime,
) -> Ticket:
    """The customer asks to be called: their report, with a number and a time. The latest wish counts."""
    ticket = report(session, shop, attempt, email=email, words=words, locale=locale, pace=pace, now=now)
    wish = (phone, call_at)
    if (ticket.phone, ticket.call_at) == wish:
        return ticket
    ticket.phone, ticket.call_at = wish
    if ticket.topic is None:
        ticket.topic = Topic.CALL_BACK.value
    tickets.note_once(session, ticket, f"The customer asks to be called: {phone}, {call_at:%Y-%m-%d %H:%M} UTC.", now)
    if Status(ticket.status).is_done:
        tickets.move(session, ticket, Status.OPEN, now, because="the customer asks to be called")
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
        # The mail about the solution holds the last reply, so one that is still unsent need not go out beside it. It
        # holds that very one, whatever is said until it leaves.
        last = tickets.last_reply(session, ticket)
        if last is not None:
            followups.cancel(session, ticket, [Kind.REPLY], "told with the solution", now, message=last)
        round_of = len([each for each in tickets.changes_of(session, ticket) if each.status == Status.RESOLVED])
        about = f"ticket:{ticket.id}:{round_of}"
        followups.owe(session, ticket, Kind.RESOLVED, due_at=now, now=now, message=last, about=about)
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


def charge_known(
    session: Session, attempt: Attempt, watch: Watch | None, state: ChargeState, now: datetime, *, is_told: bool
) -> None:
    """What the attempt's watch, if it has one, was asking for is known. The caller holds the watch.

    Unless somebody tells the customer on a page, an e-mail is owed. Not of a watch that wants to know something else
    of the order.

    Who has just looked gets a moment to see it on the page, which keeps asking.
    """
    if watch is None or watch.ended_at is not None or watch.about != About.CHARGE:
        return
    watches.end(watch, state.value, now)
    if is_told or not followups.address_for(session, attempt):
        return
    # One for the order where it was paid, however many tries there were.
    about = f"order:{attempt.order_id}" if state is ChargeState.CHARGED else f"attempt:{attempt.id}"
    due_at = now + watches.LOOKING_LASTS if watches.is_looked_at(watch, now) else now
    followups.owe_to_attempt(session, attempt, Kind.OUTCOME, about=f"{about}:{state.value}", due_at=due_at, now=now)


def charge_not_known(session: Session, shop: Shop, attempt: Attempt, now: datetime) -> None:
    """We have stopped asking, and nobody knows. An agent is told what to look up, the customer that a person does.

    A ticket is opened only of an order that the shop has signed. Written to are its customer, and of another order who
    has reported this very attempt. The order must be locked.
    """
    order = attempts.order_of(session, attempt)
    if order is None or order.paid_at is not None:
        return
    ticket = _ticket_of_doubt(session, shop, attempt, order, now)
    if ticket is None or not tickets.note_once(session, ticket, _what_to_look_up(attempt), now):
        return
    is_theirs = order.is_verified or ticket.attempt_id == attempt.id
    if not is_theirs or not ticket.email or Status(ticket.status).is_done:
        return
    if ticket.status == Status.PENDING_CUSTOMER:
        tickets.move(session, ticket, Status.OPEN, now, because="the provider gave no answer")
    words = say(_NOT_KNOWN, ticket.locale)
    message = Message(ticket_id=ticket.id, author=Author.UNJAM.value, is_note=False, body=words, said_at=now)
    session.add(message)
    session.flush()
    followups.owe(session, ticket, Kind.REPLY, due_at=now, now=now, message=message)


def _ticket_of_doubt(session: Session, shop: Shop, attempt: Attempt, order: Order, now: datetime) -> Ticket | None:
    """The ticket of this attempt, or one that is open about its order; a new one where the shop says whose it is."""
    mine = tickets.of_attempt(session, attempt.id)
    if mine is not None or not order.is_verified:
        return mine
    if open_ones := tickets.unfinished_of(session, order):
        return open_ones[0]
    locale, email = _locale_of(shop, attempt), order.customer_email or ""
    if not _is_address(email):
        return tickets.open_for_agents(session, shop, attempt, locale, now)
    return tickets.open_for(session, shop, attempt, email=email, words="", locale=locale, now=now)[0]


def _locale_of(shop: Shop, attempt: Attempt) -> str:
    return locale_for(str(attempt.facts.get("language") or ""), home=shop.settled.locale)


def _what_to_look_up(attempt: Attempt) -> str:
    hours = int(watches.LASTS.total_seconds() // 3600)
    name = attempt.provider.replace("_", " ").capitalize() if attempt.provider else "the provider"
    payment = f"payment {attempt.payment}" if attempt.payment else "the payment of this order"
    return (
        f"For {hours} hours {name} has not said whether {payment} went through, and we have stopped asking. "
        f"Look it up there, then tell the customer here. Until then nobody should pay again."
    )


def _is_payable(session: Session, ticket: Ticket) -> bool:
    """Whether something is left to pay, by the order that is held already."""
    order = tickets.order_of(session, ticket)
    if order is None or order.paid_at is not None or attempts.paid_legs(session, order):
        return False
    return not ledger.is_begun(session, order)


def _interrupted_after(shop: Shop) -> timedelta | None:
    minutes = shop.settled.interrupted_after_minutes
    return None if minutes is None else timedelta(minutes=minutes)


def _is_address(email: str | None) -> bool:
    try:
        return bool(email) and bool(address_of(email or ""))
    except Malformed:
        return False
