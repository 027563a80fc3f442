"""Digest: turns beacons from the inbox into attempts, signals, stalls and payments. Repeating it changes nothing."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from widget import (
    attempts,
    beacons,
    guard,
    health,
    judgement,
    links,
    logs,
    orders,
    payments,
    pulses,
    signals,
    stalls,
)
from widget.attempts import Attempt, Stage
from widget.beacons import Beacon, BeaconIn, SignalIn
from widget.browsers import allowed_facts
from widget.casework import Pace
from widget.orders import Order
from widget.payments import Source, Told
from widget.pulses import Presence, Pulse
from widget.redaction import mask_card_numbers
from widget.shops import Shop
from widget.stalls import Stall, StallKind

log = structlog.get_logger()

MAX_ERROR_CHARS = 1_000
# Of what one round of the worker digests: the mails and the switch do not wait longer for a flood of beacons.
ROUND_SECONDS = 1.0
# An outcome that belongs to another order than the attempt's is kept under this name, as the server's own signal.
_ELSEWHERE = "elsewhere"
_OUTCOMES = ("paid", "failed")
# Built once: to build it takes longer than to run it.
_PULSE = (
    sa.select(Pulse)
    .where(Pulse.shop_id == sa.bindparam("shop_id"), Pulse.attempt_key == sa.bindparam("attempt_key"))
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A signal that was not known before. Below zero are the numbers of what the page did not see itself."""

    seq: int
    name: str
    data: dict[str, Any]
    at: datetime

    @property
    def is_of_page(self) -> bool:
        return self.seq >= 0

    @property
    def presses_pay(self) -> bool:
        stage = _stage_named(self.data) if self.name == "stage" and self.is_of_page else None
        return stage is not None and stage.is_past_pay


def digest_all(session: Session, pace: Pace, now: datetime, *, limit: int = 200) -> int:
    """Digest what no other worker holds, for about a second; the rest stays. Returns how many beacons that was."""
    until = time.monotonic() + ROUND_SECONDS
    pending = beacons.pending(session, limit=limit)
    _lock_orders(session, pending)
    in_time = (each for number, each in enumerate(pending) if number == 0 or time.monotonic() < until)
    return _digest(session, in_time, pace, now)


def digest_attempt(session: Session, attempt_key: str, pace: Pace, now: datetime) -> None:
    """Bring one attempt up to date, because somebody is about to look at it."""
    _digest(session, beacons.pending(session, limit=500, attempt_key=attempt_key), pace, now)


def _lock_orders(session: Session, pending: Sequence[Beacon]) -> None:
    """Hold the orders that these beacons are about before the first of them is touched, all by their ids.

    Taken one by one as the beacons came, two workers, or a worker and a page, might each wait for what the other has.
    """
    for shop_id in sorted({each.shop_id for each in pending}):
        mine = [each for each in pending if each.shop_id == shop_id]
        keys = {each.attempt_key for each in mine}
        known = sa.select(Order.reference).join(Attempt, Attempt.order_id == Order.id)
        known = known.where(Attempt.shop_id == shop_id, Attempt.key.in_(keys)).distinct()
        numbers = {*session.scalars(known), *filter(None, map(_number_in, mine))}
        orders.lock_numbers(session, shop_id, sorted(numbers))


def _number_in(beacon: Beacon) -> str | None:
    """The number of the order that a beacon names, if it can be read."""
    try:
        named = json.loads(beacon.body)["attempt"]["order"]["order"]
    except (ValueError, KeyError, TypeError):
        return None
    return named.strip() if isinstance(named, str) else None


def _digest(session: Session, taken: Iterable[Beacon], pace: Pace, now: datetime) -> int:
    done = 0
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
        done += 1
    return done


def _take_in(session: Session, shop: Shop, said: BeaconIn, beacon: Beacon, pace: Pace) -> None:
    context = said.attempt
    if any(each.is_remembered for each in said.signals):
        # A later page of the shop says how this attempt ended, and may itself be about another order.
        context = context.model_copy(update={"order": None})
    attempt = attempts.open_for(session, shop, context, beacon.received_at)
    links.revoke_outdated(session, attempt, beacon.received_at)
    attempt.user_agent = attempt.user_agent or beacon.user_agent
    attempts.learn_facts(attempt, allowed_facts(said.facts))
    guard.remember(session, attempt, beacon.address)
    heard = list(_keep(session, shop, attempt, said, beacon.received_at))
    for each in heard:
        if each.is_of_page:
            _apply(session, shop, attempt, each, pace)
        _feel(session, shop, attempt, each)
    _conclude(session, attempt, heard, beacon.received_at)
    _count(session, attempt, heard, beacon.received_at)


def _keep(session: Session, shop: Shop, attempt: Attempt, said: BeaconIn, received_at: datetime) -> Iterator[_Heard]:
    """Keep the signals of a beacon; those that are new come back in the order they happened.

    Names that its source has no business with are dropped: nobody but the server says what the provider answered.
    """
    is_of_page = said.source == "page"
    started_at = _started_at(attempt, said, received_at) if is_of_page else attempt.started_at
    is_elsewhere = _is_about_another_order(session, shop, attempt, said, received_at)
    for signal in sorted(said.signals, key=lambda each: each.seq):
        at = _moment_of(signal, started_at, received_at)
        if signal.name not in beacons.NAMES[said.source]:
            continue
        if is_elsewhere and signal.name in _OUTCOMES:
            # Not under its own number, which the attempt's own outcome may still need.
            signals.number(session, attempt, _ELSEWHERE, at, signal.data | {"outcome": signal.name})
        elif not is_of_page:
            data = signal.data | {"seen_by": said.source}
            yield _Heard(signals.number(session, attempt, signal.name, at, data), signal.name, data, at)
        elif signals.record(session, attempt, seq=signal.seq, name=signal.name, at=at, data=signal.data):
            yield _Heard(signal.seq, signal.name, signal.data, at)


def _moment_of(signal: SignalIn, started_at: datetime, received_at: datetime) -> datetime:
    """When it happened. What a later page tells has the clock of that page, which says nothing about the attempt's."""
    if signal.at is None or signal.is_remembered:
        return received_at
    return min(started_at + timedelta(milliseconds=signal.at), received_at)


def _is_about_another_order(
    session: Session, shop: Shop, attempt: Attempt, said: BeaconIn, received_at: datetime
) -> bool:
    """Whether the page speaks of another order than the attempt's, so that an outcome it tells is not this one's.

    A page that remembers the attempt sends no order. On the page the shop named for success, its word that the
    attempt is paid is taken; it then settles the order that the attempt began with, and no other.
    """
    if said.attempt.order is None or not any(each.name in _OUTCOMES for each in said.signals):
        return False
    return not orders.speaks_of(session, shop, said.attempt.order, attempt.order_id, received_at)


def _started_at(attempt: Attempt, said: BeaconIn, received_at: datetime) -> datetime:
    """When the attempt's own clock read zero: the last signal of its first beacon was made just before it was sent.

    The frame, or the panel, may have told of the attempt before its page did.
    """
    if attempt.stage_seq < 0 and said.signals:
        last_ms = max(each.at or 0 for each in said.signals)
        attempt.started_at = min(attempt.started_at, received_at - timedelta(milliseconds=last_ms))
    return attempt.started_at


def _apply(session: Session, shop: Shop, attempt: Attempt, heard: _Heard, pace: Pace) -> None:
    match heard.name:
        case "stage":
            _reach(attempt, heard)
        case "paid":
            attempts.reach(attempt, Stage.PAID, heard.seq)
            _record_page_payment(session, shop, attempt, heard.at, pace)
        case "failed":
            attempts.reach(attempt, Stage.FAILED, heard.seq)
            attempt.error_code = _text(heard.data.get("code") or heard.data.get("name"), 100) or attempt.error_code
            attempt.error_message = _text(heard.data.get("message"), MAX_ERROR_CHARS) or attempt.error_message
        case "left":
            attempts.reach(attempt, Stage.LEFT, heard.seq)
        case "back" if attempt.stage == Stage.LEFT:
            attempts.reach(attempt, _stage_it_left(session, attempt), heard.seq)


def _reach(attempt: Attempt, heard: _Heard) -> None:
    stage = _stage_named(heard.data)
    if stage is not None and stage is not Stage.PAID:
        attempts.reach(attempt, stage, heard.seq)


def _stage_named(data: dict[str, Any]) -> Stage | None:
    stage = data.get("stage")
    return Stage(stage) if isinstance(stage, str) and stage in set(Stage) else None


def _stage_it_left(session: Session, attempt: Attempt) -> Stage:
    """Where the page was when it said goodbye; it goes on from there."""
    goodbyes = signals.named(session, [attempt.id], ["left"], judgement.MAX_SIGNALS)
    stage = _stage_named(goodbyes[-1].data) if goodbyes else None
    return stage if stage is not None and not stage.is_over else Stage.STARTED


def _feel(session: Session, shop: Shop, attempt: Attempt, heard: _Heard) -> None:
    """What a signal says about the page's being there, for the switch that notices silence.

    A page whose frame is blocked sends no beats, so nothing here may promise any: no pulse is made of "seen". Where
    there is a frame, its next beat says so itself.
    """
    match heard.name:
        case "paid" | "failed" if attempt.stage_seq == heard.seq or attempt.stage == Stage.PAID:
            pulses.end(session, shop.id, attempt.key)
        case "left" if attempt.stage_seq == heard.seq:
            stage = _stage_named(heard.data)
            if stage is not None and stage.is_past_pay and not heard.data.get("stays"):
                pulses.heard(session, shop.id, attempt.key, Presence.AWAY, heard.at)
            else:
                pulses.end(session, shop.id, attempt.key)
        case "hidden" if _pulse_of(session, shop, attempt) is not None:
            pulses.heard(session, shop.id, attempt.key, Presence.HIDDEN, heard.at)
        case "visible" | "back":
            pulse = _pulse_of(session, shop, attempt)
            if pulse is not None and pulse.presence != Presence.SEEN and pulse.at <= heard.at:
                pulses.end(session, shop.id, attempt.key)


def _pulse_of(session: Session, shop: Shop, attempt: Attempt) -> Pulse | None:
    return session.scalars(_PULSE, {"shop_id": shop.id, "attempt_key": attempt.key}).one_or_none()


def _conclude(session: Session, attempt: Attempt, heard: list[_Heard], received_at: datetime) -> None:
    """Verdicts, once the whole beacon is taken in: on this attempt, and on others at its order that it explains."""
    order, names = attempts.order_of(session, attempt), {each.name for each in heard}
    standing = stalls.of(session, attempt.id)
    if heard and standing:
        stalls.withdraw(session, attempt.id, [StallKind.SILENT], max(each.at for each in heard))
    is_news = bool(standing or names & {"failed", "stall"}) and judgement.judge(session, attempt, order)
    if "thawed" in names:
        _note_thaw(stalls.of(session, attempt.id), next(each for each in heard if each.name == "thawed"))
    if order is None:
        return
    if ("failed" in names and is_news) or ("paid" in names and attempt.is_part):
        judgement.judge_order(session, order)
    if names & {"paid", "failed", "left"} or any(each.presses_pay for each in heard):
        judgement.judge_doubles(session, attempt, order, received_at)


def _count(session: Session, attempt: Attempt, heard: list[_Heard], received_at: datetime) -> None:
    """How it went, once the attempt has been judged: for live health, and for whoever tries one card after another."""
    names = {each.name for each in heard}
    if names & {"paid", "failed", "stall"}:
        health.count(session, attempt, received_at)
    if names & set(_OUTCOMES):
        guard.count(session, attempt, received_at)


def _note_thaw(standing: list[Stall], heard: _Heard) -> None:
    frozen = next((stall for stall in standing if stall.kind == StallKind.FROZEN), None)
    lasted = heard.data.get("frozen_ms")
    if frozen is not None and isinstance(lasted, int | float):
        frozen.evidence = frozen.evidence | {"frozen_ms": lasted}


def _record_page_payment(session: Session, shop: Shop, attempt: Attempt, at: datetime, pace: Pace) -> None:
    order = attempts.order_of(session, attempt)
    if order is None or attempt.due is None:
        return
    if attempt.is_part:
        payments.settle_legs(session, shop, order, attempt, pace, at)
    else:
        told = Told(f"page:{attempt.key}", Source.PAGE, attempt.due, method=attempt.method, payment=attempt.payment)
        payments.record(session, shop, order, told, pace, at)


def _text(value: Any, limit: int) -> str | None:
    return mask_card_numbers(str(value))[:limit] if value else None
