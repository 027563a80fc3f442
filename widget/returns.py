"""Returns: a customer comes back to a payment that was under way when they left, and is told what happened."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, casework, orders, pulses, siblings, signals, silence, stalls
from widget.attempts import Attempt, Stage
from widget.language import N_
from widget.pulses import Pulse
from widget.shops import Shop
from widget.stalls import StallKind

# An interruption of longer ago is told by e-mail; a tab that wakes up after days has nothing to greet about.
GREETED_WITHIN = timedelta(days=1)
_ONE_RETURN = timedelta(seconds=30)
_MAX_SIGNALS = 500

_WORDS = {
    StallKind.FROZEN: N_("The payment page froze before the payment ended."),
    StallKind.SILENT: N_("Your payment was interrupted."),
    StallKind.CLOSED: N_("Your payment was interrupted when its page was closed."),
    StallKind.NO_RETURN: N_("You left to confirm the payment, and the shop did not hear how that ended."),
}
_CAME_BACK = N_("You left to confirm the payment and came back.")
_INTERRUPTED = N_("Your payment was interrupted.")
_MAY_STILL_RUN = N_("Your payment may still be going on.")


def welcome(session: Session, attempt: Attempt, now: datetime) -> bool:
    """The customer is back on the shop's page. Returns whether there is something to tell them.

    Who comes back needs no e-mail, and their old page is not waited for any more, unless the payment may still go on
    there: a second tab knows of it too. A payment that arrived is told of once.
    """
    if attempt.order_id is not None:
        # Held first, as a payment does.
        orders.locked(session, attempt.order_id)
        session.refresh(attempt)
    if now - attempt.last_seen_at > GREETED_WITHIN:
        return False
    order = attempts.order_of(session, attempt)
    if (order is not None and order.paid_at is not None) or attempt.stage == Stage.PAID:
        return _note_once(session, attempt, "greeted", GREETED_WITHIN, now)
    if not is_interrupted(session, attempt):
        return False
    _note_once(session, attempt, "back", _ONE_RETURN, now)
    attend(session, attempt, now)
    return True


def attend(session: Session, attempt: Attempt, now: datetime) -> None:
    """The customer looks at what became of an interrupted payment, and so needs no e-mail about it.

    Once it cannot go on any more after a return, its old page is not waited for either.
    """
    if attempt.order_id is not None:
        orders.locked(session, attempt.order_id)
        session.refresh(attempt)
    if not is_interrupted(session, attempt):
        return
    casework.returned(session, attempt, now)
    if not siblings.came_back(session, attempt) or siblings.may_still_run(session, attempt, now):
        return
    if _is_awaited(session, attempt):
        pulses.let_rest(session, attempt.shop_id, attempt.key, now)


def is_interrupted(session: Session, attempt: Attempt) -> bool:
    """Whether the page went away after Pay and before the outcome."""
    stage = Stage(attempt.stage)
    if stage is Stage.LEFT:
        left = silence.left_at(session, attempt)
        return left is not None and left.is_past_pay
    return stage.is_past_pay


def greeting(session: Session, attempt: Attempt, now: datetime) -> str | None:
    """What happened while the customer was away, or None when the payment was not interrupted."""
    kinds = [StallKind(stall.kind) for stall in stalls.of(session, attempt.id)]
    told = next((kind for kind in kinds if kind in _WORDS), None)
    if told is not None:
        return _WORDS[told]
    if not signals.named(session, [attempt.id], ["back"], 1):
        return None
    if attempt.stage != Stage.LEFT and siblings.may_still_run(session, attempt, now):
        return _MAY_STILL_RUN
    was_away = attempt.stage == Stage.LEFT and silence.left_at(session, attempt) is Stage.AUTHENTICATING
    return _CAME_BACK if was_away else _INTERRUPTED


def _is_awaited(session: Session, attempt: Attempt) -> bool:
    mine = sa.select(Pulse.id).filter_by(shop_id=attempt.shop_id, attempt_key=attempt.key)
    return session.scalar(mine.where(Pulse.judged_at.is_(None))) is not None


def attempt_of(session: Session, shop: Shop, key: str) -> Attempt | None:
    """The attempt of this key, which only the customer's own page knows."""
    return session.scalar(sa.select(Attempt).filter_by(shop_id=shop.id, key=key))


def _note_once(session: Session, attempt: Attempt, name: str, within: timedelta, now: datetime) -> bool:
    """Note it, once for a page that says so twice. Returns whether it is news."""
    known = signals.named(session, [attempt.id], [name], _MAX_SIGNALS)
    if known and now - known[-1].at < within:
        return False
    signals.note(session, attempt, name, now)
    return True
