"""Where a month of a shop loses: by what was not known, by when it was, and by what was shown instead of what.

`python -m tests.bench.losses WORLD.toml … [--seed N …]`. The parts of a loss add up: `reading` is lost to how lists are
thought to be read, `takes` to what is believed of how often offers are taken, `works` to how often they help, and
`trying` to the draw, which is below zero where it does better than the mean of what is believed.
"""

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

from tests.bench.month import LEARNED_AFTER_STALLS, OURS, play
from tests.bench.world import Stuck, World, read
from widget.ranking import Candidate
from widget.ranking.beliefs import belief, recovery_index, take_belief

PARTS = ("reading", "takes", "works", "trying")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Loss:
    """What one stall lost, by part, of what was possible."""

    stuck: Stuck
    possible: float
    parts: tuple[float, ...]
    shown: str
    best: str


def losses(world: World, seed: int) -> list[Loss]:
    """Of a month, after the stalls that are there to learn from."""
    asked: list[list[Candidate]] = []
    lists: list[list[str]] = []

    def rank(candidates: list[Candidate], chance: random.Random) -> list[str]:
        asked.append(candidates)
        lists.append(OURS(candidates, chance))
        return lists[-1]

    rows = play(world, seed, rank)
    every = [_loss(world, row.stuck, given, shown) for row, given, shown in zip(rows, asked, lists, strict=True)]
    return every[LEARNED_AFTER_STALLS:]


def _loss(world: World, stuck: Stuck, candidates: Sequence[Candidate], shown: list[str]) -> Loss:
    """Each list knows less than the one before; the last is the one that was shown."""

    def by(takes: Callable[[Candidate], float], works: Callable[[Candidate], float]) -> list[str]:
        worth = sorted(candidates, key=lambda each: -recovery_index(takes(each), works(each)))
        return [each.offer for each in worth]

    def true_takes(each: Candidate) -> float:
        return world.takes(each.offer, stuck)

    def true_works(each: Candidate) -> float:
        return world.works(each.offer, stuck)

    def believed_takes(each: Candidate) -> float:
        return take_belief(each).mean

    best = world.best(stuck)
    less_and_less = [
        best,
        by(true_takes, true_works),
        by(believed_takes, true_works),
        by(believed_takes, lambda each: belief(each).mean),
        shown,
    ]
    recovered = [world.expected(each, stuck) for each in less_and_less]
    parts = tuple(before - after for before, after in pairwise(recovered))
    return Loss(stuck, recovered[0], parts, shown[0], best[0])


def _when(world: World, loss: Loss) -> str:
    """How the latest change before this stall stands."""
    at = loss.stuck.at
    begun = max((change for change in world.changes if change.begins <= at), key=lambda each: each.begins, default=None)
    if begun is None:
        return "before any change"
    since, is_over = (at - begun.ends, True) if at >= begun.ends else (at - begun.begins, False)
    return f"{'mended' if is_over else 'broken'} for {'less' if since < _DAY else 'more'} than a day"


def _what(loss: Loss) -> str:
    return "the best leads" if loss.shown == loss.best else f"{loss.shown} leads, not {loss.best}"


def _print(title: str, all_of_it: Sequence[Loss], name: Callable[[Loss], str]) -> None:
    groups: dict[str, list[Loss]] = defaultdict(list)
    for each in all_of_it:
        groups[name(each)].append(each)
    possible = sum(each.possible for each in all_of_it)
    print(f"\n{title:<44}{'stalls':>8}" + "".join(f"{part:>9}" for part in PARTS) + f"{'lost':>9}")
    for group, found in sorted(groups.items(), key=lambda pair: -sum(sum(each.parts) for each in pair[1])):
        parts = [sum(each.parts[number] for each in found) / possible for number in range(len(PARTS))]
        print(f"{group:<44}{len(found):>8}" + "".join(f"{part:>9.2%}" for part in parts) + f"{sum(parts):>9.2%}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.losses", description=__doc__.splitlines()[0])
    parser.add_argument("worlds", nargs="+", type=Path, help="files like those in tests/bench/worlds/")
    parser.add_argument("--seed", type=int, action="append", help="instead of the seeds of the world")
    options = parser.parse_args()
    for path in options.worlds:
        world = read(path)
        lost = [each for seed in options.seed or world.seeds for each in losses(world, seed)]
        print(f"{world.name}: lost in % of the best possible, after the first {LEARNED_AFTER_STALLS} stalls")
        _print("when", lost, partial(_when, world))
        _print("to whom", lost, lambda each: f"{each.stuck.cause}/{each.stuck.device}")
        _print("what was shown", lost, _what)
    return 0


if __name__ == "__main__":
    sys.exit(main())
