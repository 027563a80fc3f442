"""Cashier: takes an order's money on the provider's own page: opens it, looks what became of it, closes it.

An edge step: it talks to the network between transactions. Of an order at most one page is open, so whoever wants to
take its money otherwise has the open one closed first.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from widget import attempts, certainty, clock, enquiry, links, orders
from widget.attempts import Attempt
from widget.casework import Pace
from widget.cashier import pages
from widget.cashier.rounds import heed_webhooks, look_at_pages
from widget.cashier.taking import Step, Taking, look
from widget.cashier.unfinished import give_up
from widget.cashier.waiting import end_waiting
from widget.database import Database
from widget.errors import LinkExpired, Refused
from widget.language import N_
from widget.links import PaymentLink, Purpose
from widget.orders import Order
from widget.providers import Bill, ChargeState, GivenUp, Hosted, ProviderDown, ProviderRefused, adapter_for
from widget.providers.answers import SETTLED
from widget.shops import Shop

__all__ = [
    "Step",
    "Taking",
    "Ways",
    "clear",
    "come_back",
    "end_waiting",
    "heed_webhooks",
    "is_unmoved",
    "leave",
    "look",
    "look_at_pages",
    "take",
]

log = structlog.get_logger()

_NO_PROVIDER = N_("This shop cannot take payments by link at the moment. Nothing was taken.")
_NOTHING_MOVED = {Step.OPEN, Step.OVER}


@dataclass(frozen=True, slots=True)
class Ways:
    """Where the provider sends the customer back to, and in which language it speaks."""

    return_url: str
    cancel_url: str
    locale: str


@dataclass(frozen=True, slots=True)
class _Errand:
    """A page to be made, and by whom."""

    provider: str
    providers: Mapping[str, dict[str, Any]]
    bill: Bill


def take(database: Database, pace: Pace, key: str, ways: Ways, *, is_window_closed: bool = False) -> Taking:
    """The page of the provider that takes this link's money. May be repeated: the same one is given again.

    `is_window_closed` is the customer's word that they will not go on with a payment that only they can leave.
    """
    before = look(database, pace, key)
    if before.step is not Step.OPEN:
        return before
    with database.read() as session:
        link = links.by_key(session, key)
        attempt_id, order_id = link.attempt_id, link.order_id
    # The first attempt may have been charged after all; then nothing more is taken.
    enquiry.ask(database, pace, attempt_id, fresh=True)
    obstacle = _obstacle(database, pace, attempt_id, key, is_window_closed=is_window_closed)
    if obstacle is not None:
        after = look(database, pace, key)
        return obstacle if after.step is Step.OPEN else after
    with database.write() as session:
        link = links.by_key(session, key)
        order = orders.locked_by_reference(session, session.get_one(Order, order_id))
        reserved = _reserve(session, link, order, ways)
    return reserved if isinstance(reserved, Taking) else _open(database, key, reserved)


def come_back(database: Database, pace: Pace, key: str) -> Taking:
    """What became of the page that the customer comes from. One that has outlived its link is closed first.

    Otherwise it might take the money after they have read that nothing was taken.
    """
    taking = look(database, pace, key)
    return leave(database, pace, key) if taking.step is Step.OVER else taking


def leave(database: Database, pace: Pace, key: str) -> Taking:
    """The customer wants to pay another way: close the page. OPEN when nothing was taken, and nothing will be."""
    with database.read() as session:
        page = pages.page_of(session, links.by_key(session, key))
    if page is not None and not pages.close(database, page):
        return Taking(Step.WAIT)
    return look(database, pace, key)


def clear(database: Database, pace: Pace, attempt_id: int, *, gives_up: bool = False) -> bool:
    """Close whatever page is open for the order of this attempt, before it is paid another way.

    A way of our own that takes the money, such as a transfer, `gives_up` what the shop's page has begun and the
    customer may still complete; the shop's checkout goes on with that by itself. False when money may be moving, or a
    payment cannot be closed: then nothing else may be offered. What only its customer can leave is no reason.
    """
    if not _close_all(database, pace, attempt_id):
        return False
    if not gives_up or not _is_certain(database, attempt_id):
        return True
    return give_up(database, pace, attempt_id).state is not GivenUp.MOVING


def _obstacle(database: Database, pace: Pace, attempt_id: int, key: str, *, is_window_closed: bool) -> Taking | None:
    """Why this link cannot take the money now, after everything else that could was closed."""
    if not _close_all(database, pace, attempt_id, besides=key):
        return Taking(Step.WAIT)
    if not _is_certain(database, attempt_id):
        return None
    left = give_up(database, pace, attempt_id)
    if left.state is GivenUp.GONE or (left.state is GivenUp.CUSTOMER and is_window_closed):
        return None
    if not _is_certain(database, attempt_id):
        return Taking(Step.WAIT)
    step = Step.CUSTOMER if left.state is GivenUp.CUSTOMER else Step.CONFIRM
    return Taking(step, provider=left.provider)


def _is_certain(database: Database, attempt_id: int) -> bool:
    """Whether it is known what became of the money; before that, nothing that may still pay is closed."""
    with database.read() as session:
        attempt, _shop, order = attempts.with_shop_and_order(session, attempt_id)
        return certainty.last_word(session, attempt, order, clock.now()) in SETTLED


def _reserve(session: Session, link: PaymentLink, order: Order, ways: Ways) -> Taking | _Errand:
    """Keep the order for this link and say which page to open; or what is to be told or done instead."""
    now = clock.now()
    attempt, shop = session.get_one(Attempt, link.attempt_id), session.get_one(Shop, order.shop_id)
    if order.paid_at is not None:
        return Taking(Step.DONE)
    try:
        links.check_payable(session, link, order, now)
        if not is_unmoved(session, attempt, link, order, now) or links.is_other_paying(session, attempt, link, now):
            return Taking(Step.WAIT)
        links.start_paying(session, link, order, now)
    except links.BeingPaid:
        return Taking(Step.WAIT)
    except (LinkExpired, Refused) as error:
        return Taking(Step.OVER, why=error.detail)
    if link.is_open_at_provider(now):
        links.keep_order(link, order, now)
        return Taking(Step.GO, url=link.hosted_url)
    if link.may_have_taken:
        return Taking(Step.WAIT)
    name = links.provider_for(shop.settled, attempt.provider)
    if name is not None:
        return _Errand(name, shop.settled.providers, _bill(shop, link, order, ways))
    # The shop's own page sees to it that it takes the money once.
    links.let_go(link, order)
    address = links.own_page(shop.settled, order, link.due)
    return Taking(Step.GO, url=address) if address else Taking(Step.OVER, why=_NO_PROVIDER)


def is_unmoved(session: Session, attempt: Attempt, link: PaymentLink, order: Order, now: datetime) -> bool:
    """Whether no money of this order is moving, as far as was told, so that this link may take what it is for."""
    completes = Purpose(link.purpose).completes
    if not completes and certainty.is_begun_by_kin(session, attempt, order, now):
        return False
    state = certainty.last_word(session, attempt, order, now)
    is_rest_of_it = state is ChargeState.CHARGED and completes
    return state is ChargeState.NOT_CHARGED or is_rest_of_it


def _bill(shop: Shop, link: PaymentLink, order: Order, ways: Ways) -> Bill:
    bill = Bill(
        order=order.reference,
        money=link.due,
        key="",
        return_url=ways.return_url,
        cancel_url=ways.cancel_url,
        expires_at=links.page_expiry(link, clock.now()),
        shop_name=shop.name,
        email=order.customer_email,
        locale=ways.locale,
    )
    # To providers a key that comes with other content is an error, so the content is in it. A page that was made under
    # another key without our hearing of it was never shown to anybody.
    content = hashlib.sha256(repr(bill).encode()).hexdigest()[:12]
    return replace(bill, key=f"{links.page_key(shop.site, order, link)}:{content}")


def _open(database: Database, key: str, errand: _Errand) -> Taking:
    """Have the page made, and keep it; if it cannot be made, nothing was taken and the order is let go."""
    provider, page, taking = None, None, Taking(Step.OVER, why=_NO_PROVIDER)
    try:
        provider = adapter_for(errand.provider, errand.providers)
        page = provider.link(errand.bill) if provider is not None else None
    except ProviderDown as error:
        log.warning("payment_page_unanswered", provider=errand.provider, reason=str(error))
        taking = Taking(Step.UNANSWERED)
    except ProviderRefused as error:
        log.error("payment_page_refused", provider=errand.provider, reason=str(error))
    with database.write() as session:
        link = links.by_key(session, key)
        order = orders.locked(session, link.order_id)
        if page is None:
            links.let_go(link, order)
            return taking
        taking = _keep(link, order, errand.provider, page)
        is_shown = link.hosted_id == page.id and taking.step is Step.GO
    if provider is not None and not is_shown:
        pages.revoke(provider, page.id)
    return taking


def _keep(link: PaymentLink, order: Order, name: str, page: Hosted) -> Taking:
    """Send the customer to the new page, unless things have changed while it was made."""
    now = clock.now()
    if order.paid_at is not None:
        return Taking(Step.DONE)
    if link.paid_at is not None:
        return Taking(Step.PART)
    if link.revoked_at is not None:
        return Taking(Step.OVER, why=links.WITHDRAWN)
    if not link.is_open_at_provider(now):
        links.keep_page(link, order, name, page, now)
    # Another request may have opened one in the meantime: then that one is shown, and this one is closed.
    return Taking(Step.GO, url=link.hosted_url)


def _close_all(database: Database, pace: Pace, attempt_id: int, besides: str = "") -> bool:
    """Close every page for the order of this attempt, and look what became of those that are closed but in doubt.

    `besides` the page of this link, as long as it is open. False when one cannot be closed, or money may have moved.
    """
    with database.read() as session:
        attempt, _shop, _order = attempts.with_shop_and_order(session, attempt_id)
        now, mine = clock.now(), links.open_pages(session, attempt)
        open_links = [each for each in mine if each.key != besides or not each.is_open_at_provider(now)]
        found = [page for each in open_links if (page := pages.page_of(session, each)) is not None]
    return all(pages.close(database, page) and look(database, pace, page.key).step in _NOTHING_MOVED for page in found)
