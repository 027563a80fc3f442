"""Whether an e-mail is still wanted, as of the moment in which it is sent."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, certainty, ledger, signals, tickets, transfers, watches
from widget.attempts import Attempt
from widget.followups.promise import CAME_BACK, GIVEN_BACK, NOT_CERTAIN, FollowUp, Kind
from widget.followups.sending import mark_cancelled, postpone
from widget.followups.whom import attempt_id_of, hand_over_of, hold_of, is_reported, order_of, ticket_of
from widget.orders import Order
from widget.providers import ChargeState
from widget.pulses import Pulse
from widget.tickets import Status
from widget.watches import Watch

_MAX_SIGNALS = 100
_NEVER_CERTAIN = (
    "For two days nobody could say whether this order was charged, so no reminder was sent. "
    "Look it up at the provider, then tell the customer here."
)


def reason_to_cancel(session: Session, follow_up: FollowUp, now: datetime) -> str | None:
    """Checked against the order at the moment of sending, because a payment may have come in since the claim."""
    kind = Kind(follow_up.kind)
    if kind in _JUDGED_ALONE:
        return _JUDGED_ALONE[kind](session, follow_up, now)
    if not kind.asks_for_payment and kind not in {Kind.INTERRUPTED, Kind.DEVICE}:
        return None
    order = order_of(session, follow_up)
    if order is None or order.paid_at is not None:
        return "the order is paid"
    if kind is Kind.INTERRUPTED:
        return _reason_not_to_disturb(session, follow_up, order)
    if kind is Kind.DEVICE:
        hand_over = hand_over_of(session, follow_up)
        return None if hand_over and hand_over.expires_at > now else "the link is over"
    if attempts.paid_legs(session, order) or ledger.is_begun(session, order):
        return "part of the order is paid"
    if kind is Kind.LATER:
        return _reason_not_to_remind(session, follow_up)
    return "the ticket is closed" if ticket_of(session, follow_up).status == Status.CLOSED else None


def may_ask_for_payment(session: Session, follow_up: FollowUp, now: datetime) -> bool:
    """Whether the provider's last word leaves no doubt that nothing of the order was charged, and nothing is coming."""
    if _is_on_its_way(session, follow_up):
        return False
    attempt, order = attempts.by_id(session, attempt_id_of(session, follow_up)), order_of(session, follow_up)
    return certainty.may_pay_whole(session, attempt, order, now)


def put_off(session: Session, follow_up: FollowUp, now: datetime) -> bool:
    """Decide about an e-mail that asks for money while it may not. Whether it does not go out now.

    It waits, and is given up when nobody ever knows; an agent is told then. Whoever asked to be reminded at a time is
    written to at that time all the same, and is asked for nothing; after a transfer that they sent, only when it fails.
    """
    is_asked_for = follow_up.kind == Kind.LATER
    if is_asked_for and not _is_on_its_way(session, follow_up):
        return False
    if postpone(follow_up, now):
        return True
    if is_asked_for:
        mark_cancelled(follow_up, "a transfer is on its way", now)
        return True
    mark_cancelled(follow_up, NOT_CERTAIN, now)
    tickets.note_once(session, ticket_of(session, follow_up), _NEVER_CERTAIN, now)
    return True


def _is_on_its_way(session: Session, follow_up: FollowUp) -> bool:
    attempt, order = attempts.by_id(session, attempt_id_of(session, follow_up)), order_of(session, follow_up)
    return order is not None and transfers.is_announced(session, order, attempt)


def _reason_not_to_remind(session: Session, follow_up: FollowUp) -> str | None:
    """`about` of a LATER e-mail ends in the time that was asked for then."""
    hold = hold_of(session, follow_up)
    if hold is None:
        return "the order is not kept any more"
    asked_for = follow_up.subject_key.rpartition(":")[2]
    return None if asked_for == str(int(hold.remind_at.timestamp())) else "another time was asked for"


def _reason_not_to_repeat(session: Session, follow_up: FollowUp, _now: datetime) -> str | None:
    """Whether the customer knows the outcome by now, or it is not certain any more."""
    watch, order = watches.of(session, attempt_id_of(session, follow_up)), order_of(session, follow_up)
    if watch is None or watch.ended_at is None or watch.outcome is None:
        return NOT_CERTAIN
    if watch.looked_at is not None and watch.looked_at >= watch.ended_at:
        return "the customer saw it on the page"
    met = signals.named(session, [watch.attempt_id], ["back", "greeted"], _MAX_SIGNALS)
    if met and met[-1].at >= watch.ended_at:
        return "the customer was told on return"
    if watch.outcome == ChargeState.CHARGED:
        return None
    if order is not None and order.paid_at is not None:
        return "the order is paid"
    return (
        "told with the e-mail about the interruption"
        if order and _tells_of_interruption(session, order, watch)
        else None
    )


def _reason_not_to_refund(session: Session, follow_up: FollowUp, _now: datetime) -> str | None:
    order = order_of(session, follow_up)
    return None if order is not None and ledger.balance(session, order).superfluous else GIVEN_BACK


def _reason_not_to_give_back(session: Session, follow_up: FollowUp, now: datetime) -> str | None:
    """Too much may have been the shop's slip, since told rightly; of a further payment the other e-mail tells."""
    attempt, order = attempts.by_id(session, attempt_id_of(session, follow_up)), order_of(session, follow_up)
    is_too_much = certainty.truth_of(session, attempt, order, now).excess is not None
    return None if is_too_much else "it was not too much, or the order was paid twice"


_JUDGED_ALONE = {
    Kind.OUTCOME: _reason_not_to_repeat,
    Kind.PAID_TWICE: _reason_not_to_refund,
    Kind.PAID_TOO_MUCH: _reason_not_to_give_back,
}


def _tells_of_interruption(session: Session, order: Order, watch: Watch) -> bool:
    """Whether the e-mail about the interruption has told the outcome. One that is still owed may never be sent."""
    mine = sa.select(FollowUp.id).where(FollowUp.subject_key == f"{Kind.INTERRUPTED.value}:order:{order.id}")
    return session.scalar(mine.where(FollowUp.sent_at >= watch.ended_at).limit(1)) is not None


def _reason_not_to_disturb(session: Session, follow_up: FollowUp, order: Order) -> str | None:
    """Whether the customer was told, or heard of since the interruption with this attempt or any other at the order."""
    if is_reported(session, order):
        return "the payment was reported"
    told = sa.select(FollowUp.id).filter_by(kind=Kind.OUTCOME.value, attempt_id=follow_up.attempt_id)
    if session.scalar(told.where(FollowUp.sent_at >= follow_up.created_at).limit(1)) is not None:
        return "told with the e-mail about the outcome"
    theirs = sa.select(Attempt.id).filter_by(order_id=order.id)
    beat = sa.exists().where(
        Pulse.shop_id == Attempt.shop_id, Pulse.attempt_key == Attempt.key, Pulse.at > follow_up.created_at
    )
    is_alive = theirs.where(sa.or_(Attempt.last_seen_at > follow_up.created_at, beat))
    return CAME_BACK if session.scalar(is_alive.limit(1)) is not None else None
