"""Patterns: what card testing and the trying of order numbers look like. Pure rules; adding one is adding a row."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

_MINUTES_10, _HOUR, _DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24)
LONGEST_WINDOW = _DAY
_TAIL = re.compile(r"(\d{1,18})\D*\Z")


@dataclass(frozen=True, slots=True)
class Seen:
    """One outcome (opened, declined or worked) of an attempt, as the rules see it."""

    at: datetime
    outcome: str
    address: str
    device: str
    order: int | None
    reference: str | None
    is_verified: bool
    amount: int | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Who is looked at (`subject`), over which time, from which numbers on, and for how long it counts.

    All minimums must be met. `declined` is the share of declines among the declined and the paid tries: an honest
    crowd pays, however many there are. `amounts` is how many different sums there may be at most.
    """

    name: str
    subject: str  # visitor (a device at an address), network (an address), shape (a device and a sum), order
    window: timedelta
    lasts: timedelta
    declines: int = 0
    declined: float = 0.0
    orders: int = 0
    devices: int = 0
    addresses: int = 0
    amounts: int | None = None
    # Orders that the shop has not signed and that nobody paid, and how many of them follow one another in number.
    unsigned: int = 0
    in_sequence: int = 0


# An honest customer tries a handful of times, on one order, and about nine in ten payments work. The numbers are two
# to three times what such a customer, or forty of them in one office, reach in the same time (tests/test_guard.py).
PATTERNS = (
    Pattern("rapid", "visitor", _MINUTES_10, _HOUR, declines=8, declined=0.85, orders=3),
    Pattern("stubborn", "visitor", _MINUTES_10, _HOUR, declines=12, declined=0.85),
    Pattern("same_sum", "visitor", _HOUR, timedelta(hours=2), declines=5, declined=0.85, orders=5, amounts=2),
    Pattern("slow", "visitor", _DAY, timedelta(hours=12), declines=12, declined=0.85, orders=6),
    # Whoever tells us of payments that never were still cannot make so many declines look usual.
    Pattern("many", "visitor", _DAY, timedelta(hours=12), declines=25, declined=0.3),
    Pattern("changing_devices", "network", _HOUR, _HOUR, declines=15, declined=0.9, orders=6, devices=6),
    Pattern("changing_addresses", "shape", _HOUR, _HOUR, declines=15, declined=0.9, orders=8, addresses=8),
    Pattern("one_order", "order", _HOUR, _HOUR, declines=10, declined=0.9, addresses=5),
    Pattern("numbers_in_sequence", "visitor", _MINUTES_10, _HOUR, in_sequence=6),
    Pattern("numbers", "visitor", _MINUTES_10, _HOUR, unsigned=12),
    Pattern("numbers_slowly", "visitor", _DAY, timedelta(hours=12), unsigned=40),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern that fits, with the numbers that say so, as agents are shown them."""

    pattern: Pattern
    numbers: dict[str, Any]


def found(subject: str, seen: Sequence[Seen], now: datetime) -> list[Finding]:
    """The patterns of this kind of subject that fit what was seen of it."""
    findings = []
    for pattern in PATTERNS:
        if pattern.subject == subject:
            numbers = numbers_of([each for each in seen if each.at > now - pattern.window])
            if _fits(pattern, numbers):
                minutes = int(pattern.window.total_seconds() // 60)
                findings.append(Finding(pattern, numbers | {"minutes": minutes}))
    return findings


@cache
def window_of(subject: str) -> timedelta:
    """How far back the patterns of this kind of subject look."""
    return max(pattern.window for pattern in PATTERNS if pattern.subject == subject)


def numbers_of(seen: Sequence[Seen]) -> dict[str, Any]:
    """What was counted: tries, declines, paid, and how many different orders, devices, addresses and sums."""
    declined = [each for each in seen if each.outcome == "declined"]
    worked = [each for each in seen if each.outcome == "worked"]
    tried = declined or [each for each in seen if each.outcome == "opened"]
    unsigned = _unsigned_unpaid(seen)
    return {
        "attempts": sum(each.outcome == "opened" for each in seen),
        "declines": len(declined),
        "paid": len(worked),
        "orders": _distinct(each.order for each in tried),
        "devices": _distinct(each.device for each in tried),
        "addresses": _distinct(each.address for each in tried),
        "amounts": _distinct(each.amount for each in tried),
        "unsigned": len(unsigned),
        "in_sequence": longest_run(unsigned),
    }


def longest_run(references: Iterable[str]) -> int:
    """How many order numbers follow one another: 1001, 1002, 1003 is 3. Only the digits at the end count."""
    tails = sorted({int(read[1]) for reference in references if (read := _TAIL.search(reference))})
    longest = run = 1 if tails else 0
    for before, after in pairwise(tails):
        run = run + 1 if after == before + 1 else 1
        longest = max(longest, run)
    return longest


def _fits(pattern: Pattern, numbers: dict[str, Any]) -> bool:
    outcomes = numbers["declines"] + numbers["paid"]
    share = numbers["declines"] / outcomes if outcomes else 0.0
    minimums = ("declines", "orders", "devices", "addresses", "unsigned", "in_sequence")
    return (
        all(numbers[name] >= getattr(pattern, name) for name in minimums)
        and share >= pattern.declined
        and (pattern.amounts is None or numbers["amounts"] <= pattern.amounts)
    )


def _unsigned_unpaid(seen: Sequence[Seen]) -> set[str]:
    paid = {each.reference for each in seen if each.outcome == "worked"}
    return {each.reference for each in seen if each.reference and not each.is_verified} - paid


def _distinct(values: Iterable[object]) -> int:
    return len({value for value in values if value is not None})
