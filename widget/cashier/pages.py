"""A page of the provider that takes one link's money: what became of it, and closing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session

from widget import clock, links
from widget.database import Database
from widget.links import HeldFor, PageHold, PaymentLink
from widget.orders import Order
from widget.providers import Answer, ChargeState, Provider, ProviderDown, ProviderRefused, adapter_for
from widget.shops import Shop

log = structlog.get_logger()

_BUSY = Answer(ChargeState.UNKNOWN, detail="This page is being closed.")
_OPEN = Answer(ChargeState.UNKNOWN, detail="The page of a link that is over could not be closed yet.")


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was made, as plain values to be used outside of transactions."""

    key: str
    hosted_id: str
    provider: str | None
    providers: Mapping[str, dict[str, Any]]
    was_closed: bool

    def is_last_of(self, link: PaymentLink) -> bool:
        """Whether it was closed before it was looked at, and the link has opened no other since."""
        return self.was_closed and self.hosted_id == link.hosted_id


def page_of(session: Session, link: PaymentLink) -> Page | None:
    """The page that this link has opened at the provider, unless it is known to have done its work."""
    if link.hosted_id is None or link.paid_at is not None:
        return None
    order = session.get_one(Order, link.order_id)
    shop = session.get_one(Shop, order.shop_id)
    return Page(link.key, link.hosted_id, link.provider, shop.settled.providers, was_closed=link.hosted_url is None)


def state_of(database: Database, page: Page, *, may_take: bool = True) -> Answer:
    """What became of the page. With some providers looking is what takes the money, where it `may_take` any.

    Of a page that may not and is not closed, only that money has moved is believed: it may still move.
    """
    try:
        provider = adapter_for(page.provider, page.providers)
        if provider is None:
            return Answer(ChargeState.UNKNOWN, detail="The provider of this page is not configured any more.")
        is_open = not may_take and not page.was_closed
        if provider.TAKES_BY_LOOKING and not page.was_closed:
            return _take(database, provider, page) if may_take else _OPEN
        answer = provider.link_state(page.hosted_id)
        return _OPEN if is_open and answer.state is ChargeState.NOT_CHARGED else answer
    except (ProviderDown, ProviderRefused) as error:
        log.warning("payment_page_silent", provider=page.provider, reason=str(error))
        return Answer(ChargeState.UNKNOWN, detail=str(error))


def _take(database: Database, provider: Provider, page: Page) -> Answer:
    """Take what was approved on the page, which nobody may close meanwhile.

    Without an answer it stays held for a while: the request may still be on its way.
    """
    hold = _hold(database, page, HeldFor.TAKING)
    if hold is None:
        return _BUSY
    answer = provider.link_state(page.hosted_id)
    if answer.state is not ChargeState.UNKNOWN:
        _let_go(database, page, hold)
    return answer


def close(database: Database, page: Page) -> bool:
    """Whether its page takes nothing any more. One that was paid stays as it is."""
    if page.was_closed:
        return True
    try:
        provider = adapter_for(page.provider, page.providers)
    except ProviderRefused as error:
        log.warning("payment_page_not_closed", provider=page.provider, reason=str(error))
        return False
    if provider is None:
        return False
    if not provider.TAKES_BY_LOOKING:
        return _close(database, provider, page)
    hold = _hold(database, page, HeldFor.CLOSING)
    if hold is None:
        return False
    is_closed = _close(database, provider, page)
    _let_go(database, page, hold)
    return is_closed


def _close(database: Database, provider: Provider, page: Page) -> bool:
    try:
        # Paid on it a moment ago? Then it is not ours to close.
        provider.revoke(page.hosted_id)
    except (ProviderDown, ProviderRefused) as error:
        log.warning("payment_page_not_closed", provider=page.provider, reason=str(error))
        return False
    with database.write() as session:
        links.mark_closed(links.by_key(session, page.key), clock.now())
    return True


def _hold(database: Database, page: Page, held_for: HeldFor) -> PageHold | None:
    with database.write() as session:
        return links.hold_page(session, page.key, held_for, clock.now())


def _let_go(database: Database, page: Page, hold: PageHold) -> None:
    with database.write() as session:
        links.let_page_go(session, page.key, hold)


def revoke(provider: Provider, hosted_id: str) -> None:
    """Close a page that nobody was shown; if that fails it still is one that nobody was shown."""
    try:
        provider.revoke(hosted_id)
    except (ProviderDown, ProviderRefused) as error:
        log.warning("unseen_page_not_closed", reason=str(error))
