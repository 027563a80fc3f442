"""Deadlines: how long a stage may last before the attempt counts as stalled, learned from attempts that ended paid.

What the shop has set counts first, then what was learned, then what is shipped.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import attempts, methods, signals
from widget.attempts import Attempt, Stage
from widget.database import Base, Id, Instant, Key, insert_once, to
from widget.orders import Order
from widget.shops import Shop
from widget.signals import Signal

# Seconds, until enough is known. Of the stages: guesses with room for a slow bank; no public figures exist. `silent`,
# `closed`, `away` and `hidden` are the switch's patience with a page that shows no life, `frozen` the worker's with
# one that stopped beating, `dead` the page's with a Pay button that does nothing.
SHIPPED: Mapping[str, float] = {
    Stage.SDK.value: 10,
    Stage.SUBMITTED.value: 10,
    Stage.AUTHENTICATING.value: 120,
    Stage.CONFIRMING.value: 15,
    "silent": 10,
    "closed": 60,
    "away": 900,
    "hidden": 1800,
    "frozen": 2.25,
    "dead": 3,
}

# Floor and ceiling of what is learned. A floor keeps one slow answer at a quick shop from looking like a stall: five
# seconds is a lost packet sent again, twice, and a minute is a person who looks for a phone. Beyond the ceiling a
# person has given up: nobody watches a spinner for longer than half a minute, and a code of a bank lives ten minutes.
# Nothing is learned of `sdk`: a script is awaited before there is an attempt, and no signal says how long it took.
BOUNDS: Mapping[str, tuple[float, float]] = {
    Stage.SUBMITTED.value: (5, 30),
    Stage.AUTHENTICATING.value: (60, 600),
    Stage.CONFIRMING.value: (5, 60),
}

# 99 of 100 payments that went well were through by then; waiting times have long tails, so twice that is beyond nearly
# all of the rest, and the hundredth customer is not disturbed either.
QUANTILE, MARGIN = 0.99, 2.0
# Fewer say nothing about the slowest in a hundred.
MIN_SAMPLES = 100
WEEKS = 8
# Neighbouring buckets differ by this factor, so that a quantile read from them is at most 8 % too long.
GROWTH = 1.08
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 3600.0

# A beacon may come late; after this the timeline of a paid attempt is complete.
_SETTLED_FOR = timedelta(minutes=5)
_REMEMBERED_FOR = timedelta(days=1)
# How far the search for paid attempts goes back, because attempts have no index by time.
_RECENT_ATTEMPTS, _MAX_SIGNALS = 50_000, 500
# More in one transaction would hold up the beacons; of a shop that sells more, a sample teaches as well.
_BATCH = 200
# The mark that this attempt was looked at. Only the server's own, numbered below zero, counts.
_MARK = "timed"
# Time that says nothing about the payment: the device slept, the page froze or had no connection, the customer failed
# or left before, or was helped.
_SPOILS = {"failed", "left", "back", "offer"}
_INTERRUPTS = {"offline", "online", "asleep", "thawed"}


class StageTime(Base):
    """How many paid attempts spent how long in a stage: one count per logarithmic bucket, merged by adding."""

    __tablename__ = "stage_times"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    method: Mapped[Key]  # "" where the page did not say
    stage: Mapped[Key]
    week: Mapped[int]  # whole weeks since 1970, so that old habits are forgotten
    bucket: Mapped[int]
    count: Mapped[int]

    __table_args__ = (sa.UniqueConstraint("shop_id", "method", "stage", "week", "bucket"),)


class LearnedDeadline(Base):
    """What the worker made of the counts. `method` is "" for the shop as a whole."""

    __tablename__ = "learned_deadlines"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    method: Mapped[Key]
    stage: Mapped[Key]
    seconds: Mapped[float]
    samples: Mapped[int]
    learned_at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("shop_id", "method", "stage"),)


@dataclass(frozen=True, slots=True, order=True)
class _Cell:
    """One row of the counts. They are sorted, so that two workers take the rows in the same order."""

    shop_id: int
    method: str
    stage: str
    week: int
    bucket: int

    @property
    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("shop_id", "method", "stage", "week", "bucket")}


def of(session: Session, shop: Shop) -> dict[str, Any]:
    """For the page and the frame: seconds by name, and under "methods" by method and stage where they differ."""
    found: dict[str, Any] = {**SHIPPED, "methods": {}}
    for row in session.scalars(sa.select(LearnedDeadline).filter_by(shop_id=shop.id).order_by(LearnedDeadline.id)):
        if row.stage in shop.settled.deadlines:
            continue
        place = found["methods"].setdefault(row.method, {}) if row.method else found
        place[row.stage] = row.seconds
    # The page asks by what it calls the method itself.
    for method, learned in list(found["methods"].items()):
        found["methods"] |= dict.fromkeys(methods.spellings_of(method, shop.settled.method_ids), learned)
    return found | shop.settled.deadlines


def for_attempt(session: Session, shop: Shop, attempt: Attempt) -> dict[str, float]:
    """For the switch: seconds by name, with what was learned of this attempt's method."""
    found = of(session, shop)
    learned: dict[str, float] = found.pop("methods").get(attempt.method, {})
    return found | learned


def learn(session: Session, now: datetime) -> None:
    """Count what the latest paid attempts took, then renew the deadlines of all shops. Repeating it changes nothing."""
    counts: Counter[_Cell] = Counter()
    for attempt in _untimed(session, now):
        counts.update(_cells(session, attempt, now))
    for cell in sorted(counts):
        insert_once(session, StageTime, cell.values | {"count": 0}, unique=list(cell.values))
        session.execute(sa.update(StageTime).filter_by(**cell.values).values(count=StageTime.count + counts[cell]))
    week = _week(now)
    session.execute(sa.delete(StageTime).where(StageTime.week <= week - WEEKS))
    _renew(session, week, now)


def bucket_of(seconds: float) -> int:
    """The bucket whose upper edge is the first that is not below this time."""
    bounded = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
    return math.ceil(math.log(bounded / SHORTEST_SECONDS, GROWTH) - 1e-9)


def quantile(counts: Mapping[int, int], share: float) -> float:
    """The time within which this share of the counted ones was through: exact or up to 8 % more, never less."""
    rank, seen = math.ceil(share * sum(counts.values())), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return SHORTEST_SECONDS * GROWTH**bucket
    raise ValueError("there is nothing to take a quantile of")


def learned_from(stage: str, counts: Mapping[int, int]) -> float | None:
    """The deadline that these counts teach, within its bounds, or None while they are too few."""
    if sum(counts.values()) < MIN_SAMPLES or stage not in BOUNDS:
        return None
    floor, ceiling = BOUNDS[stage]
    return round(min(max(quantile(counts, QUANTILE) * MARGIN, floor), ceiling), 2)


def durations(timeline: Sequence[Signal]) -> dict[str, float]:
    """Seconds that an attempt needed for each stage, by the page's own signals in the page's own order.

    Empty when it did not end in the page's word that it is paid, or when the customer failed, left or was helped in
    between. An attempt that passed its deadline and was paid without help does teach: that the deadline was too short
    is just what there is to learn, and without these a learned deadline could only shrink. A page that is hidden does
    not age, so the time it was hidden is not counted; a stage that was interrupted is not counted at all.
    """
    told = sorted((each for each in timeline if each.seq >= 0), key=lambda each: each.seq)
    end = next((number for number, each in enumerate(told) if each.name == "paid"), None)
    if end is None or any(each.name in _SPOILS for each in timeline):
        return {}
    spans = list(_spans(told[: end + 1]))
    interrupted = {span.stage for span in spans for each in timeline if span.was_interrupted(each)}
    needed: dict[str, float] = {}
    for span in spans:
        if span.stage in BOUNDS.keys() - interrupted:
            needed[span.stage] = needed.get(span.stage, 0) + span.seconds_seen(told)
    return needed


@dataclass(frozen=True, slots=True)
class _Span:
    stage: str
    begins: datetime
    ends: datetime

    def was_interrupted(self, signal: Signal) -> bool:
        return signal.name in _INTERRUPTS and self.begins <= signal.at <= self.ends

    def seconds_seen(self, told: Sequence[Signal]) -> float:
        """How long the page was visible between the two moments."""
        seen, since, is_hidden = timedelta(), self.begins, False
        for each in (each for each in told if each.name in {"hidden", "visible"} and each.at < self.ends):
            at = max(each.at, self.begins)
            seen += timedelta() if is_hidden else at - since
            since, is_hidden = at, each.name == "hidden"
        return (seen + (timedelta() if is_hidden else self.ends - since)).total_seconds()


def _spans(told: Sequence[Signal]) -> Iterator[_Span]:
    marks = [each for each in told if each.name in {"stage", "paid"}]
    for begin, end in pairwise(marks):
        yield _Span(str(begin.data.get("stage")), begin.at, max(begin.at, end.at))


def _untimed(session: Session, now: datetime) -> Iterator[Attempt]:
    """Paid attempts that were not looked at yet, each held by its order and marked now.

    Of an order that the shop has signed, and only one attempt of it: a stranger's beacons teach nothing, and a
    shopper as much as one payment does.
    """
    is_marked = sa.exists().where(Signal.attempt_id == Attempt.id, Signal.seq < 0, Signal.name == _MARK)
    query = (
        sa.select(Attempt.id, Order.id)
        .join(Order, Order.id == Attempt.order_id)
        .where(Attempt.id > sa.select(sa.func.max(Attempt.id) - _RECENT_ATTEMPTS).scalar_subquery())
        .where(Attempt.stage == Stage.PAID.value, Order.is_verified, Order.paid_at.is_not(None))
        .where(Attempt.last_seen_at <= now - _SETTLED_FOR, Attempt.last_seen_at > now - _REMEMBERED_FOR, ~is_marked)
        .order_by(Order.id, Attempt.id)
        .limit(_BATCH)
    )
    for attempt_id, order_id in session.execute(query).all():
        # Whoever holds the order is at work on it: a payment, or another worker that learns. The next round is soon.
        held = sa.select(Order.id).where(Order.id == order_id).with_for_update(skip_locked=True)
        if session.scalar(held) is None:
            continue
        marks = list(session.scalars(_MARKS, {"order_id": order_id}))
        attempt = attempts.by_id(session, attempt_id)
        if any(each.attempt_id == attempt_id for each in marks):
            continue
        taught = not any(each.data.get("taught") for each in marks) and bool(durations(_timeline(session, attempt_id)))
        # Dated like the last of its signals, so that the mark is no sign of life.
        signals.note(session, attempt, _MARK, attempt.last_seen_at, taught=taught)
        if taught:
            yield attempt


_MARKS = (
    sa.select(Signal)
    .join(Attempt, Attempt.id == Signal.attempt_id)
    .where(Attempt.order_id == sa.bindparam("order_id"), Signal.seq < 0, Signal.name == _MARK)
)


def _timeline(session: Session, attempt_id: int) -> list[Signal]:
    query = sa.select(Signal).filter_by(attempt_id=attempt_id).order_by(Signal.at, Signal.seq)
    return list(session.scalars(query.limit(_MAX_SIGNALS)))


def _cells(session: Session, attempt: Attempt, now: datetime) -> list[_Cell]:
    week, method = min(_week(attempt.last_seen_at), _week(now)), attempt.method or ""
    spans = durations(_timeline(session, attempt.id))
    return [_Cell(attempt.shop_id, method, stage, week, bucket_of(seconds)) for stage, seconds in spans.items()]


def _renew(session: Session, week: int, now: datetime) -> None:
    """Put what the counts of the last weeks teach in the place of what they taught before."""
    columns = (StageTime.shop_id, StageTime.method, StageTime.stage, StageTime.bucket)
    sums = sa.select(*columns, sa.func.sum(StageTime.count)).where(StageTime.week > week - WEEKS).group_by(*columns)
    counted: dict[tuple[int, str, str], Counter[int]] = {}
    for shop_id, method, stage, bucket, count in session.execute(sums):
        for each in {method, ""}:
            counted.setdefault((shop_id, each, stage), Counter())[bucket] += int(count)
    known = {(row.shop_id, row.method, row.stage): row for row in session.scalars(sa.select(LearnedDeadline))}
    for place in sorted(counted.keys() | known.keys()):
        seconds = learned_from(place[2], counted.get(place, {}))
        if seconds is not None:
            samples = sum(counted[place].values())
            _keep(session, place, known.get(place), seconds, samples, now)
        elif place in known:
            session.delete(known[place])
    session.flush()


def _keep(
    session: Session,
    place: tuple[int, str, str],
    known: LearnedDeadline | None,
    seconds: float,
    samples: int,
    now: datetime,
) -> None:
    identity = dict(zip(("shop_id", "method", "stage"), place, strict=True))
    said = {"seconds": seconds, "samples": samples, "learned_at": now}
    if known is None:
        insert_once(session, LearnedDeadline, identity | said, unique=list(identity))
    elif (known.seconds, known.samples) != (seconds, samples):
        session.execute(sa.update(LearnedDeadline).where(LearnedDeadline.id == known.id).values(**said))


def _week(at: datetime) -> int:
    return int(at.timestamp() // timedelta(weeks=1).total_seconds())
