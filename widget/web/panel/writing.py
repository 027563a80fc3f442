"""E-mails to an address that somebody typed. It may be a stranger's, so only so many of them are sent."""

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from widget import clock, followups, tickets
from widget.attempts import Attempt
from widget.followups import Kind
from widget.handovers import HandOver
from widget.holds import Hold
from widget.tickets import Ticket
from widget.web import caller
from widget.web.limits import MAILS_PER_ADDRESS, MAILS_PER_RECIPIENT, count_mail
from widget.web.panel.case import Case

_BY_ITSELF = [Kind.OPENED, Kind.REMINDER, Kind.RATING]
TOO_MANY = "too many e-mails to this address, or from this sender"
# What sends them: the table with its column of the address, and of the time.
_SENDERS = ((Ticket, Ticket.opened_at), (Hold, Hold.created_at), (HandOver, HandOver.created_at))


def within_limits(session: Session, case: Case, email: str, open_ticket: Callable[[], Ticket]) -> Ticket:
    """The ticket, which there is in any case. Beyond the limits nothing is mailed by itself; agents can still reply."""
    is_new = tickets.of_attempt(session, case.attempt.id) is None
    ticket = open_ticket()
    is_limited = is_new and not _is_vouched_for(case, email)
    if is_limited and not may_be_sent(session, caller.address(), email, clock.now(), asked_for=1):
        followups.cancel(session, ticket, _BY_ITSELF, TOO_MANY, clock.now())
    return ticket


def count(session: Session, case: Case, email: str) -> None:
    """Where the e-mail is all there is to it. Raises TooManyRequests."""
    if not _is_vouched_for(case, email) and not may_be_sent(session, caller.address(), email, clock.now()):
        raise TooManyRequests


def may_be_sent(session: Session, sender: str, recipient: str, now: datetime, *, asked_for: int = 0) -> bool:
    """Whether one more e-mail may go to this address, for this caller by its hash; `asked_for` of it is kept already.

    While the storage of the counts is away, what was sent in the last hour is counted in the database: a victim of a
    flood of e-mails does not care why nobody counted.
    """
    counted = count_mail(sender, recipient)
    if counted is not None:
        return counted
    to_them = by_them = -asked_for
    for kind, at in _SENDERS:
        is_to, is_by = sa.func.lower(kind.email) == recipient.strip().lower(), Attempt.address == sender
        sent = sa.select(sa.func.count()).select_from(kind).where(at > now - timedelta(hours=1))
        to_them += session.scalar(sent.where(is_to)) or 0
        by_them += session.scalar(sent.join(Attempt, Attempt.id == kind.attempt_id).where(is_by)) or 0
    return to_them < MAILS_PER_RECIPIENT.amount and by_them < MAILS_PER_ADDRESS.amount


def _is_vouched_for(case: Case, email: str) -> bool:
    """Whether the shop itself has told that this is the customer's address."""
    return bool(case.known_email) and case.known_email.casefold() == email.casefold()
