"""Siblings: what the tries at one order say of one another. A payment counts, whichever of them began it.

One that is not known keeps everything closed that would take the money again.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import advice, attempts, deadlines, guard, orders, provider_events, signals, stalls
from widget.attempts import Attempt, Stage, order_of
from widget.beacons import Beacon
from widget.charges import FRESH_FOR, NOT_PRESSED, Charge, latest, provider_of, state_of
from widget.orders import Order
from widget.providers import Answer, ChargeState, Question
from widget.pulses import Presence, Pulse
from widget.shops import Shop
from widget.signals import Signal
from widget.stalls import SeenBy, Stall, StallKind

# For so long "not charged" of another try may be relied on: its customer may still complete it in another window.
RELIED_ON_FOR = timedelta(seconds=60)
# Of one order: how many tries are looked through, and how many of the payments that they name are asked about.
MAX_TRIES, _MAX_NAMED = 20, 4
# With more than these somebody tries without end, and nothing is known for certain.
_MOST_LOOKED_THROUGH = 50
# How many other tries are asked about together with one.
_MAX_ELSEWHERE = 3
_MAX_SIGNALS = 500
_PAST_PAY = [Stage.SUBMITTED.value, Stage.AUTHENTICATING.value, Stage.CONFIRMING.value]
# What a page calls it when the answer to a request was lost, which may have been carried out all the same.
_LOST = {"TypeError", "NetworkError", "AbortError", "TimeoutError", "500", "502", "503", "504"}
_MAY_BE_OPEN = [*_PAST_PAY, Stage.LEFT.value, Stage.FAILED.value]


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
    heard = provider_events.heard(session, attempt.shop_id, order.reference, attempt.payment, *others)
    return Question(order.reference, attempt.payment, due=order.due, heard=heard, payments=others)


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


def last_word(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> ChargeState:
    """The same for a payment link, which may be the very one that takes the money."""
    state = state_of(latest(session, attempt.id))
    if state is not ChargeState.NOT_CHARGED:
        return state
    is_later_leg = attempt.is_part and attempt.leg != 1 and not attempts.paid_legs(session, order)
    if is_later_leg or (came_back(session, attempt) and may_still_run(session, attempt, now)):
        return ChargeState.UNKNOWN
    return ChargeState.UNKNOWN if open_elsewhere(session, attempt, now) is not None else state


def is_being_paid(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> bool:
    """Whether a payment link is taking the money of this order now: also one that was made for another basket."""
    if order is None or orders.is_being_paid(order, now):
        return order is not None
    return any(orders.is_being_paid(each, now) for each in other_baskets(session, attempt))


def open_elsewhere(session: Session, attempt: Attempt, now: datetime) -> Attempt | None:
    """Another try at the same order, past Pay, of which it is not known that nothing was charged."""
    tries = _elsewhere(session, attempt)
    if len(tries) >= _MOST_LOOKED_THROUGH:
        return tries[-1]
    return next((each for each in tries if not _is_known(latest(session, each.id), now, RELIED_ON_FOR)), None)


def unsure_elsewhere(session: Session, attempt: Attempt, now: datetime) -> list[Attempt]:
    """Other tries to be asked about together with this one, because its own answer says nothing of them.

    The payments that they have named at the same provider are part of its own question.
    """
    found: dict[tuple[str | None, str | None], Attempt] = {}
    if not (tries := _elsewhere(session, attempt)):
        return []
    own, mine = named_by_others(session, attempt), provider_of(session.get_one(Shop, attempt.shop_id), attempt)
    # The longest unasked first, so that each gets its turn.
    asked_at = {
        each.id: charge.answered_at if (charge := latest(session, each.id)) else attempt.started_at for each in tries
    }
    for each in sorted(tries, key=lambda each: asked_at[each.id]):
        its = provider_of(session.get_one(Shop, each.shop_id), each)
        if not (its == mine and each.payment in own) and not _is_known(latest(session, each.id), now, FRESH_FOR):
            found.setdefault((its, each.payment), each)
    return list(found.values())[:_MAX_ELSEWHERE]


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


def other_baskets(session: Session, attempt: Attempt) -> list[Order]:
    """The other rows of this attempt's order: an unsigned one has one for each amount that its pages have claimed."""
    order = order_of(session, attempt)
    if order is None or order.is_verified:
        return []
    rows = sa.select(Attempt.order_id).where(attempts.kin(session, attempt))
    others = sa.select(Order).filter_by(shop_id=order.shop_id, reference=order.reference).where(Order.id != order.id)
    # A verified row of a shop that signs nothing is what its server has told of.
    return list(session.scalars(others.where(sa.or_(Order.id.in_(rows), Order.is_verified))))


def _elsewhere(session: Session, attempt: Attempt) -> list[Attempt]:
    """The other tries at the same order, past Pay, for which the answer about this one does not speak.

    A provider that has looked at every payment of the order speaks for its other tries, but not for another provider;
    and nobody knows for whom one speaks that was not named. Of one that is asked about single payments each try has to
    be known, also one of which its page has said that it failed: unless that was a refusal, word for word.
    """
    theirs = attempts.others(session, attempt).where(Attempt.stage.in_(_MAY_BE_OPEN))
    tries = session.scalars(theirs.limit(_MOST_LOOKED_THROUGH)).all()
    if not tries:
        return []
    shop = session.get_one(Shop, attempt.shop_id)
    mine, said = provider_of(shop, attempt), latest(session, attempt.id)
    is_of_order = said is not None and said.is_of_order
    found = []
    for each in tries:
        is_of_mine = mine is not None and provider_of(shop, each) == mine
        if is_of_mine and (is_of_order or _was_refused_before(each, attempt, mine)):
            continue
        # Elsewhere one that failed before it had a payment is over: a window, for instance, that was closed at once.
        may_have_begun = is_of_mine or each.payment is not None or each.error_code in _LOST
        if (each.stage == Stage.FAILED and may_have_begun) or _open_stage(session, each):
            found.append(each)
    return found


def _was_refused_before(tried: Attempt, attempt: Attempt, provider: str | None) -> bool:
    """Whether this try's page told of a decline by its code and of no payment, before another try named one.

    A lost connection or a server that failed says nothing about the money, a code of the provider's tables does.
    """
    if tried.stage != Stage.FAILED or tried.payment is not None or attempt.payment is None or tried.id > attempt.id:
        return False
    return advice.is_decline(provider, tried.error_code)


def _is_known(charge: Charge | None, now: datetime, lasting: timedelta) -> bool:
    """Whether it was said a moment ago that nothing was charged."""
    if charge is None or charge.state != ChargeState.NOT_CHARGED:
        return False
    return now - charge.answered_at <= lasting


def _is_pressed(session: Session, whose: sa.ColumnElement[bool]) -> bool:
    is_past_pay = sa.or_(
        Signal.name.in_(["paid", "failed"]),
        sa.and_(Signal.name == "stage", Signal.data["stage"].as_string().in_(_PAST_PAY)),
        sa.and_(Signal.name == "left", Signal.data["stage"].as_string().in_(_PAST_PAY)),
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
    return signal.data.get("stage") in _PAST_PAY


def _open_stage(session: Session, attempt: Attempt) -> Stage | None:
    """The stage past Pay that the page is in, or was in when it left; None when the payment is not open."""
    stage = attempt.stage
    if stage == Stage.LEFT:
        goodbyes = signals.named(session, [attempt.id], ["left"], _MAX_SIGNALS)
        said = goodbyes[-1].data if goodbyes else {}
        stage = "" if said.get("stays") else str(said.get("stage"))
    return Stage(stage) if stage in _PAST_PAY else None
