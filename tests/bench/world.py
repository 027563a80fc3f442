"""Worlds for the simulation of a month: who gets stuck, what they are offered, take and are helped by, and what breaks.

A world is a file in `worlds/`; `steady.toml` explains its fields.
"""

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from widget.ranking import Beta

Value = TypeVar("Value")

WORLDS = Path(__file__).parent / "worlds"
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 12, 11, 10, 10, 11, 12, 14, 16, 17, 14, 9, 5)


@dataclass(frozen=True, slots=True)
class Change:
    """From one moment until another, an offer works as said, for a cause or device class or for all."""

    offer: str
    begins: datetime
    ends: datetime
    works: float
    cause: str | None = None
    device: str | None = None

    def holds(self, offer: str, cause: str, device: str, at: datetime) -> bool:
        return self.begins <= at < self.ends and self.concerns(offer, cause, device)

    def concerns(self, offer: str, cause: str, device: str) -> bool:
        return offer == self.offer and self.cause in {None, cause} and self.device in {None, device}


@dataclass(frozen=True, slots=True)
class Way:
    """One offer as it is in this world: values by "cause/device", "cause", "*/device" and "*", the most exact first."""

    name: str
    prior: dict[str, Beta]
    takes: dict[str, float]
    works: dict[str, float]
    closed_for: frozenset[str]
    paid_within_minutes: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A stall: when, why and on what."""

    at: datetime
    cause: str
    device: str


@dataclass(frozen=True, slots=True)
class World:
    name: str
    says: str
    days: int
    stalls_per_day: float
    seeds: tuple[int, ...]
    reads_on: float
    comes_back: float
    causes: dict[str, float]
    devices: dict[str, float]
    ways: dict[str, Way]
    changes: tuple[Change, ...]
    hours: tuple[float, ...] = _HOURS
    weekdays: tuple[float, ...] = (1, 1, 1, 1, 1.2, 1.1, 0.9)
    holidays: dict[int, float] = field(default_factory=dict)

    def stalls(self, chance: random.Random) -> Iterator[Stuck]:
        """The stalls of the month in order, more by day and on holidays than at night."""
        per_hour = sum(self.hours) / 24
        for hour in range(self.days * 24):
            day = hour // 24
            busy = self.hours[hour % 24] / per_hour * self.weekdays[day % 7] * self.holidays.get(day, 1.0)
            minutes = sorted(chance.uniform(0, 60) for _ in range(_poisson(busy * self.stalls_per_day / 24, chance)))
            for minute in minutes:
                at = BEGIN + timedelta(hours=hour, minutes=minute)
                yield Stuck(at, _drawn(self.causes, chance), _drawn(self.devices, chance))

    def open_for(self, stuck: Stuck) -> list[str]:
        """What safety leaves open. Ranking has no say in it."""
        return [name for name, way in self.ways.items() if stuck.cause not in way.closed_for]

    def prior(self, offer: str, stuck: Stuck) -> Beta:
        return _exact(self.ways[offer].prior, stuck)

    def takes(self, offer: str, stuck: Stuck) -> float:
        return _exact(self.ways[offer].takes, stuck)

    def works(self, offer: str, stuck: Stuck, at: datetime | None = None) -> float:
        """How often the order is paid once this is taken, at the moment of the stall or another one."""
        for change in reversed(self.changes):
            if change.holds(offer, stuck.cause, stuck.device, at or stuck.at):
                return change.works
        return _exact(self.ways[offer].works, stuck)

    def expected(self, shown: Sequence[str], stuck: Stuck) -> float:
        """How many of such customers pay in the end when they are shown this list."""
        recovery = 0.0
        for offer in reversed(shown):
            gain, lives_on = self._step(offer, stuck, stuck.at)
            recovery = gain + lives_on * recovery
        return recovery

    def best(self, stuck: Stuck, at: datetime | None = None) -> list[str]:
        """The list with the highest expected recovery, for somebody who knows this world."""

        def index(offer: str) -> float:
            gain, lives_on = self._step(offer, stuck, at or stuck.at)
            return gain / (1 - lives_on)

        return sorted(self.open_for(stuck), key=index, reverse=True)

    def _step(self, offer: str, stuck: Stuck, at: datetime) -> tuple[float, float]:
        """Of those who read this offer: the share that pays by it, and the share that reads the next one."""
        takes, works = self.takes(offer, stuck), self.works(offer, stuck, at)
        return takes * works, (1 - takes) * self.reads_on + takes * (1 - works) * self.comes_back


def read(path: Path) -> World:
    said = _said(path)
    return World(
        name=path.stem,
        says=said["says"],
        days=said.get("days", 30),
        stalls_per_day=said["stalls_per_day"],
        seeds=tuple(said.get("seeds", (1, 2, 3))),
        reads_on=said.get("reads_on", 0.8),
        comes_back=said.get("comes_back", 0.5),
        causes=said["causes"],
        devices=said["devices"],
        ways={name: _way(name, each) for name, each in said["offers"].items()},
        changes=tuple(_change(each) for each in said.get("changes", ())),
        hours=tuple(said.get("hours", _HOURS)),
        holidays={int(day): busy for day, busy in said.get("holidays", {}).items()},
    )


def shipped() -> list[World]:
    return [read(path) for path in sorted(WORLDS.glob("*.toml"))]


def _said(path: Path) -> dict[str, Any]:
    """The file over the one that it names as its base."""
    said = tomllib.loads(path.read_text())
    base = said.pop("base", None)
    return _over(_said(path.with_name(base)), said) if base else said


def _over(base: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    merged = base | said
    for name, value in said.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = _over(base[name], value)
    return merged


def _way(name: str, said: dict[str, Any]) -> Way:
    quickest, slowest = said.get("paid_within_minutes", (1, 15))
    return Way(
        name,
        prior={where: Beta(*pair) for where, pair in said["prior"].items()},
        takes=said["takes"],
        works=said["works"],
        closed_for=frozenset(said.get("closed_for", ())),
        paid_within_minutes=(quickest, slowest),
    )


def _change(said: dict[str, Any]) -> Change:
    begins, ends = (BEGIN + timedelta(days=said[name]) for name in ("from_day", "to_day"))
    return Change(said["offer"], begins, ends, said["works"], said.get("cause"), said.get("device"))


def _exact(values: dict[str, Value], stuck: Stuck) -> Value:
    for where in (f"{stuck.cause}/{stuck.device}", stuck.cause, f"*/{stuck.device}"):
        if where in values:
            return values[where]
    return values["*"]


def _drawn(shares: dict[str, float], chance: random.Random) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]


def _poisson(mean: float, chance: random.Random) -> int:
    """How many come in a span in which so many come on average."""
    count, passed = 0, chance.expovariate(1)
    while passed < mean:
        count, passed = count + 1, passed + chance.expovariate(1)
    return count
