"""Unfinished: payments of the shop's own page that their customer may still complete, closed before we take the money.

Until somebody closes it, a payment that waits for the bank's app can go through minutes after another one has paid.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from widget import attempts, clock, enquiry, siblings
from widget.attempts import Attempt
from widget.casework import Pace
from widget.charges import provider_of
from widget.database import Database
from widget.links import PaymentLink
from widget.providers import GivenUp, ProviderDown, ProviderRefused, Question, adapter_for
from widget.shops import Shop

log = structlog.get_logger()

# Of one order; the latest tries are those that may still be going on.
_MOST_TRIES = 20
# Somebody waits for the page.
WHOLE_SECONDS = 25


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    """A payment to be closed, as plain values to be used outside of transactions."""

    attempt_id: int
    provider: str
    providers: Mapping[str, dict[str, Any]]
    question: Question


@dataclass(frozen=True, slots=True)
class Left:
    """What closing has left of the payments of an order, the worst of them, and at which provider."""

    state: GivenUp = GivenUp.GONE
    provider: str | None = None


_WORST = (GivenUp.MOVING, GivenUp.CUSTOMER, GivenUp.GONE)


def give_up(database: Database, pace: Pace, attempt_id: int) -> Left:
    """Close what may still be completed of the payments of this attempt's order, then ask the providers afresh.

    One that was charged meanwhile settles the order.
    """
    with database.read() as session:
        tries = _tries(session, session.get_one(Attempt, attempt_id))
    until, left = time.monotonic() + WHOLE_SECONDS, dict[_Try, GivenUp]()
    for each in tries:
        left[each] = _given_up(each) if time.monotonic() < until else GivenUp.MOVING
        if left[each] is GivenUp.MOVING:
            # Nothing is opened then, so the others are better left as they are.
            break
    # What another provider has taken at this moment, the one of this attempt does not know.
    mine = next((each.provider for each in tries if each.attempt_id == attempt_id), None)
    asked = [each.attempt_id for each, state in left.items() if each.provider != mine or state is not GivenUp.GONE]
    for number in dict.fromkeys([attempt_id, *asked]):
        if time.monotonic() > until:
            return Left(GivenUp.MOVING, mine)
        enquiry.ask(database, pace, number, fresh=True)
    found = [Left(state, each.provider) for each, state in left.items()]
    return min(found, key=lambda each: _WORST.index(each.state), default=Left())


def _given_up(tried: _Try) -> GivenUp:
    try:
        provider = adapter_for(tried.provider, tried.providers)
        return GivenUp.GONE if provider is None else provider.give_up(tried.question)
    except (ProviderDown, ProviderRefused) as error:
        log.warning("payment_not_given_up", provider=tried.provider, reason=str(error))
        return GivenUp.MOVING


def _tries(session: Session, attempt: Attempt) -> list[_Try]:
    """One for each payment that a page has named, and of those that named none, for each provider."""
    shop, ours = session.get_one(Shop, attempt.shop_id), _our_pages(session, attempt)
    found: dict[tuple[str, str | None], _Try] = {}
    for each in (attempt, *session.scalars(attempts.others(session, attempt).limit(_MOST_TRIES))):
        name, question = provider_of(shop, each), siblings.question_for(session, each, clock.now())
        if name is None or question is None:
            continue
        heard = tuple(event for event in question.heard if event.payment not in ours)
        payment = None if question.payment in ours else question.payment
        # Each is given up by itself; those that others have named are among them.
        asked = replace(question, payment=payment, payments=(), heard=heard)
        found.setdefault((name, payment), _Try(each.id, name, shop.settled.providers, asked))
    return list(found.values())


def _our_pages(session: Session, attempt: Attempt) -> set[str]:
    """Pages of our own links are closed as such."""
    mine = sa.select(PaymentLink.hosted_id).join(Attempt, Attempt.id == PaymentLink.attempt_id)
    return {each for each in session.scalars(mine.where(attempts.kin(session, attempt))) if each is not None}
