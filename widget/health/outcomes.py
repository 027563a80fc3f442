"""Outcomes: how an attempt counts, noted once as a mark, which nobody has to wait for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import advice, attempts, deadlines, guard, signals, stalls
from widget.attempts import Attempt, Stage
from widget.browsers import kin_of
from widget.health.cells import HealthMark, Outcome, moment_of, slot_of
from widget.health.rates import SPANS
from widget.signals import Signal
from widget.stalls import Stall, StallKind

_MAX_SIGNALS = 500
# Stalls whose cause lies between the page and the provider. The others are the customer's choice, device or bank.
_TECHNICAL = {
    StallKind.FROZEN,
    StallKind.NO_ANSWER,
    StallKind.UNSETTLED,
    StallKind.SDK,
    StallKind.WALLET,
    StallKind.CHALLENGE,
    StallKind.POPUP,
    StallKind.SPLIT,
    StallKind.ERROR,
    StallKind.DEAD_BUTTON,
}
_DECLINES = {StallKind.DECLINED, StallKind.DECLINED_AGAIN}


def count(session: Session, attempt: Attempt, now: datetime) -> Outcome | None:
    """Note how this attempt went, once; what is known better later (failed, then paid) replaces it.

    Returns what it counts as now, None while it counts as nothing: one customer who presses Pay five times is one
    customer for whom the method fails.
    """
    outcome, before = _outcome(session, attempt), attempt.counted
    if outcome is None or (before or "").startswith(f"{outcome}@"):
        return outcome
    if before is not None and outcome is not Outcome.WORKED:
        return Outcome(before.partition("@")[0])
    is_same_again = _is_same_again(session, attempt, outcome, now)
    if is_same_again and outcome is not Outcome.WORKED:
        return None
    slot = slot_of(now)
    is_mine = sa.update(Attempt).where(Attempt.id == attempt.id, Attempt.counted.is_not_distinct_from(before))
    if session.scalar(is_mine.values(counted=f"{outcome}@{slot}").returning(Attempt.id)) is None:
        return outcome
    kin = kin_of(attempt.user_agent, attempt.facts)
    place = {
        "shop_id": attempt.shop_id,
        "method": attempt.method or "",
        "provider": attempt.provider or "",
        "browser": kin.browser,
        "os": kin.os,
        "device": kin.device_class,
    }
    if before is not None:
        was, _, at = before.partition("@")
        session.add(HealthMark(**place, since=moment_of(int(at)), outcome=was, count=-1))
    if not is_same_again:
        bucket = _bucket(session, attempt) if outcome is Outcome.WORKED else None
        session.add(HealthMark(**place, since=moment_of(slot), outcome=outcome.value, count=1, bucket=bucket))
    return outcome


def is_technical(kind: StallKind, evidence: Mapping[str, Any], provider: str | None = None) -> bool:
    """Whether a stall of this kind says that the way to pay failed, not the customer or their bank."""
    if kind not in _TECHNICAL:
        return False
    code = evidence.get("code")
    said = advice.advice_for(provider, code) if isinstance(code, str) else None
    return said is None or said.is_technical or said.group == advice.GENERIC.group


def _is_same_again(session: Session, attempt: Attempt, outcome: Outcome, now: datetime) -> bool:
    """Whether the same customer's same outcome of this method counts already, in the longest span that is read.

    Who shares the order is the same customer. Where the shop has not signed it, one who does not pay is also known by
    device and address together; many phones of one model share the address of a mobile network, and only a signature
    tells that they are many. Where nothing is known, each attempt is a customer of its own.
    """
    theirs = [sa.select(Attempt.id).where(Attempt.order_id == attempt.order_id)] if attempt.order_id else []
    order = attempts.order_of(session, attempt)
    is_signed = order is not None and order.is_verified
    if outcome is not Outcome.WORKED and attempt.address is not None and not is_signed:
        theirs.append(guard.visits(attempt))
    if not theirs:
        return False
    counted = sa.select(Attempt.counted).where(Attempt.id.in_(sa.union_all(*theirs)), Attempt.id != attempt.id)
    counted = counted.where(Attempt.method.is_not_distinct_from(attempt.method), _is_through(attempt.provider))
    slots = (
        str(each).partition("@")[2]
        for each in session.scalars(counted.where(Attempt.counted.startswith(f"{outcome}@")))
    )
    since = slot_of(now - SPANS[-1])
    return any(int(slot) >= since for slot in slots)


def _is_through(provider: str | None) -> sa.ColumnElement[bool]:
    """A page may tell only later through whom it pays, so whoever is not known may be this one."""
    return sa.true() if provider is None else sa.or_(Attempt.provider.is_(None), Attempt.provider == provider)


def _outcome(session: Session, attempt: Attempt) -> Outcome | None:
    """By the page's own word that it is paid, else by its stalls. A payment by another way is no credit to this one."""
    if attempt.stage == Stage.PAID and _paid_signal(session, attempt) is not None:
        return Outcome.WORKED
    seen = stalls.of(session, attempt.id)
    if any(each.kind in _DECLINES for each in seen):
        return Outcome.DECLINED
    if any(_is_failure(each, attempt) for each in seen):
        return Outcome.FAILED
    return None


def _is_failure(stall: Stall, attempt: Attempt) -> bool:
    return stall.kind in set(StallKind) and is_technical(StallKind(stall.kind), stall.evidence, attempt.provider)


def _paid_signal(session: Session, attempt: Attempt) -> Signal | None:
    return next((each for each in signals.named(session, [attempt.id], ["paid"], 5) if each.seq >= 0), None)


def _bucket(session: Session, attempt: Attempt) -> int | None:
    """The bucket of the seconds from the last time Pay was pressed to the page's word that it is paid."""
    told = signals.named(session, [attempt.id], ["stage", "paid"], _MAX_SIGNALS)
    paid = next((each.at for each in told if each.name == "paid" and each.seq >= 0), None)
    pressed = [each.at for each in told if each.name == "stage" and each.data.get("stage") == Stage.SUBMITTED.value]
    before = [at for at in pressed if paid is not None and at <= paid]
    return deadlines.bucket_of((paid - before[-1]).total_seconds()) if paid and before else None
