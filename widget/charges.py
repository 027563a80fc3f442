"""Charges: what the provider says happened to the money of an attempt, answer by answer."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts, clock, guard, signals
from widget.attempts import Attempt, Stage
from widget.database import WORD_CHARS, Base, Currency, Id, Instant, Key, Minor, Text, Word, to
from widget.money import Money
from widget.orders import Order
from widget.providers import Answer, ChargeState, Retry
from widget.shops import Shop

# The answer that the whole order was charged stays true; anything else is asked again after this time.
FRESH_FOR = timedelta(seconds=3)
# Why nothing was charged although nobody could be asked.
NOT_PRESSED = "Pay was not pressed on this page."
# By how much the clocks of several servers may differ. What lies further ahead was said before a clock was put back.
_CLOCKS_APART = timedelta(minutes=1)
# Of one order; the latest are those that may still be going on.
_MOST_TRIES = 20


class Charge(Base):
    """One answer of a provider, kept as evidence."""

    __tablename__ = "charges"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts")
    state: Mapped[Key]
    amount: Mapped[Minor | None]
    currency: Mapped[Currency | None]
    provider: Mapped[Key | None]
    payment: Mapped[Word | None]
    detail: Mapped[Text]
    # The provider's own word for it, its decline code, the network's code and the provider's advice on retrying.
    status: Mapped[Word | None]
    code: Mapped[Word | None]
    network_code: Mapped[Word | None]
    advice: Mapped[Key | None]
    # Approved, then reversed: the customer may see it on the statement for some days.
    is_reversed: Mapped[bool] = mapped_column(default=False, server_default=sa.text("(false)"))
    # Whether the provider has looked at every payment of the order, so that it speaks for the other tries, too.
    is_of_order: Mapped[bool] = mapped_column(default=False, server_default=sa.text("(false)"))
    # Whether the customer may still complete a payment by themselves: in the bank's app, or in a window that is open.
    waits: Mapped[bool] = mapped_column(default=False, server_default=sa.text("(false)"))
    answered_at: Mapped[Instant]

    @property
    def is_of_page(self) -> bool:
        """Whether no provider was asked: the page has told that nothing can have been charged."""
        return self.detail == NOT_PRESSED

    def is_part_of(self, order: Order | None) -> bool:
        """Whether this took less than the order is worth. Where no amount was named, it was the whole."""
        if order is None or self.state != ChargeState.CHARGED or self.amount is None:
            return False
        return self.currency != order.currency or self.amount < order.amount

    def is_within(self, lasting: timedelta, now: datetime) -> bool:
        """Whether this was said so short a time ago. What is further ahead of the clock than that has no known age."""
        return abs(now - self.answered_at) <= lasting

    @property
    def money(self) -> Money | None:
        return Money(self.amount, self.currency) if self.amount and self.currency else None

    @property
    def retry(self) -> Retry | None:
        return Retry(self.advice) if self.advice in set(Retry) else None


def record(
    session: Session,
    attempt: Attempt,
    answer: Answer,
    now: datetime,
    *,
    was_asked: bool = True,
    asked: str | None = None,
) -> Charge:
    """Keep an answer; the timeline gets a line only when it changed.

    `asked` is the provider's name where the attempt itself does not know it; nobody at all unless `was_asked`.
    """
    before = latest(session, attempt.id)
    charge = Charge(
        attempt_id=attempt.id,
        state=answer.state.value,
        amount=answer.money.minor if answer.money else None,
        currency=answer.money.currency if answer.money else None,
        provider=(asked or attempt.provider) if was_asked else None,
        payment=_short(answer.payment),
        detail=answer.detail,
        status=_short(answer.status),
        code=_short(answer.code),
        network_code=_short(answer.network_code),
        advice=answer.retry.value if answer.retry else None,
        is_reversed=answer.is_reversed,
        is_of_order=answer.is_of_order,
        waits=answer.waits,
        answered_at=now,
    )
    if before is not None and _said(before) == _said(charge):
        before.answered_at, before.detail = now, charge.detail
        before.is_of_order, before.waits = charge.is_of_order, charge.waits
        return before
    session.add(charge)
    signals.note(session, attempt, "provider_said", now, state=charge.state, detail=answer.detail)
    if answer.state is ChargeState.NOT_CHARGED and answer.code is not None:
        guard.count(session, attempt, now, was_declined=True)
    return charge


def record_for_others(session: Session, attempt: Attempt, answer: Answer, now: datetime, *, asked: str | None) -> None:
    """Nothing was charged by any payment that was asked about, or of the order: that holds for other tries, too."""
    if answer.state is not ChargeState.NOT_CHARGED or not (answer.asked or answer.is_of_order):
        return
    shop, theirs = session.get_one(Shop, attempt.shop_id), attempts.others(session, attempt)
    if not answer.is_of_order:
        theirs = theirs.where(Attempt.payment.in_(answer.asked))
    tries = session.scalars(theirs.limit(_MOST_TRIES)).all()
    said = latest_of(session, {each.id for each in tries})
    for each in tries:
        known = said.get(each.id)
        is_newer = known is not None and now < known.answered_at <= clock.now() + _CLOCKS_APART
        if is_newer or provider_of(shop, each) != asked:
            continue
        if known is not None and known.state == ChargeState.NOT_CHARGED:
            known.answered_at, known.waits = now, known.waits and answer.waits
        elif known is not None or each.stage not in {Stage.STARTED, Stage.SDK}:
            told = Answer(
                ChargeState.NOT_CHARGED, payment=each.payment, detail=answer.detail, is_of_order=answer.is_of_order
            )
            record(session, each, told, now, asked=asked)


def latest(session: Session, attempt_id: int) -> Charge | None:
    # Not by its time: a clock may have been put back since.
    query = sa.select(Charge).filter_by(attempt_id=attempt_id).order_by(Charge.id.desc())
    return session.scalars(query.limit(1)).first()


def latest_of(session: Session, attempt_ids: Collection[int]) -> dict[int, Charge]:
    """The latest of each of these attempts that has any, in one statement."""
    if not attempt_ids:
        return {}
    query = sa.select(Charge).where(Charge.attempt_id.in_(attempt_ids)).order_by(Charge.id)
    return {each.attempt_id: each for each in session.scalars(query)}


def is_fresh(charge: Charge | None, order: Order | None, now: datetime) -> bool:
    """Whether there is no need to ask again. After a part the rest may come at any time."""
    if charge is None:
        return False
    is_final = charge.state == ChargeState.CHARGED and not charge.is_part_of(order)
    return is_final or charge.is_within(FRESH_FOR, now)


def state_of(charge: Charge | None) -> ChargeState:
    return ChargeState(charge.state) if charge else ChargeState.UNKNOWN


def provider_of(shop: Shop, attempt: Attempt) -> str | None:
    """The attempt's provider, or the shop's only one when the page did not say."""
    return attempt.provider or only_provider(shop)


def only_provider(shop: Shop) -> str | None:
    configured = list(shop.settled.providers)
    return configured[0] if len(configured) == 1 else None


def _short(word: str | None) -> str | None:
    """A word of a provider, as long as its column: an odd one must not cost the whole answer."""
    return word[:WORD_CHARS] if word else None


def _said(charge: Charge) -> tuple[object, ...]:
    told = (charge.state, charge.payment, charge.amount, charge.provider)
    return (*told, charge.status, charge.code, charge.network_code, charge.advice, charge.is_reversed)
