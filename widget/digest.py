"""Digest: turns beacons from the inbox into attempts, signals, stalls and payments. Repeating it changes nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from widget import attempts, beacons, logs, payments, signals, stalls
from widget.attempts import Attempt, Stage
from widget.beacons import Beacon, BeaconIn, SignalIn
from widget.browsers import allowed_facts
from widget.casework import Pace
from widget.payments import Source, Told
from widget.redaction import mask_card_numbers
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind

log = structlog.get_logger()

MAX_ERROR_CHARS = 1_000


def digest_all(session: Session, pace: Pace, now: datetime, *, limit: int = 200) -> int:
    """Digest what no other worker holds. Returns how many beacons that was."""
    taken = beacons.pending(session, limit=limit)
    _digest(session, taken, pace, now)
    return len(taken)


def digest_attempt(session: Session, attempt_key: str, pace: Pace, now: datetime) -> None:
    """Bring one attempt up to date, because somebody is about to look at it."""
    _digest(session, beacons.pending(session, limit=500, attempt_key=attempt_key), pace, now)


def _digest(session: Session, taken: Iterable[Beacon], pace: Pace, now: datetime) -> None:
    for beacon in taken:
        try:
            # A savepoint each: a beacon that cannot be digested must not hold up those behind it.
            with session.begin_nested():
                shop = session.get_one(Shop, beacon.shop_id)
                _take_in(session, shop, BeaconIn.model_validate_json(beacon.body), beacon, pace)
        except OperationalError:
            raise
        except Exception as error:
            log.error("beacon_undigestible", beacon=beacon.id, error=type(error).__name__, places=logs.places(error))
        beacon.digested_at = now


def _take_in(session: Session, shop: Shop, said: BeaconIn, beacon: Beacon, pace: Pace) -> None:
    attempt = attempts.open_for(session, shop, said.attempt, beacon.received_at)
    attempt.user_agent = attempt.user_agent or beacon.user_agent
    attempts.learn_facts(attempt, allowed_facts(said.facts))
    started_at = _started_at(attempt, said, beacon.received_at)
    for signal in sorted(said.signals, key=lambda each: each.seq):
        at = min(started_at + timedelta(milliseconds=signal.at), beacon.received_at)
        if signals.record(session, attempt, seq=signal.seq, name=signal.name, at=at, data=signal.data):
            _apply(session, shop, attempt, signal, at, pace)


def _started_at(attempt: Attempt, said: BeaconIn, received_at: datetime) -> datetime:
    """When the attempt's own clock read zero: the last signal of its first beacon was made just before it was sent."""
    if attempt.started_at == received_at and said.signals:
        attempt.started_at = received_at - timedelta(milliseconds=max(each.at for each in said.signals))
    return attempt.started_at


def _apply(session: Session, shop: Shop, attempt: Attempt, signal: SignalIn, at: datetime, pace: Pace) -> None:
    match signal.name:
        case "stage":
            _reach(attempt, signal)
        case "paid":
            attempts.reach(attempt, Stage.PAID, signal.seq)
            _record_page_payment(session, shop, attempt, at, pace)
        case "failed":
            attempts.reach(attempt, Stage.FAILED, signal.seq)
            attempt.error_code = _text(signal.data.get("code"), 100) or attempt.error_code
            attempt.error_message = _text(signal.data.get("message"), MAX_ERROR_CHARS) or attempt.error_message
        case "left":
            attempts.reach(attempt, Stage.LEFT, signal.seq)
        case "stall":
            _record_stall(session, attempt, signal, at)


def _reach(attempt: Attempt, signal: SignalIn) -> None:
    stage = signal.data.get("stage")
    if isinstance(stage, str) and stage in set(Stage) - {Stage.PAID}:
        attempts.reach(attempt, Stage(stage), signal.seq)


def _record_stall(session: Session, attempt: Attempt, signal: SignalIn, at: datetime) -> None:
    kind, stage = signal.data.get("kind"), signal.data.get("stage")
    seen_by = signal.data.get("seen_by", SeenBy.PAGE.value)
    if not all(isinstance(each, str) for each in (kind, stage, seen_by)):
        return
    if kind in set(StallKind) and stage in set(Stage) and seen_by in set(SeenBy):
        stalls.record(session, attempt, StallKind(kind), Stage(stage), SeenBy(seen_by), at)


def _record_page_payment(session: Session, shop: Shop, attempt: Attempt, at: datetime, pace: Pace) -> None:
    order = attempts.order_of(session, attempt)
    if order is not None and attempt.due is not None:
        told = Told(f"page:{attempt.key}", Source.PAGE, attempt.due, method=attempt.method, payment=attempt.payment)
        payments.record(session, shop, order, told, pace, at)


def _text(value: Any, limit: int) -> str | None:
    return mask_card_numbers(str(value))[:limit] if value else None
