"""The subject of a question: whom to ask what about an attempt or an order, and the asking.

Gathered in a transaction, asked outside of any.
"""

from dataclasses import dataclass, replace

import structlog
from sqlalchemy.orm import Session

from widget import attempts, clock, mispayments, provider_events, siblings
from widget.attempts import Attempt
from widget.charges import only_provider, provider_of
from widget.orders import Order
from widget.providers import Answer, ChargeState, Provider, ProviderDown, ProviderRefused, Question, adapter_for
from widget.shops import Shop

log = structlog.get_logger()

# Names of what may be one payment, each asked about alone.
MAX_NAMES_ASKED = 4
_NOBODY = "The order is not known, so nobody could be asked."


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to ask what. Without a provider, `answer` is all that can be said."""

    name: str | None
    provider: Provider | None
    question: Question | None
    answer: Answer | None = None
    # What may be one payment under several names.
    doubted: tuple[str, ...] = ()

    @property
    def can_be_asked(self) -> bool:
        return self.provider is not None and self.question is not None

    def ask(self) -> Answer:
        return self.answer or self._put(self.question)

    def ask_one_by_one(self) -> dict[str, Answer]:
        """What the provider says about each doubted id alone, without what webhooks have told of others."""
        if (asked := self.question) is None:
            return {}
        told = {each: tuple(event for event in asked.heard if event.payment == each) for each in self.doubted}
        questions = {each: replace(asked, payment=each, heard=told[each], payments=()) for each in self.doubted}
        return {each: self._put(question) for each, question in questions.items()}

    def _put(self, question: Question | None) -> Answer:
        if self.provider is None or question is None:
            return Answer(ChargeState.UNKNOWN, detail=_NOBODY)
        try:
            return self.provider.ask(question)
        except (ProviderDown, ProviderRefused) as error:
            log.warning("provider_silent", reason=str(error))
            return Answer(ChargeState.UNKNOWN, detail=str(error))


def of_attempt(session: Session, attempt: Attempt) -> Subject:
    shop = session.get_one(Shop, attempt.shop_id)
    name = provider_of(shop, attempt)
    try:
        provider = adapter_for(name, shop.settled.providers)
    except ProviderRefused as error:
        # It was configured, so somebody pays there: nothing may be said about the money.
        log.error("provider_unusable", site=shop.site, provider=name, reason=str(error))
        return Subject(name, None, None, Answer(ChargeState.UNKNOWN, detail=str(error)))
    if provider is None:
        return Subject(None, None, None, siblings.without_provider(session, attempt))
    question = siblings.question_for(session, attempt, clock.now())
    return Subject(name, provider, question, doubted=_doubted(session, attempt))


def of_order(session: Session, order: Order) -> Subject | None:
    """Of an order that no page has told of; None where nobody can be asked, or the answer would be no proof."""
    shop = session.get_one(Shop, order.shop_id)
    # An unsigned row without a try claims nothing that the answer could be held against.
    if not order.is_verified or (name := only_provider(shop)) is None:
        return None
    try:
        provider = adapter_for(name, shop.settled.providers)
    except ProviderRefused:
        return None
    heard = provider_events.heard(session, shop.id, order.reference)
    since = order.created_at - siblings.MADE_BEFORE_SEEN
    return Subject(name, provider, Question(order.reference, None, due=order.due, heard=heard, since=since))


def _doubted(session: Session, attempt: Attempt) -> tuple[str, ...]:
    order = attempts.order_of(session, attempt)
    names = mispayments.doubted(session, order) if order is not None else ()
    return names if len(names) <= MAX_NAMES_ASKED else ()
