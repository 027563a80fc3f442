"""Asking: one question about an attempt, about what is watched, or about an order of which a provider has told."""

import time
from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError

from widget import attempts, charges, clock, digest, logs, orders, watches
from widget.attempts import Attempt
from widget.casework import Pace
from widget.database import Database
from widget.enquiry import doubt, subject
from widget.enquiry.keeping import Heard, Known, keep, keep_of_order, known, mark
from widget.orders import Order
from widget.providers import ChargeState
from widget.tries import Tries

log = structlog.get_logger()

# Of one order, so that a webhook never causes a storm of questions.
MAX_ATTEMPTS_ASKED = 5
# Of one question about an order, with what it asks about the order's other tries.
WHOLE_SECONDS = 25
# Each may take some seconds when the provider is slow, and there is other work.
ROUND_WATCHES = 5


def ask(
    database: Database, pace: Pace, attempt_id: int, *, fresh: bool = False, is_looked_at: bool = True
) -> ChargeState:
    """Ask, keep the answer and act on it: an order that was charged is settled, a doubt is watched. Returns the state.

    An answer of a moment ago is not asked for again, unless a `fresh` one is wanted. Other tries at the order, of which
    this answer will say nothing, are asked about as well. `is_looked_at` says that somebody sees the answer on a page
    of ours, and needs no e-mail about it.
    """
    until = time.monotonic() + WHOLE_SECONDS
    said = _ask_one(database, pace, attempt_id, fresh=fresh, is_looked_at=is_looked_at, is_first=True)
    # Who looks at one try of an unsigned order may be a stranger to the others.
    is_theirs = is_looked_at and said.is_vouched
    for each in said.unsure:
        # Somebody may wait for the page. What was not asked stays unknown.
        if time.monotonic() < until:
            _ask_one(database, pace, each, fresh=True, is_looked_at=is_theirs)
    if said.unsure:
        with database.write() as session:
            doubt.watch_all(session, attempt_id, said.unsure, is_told=is_looked_at, is_told_of_others=is_theirs)
    return said.state


def ask_due(database: Database, pace: Pace, worker: str, lease: timedelta) -> bool:
    """Ask about what is watched and due. Returns whether there was anything."""
    with database.write() as session:
        claimed = watches.claim(session, worker, clock.now(), lease=lease, limit=ROUND_WATCHES)
    for watch in claimed:
        try:
            ask(database, pace, watch.attempt_id, fresh=True, is_looked_at=False)
        except OperationalError:
            # The lease brings it back when the database does.
            raise
        except Exception as error:
            log.error("watch_failed", watch=watch.id, error=type(error).__name__, places=logs.places(error))
        with database.write() as session:
            doubt.put_off(session, watch.attempt_id, worker)
    return bool(claimed)


def hear(database: Database, pace: Pace, shop_id: int, order_reference: str) -> None:
    """The provider has told something of this order: ask it afresh, about every row of the number."""
    with database.read() as session:
        rows = sa.select(Order.id).filter_by(shop_id=shop_id, reference=order_reference)
        order_ids = list(session.scalars(rows.order_by(Order.is_verified.desc())))
        tries = sa.select(Attempt).where(Attempt.order_id.in_(order_ids)).order_by(Attempt.id.desc()).limit(50)
        # One question for each payment that a page has named, the latest first.
        distinct = {
            (each.order_id, each.provider, each.payment): each.id for each in reversed(session.scalars(tries).all())
        }
    for number, attempt_id in enumerate(list(reversed(distinct.values()))[:MAX_ATTEMPTS_ASKED]):
        # The first question may have been put about the others as well.
        ask(database, pace, attempt_id, fresh=number == 0, is_looked_at=False)
    asked = {order_id for order_id, _, _ in distinct}
    for order_id in order_ids:
        if order_id not in asked:
            _ask_of_order(database, pace, order_id)


def _ask_one(
    database: Database, pace: Pace, attempt_id: int, *, fresh: bool, is_looked_at: bool, is_first: bool = False
) -> Known:
    with database.write() as session:
        attempt, _shop, _order = attempts.with_shop_and_order(session, attempt_id)
        # What the page has told but nobody has looked at yet: Pay may have been pressed a moment ago.
        digest.digest_attempt(session, attempt.key, pace, clock.now())
        tries = Tries(session, attempt, attempts.order_of(session, attempt), clock.now())
        if not fresh and charges.is_fresh(tries.charge, tries.order, tries.now):
            if is_looked_at:
                watches.looked(session, attempt_id, clock.now())
            return known(tries)
        asked, put_at, before = subject.of_attempt(session, attempt), clock.now(), mark(tries.charge)
    answer = asked.ask()
    heard = Heard(answer, asked.ask_one_by_one(), put_at, before, is_looked_at=is_looked_at, is_first=is_first)
    with database.write() as session:
        attempt, _shop, _order = attempts.with_shop_and_order(session, attempt_id)
        return keep(session, attempt, asked, heard, pace)


def _ask_of_order(database: Database, pace: Pace, order_id: int) -> None:
    """About an order that no page has told of: only the shop's server has, or an earlier question."""
    with database.read() as session:
        asked = subject.of_order(session, session.get_one(Order, order_id))
    if asked is None:
        return
    answer = asked.ask()
    with database.write() as session:
        order = orders.locked_by_reference(session, session.get_one(Order, order_id))
        keep_of_order(session, order, answer, asked.name, pace)
