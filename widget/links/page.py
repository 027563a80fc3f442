"""The provider's page of a payment link: the order is kept for it while it may take money, and it is looked at."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget.attempts import Attempt
from widget.errors import LinkExpired, Refused
from widget.language import N_
from widget.links.link import PaymentLink, check_payable, revoke
from widget.orders import Order
from widget.providers import Hosted

# While the provider's page is being made nothing else may take the money.
PAYING_LASTS = timedelta(minutes=1)
# How long an open page keeps the order to itself, unless the customer leaves it; then other ways open again, and
# whoever takes one of them closes the page first.
PAGE_KEEPS_ORDER = timedelta(minutes=10)
# Providers keep a page open for at least this long.
SHORTEST_PAGE = timedelta(minutes=31)
LONGEST_PAGE = timedelta(hours=23)
# A page that nobody came back from is looked at this often, from the first pause to the longest.
LOOKED_AT_EVERY = (timedelta(seconds=30), timedelta(minutes=30))
# Asynchronous methods answer after the page has closed. What is still open after that is looked at this often.
LOOKED_AT_AFTER_CLOSING, LOOKED_AT_LATE_EVERY = timedelta(hours=24), timedelta(hours=6)
# Money that may have moved keeps the order until the provider says what became of it, but no longer than this after the
# page has closed. No method takes so long, and a provider that is not configured any more never says.
MONEY_KEEPS_ORDER = timedelta(days=30)
_KEY_CHARS = 200


# For so long a page is kept for who takes what was approved on it, or closes it. Every request is over much sooner, and
# what was still on its way to the provider when we were killed has arrived.
PAGE_HELD_FOR = timedelta(minutes=1)


class BeingPaid(Refused):
    """Another link is taking the money of the order at this moment."""


def start_paying(session: Session, link: PaymentLink, order: Order, now: datetime) -> None:
    """Reserve the order for this link while the provider takes the money. `order` must be locked. Raises BeingPaid.

    The same link may start again (a double click, a reload): the provider knows its idempotency key.
    """
    check_payable(session, link, order, now)
    if order.paying_link not in {None, link.key} and order.paying_until is not None and order.paying_until > now:
        raise BeingPaid(N_("This order is being paid with another link at this moment. Look again in a minute."))
    order.paying_link, order.paying_until = link.key, now + PAYING_LASTS


def keep_page(link: PaymentLink, order: Order, provider: str, page: Hosted, now: datetime) -> None:
    """The provider has made its page for this link; the order is kept for it for a while."""
    link.provider, link.hosted_id, link.hosted_url, link.hosted_until = provider, page.id, page.url, page.until
    link.look_at, link.looks = now + LOOKED_AT_EVERY[0], 1
    keep_order(link, order, now)


def keep_order(link: PaymentLink, order: Order, now: datetime) -> None:
    """Nothing else may take the money for a while: it may be moving on this link's page."""
    order.paying_link, order.paying_until = link.key, now + PAGE_KEEPS_ORDER


def keep_for_money(link: PaymentLink, order: Order, now: datetime) -> None:
    """Money may have moved on this link's page: nothing else may take any until that is known."""
    order.paying_link, order.paying_until = link.key, now + MONEY_KEEPS_ORDER


def is_overdue(link: PaymentLink, now: datetime) -> bool:
    """Whether the provider should have said by now what became of the page."""
    return now > (link.hosted_until or link.created_at) + LOOKED_AT_AFTER_CLOSING


def is_given_up(link: PaymentLink, now: datetime) -> bool:
    """Whether nobody waits any more for what the provider says of the page."""
    return now > (link.hosted_until or link.created_at) + MONEY_KEEPS_ORDER


def to_go_on_with(session: Session, attempt: Attempt, order: Order, now: datetime) -> PaymentLink | None:
    """The link of this very attempt whose open page keeps the order, for its customer to go on with or to leave.

    None for everybody else, and once money may have moved there: then there is nothing to do but to wait.
    """
    if order.paying_link is None or order.paying_until is None:
        return None
    if not now < order.paying_until <= now + PAGE_KEEPS_ORDER:
        return None
    mine = sa.select(PaymentLink).filter_by(key=order.paying_link, attempt_id=attempt.id, order_id=order.id)
    link = session.scalar(mine)
    is_held = link is not None and link.held_until is not None and link.held_until > now
    if link is None or is_held or not link.is_open_at_provider(now):
        return None
    try:
        check_payable(session, link, order, now)
    except (LinkExpired, Refused):
        return None
    return link


def unanswered(session: Session, order: Order, now: datetime) -> PaymentLink | None:
    """The link that keeps this order although its page's time is long over: nobody says how it ended."""
    if order.paying_link is None or order.paying_until is None or order.paying_until <= now:
        return None
    link = session.scalar(sa.select(PaymentLink).filter_by(key=order.paying_link, paid_at=None, released_at=None))
    return link if link is not None and link.hosted_id is not None and is_overdue(link, now) else None


def release(link: PaymentLink, order: Order, now: datetime) -> None:
    """An agent has looked it up: its page took nothing. It is still looked at, so a late word of a payment is heard.

    `order` must be locked.
    """
    link.released_at = now
    revoke(link, now)
    let_go(link, order)


def nothing_moved(link: PaymentLink, order: Order, now: datetime, *, is_final: bool) -> None:
    """The provider says that its page has taken nothing, and when that `is_final`, that it never will."""
    if is_final:
        link.look_at = None
    if is_final or not link.is_open_at_provider(now):
        let_go(link, order)
    elif order.paying_link == link.key and order.paying_until is not None:
        order.paying_until = min(order.paying_until, now + PAGE_KEEPS_ORDER)


class HeldFor(StrEnum):
    TAKING = "taking"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class PageHold:
    """`is_shared`: another was at the same at its begin, and may be at it still. Such a hold ends by its time only."""

    until: datetime
    is_shared: bool


def hold_page(session: Session, key: str, held_for: HeldFor, now: datetime) -> PageHold | None:
    """Have this link's page to take what was approved on it, or to close it. None while somebody does the other.

    Two may do the same, as each request may be repeated.
    """
    link = session.scalars(sa.select(PaymentLink).filter_by(key=key).with_for_update()).one()
    is_held = link.held_until is not None and link.held_until > now
    if is_held and link.held_for != held_for:
        return None
    link.held_for, link.held_until = held_for.value, now + PAGE_HELD_FOR
    return PageHold(link.held_until, is_held)


def let_page_go(session: Session, key: str, hold: PageHold) -> None:
    """Unless another has the same hold, or has taken one since."""
    if not hold.is_shared:
        held = sa.update(PaymentLink).where(PaymentLink.key == key, PaymentLink.held_until == hold.until)
        session.execute(held.values(held_until=None))


def let_go(link: PaymentLink, order: Order) -> None:
    """This link does not take the money now; other ways may."""
    if order.paying_link == link.key:
        order.paying_link = order.paying_until = None


def finish_paying(link: PaymentLink, order: Order, payment: str, now: datetime) -> None:
    """The link has done its work. Told again, nothing changes."""
    link.paid_at, link.payment = link.paid_at or now, payment
    link.hosted_until, link.look_at = min(link.hosted_until or now, now), None
    order.paying_link = order.paying_until = None


def mark_closed(link: PaymentLink, now: datetime) -> None:
    """We have closed its page, so it takes nothing any more. What it took before is to be looked at."""
    link.hosted_url, link.hosted_until = None, min(link.hosted_until or now, now)


def is_over(link: PaymentLink, order: Order) -> bool:
    """Whether the link may take nothing any more, so that its page is to be closed."""
    return link.paid_at is None and (link.revoked_at is not None or order.paid_at is not None)


def claim_looks(session: Session, now: datetime, limit: int) -> list[PaymentLink]:
    """Pages at which it is time to look: whose customer has not come back to tell, or whose link is over.

    The next time is set at once, so that each is looked at by one worker.
    """
    query = sa.select(PaymentLink).where(PaymentLink.look_at <= now).order_by(PaymentLink.look_at).limit(limit)
    due = list(session.scalars(query.with_for_update(skip_locked=True)))
    for link in due:
        first, longest = LOOKED_AT_EVERY
        link.look_at = now + (LOOKED_AT_LATE_EVERY if is_overdue(link, now) else min(first * 2**link.looks, longest))
        link.looks = min(link.looks + 1, 20)
    return due


def page_key(site: str, order: Order, link: PaymentLink) -> str:
    """The idempotency key of the page that this link opens next. After a page has closed, the next is another one."""
    key = f"unjam:{site}:{order.reference}:{link.key}" + (f":{link.hosted_id}" if link.hosted_id else "")
    return key if len(key) <= _KEY_CHARS else "unjam:" + hashlib.sha256(key.encode()).hexdigest()


def page_expiry(link: PaymentLink, now: datetime) -> datetime:
    """When the provider's page is to close: with the link, within what providers allow."""
    return min(max(link.expires_at, now + SHORTEST_PAGE), now + LONGEST_PAGE)
