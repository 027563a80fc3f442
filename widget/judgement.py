"""Judgement: gathers what is known about an attempt and gives each symptom its verdict; more knowledge corrects it.

The signals that are kept are what is judged, not the beacon that just came. So it does not matter in which order
beacons arrive, nor how often: judging again changes nothing, and there is one stall for one symptom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import attempts, charges, signals, stalls, verdicts
from widget.attempts import Attempt, Stage
from widget.browsers import in_app_of
from widget.methods import known_as
from widget.orders import Order
from widget.providers import ChargeState
from widget.pulses import Pulse
from widget.signals import Signal
from widget.stalls import SeenBy, Stall, StallKind
from widget.verdicts import Observed, Run, Symptom

# More than any honest attempt has; they bound what a hostile page can make us read.
MAX_SIGNALS, MAX_ATTEMPTS, MAX_SYMPTOMS = 500, 20, 20
MAX_EVIDENCE, MAX_EVIDENCE_CHARS = 12, 200

_TOLD = ("stage", "failed", "stall", "paid", "offline", "violation")
_ENDS = ("paid", "failed", "left")
_DECLINES = (StallKind.DECLINED, StallKind.DECLINED_AGAIN)
_FRAME_DIRECTIVES = ("frame-src", "child-src", "fenced-frame-src")
# Built once: to build it takes longer than to run it.
_ANOTHER = sa.select(Attempt.id).where(
    Attempt.order_id == sa.bindparam("order_id"), Attempt.id != sa.bindparam("attempt_id")
)


@dataclass(slots=True)
class _History:
    """What the order knows beside the attempt's own signals; read once, however many symptoms are judged by it."""

    earlier_legs: list[Attempt]
    # When the bank said no, by attempt and signal.
    declines: list[datetime]

    def note(self, was: StallKind | None, kind: StallKind, at: datetime) -> None:
        if was in _DECLINES and kind not in _DECLINES and at in self.declines:
            self.declines.remove(at)
        elif was not in _DECLINES and kind in _DECLINES:
            self.declines.append(at)


def judge(session: Session, attempt: Attempt, order: Order | None) -> bool:
    """Bring the stalls of an attempt in line with its signals, its facts and the history of its order.

    Returns whether a verdict is new or another one now.
    """
    told = signals.named(session, [attempt.id], _TOLD, MAX_SIGNALS)
    symptoms = [(each, symptom) for each in told if (symptom := _symptom_of(each)) is not None]
    symptoms = [(each, symptom) for each, symptom in symptoms[:MAX_SYMPTOMS] if not _is_after_payment(each, told)]
    if not symptoms:
        return False
    known, history = _all_of(session, attempt), _history(session, attempt, order)
    by_signal, is_news = {stall.evidence.get("signal"): stall for stall in known}, False
    kept = {(stall.kind, stall.stage) for stall in known}
    for each, symptom in symptoms:
        seen, stall = _observed(attempt, history, told, each, symptom), by_signal.get(each.seq)
        kind = verdicts.verdict(seen)
        if stall is not None:
            is_news |= _revise(session, attempt, stall, seen, kind, history)
        elif (kind.value, seen.stage.value) not in kept:
            evidence = _said(each) | {"symptom": symptom.value, "signal": each.seq}
            evidence |= _proof(session, attempt, history, seen, kind)
            is_news |= stalls.record(session, attempt, kind, seen.stage, _seen_by(each), each.at, evidence)
            kept.add((kind.value, seen.stage.value))
            history.note(None, kind, each.at)
    return is_news


def judge_order(session: Session, order: Order) -> None:
    """What came to be known of one attempt may change the verdict of the others: declined again, split."""
    for attempt in _recent(session, order, is_stuck=True):
        judge(session, attempt, order)


def judge_doubles(session: Session, attempt: Attempt, order: Order, now: datetime) -> None:
    """Find the attempts that began while another at the same order was under way. The order must be locked."""
    if session.scalars(_ANOTHER, {"order_id": order.id, "attempt_id": attempt.id}).first() is None:
        return
    recent = {each.id: each for each in _recent(session, order)}
    runs = {run.attempt_id: run for run in _runs(session, order, recent)}
    pairs = verdicts.doubled(list(runs.values()))
    for attempt_id, run in runs.items():
        if attempt_id in pairs:
            other = runs[pairs[attempt_id]]
            seconds = round((run.pressed_at - other.pressed_at).total_seconds(), 1)
            evidence = {"other": other.attempt_id, "seconds_after": seconds}
            second, at = recent[attempt_id], run.pressed_at
            stalls.record(session, second, StallKind.DOUBLE, Stage.SUBMITTED, SeenBy.SERVER, at, evidence)
        else:
            _take_back_double(session, attempt_id, set(runs), now)


def _all_of(session: Session, attempt: Attempt) -> list[Stall]:
    query = sa.select(Stall).filter_by(attempt_id=attempt.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _revise(
    session: Session, attempt: Attempt, stall: Stall, seen: Observed, kind: StallKind, history: _History
) -> bool:
    was = StallKind(stall.kind)
    kind = verdicts.finer(was, kind)
    stall.evidence = stall.evidence | _proof(session, attempt, history, seen, kind)
    if (stall.kind, stall.stage) == (kind.value, seen.stage.value):
        return False
    history.note(was, kind, stall.at)
    stalls.revise(session, stall, kind, seen.stage)
    return True


def _history(session: Session, attempt: Attempt, order: Order | None) -> _History:
    """Of the bank's answers: those to this attempt and to others at the same row of the order."""
    paid = [each for each in attempts.paid_legs(session, order) if (each.leg or 0) < (attempt.leg or 0)]
    query = sa.select(Stall.at).join(Attempt, Attempt.id == Stall.attempt_id)
    query = query.where(Stall.kind.in_([kind.value for kind in _DECLINES]))
    is_same = Attempt.order_id == attempt.order_id if attempt.order_id else Attempt.id == attempt.id
    return _History(paid, list(session.scalars(query.where(is_same).order_by(Stall.at).limit(MAX_SIGNALS))))


def _recent(session: Session, order: Order, *, is_stuck: bool = False) -> list[Attempt]:
    """The latest attempts at an order, as they are now: another worker may have digested some in the meantime."""
    query = sa.select(Attempt).filter_by(order_id=order.id).order_by(Attempt.id.desc()).limit(MAX_ATTEMPTS)
    if is_stuck:
        has_stall = sa.exists().where(Stall.attempt_id == Attempt.id)
        query = query.where(sa.or_(has_stall, Attempt.stage == Stage.FAILED.value))
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _symptom_of(signal: Signal) -> Symptom | None:
    """A failure is derived from the failure itself, never from what a page calls it; unknown kinds stay signals."""
    if signal.name == "failed":
        return Symptom.FAILED if signal.seq >= 0 else None
    kind = signal.data.get("kind")
    if signal.name != "stall" or not isinstance(kind, str) or kind not in set(Symptom) - {Symptom.FAILED}:
        return None
    return Symptom(kind)


def _seen_by(signal: Signal) -> SeenBy:
    """Who saw it. A number below zero says that the page did not; what it claims then is the frame or the worker."""
    said = signal.data.get("seen_by")
    if signal.seq >= 0:
        return SeenBy.PAGE
    return SeenBy.WORKER if said == SeenBy.WORKER else SeenBy.FRAME


def _is_after_payment(signal: Signal, told: Sequence[Signal]) -> bool:
    """Whether the attempt was paid before: what the page does afterwards is no stall of this payment."""
    paid = next((each for each in told if each.name == "paid"), None)
    if paid is None:
        return False
    return signal.seq > paid.seq if min(signal.seq, paid.seq) >= 0 else signal.at >= paid.at


def _observed(
    attempt: Attempt, history: _History, told: Sequence[Signal], signal: Signal, symptom: Symptom
) -> Observed:
    before = _before(signal, told)
    said, evidence = signal.data, _said(signal)
    claimed = said.get("stage") if signal.name == "stall" else None
    stage = Stage(claimed) if isinstance(claimed, str) and claimed in set(Stage) else _stage_of(before, attempt)
    pressed = next((number for number, each in enumerate(before) if _stage_in(each).is_past_pay), len(before))
    answers, skew = evidence.get("answered"), attempt.facts.get("clock_skew")
    return Observed(
        symptom=symptom,
        stage=stage,
        method=known_as(attempt.method),
        failure=" ".join(str(said[name]) for name in ("code", "name", "message") if said.get(name)),
        answers=answers if isinstance(answers, int) else 0,
        earlier_leg_paid=bool(history.earlier_legs),
        earlier_declines=sum(at < signal.at for at in history.declines),
        frame_denied=_is_frame_denied(before),
        was_offline=attempt.facts.get("online") is False or any(each.name == "offline" for each in before[pressed:]),
        clock_skew=skew if isinstance(skew, int | float) else 0,
        may_store=attempt.facts.get("storage") is not False and attempt.facts.get("cookies") is not False,
        in_app=in_app_of(attempt.user_agent),
    )


def _before(signal: Signal, told: Sequence[Signal]) -> list[Signal]:
    """What the page had told until then, in its own order. What it did not see itself is placed by time."""
    if signal.seq >= 0:
        return sorted((each for each in told if 0 <= each.seq < signal.seq), key=lambda each: each.seq)
    return [each for each in told if each.seq >= 0 and each.at <= signal.at]


def _stage_in(signal: Signal) -> Stage:
    said = signal.data.get("stage") if signal.name == "stage" else None
    return Stage(said) if isinstance(said, str) and said in set(Stage) else Stage.STARTED


def _stage_of(before: Sequence[Signal], attempt: Attempt) -> Stage:
    """The stage that was reached last; where no signal says, the attempt's own unless that is its end."""
    reached = [_stage_in(each) for each in before if each.name == "stage"]
    if reached:
        return reached[-1]
    return Stage.STARTED if Stage(attempt.stage).is_over else Stage(attempt.stage)


def _is_frame_denied(before: Sequence[Signal]) -> bool:
    """Whether the shop's policy refused a frame while the bank's was to be shown."""
    stage = Stage.STARTED
    for each in before:
        if each.name == "stage":
            stage = _stage_in(each)
        directive = each.data.get("directive") if each.name == "violation" else None
        if stage is Stage.AUTHENTICATING and isinstance(directive, str) and directive.startswith(_FRAME_DIRECTIVES):
            return True
    return False


def _said(signal: Signal) -> dict[str, Any]:
    """What the page measured, plain and short; its texts were masked when the beacon came in."""
    if signal.name == "failed":
        said: Any = {name: signal.data.get(name) for name in ("code", "name", "message")}
    else:
        said = signal.data.get("evidence")
    plain = said.items() if isinstance(said, dict) else ()
    kept = [(str(name)[:40], value) for name, value in plain if isinstance(value, str | int | float | bool)]
    return {
        name: value[:MAX_EVIDENCE_CHARS] if isinstance(value, str) else value for name, value in kept[:MAX_EVIDENCE]
    }


def _proof(session: Session, attempt: Attempt, history: _History, seen: Observed, kind: StallKind) -> dict[str, Any]:
    """What made the verdict this one, beside what the page measured."""
    match kind:
        case StallKind.SPLIT if history.earlier_legs:
            return {"first": _paid_part(session, history.earlier_legs[0]), "leg": attempt.leg, "legs": attempt.legs}
        case StallKind.DECLINED_AGAIN:
            return {"declines": seen.earlier_declines + 1} if seen.earlier_declines else {}
        case StallKind.WALLET:
            return {"wallet": seen.method}
        case StallKind.CLOCK:
            return {"clock_skew": seen.clock_skew}
        case StallKind.IN_APP:
            return {"app": seen.in_app}
        case _:
            return {}


def _paid_part(session: Session, leg: Attempt) -> dict[str, Any]:
    charge = charges.latest(session, leg.id)
    part: dict[str, Any] = {"method": leg.method}
    if charge is not None and charge.state == ChargeState.CHARGED and charge.amount:
        part |= {"amount": charge.amount, "currency": charge.currency}
    return part


def _runs(session: Session, order: Order, recent: dict[int, Attempt]) -> list[Run]:
    told = signals.named(session, recent, ("stage", *_ENDS), MAX_SIGNALS * 2)
    keys = [attempt.key for attempt in recent.values()]
    pulses = sa.select(Pulse.attempt_key, Pulse.at).filter_by(shop_id=order.shop_id).where(Pulse.attempt_key.in_(keys))
    beats: dict[str, datetime] = {row[0]: row[1] for row in session.execute(pulses)}
    found = []
    for attempt in recent.values():
        theirs = [each for each in told if each.attempt_id == attempt.id]
        pressed = next((each for each in theirs if each.seq >= 0 and _stage_in(each).is_past_pay), None)
        if pressed is not None:
            seen_at = max(attempt.last_seen_at, beats.get(attempt.key, attempt.last_seen_at))
            stuck = [stall.at for stall in stalls.of(session, attempt.id) if stall.kind != StallKind.DOUBLE]
            ended_at = _ended_at(theirs, pressed)
            found.append(Run(attempt.id, pressed.at, ended_at, seen_at, min(stuck, default=None), attempt.leg))
    return found


def _ended_at(theirs: Sequence[Signal], pressed: Signal) -> datetime | None:
    """When its page ended it, unless it went on afterwards; else when it was paid by another way."""
    last = max((each for each in theirs if each.seq > pressed.seq), key=lambda each: each.seq, default=None)
    if last is not None and last.name in _ENDS:
        return last.at
    return next((each.at for each in theirs if each.name == "paid"), None)


def _take_back_double(session: Session, attempt_id: int, judged: set[int], now: datetime) -> None:
    """What looked like a second payment was none: the other attempt had ended before, as is known only now."""
    for stall in stalls.of(session, attempt_id):
        if stall.kind == StallKind.DOUBLE and stall.evidence.get("other") in judged:
            stall.withdrawn_at = now
