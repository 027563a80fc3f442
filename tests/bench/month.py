"""A month of a shop, simulated: what ranking recovers, beside a fixed order, a random one and the best possible.

`python -m tests.bench.month [WORLD.toml …] [--seed N …] [--compare]`. It runs the code of `widget.ranking`, with
outcomes that become known as late as at a shop. What a list recovers is its expectation in the present world, so
that luck in single payments does not blur the figures.
"""

import argparse
import heapq
import itertools
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.bench.world import Change, Stuck, World, read, shipped
from widget.attempts import Stage
from widget.offers import Offer
from widget.ranking import Candidate, order
from widget.ranking.beliefs import Memory, Place, belief, learn, recovery_index, take_belief, tally_of
from widget.ranking.tallies import FAILED_AFTER, SLOW, SLOW_FAILED_AFTER, outcome_of

LEARNED_AFTER_STALLS = 2_000
AIM_SHARE = 0.95
ADAPTED_WITHIN_STALLS = 50
# Adapted: from there on, so many concerned stalls together reach this share of the best possible.
_WINDOW_STALLS, _ADAPTED_SHARE = 25, 0.9
_MINUTE = timedelta(minutes=1)

Ranker = Callable[[list[Candidate], random.Random], list[str]]


@dataclass
class Shop:
    """What the shop has learned so far, and the outcomes that nobody knows yet."""

    books: dict[str, dict[Place, Memory]] = field(default_factory=dict)
    waiting: list[tuple[datetime, int, Offer, str, int | None]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def candidates(self, world: World, stuck: Stuck) -> list[Candidate]:
        place = (stuck.cause, stuck.device)
        return [
            Candidate(name, world.prior(name, stuck), tally_of(self.books.get(name, {}), place, stuck.at))
            for name in world.open_for(stuck)
        ]

    def will_count(self, at: datetime, offer: Offer, stage: str, last_taken: int | None) -> None:
        heapq.heappush(self.waiting, (at, next(self._number), offer, stage, last_taken))

    def count_due(self, now: datetime) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            at, _, offer, stage, last_taken = heapq.heappop(self.waiting)
            # Where it is not paid yet, it will be looked at again when it is.
            is_open = offer.worked_at is not None and offer.worked_at > at
            taught = outcome_of(_unpaid(offer) if is_open else offer, stage, last_taken)
            offer.counted_at = at
            if taught is not None:
                book, place = self.books.get(offer.kind, {}), (offer.cause or "", offer.device_class or "")
                self.books[offer.kind] = learn(book, place, taught[0], at, taught[1])


@dataclass(frozen=True, slots=True)
class Row:
    """What one stall was shown, and the shares that this and the best list recover of such stalls."""

    stuck: Stuck
    recovered: float
    possible: float


def play(world: World, seed: int, rank: Ranker) -> list[Row]:
    """A month. Who ranks without regard to outcomes needs none."""
    # Luck of its own for each, so that all rankers meet the same customers.
    life, chance, shop = _luck(world, seed, "life"), _luck(world, seed, "ranking"), Shop()
    rows = []
    for stuck in world.stalls(_luck(world, seed, "stalls")):
        shop.count_due(stuck.at)
        shown = rank(shop.candidates(world, stuck), chance)
        rows.append(Row(stuck, world.expected(shown, stuck), world.expected(world.best(stuck), stuck)))
        if rank not in BESIDE.values():
            _live(world, stuck, shown, shop, life)
    return rows


def _luck(world: World, seed: int, of: str) -> random.Random:
    return random.Random(f"{world.name} {seed} {of}")  # noqa: S311 (it is repeated on purpose)


def _live(world: World, stuck: Stuck, shown: Sequence[str], shop: Shop, life: random.Random) -> None:
    """One customer reads the list, takes what seems good, perhaps comes back, and pays or not."""
    rows = [_offer(name, place, stuck) for place, name in enumerate(shown)]
    at, taken = stuck.at, list[Offer]()
    for row in rows:
        at += _MINUTE / 2
        if life.random() >= world.takes(row.kind, stuck):
            if life.random() >= world.reads_on:
                break
            continue
        row.chosen_at = at
        taken.append(row)
        if life.random() < world.works(row.kind, stuck, at):
            row.worked_at = at + _delay(world, row.kind, life)
            break
        if life.random() >= world.comes_back:
            break
        at += 2 * _MINUTE
    _foresee(rows, taken, shop)


def _foresee(rows: list[Offer], taken: list[Offer], shop: Shop) -> None:
    """When the worker will count these offers."""
    last_taken = max(each.place or 0 for each in taken) if taken else None
    for row in rows:
        if row.chosen_at is None:
            due = row.shown_at + FAILED_AFTER
            is_paid = any(each.worked_at and each.worked_at <= due for each in taken)
            shop.will_count(due, row, Stage.PAID if is_paid else Stage.STARTED, last_taken)
            continue
        gone_on = min(
            (each.chosen_at for each in taken if each.chosen_at and each.chosen_at > row.chosen_at), default=None
        )
        patience = row.chosen_at + (SLOW_FAILED_AFTER if row.kind in set(SLOW) else FAILED_AFTER)
        given_up = min(gone_on, patience) if gone_on else patience
        if row.worked_at is None or row.worked_at > given_up:
            shop.will_count(given_up, row, Stage.STARTED, last_taken)
        if row.worked_at is not None:
            shop.will_count(row.worked_at, row, Stage.PAID, last_taken)


def _offer(name: str, place: int, stuck: Stuck) -> Offer:
    return Offer(kind=name, place=place, cause=stuck.cause, device_class=stuck.device, shown_at=stuck.at)


def _unpaid(offer: Offer) -> Offer:
    return Offer(kind=offer.kind, place=offer.place, shown_at=offer.shown_at, chosen_at=offer.chosen_at)


def _delay(world: World, name: str, life: random.Random) -> timedelta:
    """Most pay soon, some late: evenly spread on a logarithmic scale."""
    quickest, slowest = world.ways[name].paid_within_minutes
    minutes: float = quickest * (slowest / quickest) ** life.random()
    return _MINUTE * minutes


# The other ways to rank, for `--compare`. What is believed is the same; what is made of it differs.


def by_mean(candidates: list[Candidate], _chance: random.Random) -> list[str]:
    """Never tries what does not look best."""
    return _sorted(candidates, lambda each: belief(each).mean)


def as_sure_as_it_is(candidates: list[Candidate], chance: random.Random) -> list[str]:
    """Plain Thompson sampling."""
    worth = [
        (recovery_index(take_belief(each).sample(chance), belief(each).sample(chance)), each) for each in candidates
    ]
    return [each.offer for _, each in sorted(worth, key=lambda pair: -pair[0])]


def by_bound(candidates: list[Candidate], _chance: random.Random) -> list[str]:
    """The upper end of what is likely: mean and 1.6 standard deviations."""

    def bound(each: Candidate) -> float:
        known = belief(each)
        return known.mean + 1.6 * math.sqrt(known.mean * (1 - known.mean) / (known.outcomes + 1))

    return _sorted(candidates, bound)


def by_chance_of_five(candidates: list[Candidate], chance: random.Random) -> list[str]:
    """One list in twenty is shuffled."""
    if chance.random() < 0.05:
        return at_random(candidates, chance)
    return by_mean(candidates, chance)


def at_random(candidates: list[Candidate], chance: random.Random) -> list[str]:
    return chance.sample([each.offer for each in candidates], len(candidates))


def as_the_rules_say(candidates: list[Candidate], _chance: random.Random) -> list[str]:
    """The fixed order: what the rules believe of this cause, whatever happens."""
    return [each.offer for each in sorted(candidates, key=lambda each: -each.prior.mean)]


def _sorted(candidates: list[Candidate], works: Callable[[Candidate], float]) -> list[str]:
    worth = [(recovery_index(take_belief(each).mean, works(each)), each.offer) for each in candidates]
    return [offer for _, offer in sorted(worth, key=lambda pair: -pair[0])]


OURS: Ranker = order
BESIDE: dict[str, Ranker] = {"fixed": as_the_rules_say, "random": at_random}
ALTERNATIVES: dict[str, Ranker] = {
    "plain": as_sure_as_it_is,
    "mean": by_mean,
    "bound": by_bound,
    "1 in 20": by_chance_of_five,
}


def share(rows: Sequence[Row], since: int = 0) -> float:
    """Of what was possible, from this stall on."""
    possible = sum(row.possible for row in rows[since:])
    return sum(row.recovered for row in rows[since:]) / possible if possible else 1.0


def stalls_to_adapt(world: World, rows: Sequence[Row], change: Change) -> int | None:
    """How many stalls that a break concerns go by before the lists are good again; None where it concerns too few.

    It concerns those for whom the offer that broke would have been the best first one.
    """
    concerned = [
        row
        for row in rows
        if change.holds(change.offer, row.stuck.cause, row.stuck.device, row.stuck.at)
        and world.best(row.stuck, change.begins - _MINUTE)[0] == change.offer != world.best(row.stuck)[0]
    ]
    if len(concerned) < _WINDOW_STALLS:
        return None
    for number in range(len(concerned) - _WINDOW_STALLS + 1):
        if share(concerned[number : number + _WINDOW_STALLS]) >= _ADAPTED_SHARE:
            return number
    return len(concerned)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.month", description=__doc__.splitlines()[0])
    parser.add_argument(
        "worlds", nargs="*", type=Path, help="files like those in tests/bench/worlds/; without, all of them"
    )
    parser.add_argument("--seed", type=int, action="append", help="instead of the seeds of the world")
    parser.add_argument("--compare", action="store_true", help="beside other ways to explore, too")
    options = parser.parse_args()
    worlds = [read(path) for path in options.worlds] or shipped()
    return 0 if report(worlds, options.seed, compare=options.compare) else 1


def report(worlds: Sequence[World], seeds: Sequence[int] | None = None, *, compare: bool = False) -> bool:
    """Print a table of these worlds. Returns whether each of them reached the aim."""
    rankers = {"ours": OURS} | BESIDE | (ALTERNATIVES if compare else {})
    print(f"A month of a shop: recovery in % of the best possible, after the first {LEARNED_AFTER_STALLS} stalls")
    print(f"{'world':<14}{'stalls':>8}{'first':>8}" + "".join(f"{name:>9}" for name in rankers) + "  stalls to adapt")
    missed = [world.name for world in worlds if not _print(world, tuple(seeds or world.seeds), rankers)]
    aim = f"{AIM_SHARE:.0%} of the best, adapted within {ADAPTED_WITHIN_STALLS} stalls"
    print(f"aim: {aim}: " + (f"MISSED in {', '.join(missed)}" if missed else "reached in every world"))
    return not missed


def _print(world: World, seeds: tuple[int, ...], rankers: dict[str, Ranker]) -> bool:
    played = {name: [play(world, seed, rank) for seed in seeds] for name, rank in rankers.items()}
    ours = played["ours"]
    first = statistics.fmean(share(rows[:LEARNED_AFTER_STALLS]) for rows in ours)
    later = {name: [share(rows, LEARNED_AFTER_STALLS) for rows in months] for name, months in played.items()}
    adapted = [each for each in (_adapted(world, ours, change) for change in world.changes) if each is not None]
    figures = "".join(f"{statistics.fmean(shares):>9.1%}" for shares in later.values())
    words = ", ".join(f"{each:.0f}" for each in adapted) or "-"
    print(f"{world.name:<14}{statistics.fmean(map(len, ours)):>8.0f}{first:>8.1%}{figures}  {words}")
    return statistics.fmean(later["ours"]) >= AIM_SHARE and all(each <= ADAPTED_WITHIN_STALLS for each in adapted)


def _adapted(world: World, months: Sequence[list[Row]], change: Change) -> float | None:
    """The median over the months."""
    found = [stalls_to_adapt(world, rows, change) for rows in months]
    known = [each for each in found if each is not None]
    return statistics.median(known) if known else None


if __name__ == "__main__":
    sys.exit(main())
