"""Rounds: what the worker does about pages that nobody came back from, and about what webhooks have told."""

from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from widget import clock, enquiry, links, logs, payments, provider_events
from widget.attempts import Attempt
from widget.casework import Pace
from widget.cashier import disputes, pages
from widget.cashier.taking import look
from widget.database import Database
from widget.ledger import Payment
from widget.links import PaymentLink
from widget.orders import Order
from widget.provider_events import ProviderEvent
from widget.providers import ChargeState

log = structlog.get_logger()

# In one round, so that mails do not wait for a slow provider.
LOOKS_PER_ROUND = 5
EVENTS_PER_ROUND = 10


def look_at_pages(database: Database, pace: Pace) -> bool:
    """The worker's round: look at pages that nobody came back from, and close those of links that are over."""
    with database.write() as session:
        due = [link.id for link in links.claim_looks(session, clock.now(), LOOKS_PER_ROUND)]
    for link_id in due:
        _guarded("page_unseen", partial(_look_at, database, pace, link_id))
    return bool(due)


def _look_at(database: Database, pace: Pace, link_id: int) -> None:
    with database.read() as session:
        key = session.get_one(PaymentLink, link_id).key
    # What was approved in time is taken, before a page whose time is over is closed.
    look(database, pace, key)
    with database.read() as session:
        link = links.by_key(session, key)
        page, is_over = pages.page_of(session, link), links.is_over(link, session.get_one(Order, link.order_id))
        is_to_close = not is_over and not link.is_open_at_provider(clock.now())
    if page is not None and is_to_close and not page.was_closed and pages.close(database, page):
        look(database, pace, key)


def heed_webhooks(database: Database, pace: Pace) -> bool:
    """The worker's round: for what webhooks have told, look at the order's pages and ask the provider afresh."""
    with database.read() as session:
        events = provider_events.unheeded(session, clock.now(), EVENTS_PER_ROUND)
        news: dict[tuple[int, str], set[int]] = {}
        for each in events:
            for name in _news_about(session, each):
                news.setdefault((each.shop_id, name), set()).add(each.id)
        disputed = [(each, name) for each in events if each.kind == disputes.KIND for name in _named(session, each)]
    tripped: set[int] = set()
    for event, reference in disputed:
        if not _guarded("webhook_unheeded", partial(_note_dispute, database, event, reference)):
            tripped.add(event.id)
    for (shop_id, reference), told in news.items():
        if not _guarded("webhook_unheeded", partial(_heed, database, pace, shop_id, reference)):
            tripped |= told
    with database.write() as session:
        provider_events.try_again(session, tripped, clock.now())
        rest = [each for each in events if each.id not in tripped]
        done = [each.id for each in rest if not (_is_in_doubt(session, each) and _put_off(session, each))]
        provider_events.heed(session, done, clock.now())
    return bool(events)


def _is_in_doubt(session: Session, event: ProviderEvent) -> bool:
    """Whether it told of a charge for an order that we know, and the provider does not confirm it, or was not there."""
    if event.state != ChargeState.CHARGED:
        return False
    numbers = sa.select(Order).where(Order.shop_id == event.shop_id, Order.reference.in_(_named(session, event)))
    known = session.scalars(numbers).all()
    rows = [each for each in known if each.is_verified] or known
    if not rows or any(each.paid_at is not None for each in rows):
        return False
    return all(told.payment != event.payment for each in rows for told in payments.of(session, each))


def _put_off(session: Session, event: ProviderEvent) -> bool:
    is_later = provider_events.put_off(session, event, clock.now())
    if not is_later:
        log.error("webhook_unconfirmed", shop=event.shop_id, provider=event.provider, told=event.id)
    return is_later


def _guarded(trouble: str, do: Callable[[], object]) -> bool:
    """One row that trips us must not stop all others, round after round. Whether it went well."""
    try:
        do()
    except OperationalError:
        # The database is away; what is not heeded comes again when it is back.
        raise
    except Exception as error:
        log.error(trouble, error=type(error).__name__, places=logs.places(error))
        return False
    return True


def _note_dispute(database: Database, event: ProviderEvent, reference: str) -> None:
    with database.write() as session:
        if disputes.note(session, event, reference, clock.now()):
            log.info("dispute_noted", shop=event.shop_id, provider=event.provider)


def _named(session: Session, event: ProviderEvent) -> set[str]:
    return {event.order_reference} if event.order_reference else _orders_of(session, event)


def _news_about(session: Session, event: ProviderEvent) -> set[str]:
    """The orders that are to be asked about because of this event: none when it tells what is known."""
    named = _named(session, event)
    if event.state != ChargeState.CHARGED:
        return named
    return {name for name in named if not _is_recorded(session, event, name)}


def _orders_of(session: Session, event: ProviderEvent) -> set[str]:
    """By the payment, where the event does not name the order."""
    if event.payment is None:
        return set()
    mine = sa.select(Order.reference).where(Order.shop_id == event.shop_id)
    tried = (Attempt.shop_id == event.shop_id, Attempt.payment == event.payment)
    by_attempt = mine.join(Attempt, Attempt.order_id == Order.id).where(*tried)
    by_link = mine.join(PaymentLink, PaymentLink.order_id == Order.id).where(PaymentLink.hosted_id == event.payment)
    told = (Payment.shop_id == event.shop_id, Payment.payment == event.payment)
    by_payment = mine.join(Payment, Payment.order_id == Order.id).where(*told)
    return {name for query in (by_attempt, by_link, by_payment) for name in session.scalars(query)}


def _is_recorded(session: Session, event: ProviderEvent, reference: str) -> bool:
    """Whether this very payment is known and the order paid: the usual case of a payment that went well."""
    of_order = sa.select(Order).filter_by(shop_id=event.shop_id, reference=reference)
    paid = [each for each in session.scalars(of_order) if each.paid_at is not None]
    return any(told.payment == event.payment for each in paid for told in payments.of(session, each))


def _heed(database: Database, pace: Pace, shop_id: int, reference: str) -> None:
    with database.read() as session:
        unfinished = sa.select(PaymentLink.key).join(Order, Order.id == PaymentLink.order_id)
        unfinished = unfinished.where(Order.shop_id == shop_id, Order.reference == reference)
        keys = list(session.scalars(unfinished.where(PaymentLink.look_at.is_not(None))))
    for key in keys:
        look(database, pace, key)
    enquiry.hear(database, pace, shop_id, reference)
