"""Charges: what the provider says happened to the money of an attempt. Truth before any offer."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import attempts, deadlines, orders, signals, stalls
from widget.attempts import Attempt, Stage, order_of
from widget.beacons import Beacon
from widget.database import Base, Currency, Id, Instant, Key, Minor, Text, Word, to
from widget.orders import Order
from widget.providers import Answer, ChargeState, Question
from widget.pulses import Presence, Pulse
from widget.shops import Shop
from widget.signals import Signal
from widget.stalls import SeenBy, StallKind

# The answer that the whole order was charged stays true; anything else is asked again after this time.
FRESH_FOR = timedelta(seconds=3)
# Why nothing was charged although nobody could be asked.
NOT_PRESSED = "Pay was not pressed on this page."

_MAX_SIGNALS = 500
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

    @property
    def is_of_page(self) -> bool:
        """Whether no provider was asked: the page has told that nothing can have been charged."""
        return self.detail == NOT_PRESSED

    def is_part_of(self, order: Order | None) -> bool:
        """Whether this took less than the order is worth. Where no amount was named, it was the whole."""
        if order is None or self.state != ChargeState.CHARGED or self.amount is None:
            return False
        return self.currency != order.currency or self.amount < order.amount


def question_for(session: Session, attempt: Attempt) -> Question | None:
    """What to ask the provider, or None when there is nothing to ask about, or the asker must not know.

    Of an order that the shop has signed elsewhere, an unsigned context is told nothing: its number can be guessed.
    """
    order = order_of(session, attempt)
    if order is None or orders.is_shadowed(session, order):
        return None
    return Question(order=order.reference, payment=attempt.payment)


def without_provider(session: Session, attempt: Attempt) -> Answer:
    """What can be said when no adapter can ask: nothing was charged only if Pay was never pressed for this order.

    Of an attempt that its page never spoke of, nobody knows whether Pay was pressed.
    """
    order = order_of(session, attempt)
    if order is not None and orders.is_shadowed(session, order):
        return Answer(ChargeState.UNKNOWN, detail="The shop has signed another order of this number.")
    if was_pressed(session, attempt) or _was_lively(session, attempt):
        return Answer(ChargeState.UNKNOWN, detail="No provider is configured that could be asked.")
    is_of_page = sa.or_(Signal.seq >= 0, Signal.data["seen_by"].as_string() == SeenBy.FRAME.value)
    spoken = sa.select(Signal.id).where(Signal.attempt_id == attempt.id, is_of_page)
    if session.scalar(spoken.limit(1)) is None:
        return Answer(ChargeState.UNKNOWN, detail="The page has not told whether Pay was pressed.")
    return Answer(ChargeState.NOT_CHARGED, detail=NOT_PRESSED)


def was_pressed(session: Session, attempt: Attempt) -> bool:
    """Whether anybody has told that Pay was pressed, in this attempt or another one at its order."""
    is_past_pay = sa.or_(
        Signal.name.in_(["paid", "failed"]),
        sa.and_(Signal.name == "stage", Signal.data["stage"].as_string().in_(_PAST_PAY)),
        sa.and_(Signal.name == "left", Signal.data["stage"].as_string().in_(_PAST_PAY)),
    )
    pressed = sa.select(Signal.id).join(Attempt, Attempt.id == Signal.attempt_id).where(is_past_pay)
    return session.scalar(pressed.where(_is_akin(attempt)).limit(1)) is not None


def certain_state(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> ChargeState:
    """The provider's last word, as far as one may rely on it. Only "not charged" lets anything be paid.

    That is not the whole truth while a payment link takes the money, while the payment may still go on in another
    tab, and of a later leg, even while nobody has told of the first one.
    """
    return ChargeState.UNKNOWN if orders.is_being_paid(order, now) else last_word(session, attempt, order, now)


def last_word(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> ChargeState:
    """The same for a payment link, which may be the very one that takes the money."""
    state = state_of(latest(session, attempt.id))
    if state is not ChargeState.NOT_CHARGED:
        return state
    is_later_leg = attempt.is_part and attempt.leg != 1 and not attempts.paid_legs(session, order)
    if is_later_leg or (came_back(session, attempt) and may_still_run(session, attempt, now)):
        return ChargeState.UNKNOWN
    return state


def may_pay_whole(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> bool:
    """Whether the customer may be asked for the whole amount: nothing of it was taken, nor is on its way."""
    if order is None or order.paid_at is not None or attempts.paid_legs(session, order):
        return False
    return certain_state(session, attempt, order, now) is ChargeState.NOT_CHARGED


def may_still_run(session: Session, attempt: Attempt, now: datetime) -> bool:
    """Whether the payment may be going on without us: its page shows life, or Pay was pressed a moment ago.

    A payment that got stuck does not run any more; of that one the provider's word counts.
    """
    stage = _open_stage(session, attempt)
    stuck = (each for each in stalls.of(session, attempt.id) if each.kind != StallKind.ASKED)
    if stage is None or any(Stage(each.stage).is_past_pay for each in stuck):
        return False
    limits = deadlines.for_attempt(session, session.get_one(Shop, attempt.shop_id), attempt)
    presses = [each for each in signals.named(session, [attempt.id], ["stage"], _MAX_SIGNALS) if _presses(each)]
    pressed_at = presses[-1].at if presses else attempt.last_seen_at
    if now - pressed_at < timedelta(seconds=limits[stage.value]):
        return True
    is_mine = sa.and_(Pulse.shop_id == attempt.shop_id, Pulse.attempt_key == attempt.key)
    lives = sa.select(Pulse.id).where(is_mine, Pulse.presence != Presence.AWAY.value)
    return session.scalar(lives.where(Pulse.at > now - timedelta(seconds=limits["silent"]))) is not None


def came_back(session: Session, attempt: Attempt) -> bool:
    """Whether the server has seen the customer come back to this attempt, perhaps in a second tab."""
    backs = sa.select(Signal.id).where(Signal.attempt_id == attempt.id, Signal.name == "back", Signal.seq < 0)
    return session.scalar(backs.limit(1)) is not None


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
    if before is not None and _said(before) == _said(charge):
        before.answered_at, before.detail = now, charge.detail
        return before
    session.add(charge)
    signals.note(session, attempt, "provider_said", now, state=charge.state, detail=answer.detail)
    return charge


def latest(session: Session, attempt_id: int) -> Charge | None:
    query = sa.select(Charge).filter_by(attempt_id=attempt_id).order_by(Charge.answered_at.desc(), Charge.id.desc())
    return session.scalars(query.limit(1)).first()


def is_fresh(charge: Charge | None, order: Order | None, now: datetime) -> bool:
    """Whether there is no need to ask again. After a part the rest may come at any time."""
    if charge is None:
        return False
    is_final = charge.state == ChargeState.CHARGED and not charge.is_part_of(order)
    return is_final or now - charge.answered_at < FRESH_FOR


def state_of(charge: Charge | None) -> ChargeState:
    return ChargeState(charge.state) if charge else ChargeState.UNKNOWN


def _said(charge: Charge) -> tuple[str, str | None, int | None]:
    return charge.state, charge.payment, charge.amount


def _presses(signal: Signal) -> bool:
    return signal.data.get("stage") in _PAST_PAY


def _open_stage(session: Session, attempt: Attempt) -> Stage | None:
    """The stage past Pay that the page is in, or was in when it left; None when the payment is not open."""
    stage = attempt.stage
    if stage == Stage.LEFT:
        goodbyes = signals.named(session, [attempt.id], ["left"], _MAX_SIGNALS)
        said = goodbyes[-1].data if goodbyes else {}
        stage = "" if said.get("stays") else str(said.get("stage"))
    return Stage(stage) if stage in _PAST_PAY else None


def _is_akin(attempt: Attempt) -> sa.ColumnElement[bool]:
    """This attempt, and every other at the same order."""
    return Attempt.order_id == attempt.order_id if attempt.order_id is not None else Attempt.id == attempt.id


def _was_lively(session: Session, attempt: Attempt) -> bool:
    """Whether a frame spoke of this attempt, or another one at its order: it does so only after Pay.

    The page's own word may have been lost on its way. What is found is noted, because pulses and beacons are not kept.
    """
    is_heard = sa.and_(Pulse.shop_id == Attempt.shop_id, Pulse.attempt_key == Attempt.key)
    is_told = sa.and_(Beacon.shop_id == Attempt.shop_id, Beacon.attempt_key == Attempt.key)
    # As the model writes it. A quotation mark inside of a value is escaped, so no text of the page can look like it.
    sources = [Beacon.body.contains(f'"source":"{source}"', autoescape=True) for source in ("frame", "worker")]
    signs = [sa.exists().where(is_heard), sa.exists().where(is_told, sa.or_(*sources))]
    found = session.scalar(sa.select(Attempt).where(_is_akin(attempt), sa.or_(*signs)).limit(1))
    if found is not None:
        stage = Stage.SUBMITTED.value
        signals.note(session, found, "stage", found.last_seen_at, stage=stage, seen_by="frame")
    return found is not None
