"""Plays many cases: those of the same conditions in one browser, several of them at a time."""

import random
import time
from collections.abc import Iterable

from tests.engines import Conditions, Engine
from tests.engines.tab import Launcher
from tests.lab.cases import Case
from tests.lab.lab import SLOTS, Lab
from tests.lab.runs import Result, Run, Waiting

# WebKit opens at most 17 connections in all, and requests that hang hold theirs.
_AT_ONCE = {"chromium": 8, "firefox": SLOTS, "webkit": 6}
_ROUND_SECONDS = 0.025
# A case, and the seed of the random values of its run.
_Turn = tuple[Case, int]


def play(
    lab: Lab, launch: Launcher, engine: str, cases: Iterable[Case], seed: int = 0, at_once: int | None = None
) -> list[Result]:
    """Run these cases, those of the same conditions in one browser and several at a time."""
    groups: dict[Conditions, list[_Turn]] = {}
    results: list[Result] = []
    for number, case in enumerate(cases):
        if case.alone:
            results += _Browser(lab, launch, case.conditions, at_once=1).play([(case, seed + number)])
        else:
            groups.setdefault(case.conditions, []).append((case, seed + number))
    for conditions, turns in groups.items():
        results += _Browser(lab, launch, conditions, at_once or _AT_ONCE[engine]).play(turns)
    return results


class _Browser:
    """One browser, and the runs that go on in it. One that does not answer any more is replaced."""

    def __init__(self, lab: Lab, launch: Launcher, conditions: Conditions, at_once: int) -> None:
        self._lab, self._launch, self._conditions, self._at_once = lab, launch, conditions, at_once
        self._engine: Engine = launch(conditions)
        self._going: list[tuple[_Turn, Run, Waiting]] = []

    def play(self, turns: list[_Turn]) -> list[Result]:
        waiting, done = list(turns), list[Result]()
        try:
            while waiting or self._going:
                while waiting and len(self._going) < self._at_once:
                    self._begin(waiting.pop(0))
                ended = self._go_on()
                done += [run.result for run in ended]
                if any(run.is_browser_gone for run in ended):
                    waiting[:0] = self._start_again()
                time.sleep(_ROUND_SECONDS)
        finally:
            self._engine.stop()
        return done

    def _begin(self, turn: _Turn) -> None:
        taken = {run.slot for _, run, _ in self._going}
        slot = next(slot for slot in range(self._at_once) if slot not in taken)
        run = _run(self._lab, turn, self._engine, slot)
        self._going.append((turn, run, run.play()))

    def _go_on(self) -> list[Run]:
        """Let each go on until it waits again. Returns those that are over, up to one that has lost the browser."""
        ended = []
        for each in list(self._going):
            _, run, playing = each
            if _is_over(playing):
                self._going.remove(each)
                ended.append(run)
                if run.is_browser_gone:
                    break
        return ended

    def _start_again(self) -> list[_Turn]:
        """With a new browser. Returns what the old one took down with it, to be played from the beginning."""
        self._engine.stop()
        felled, self._going = self._going, []
        for _, run, playing in felled:
            run.is_browser_gone = True
            playing.close()
        self._engine = self._launch(self._conditions)
        return [turn for turn, _, _ in felled]


def _is_over(playing: Waiting) -> bool:
    """Let it go on until it waits again."""
    try:
        next(playing)
    except StopIteration:
        return True
    return False


def _run(lab: Lab, turn: _Turn, engine: Engine, slot: int) -> Run:
    case, seed = turn
    chance = random.Random(f"{case.id} {engine.name} {seed}")  # noqa: S311  # chance that can be repeated
    values = {name: f"{chance.uniform(low, high):.3f}" for name, (low, high) in case.ranges.items()}
    return Run(lab, case, engine, slot, f"{case.id}.{engine.name}.{seed}.{time.monotonic_ns() % 10**8}", values)
