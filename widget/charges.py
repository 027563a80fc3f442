"""Charges: what the provider says happened to the money of an attempt. Truth before any offer."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import orders, signals
from widget.attempts import Attempt, Stage, order_of
from widget.database import Base, Currency, Id, Instant, Key, Minor, Text, Word, to
from widget.providers import Answer, ChargeState, Question
from widget.signals import Signal

# An answer of "charged" stays true; anything else is asked again after this time.
FRESH_FOR = timedelta(seconds=3)


_PAST_PAY = [Stage.SUBMITTED.value, Stage.AUTHENTICATING.value, Stage.CONFIRMING.value]


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
    answered_at: Mapped[Instant]


def question_for(session: Session, attempt: Attempt) -> Question | None:
    """What to ask the provider, or None when there is nothing to ask about, or the asker must not know.

    Of an order that the shop has signed elsewhere, an unsigned context is told nothing: its number can be guessed.
    """
    order = order_of(session, attempt)
    if order is None or orders.is_shadowed(session, order):
        return None
    return Question(order=order.reference, payment=attempt.payment)


def without_provider(session: Session, attempt: Attempt) -> Answer:
    """What can be said when no adapter can ask: nothing was charged only if Pay was never pressed for this order."""
    order = order_of(session, attempt)
    if order is not None and orders.is_shadowed(session, order):
        return Answer(ChargeState.UNKNOWN, detail="The shop has signed another order of this number.")
    is_past_pay = sa.or_(
        Signal.name.in_(["paid", "failed"]),
        sa.and_(Signal.name == "stage", Signal.data["stage"].as_string().in_(_PAST_PAY)),
    )
    pressed = sa.select(Signal.id).join(Attempt, Attempt.id == Signal.attempt_id).where(is_past_pay)
    pressed = pressed.where(Attempt.order_id == order.id if order else Attempt.id == attempt.id)
    if session.scalar(pressed.limit(1)) is None:
        return Answer(ChargeState.NOT_CHARGED, detail="Pay was not pressed.")
    return Answer(ChargeState.UNKNOWN, detail="No provider is configured that could be asked.")


def record(session: Session, attempt: Attempt, answer: Answer, now: datetime) -> Charge:
    """Keep an answer; the timeline gets a line only when it changed."""
    before = latest(session, attempt.id)
    charge = Charge(
        attempt_id=attempt.id,
        state=answer.state.value,
        amount=answer.money.minor if answer.money else None,
        currency=answer.money.currency if answer.money else None,
        provider=attempt.provider,
        payment=answer.payment,
        detail=answer.detail,
        answered_at=now,
    )
    if before is not None and (before.state, before.payment) == (charge.state, charge.payment):
        before.answered_at, before.detail = now, charge.detail
        return before
    session.add(charge)
    signals.note(session, attempt, "provider_said", now, state=charge.state, detail=answer.detail)
    return charge


def latest(session: Session, attempt_id: int) -> Charge | None:
    query = sa.select(Charge).filter_by(attempt_id=attempt_id).order_by(Charge.answered_at.desc(), Charge.id.desc())
    return session.scalars(query.limit(1)).first()


def is_fresh(charge: Charge | None, now: datetime) -> bool:
    return charge is not None and (charge.state == ChargeState.CHARGED or now - charge.answered_at < FRESH_FOR)


def state_of(charge: Charge | None) -> ChargeState:
    return ChargeState(charge.state) if charge else ChargeState.UNKNOWN
