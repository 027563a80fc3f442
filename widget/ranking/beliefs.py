"""What is believed of an offer: how often it is taken when it is read, and how often the order is paid then.

Everything here is arithmetic over plain values, so that the simulation in `tests/bench` runs the same code.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# Stands for every cause, or for every class of device.
ANY = ""
Place = tuple[str, str]  # cause, class of device

# Outcomes of one row weigh this much less with each one that follows, so that it remembers about so many.
REMEMBERED_OUTCOMES = 300
# A quiet row forgets too: what was true two weeks ago counts half.
HALF_LIFE = timedelta(days=14)
# A sudden change is over sooner: half of them are by then. Who never tried again what broke would never know.
CHANGE_HALF_LIFE = timedelta(days=2)
# How many outcomes the own cell may borrow from each wider row: all devices, all causes, all of the shop.
BORROWED = (10.0, 3.0, 2.0)
# How often it is taken hangs on its words more than on the cause and the device, so more of it is borrowed.
BORROWED_READS = (30.0, 30.0, 20.0)
_TAKEN_PRIOR = (1.5, 1.5)

# Page's test for a change: how far the chances of what was seen must drift apart, as a logarithm, to call it one.
# At 7, nine failures in a row of what used to work for six of ten. Lower, false alarms cost more than breaks do.
ALARM = 7.0
# What a break and a repair leave of the share that worked, and of the share that failed.
_FALLS_TO, _RISE_LEAVES = 0.2, 0.5
# What is known right after a change weighs as much as so many outcomes.
_FRESH_OUTCOMES = 4.0
# Of less evidence nobody can say that it has changed.
_TESTED_FROM_OUTCOMES = 10.0
_SURE = 0.02
# So near to its usual share it works as usual.
_AS_USUAL = 0.03

# How shoppers read a list: after an offer that they pass by, and after one that did not help. Guesses; the order
# hangs little on them.
READS_ON, COMES_BACK = 0.65, 0.35
# How many read on at the least, of those who took nothing: 0.4 of all do, but 0.3 of these take what they read. To take
# an offer for unread is put right once it leads; the other mistake never is, as what seems unwanted never leads again.
_SURELY_READS_ON = 0.4 * (1 - 0.3)
# A draw is made from a belief so many times as sure as it is: there are many offers, causes and devices, and plain
# Thompson sampling tries them all for longer than a month of a shop can pay for.
SURENESS = 4.0
# Live health below this share makes an offer weaker; above, a few failures are the usual.
WORKS_USUALLY, _FAILS_NOW = 0.85, 0.5


@dataclass(frozen=True, slots=True)
class Beta:
    """A share and how surely it is known: `a` of `a + b` outcomes, seen or imagined."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def outcomes(self) -> float:
        return self.a + self.b

    def sample(self, chance: random.Random) -> float:
        return chance.betavariate(self.a, self.b)


_UNKNOWN = Beta(1, 1)


class Outcome(StrEnum):
    WORKED = "worked"  # the order was paid after this was taken
    FAILED = "failed"  # it was taken, and the order was not paid
    PASSED = "passed"  # it was read and not taken
    LATE = "late"  # counted as failed, and then the order was paid after all


@dataclass(frozen=True, slots=True)
class Memory:
    """What became of one offer in one place: faded counts, and how far the latest drift from what was expected."""

    worked: float = 0.0
    failed: float = 0.0
    passed: float = 0.0
    # Of those that worked, how many had been counted as failed before.
    late: float = 0.0
    fall: float = 0.0
    rise: float = 0.0
    changed_at: datetime | None = None
    # The share that worked before a sudden change, as long as that lasts.
    usual: float | None = None

    @property
    def taken(self) -> float:
        return self.worked + self.failed

    def scaled(self, share: float) -> "Memory":
        kept = (self.worked * share, self.failed * share, self.passed * share, self.late * share)
        return Memory(*kept, self.fall, self.rise, self.changed_at, self.usual)

    def faded(self, now: datetime) -> "Memory":
        """As it counts at this moment."""
        age = now - self.changed_at if self.changed_at else timedelta()
        if age <= timedelta():
            return self
        return self._reverting(0.5 ** (age / CHANGE_HALF_LIFE)).scaled(0.5 ** (age / HALF_LIFE))

    def _reverting(self, lasts: float) -> "Memory":
        """As it counts when a change lasts this likely, and else is over, so that it works as usual again."""
        if self.usual is None:
            return self
        worked = self.worked * lasts + self.taken * self.usual * (1 - lasts)
        is_over = abs(worked - self.taken * self.usual) < _AS_USUAL * self.taken
        return replace(self, worked=worked, failed=self.taken - worked, usual=None if is_over else self.usual)


_NOTHING = Memory()
# What became of one offer at one shop, by place.
Book = Mapping[Place, Memory]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open offer. `tally` goes from its own place to the whole shop, as `tally_of` gives it.

    `works_now` is the share of payments that the method behind it completes at this moment, from live health.
    """

    offer: str
    prior: Beta
    tally: Sequence[Memory] = ()
    works_now: float | None = None


def places(place: Place) -> tuple[Place, ...]:
    """The rows that an outcome counts in: its own, all devices, all causes, the whole shop."""
    cause, device = place
    return tuple(dict.fromkeys([(cause, device), (cause, ANY), (ANY, device), (ANY, ANY)]))


def tally_of(book: Book, place: Place, now: datetime) -> list[Memory]:
    """What is remembered for a place, from its own row to the widest."""
    return [book.get(each, _NOTHING).faded(now) for each in places(place)]


def order(candidates: Sequence[Candidate], chance: random.Random) -> list[str]:
    """The offers, best first, by Thompson sampling, sharpened: each is as good as a draw from what is believed of it.

    So what is known to be good leads, and what is not known well leads as often as it may be better. Among equals the
    order stays as it came. As long as nothing at all was learned it does so, too, but what fails now comes last.
    """
    if not any(memory != _NOTHING for each in candidates for memory in each.tally):
        return [each.offer for each in sorted(candidates, key=lambda each: _health(each) < _FAILS_NOW)]
    drawn = [
        (recovery_index(_sharp(take_belief(each), chance), _drawn(each, chance)), each.offer) for each in candidates
    ]
    return [offer for _, offer in sorted(drawn, key=lambda pair: -pair[0])]


def belief(candidate: Candidate) -> Beta:
    """How often the order is paid once this is taken: the rule's word, some of the wider rows, all of the own."""
    own, *wider = candidate.tally or [_NOTHING]
    a, b = candidate.prior.a, candidate.prior.b
    for memory, most in zip(wider, BORROWED[-len(wider) :], strict=True) if wider else ():
        worked, failed = max(memory.worked - own.worked, 0.0), max(memory.failed - own.failed, 0.0)
        share = min(1.0, most / (worked + failed)) if worked + failed else 0.0
        a, b = a + share * worked, b + share * failed
    return Beta(a + own.worked, b + own.failed)


def take_belief(candidate: Candidate) -> Beta:
    """How often this is taken by those who read it."""
    a, b = _TAKEN_PRIOR
    own, *wider = candidate.tally or [_NOTHING]
    for memory, most in zip(wider, BORROWED_READS[-len(wider) :], strict=True) if wider else ():
        seen = memory.taken + memory.passed
        share = min(1.0, most / seen) if seen else 0.0
        a, b = a + share * memory.taken, b + share * memory.passed
    return Beta(a + own.taken, b + own.passed)


def recovery_index(takes: float, works: float) -> float:
    """Sorting by this, descending, gives the list with the highest expected recovery.

    Of two neighbours the first should be the one with more recovery for the attention it uses up: attention lives on
    after an offer that is passed by (READS_ON), and less after one that did not help (COMES_BACK).
    """
    lives_on = (1 - takes) * READS_ON + takes * (1 - works) * COMES_BACK
    return takes * works / (1 - lives_on)


def read_share(place: int, last_taken: int | None, *, is_paid: bool) -> float:
    """How likely an offer that was not taken was read at all: surely above one that was taken, less and less below."""
    if last_taken is not None and place < last_taken:
        return 1.0
    if is_paid:
        return 0.0
    if last_taken is None:
        return _SURELY_READS_ON**place
    return COMES_BACK * _SURELY_READS_ON ** (place - last_taken)


def learn(book: Book, place: Place, outcome: Outcome, now: datetime, share: float = 1.0) -> dict[Place, Memory]:
    """The book of one offer after one more outcome, or after such a share of one that was perhaps read and passed by.

    A change that is seen in a wide row changes the narrow ones too.
    """
    learned = dict(book)
    if outcome is Outcome.PASSED:
        return learned | {each: _passed(learned.get(each, _NOTHING), share, now) for each in places(place)}
    expected = belief(Candidate("", _UNKNOWN, tally_of(book, place, now)))
    for each in places(place):
        memory = _added(learned.get(each, _NOTHING).faded(now), outcome, expected)
        learned[each] = replace(memory, changed_at=now)
        if max(memory.fall, memory.rise) >= ALARM:
            for narrow in [known for known in learned if _is_within(known, each)]:
                learned[narrow] = replace(_changed(learned[narrow].faded(now), memory.fall >= ALARM), changed_at=now)
    return learned


def _drawn(candidate: Candidate, chance: random.Random) -> float:
    return _sharp(belief(candidate), chance) * _health(candidate)


def _health(candidate: Candidate) -> float:
    return 1.0 if candidate.works_now is None else min(1.0, candidate.works_now / WORKS_USUALLY)


def _sharp(known: Beta, chance: random.Random) -> float:
    return Beta(known.a * SURENESS, known.b * SURENESS).sample(chance)


def _passed(memory: Memory, share: float, now: datetime) -> Memory:
    kept = memory.faded(now).scaled(1 - share / REMEMBERED_OUTCOMES)
    return replace(kept, passed=kept.passed + share, changed_at=now)


def _added(memory: Memory, outcome: Outcome, expected: Beta) -> Memory:
    worked = outcome is not Outcome.FAILED
    # Of an offer that is often paid late, what looks like a failure is none so often.
    weight = 1.0 if worked else memory.failed / (memory.failed + memory.late) if memory.late else 1.0
    if outcome is Outcome.LATE:
        # The failure that it stood for may have faded to less than one.
        memory = replace(memory, failed=max(memory.failed - 1, 0.0), late=memory.late + 1)
    else:
        memory = memory.scaled(1 - 1 / REMEMBERED_OUTCOMES)
    memory = replace(memory, worked=memory.worked + worked, failed=memory.failed + (not worked))
    if expected.outcomes < _TESTED_FROM_OUTCOMES:
        return memory
    fall = memory.fall + weight * _drift(expected, _fallen(expected), worked=worked)
    rise = memory.rise + weight * _drift(expected, _risen(expected), worked=worked)
    return replace(memory, fall=max(fall, 0.0), rise=max(rise, 0.0))


def _drift(expected: Beta, changed: float, *, worked: bool) -> float:
    """How much likelier this outcome is after the change than before, as a logarithm."""
    before = _bounded(expected.mean)
    return math.log(changed / before) if worked else math.log((1 - changed) / (1 - before))


def _changed(memory: Memory, is_fall: bool) -> Memory:
    """What a row still says after a change: the share that the test stood for, and little of it."""
    known = Beta(memory.worked + 0.5, memory.failed + 0.5)
    share = _fallen(known) if is_fall else _risen(known)
    left = memory.scaled(min(1.0, _FRESH_OUTCOMES / memory.taken) if memory.taken else 1.0)
    worked = left.taken * share
    usual = _usual(memory.usual, known.mean, is_fall)
    return replace(left, worked=worked, failed=left.taken - worked, fall=0.0, rise=0.0, usual=usual)


def _usual(usual: float | None, known: float, is_fall: bool) -> float | None:
    """What a change leaves to come back to: the share before it, and nothing once it has come back."""
    if usual is None:
        return known
    has_come_back = usual < known if is_fall else usual > known
    return None if has_come_back else usual


def _fallen(expected: Beta) -> float:
    return _bounded(expected.mean) * _FALLS_TO


def _risen(expected: Beta) -> float:
    return 1 - (1 - _bounded(expected.mean)) * _RISE_LEAVES


def _bounded(share: float) -> float:
    return min(max(share, _SURE), 1 - _SURE)


def _is_within(narrow: Place, wide: Place) -> bool:
    return all(theirs in {ANY, mine} for mine, theirs in zip(narrow, wide, strict=True))
