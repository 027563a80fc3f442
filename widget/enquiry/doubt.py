"""Doubt: while nobody knows whether money moved, a watch keeps asking; in the end somebody has to look."""

from collections.abc import Iterable

import structlog
from sqlalchemy.orm import Session

from widget import attempts, casework, certainty, clock, mispayments, orders, siblings, watches
from widget.attempts import Attempt
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop
from widget.tries import Tries
from widget.watches import About, Watch

log = structlog.get_logger()


def watch(tries: Tries, *, is_told: bool) -> None:
    """Go on asking while it is not known whether money moved; tell the customer when it is."""
    session, attempt, order, now = tries.session, tries.attempt, tries.order, tries.now
    kept = watches.of(session, attempt.id, is_to_be_changed=True)
    if order is not None and kept is not None:
        mispayments.end_doubt(session, kept, order, now)
    state = certainty.state_of_try(tries)
    if state is not ChargeState.UNKNOWN:
        casework.charge_known(session, attempt, kept, state, now, is_told=is_told)
    elif (order is None or order.paid_at is None) and siblings.was_pressed(session, attempt):
        watches.start(session, attempt, now)
        # What only another provider knows is asked for by a watch of its own.
        if (other := tries.open_elsewhere) is not None:
            watches.start(session, other, now)


def watch_all(
    session: Session, attempt_id: int, others: Iterable[int], *, is_told: bool, is_told_of_others: bool
) -> None:
    """Once all are asked: what one says may decide what can be said of another."""
    attempt = attempts.by_id(session, attempt_id)
    order = held(session, attempt)
    for each in others:
        if watches.is_open(session, each):
            other = attempts.by_id(session, each)
            watch(Tries(session, other, held(session, other), clock.now()), is_told=is_told_of_others)
    watch(Tries(session, attempt, order, clock.now()), is_told=is_told)


def put_off(session: Session, attempt_id: int, worker: str) -> None:
    """Nothing is certain yet. When that was the last question, somebody has to look."""
    attempt = session.get(Attempt, attempt_id)
    order = held(session, attempt) if attempt is not None else None
    kept = watches.of(session, attempt_id, is_to_be_changed=True)
    if attempt is None or kept is None or kept.ended_at is not None or kept.claimed_by != worker:
        return
    watches.put_off(kept, clock.now())
    if kept.ended_at is not None:
        _give_up(session, kept, attempt, order)


def held(session: Session, attempt: Attempt) -> Order | None:
    """The attempt's order, held as a payment holds it: with every row of its number."""
    order = attempts.order_of(session, attempt)
    return orders.locked_by_reference(session, order) if order is not None else None


def _give_up(session: Session, kept: Watch, attempt: Attempt, order: Order | None) -> None:
    log.warning("watch_unanswered", watch=kept.id, about=kept.about)
    if kept.about == About.CHARGE:
        casework.charge_not_known(session, session.get_one(Shop, attempt.shop_id), attempt, clock.now())
    elif order is not None:
        mispayments.never_decided(session, order, clock.now())
