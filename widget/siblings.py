"""Siblings: what the tries at one order have told and named. A payment counts, whichever of them began it."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, deadlines, guard, orders, provider_events, signals, stalls, tellings
from widget.attempts import Attempt, Stage, order_of
from widget.beacons import Beacon
from widget.charges import NOT_PRESSED, provider_of
from widget.orders import Order
from widget.providers import Answer, ChargeState, Question
from widget.pulses import Presence, Pulse
from widget.shops import Shop
from widget.signals import Signal
from widget.stalls import SeenBy, Stall, StallKind

# Of one order: how many tries are looked through, and how many of the payments that they name are asked about.
MAX_TRIES, _MAX_NAMED = 20, 4
_MAX_SIGNALS = 500
# A checkout may make its payment a little before its page tells of the order.
MADE_BEFORE_SEEN = timedelta(minutes=5)
PAST_PAY = [Stage.SUBMITTED.value, Stage.AUTHENTICATING.value, Stage.CONFIRMING.value]


def question_for(session: Session, attempt: Attempt, now: datetime) -> Question | None:
    """What to ask the provider, or None when there is nothing to ask about, or the asker must not know.

    Of an order that the shop has signed elsewhere, an unsigned context is told nothing: its number can be guessed. Nor
    is whoever tries one number after another.
    """
    order = order_of(session, attempt)
    if order is None or orders.is_shadowed(session, order):
        return None
    if not order.is_verified and guard.is_suspect(session, attempt, now):
        return None
    others = named_by_others(session, attempt)
    # A refund may be told of by the payment alone, of one that no page has named.
    taken = (each.payment for each in tellings.of(session, order))
    heard = provider_events.heard(session, attempt.shop_id, order.reference, attempt.payment, *others, *taken)
    since = _first_seen(session, order) - MADE_BEFORE_SEEN
    return Question(order.reference, attempt.payment, due=order.due, heard=heard, payments=others, since=since)


def _first_seen(session: Session, order: Order) -> datetime:
    """When anybody first told of this number, signed or not."""
    rows = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=order.reference)
    first = session.scalar(sa.select(sa.func.min(Attempt.started_at)).where(Attempt.order_id.in_(rows)))
    return min(order.created_at, first or order.created_at)


def named_by_others(session: Session, attempt: Attempt) -> tuple[str, ...]:
    """The payments that other tries at the same order have named at the same provider, the latest first.

    Another leg of a split payment is other money, and no try at this one.
    """
    mine = provider_of(session.get_one(Shop, attempt.shop_id), attempt)
    theirs = attempts.others(session, attempt).where(Attempt.payment.is_not(None))
    if attempt.is_part:
        theirs = theirs.where(sa.or_(Attempt.legs.is_(None), Attempt.legs == 1, Attempt.leg == attempt.leg))
    named = (each.payment for each in session.scalars(theirs.limit(MAX_TRIES)) if each.provider in {mine, None})
    return tuple(dict.fromkeys(each for each in named if each and each != attempt.payment))[:_MAX_NAMED]


def without_provider(session: Session, attempt: Attempt) -> Answer:
    """What can be said when no adapter can ask: nothing was charged only if Pay was never pressed for this order.

    Of an attempt that its page never spoke of, nobody knows whether Pay was pressed.
    """
    order = order_of(session, attempt)
    if order is not None and orders.is_shadowed(session, order):
        return Answer(ChargeState.UNKNOWN, detail="The shop has signed another order of this number.")
    if was_pressed(session, attempt) or _was_lively(session, attempts.kin(session, attempt)):
        return Answer(ChargeState.UNKNOWN, detail="No provider is configured that could be asked.")
    is_of_page = sa.or_(Signal.seq >= 0, Signal.data["seen_by"].as_string() == SeenBy.FRAME.value)
    spoken = sa.select(Signal.id).where(Signal.attempt_id == attempt.id, is_of_page)
    if session.scalar(spoken.limit(1)) is None:
        return Answer(ChargeState.UNKNOWN, detail="The page has not told whether Pay was pressed.")
    return Answer(ChargeState.NOT_CHARGED, detail=NOT_PRESSED)


def was_pressed(session: Session, attempt: Attempt) -> bool:
    """Whether anybody has told that Pay was pressed, in this attempt or another one at its order."""
    return _is_pressed(session, attempts.kin(session, attempt))


def may_speak_for(session: Session, attempt: Attempt, answer: Answer) -> bool:
    """Whether "not charged" is also about what this very try may have begun.

    A provider that was asked about single payments knows those that it could look up. A try past Pay that has named
    none of these may have made one all the same.
    """
    if answer.state is not ChargeState.NOT_CHARGED or answer.is_of_order or attempt.payment in answer.asked:
        return True
    return not _is_pressed(session, Attempt.id == attempt.id) and not _was_lively(session, Attempt.id == attempt.id)


def may_still_run(session: Session, attempt: Attempt, now: datetime) -> bool:
    """Whether the payment may be going on without us: its page shows life, or Pay was pressed a moment ago.

    A payment that got stuck does not run any more; of that one the provider's word counts.
    """
    stage = open_stage(session, attempt)
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


def open_stage(session: Session, attempt: Attempt) -> Stage | None:
    """The stage past Pay that the page is in, or was in when it left; None when the payment is not open."""
    stage = attempt.stage
    if stage == Stage.LEFT:
        goodbyes = signals.named(session, [attempt.id], ["left"], _MAX_SIGNALS)
        said = goodbyes[-1].data if goodbyes else {}
        stage = "" if said.get("stays") else str(said.get("stage"))
    return Stage(stage) if stage in PAST_PAY else None


def _is_pressed(session: Session, whose: sa.ColumnElement[bool]) -> bool:
    is_past_pay = sa.or_(
        Signal.name.in_(["paid", "failed"]),
        sa.and_(Signal.name == "stage", Signal.data["stage"].as_string().in_(PAST_PAY)),
        sa.and_(Signal.name == "left", Signal.data["stage"].as_string().in_(PAST_PAY)),
    )
    pressed = sa.select(Signal.id).join(Attempt, Attempt.id == Signal.attempt_id).where(is_past_pay)
    return session.scalar(pressed.where(whose).limit(1)) is not None


def _was_lively(session: Session, whose: sa.ColumnElement[bool]) -> bool:
    """Whether a frame spoke of one of these attempts as it does only after Pay.

    The page's own word may have been lost on its way. A frame also tells of the browser when the page is stuck before
    Pay, but then the page's word of that has come; a pulse it sends after Pay only. What is found is noted, because
    pulses and beacons are not kept.
    """
    is_heard = sa.and_(Pulse.shop_id == Attempt.shop_id, Pulse.attempt_key == Attempt.key)
    is_told = sa.and_(Beacon.shop_id == Attempt.shop_id, Beacon.attempt_key == Attempt.key)
    # As the model writes it. A quotation mark inside of a value is escaped, so no text of the page can look like it.
    sources = [Beacon.body.contains(f'"source":"{source}"', autoescape=True) for source in ("frame", "worker")]
    is_before_pay = sa.and_(Stall.stage.in_([Stage.STARTED.value, Stage.SDK.value]), Stall.kind != StallKind.ASKED)
    was_stuck = sa.exists().where(Stall.attempt_id == Attempt.id, is_before_pay)
    signs = [sa.exists().where(is_heard), sa.and_(sa.exists().where(is_told, sa.or_(*sources)), ~was_stuck)]
    found = session.scalar(sa.select(Attempt).where(whose, sa.or_(*signs)).limit(1))
    if found is not None:
        stage = Stage.SUBMITTED.value
        signals.note(session, found, "stage", found.last_seen_at, stage=stage, seen_by="frame")
    return found is not None


def _presses(signal: Signal) -> bool:
    return signal.data.get("stage") in PAST_PAY
