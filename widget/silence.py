"""Silence: the dead-man's switch. A payment page that shows no more life becomes a stall by itself.

Silence is measured by the servers' clocks and only over the time in which they listened (`pulses.Listening`), so that
neither a restart, nor a late worker, nor a clock that jumps makes anybody silent who was only not heard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import casework, deadlines, digest, orders, pulses, signals, stalls, tickets
from widget.attempts import Attempt, Stage
from widget.casework import Pace
from widget.pulses import Listening, Presence, Pulse
from widget.shops import Shop
from widget.signals import Signal
from widget.stalls import SeenBy, Stall, StallKind

# A page whose frame is blocked sends no pulses: its own beacons must have stopped for so much longer than a deadline.
WITHOUT_PULSE_SECONDS = 60.0
# How far the search for such pages goes back, because attempts have no index by time.
RECENT_ATTEMPTS = 5_000
RECENT = timedelta(hours=2)
BATCH = 100
_MAX_SIGNALS = 500
_LIMITS = ("silent", "hidden", "closed", "away")


@dataclass(frozen=True, slots=True)
class Suspect:
    """An attempt that was silent for long enough to be looked at. Without a pulse, its frame may be blocked."""

    attempt_key: str
    shop_id: int
    pulse_id: int | None


def verdict(presence: Presence, stage: Stage, silent_for: float, limits: Mapping[str, float]) -> StallKind | None:
    """What so many seconds of silence mean, or None while they are nothing to worry about."""
    if not stage.is_past_pay:
        return None
    if presence is Presence.AWAY and stage is Stage.AUTHENTICATING:
        name, kind = "away", StallKind.NO_RETURN
    elif presence is Presence.AWAY:
        name, kind = "closed", StallKind.CLOSED
    else:
        name, kind = ("hidden" if presence is Presence.HIDDEN else "silent"), StallKind.SILENT
    return kind if silent_for > limits[name] else None


def suspects(session: Session, now: datetime) -> list[Suspect]:
    """Pages whose pulse has stopped for longer than their shop allows."""
    heard = pulses.listening(session, now)
    if heard is None:
        return []
    return [each for shop in pulses.shops_waiting(session) for each in _late(session, shop, heard)]


def unheard(session: Session, now: datetime) -> list[Suspect]:
    """Pages past Pay that never had a pulse, and whose beacons have stopped for a while."""
    heard = pulses.listening(session, now)
    if heard is None:
        return []
    has_pulse = sa.exists().where(Pulse.shop_id == Attempt.shop_id, Pulse.attempt_key == Attempt.key)
    is_known = sa.exists().where(
        Stall.attempt_id == Attempt.id, Stall.kind == StallKind.SILENT.value, Stall.withdrawn_at.is_(None)
    )
    # Who came back was greeted, and their old page is gone for good.
    came_back = sa.exists().where(Signal.attempt_id == Attempt.id, Signal.name == "back", Signal.seq < 0)
    query = (
        sa.select(Attempt.key, Attempt.shop_id)
        .where(Attempt.id > sa.select(sa.func.max(Attempt.id) - RECENT_ATTEMPTS).scalar_subquery())
        .where(Attempt.stage.in_([stage.value for stage in Stage if stage.is_past_pay]))
        .where(Attempt.last_seen_at <= heard.until - timedelta(seconds=WITHOUT_PULSE_SECONDS))
        .where(Attempt.last_seen_at > heard.until - RECENT, ~has_pulse, ~is_known, ~came_back)
        .order_by(Attempt.last_seen_at)
        .limit(BATCH)
    )
    return [Suspect(row[0], row[1], None) for row in session.execute(query)]


def judge(session: Session, suspect: Suspect, pace: Pace, now: datetime) -> StallKind | None:
    """Look closely at one suspect, and keep the verdict, if there is one, with the e-mail it owes.

    What was received of the attempt but not looked at yet is digested first: it may be the goodbye or the payment.
    """
    digest.digest_attempt(session, suspect.attempt_key, pace, now)
    heard, attempt = pulses.listening(session, now), _held(session, suspect)
    if heard is None or attempt is None:
        return None
    pulse = pulses.claimed(session, suspect.pulse_id) if suspect.pulse_id is not None else None
    if suspect.pulse_id is not None and (pulse is None or pulse.judged_at is not None):
        return None
    found = _state_of(session, attempt, pulse)
    if found is None:
        pulses.end(session, attempt.shop_id, attempt.key)
        return None
    presence, stage = found
    shop, silent_for = session.get_one(Shop, attempt.shop_id), heard.silence_after(_last_life(attempt, pulse))
    kind = verdict(presence, stage, silent_for, _patience(deadlines.for_attempt(session, shop, attempt), stage, pulse))
    if kind is None:
        return None
    if pulse is not None:
        pulse.judged_at = heard.until
    if tickets.of_attempt(session, attempt.id) is not None:
        pulses.let_rest(session, attempt.shop_id, attempt.key, heard.until)
        return None
    evidence = {"silent_seconds": round(silent_for), "presence": presence.value}
    stalls.record(session, attempt, kind, stage, SeenBy.SERVER, heard.until, evidence)
    casework.interrupted(session, shop, attempt, now)
    return kind


def withdraw(session: Session, pulse_id: int) -> None:
    """A page that was judged shows life again: it was not silent after all, and is listened to as before."""
    pulse = pulses.claimed(session, pulse_id)
    if pulse is None or pulse.judged_at is None or pulse.judged_at >= pulse.at:
        return
    pulse.judged_at = None
    attempt = session.scalars(sa.select(Attempt).filter_by(shop_id=pulse.shop_id, key=pulse.attempt_key)).one_or_none()
    if attempt is not None:
        stalls.withdraw(session, attempt.id, [StallKind.SILENT], pulse.at)


def left_at(session: Session, attempt: Attempt) -> Stage | None:
    """The stage in which the page said goodbye, or None when the page stayed and only the attempt was dropped."""
    goodbyes = signals.named(session, [attempt.id], ["left"], _MAX_SIGNALS)
    said = goodbyes[-1].data if goodbyes else {}
    stage = said.get("stage")
    return None if said.get("stays") or stage not in set(Stage) else Stage(stage)


def _late(session: Session, shop: Shop, heard: Listening) -> list[Suspect]:
    """Pages of one shop past Pay that are late by their pulse, the longest first."""
    limits = deadlines.of(session, shop)
    before = {name: heard.until - timedelta(seconds=limits[name]) for name in _LIMITS}
    goodbyes = sa.select(Signal.data["stage"].as_string()).where(Signal.attempt_id == Attempt.id, Signal.name == "left")
    left_in = goodbyes.order_by(Signal.seq.desc()).limit(1).scalar_subquery()
    is_closed = sa.func.coalesce(left_in, "") != Stage.AUTHENTICATING.value
    is_late = sa.or_(
        sa.and_(Pulse.presence == Presence.SEEN.value, Pulse.at <= before["silent"]),
        sa.and_(Pulse.presence == Presence.HIDDEN.value, Pulse.at <= before["hidden"]),
        sa.and_(Pulse.presence == Presence.AWAY.value, Pulse.at <= before["closed"], is_closed),
        sa.and_(Pulse.presence == Presence.AWAY.value, Pulse.at <= before["away"]),
    )
    query = (
        sa.select(Pulse.attempt_key, Pulse.id)
        .join(Attempt, sa.and_(Attempt.shop_id == Pulse.shop_id, Attempt.key == Pulse.attempt_key))
        # The first bound is what the index can use: pages that beat are not even looked at.
        .where(Pulse.shop_id == shop.id, Pulse.judged_at.is_(None), Pulse.at <= max(before.values()), is_late)
        .where(Attempt.stage.not_in([Stage.STARTED.value, Stage.SDK.value]))
        .order_by(Pulse.at, Pulse.id)
        .limit(BATCH)
    )
    return [Suspect(row[0], shop.id, row[1]) for row in session.execute(query)]


def _held(session: Session, suspect: Suspect) -> Attempt | None:
    """The attempt as it is now. Its order is held first, as a payment does."""
    mine = sa.select(Attempt).filter_by(shop_id=suspect.shop_id, key=suspect.attempt_key)
    attempt = session.scalars(mine).one_or_none()
    if attempt is not None and attempt.order_id is not None:
        orders.locked(session, attempt.order_id)
    return session.scalars(mine.execution_options(populate_existing=True)).one_or_none()


def _state_of(session: Session, attempt: Attempt, pulse: Pulse | None) -> tuple[Presence, Stage] | None:
    """How the page was last seen and in which stage, or None when the attempt is over and silence means nothing."""
    stage = Stage(attempt.stage)
    if stage is Stage.LEFT:
        left = left_at(session, attempt)
        return (Presence.AWAY, left) if left is not None and left.is_past_pay else None
    if stage.is_over:
        return None
    if pulse is not None:
        return Presence(pulse.presence), stage
    looks = signals.named(session, [attempt.id], ["hidden", "visible"], _MAX_SIGNALS)
    is_hidden = bool(looks) and looks[-1].name == "hidden"
    return (Presence.HIDDEN if is_hidden else Presence.SEEN), stage


def _last_life(attempt: Attempt, pulse: Pulse | None) -> datetime:
    """A frozen page sends no beacons and a blocked frame no pulses: the later of the two counts.

    A goodbye is the last word of its page, whatever its frame still told.
    """
    if pulse is None or attempt.last_seen_at > pulse.at:
        return attempt.last_seen_at
    return pulse.at


def _patience(limits: dict[str, float], stage: Stage, pulse: Pulse | None) -> dict[str, float]:
    if pulse is not None:
        return limits
    return limits | {"silent": limits.get(stage.value, 0) + WITHOUT_PULSE_SECONDS}
