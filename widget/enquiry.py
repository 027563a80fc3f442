"""Enquiry: asks the provider what happened to the money.

An edge step: it talks to the network between two transactions, so that no lock is held while another server thinks.
"""

import structlog
from sqlalchemy.orm import Session

from widget import attempts, charges, clock, digest, payments
from widget.attempts import Attempt
from widget.casework import Pace
from widget.database import Database
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Provider, ProviderDown, Question, adapter_for
from widget.shops import Shop

log = structlog.get_logger()


def ask(database: Database, pace: Pace, attempt_id: int) -> ChargeState:
    """Ask, keep the answer and act on it: an order that was charged is settled. Returns the state."""
    with database.write() as session:
        attempt = attempts.by_id(session, attempt_id)
        # What the page has told but nobody has looked at yet: Pay may have been pressed a moment ago.
        digest.digest_attempt(session, attempt.key, pace, clock.now())
        charge = charges.latest(session, attempt_id)
        if charges.is_fresh(charge, attempts.order_of(session, attempt), clock.now()):
            return charges.state_of(charge)
        shop = session.get_one(Shop, attempt.shop_id)
        provider = adapter_for(provider_of(shop, attempt), shop.settled.providers)
        question = charges.question_for(session, attempt)
        answer = charges.without_provider(session, attempt) if provider is None else None
    if answer is None:
        answer = _ask(provider, question)
    with database.write() as session:
        attempt = attempts.by_id(session, attempt_id)
        _settle_if_charged(session, attempt, answer, pace)
        charges.record(session, attempt, answer, clock.now())
    return answer.state


def provider_of(shop: Shop, attempt: Attempt) -> str | None:
    """The attempt's provider, or the shop's only one when the page did not say."""
    configured = list(shop.settled.providers)
    return attempt.provider or (configured[0] if len(configured) == 1 else None)


def _ask(provider: Provider | None, question: Question | None) -> Answer:
    if provider is None or question is None:
        return Answer(ChargeState.UNKNOWN, detail="The order is not known, so nobody could be asked.")
    try:
        return provider.ask(question)
    except ProviderDown as error:
        log.warning("provider_silent", reason=str(error))
        return Answer(ChargeState.UNKNOWN, detail=str(error))


def _settle_if_charged(session: Session, attempt: Attempt, answer: Answer, pace: Pace) -> None:
    if answer.state is not ChargeState.CHARGED or answer.money is None or attempt.order_id is None:
        return
    order = session.get_one(Order, attempt.order_id)
    shop = session.get_one(Shop, attempt.shop_id)
    # One row for each order and amount, so that another word of the provider never meets the key of an earlier one.
    key = f"provider:{order.id}:{answer.payment}:{answer.money.minor}"
    told = Told(key, Source.PROVIDER, answer.money, attempt.method, answer.payment)
    payments.record(session, shop, order, told, pace, clock.now())
