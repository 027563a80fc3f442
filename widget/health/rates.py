"""Rates: how often each way to pay works now, and how long it takes, read from the cells of the last day."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import deadlines
from widget.health.cells import CELL_SECONDS, HealthCell, moment_of, slot_of

# How far back is looked: the shortest span in which there were enough tries says most about now.
SPANS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 6 * 60, 24 * 60))
# The first span serves only to notice quickly that something broke, or works again.
_FIRST_SHOWN = 1
ENOUGH_TRIES = 10
FEW_TRIES = 4
# A method counts as failing when so large a share of failures is certain at 95 % (Wilson's lower bound). It takes 4
# of 4, 5 of 6, 6 of 8, 45 of 90.
FAILING_SHARE = 0.38
_Z95 = 1.96
_SAME_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Rate:
    """How a way to pay went in the span `within`: the shortest with ten tries, or the one that shows that it fails.

    Seconds are None where none were measured, or asked for.
    """

    worked: int = 0
    failed: int = 0
    declined: int = 0
    p50: float | None = None
    p95: float | None = None
    within: timedelta = SPANS[-1]
    is_failing: bool = False

    @property
    def answered(self) -> int:
        """How often the way to the bank worked, whatever the bank said."""
        return self.worked + self.declined

    @property
    def tries(self) -> int:
        return self.answered + self.failed

    @property
    def share(self) -> float | None:
        """Which share worked, from 0 to 1; None when nothing was tried."""
        return self.answered / self.tries if self.tries else None


@dataclass(slots=True)
class _Sum:
    """Counts of one group of cells, added up from now back to the end of each span."""

    worked: list[int] = field(default_factory=lambda: [0] * len(SPANS))
    failed: list[int] = field(default_factory=lambda: [0] * len(SPANS))
    declined: list[int] = field(default_factory=lambda: [0] * len(SPANS))
    latency: list[Counter[int]] = field(default_factory=lambda: [Counter() for _ in SPANS])

    def tries(self, span: int) -> int:
        return self.worked[span] + self.failed[span] + self.declined[span]

    @property
    def failing_span(self) -> int | None:
        """The shortest span that says clearly that it fails; None where a shorter one says that it works again."""
        for span in range(len(SPANS)):
            tries, failed = self.tries(span), self.failed[span]
            if failed >= FEW_TRIES and _lower_bound(failed, tries) >= FAILING_SHARE:
                return span
            if tries >= ENOUGH_TRIES or (tries >= FEW_TRIES and failed == 0):
                return None
        return None

    def rate(self) -> Rate:
        last, failing = len(SPANS) - 1, self.failing_span
        enough = next((span for span in range(_FIRST_SHOWN, last) if self.tries(span) >= ENOUGH_TRIES), last)
        shown = enough if failing is None else failing
        latency = {bucket: count for bucket, count in self.latency[shown].items() if count > 0}
        return Rate(
            worked=self.worked[shown],
            failed=self.failed[shown],
            declined=self.declined[shown],
            p50=deadlines.quantile(latency, 0.5) if latency else None,
            p95=deadlines.quantile(latency, 0.95) if latency else None,
            within=SPANS[shown],
            is_failing=failing is not None,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """What counts together. "" is unknown."""

    method: str
    provider: str
    os: str
    device: str
    browser: str


class Rates:
    """The health of one shop at one moment, by method and, where asked, by provider, system, device and browser."""

    def __init__(self, sums: Mapping[Group, _Sum]) -> None:
        self._sums = sums
        self._found: dict[tuple[str | None, ...], _Sum] = {}

    @property
    def methods(self) -> list[str]:
        return sorted({group.method for group in self._sums if group.method})

    def providers(self, method: str) -> list[str]:
        """Through whom payments by this method have gone, as far as that is known."""
        return sorted({group.provider for group in self._sums if group.method == method and group.provider})

    @property
    def failing(self) -> list[str]:
        """The methods that fail now, be it only on one kind of device or with one provider."""
        kinds = {(group.method, group.os, group.device) for group in self._sums if group.method}
        there = {method for method, os, device in kinds if self.of(method, os=os, device=device).is_failing}
        return sorted(there | {method for method in self.methods if self._fails_anywhere(method)})

    @property
    def groups(self) -> list[Group]:
        return list(self._sums)

    def of(
        self,
        method: str,
        *,
        provider: str | None = None,
        os: str | None = None,
        device: str | None = None,
        browser: str | None = None,
    ) -> Rate:
        """None of a part means any. `device` is phone, tablet or desktop."""
        return self._sum(method, provider, os, device, browser).rate()

    def works_now(self, method: str, device_class: str | None = None) -> bool:
        """Whether nothing speaks against this method here and now; one that nobody has tried works."""
        here = self._sum(method, device=device_class or None)
        is_known = here.tries(len(SPANS) - 1) >= FEW_TRIES
        return (here if is_known else self._sum(method)).failing_span is None

    def _fails_anywhere(self, method: str) -> bool:
        known = self.providers(method)
        split = known if len(known) > 1 else []
        return any(self.of(method, provider=each).is_failing for each in (None, *split))

    def _sum(
        self,
        method: str,
        provider: str | None = None,
        os: str | None = None,
        device: str | None = None,
        browser: str | None = None,
    ) -> _Sum:
        wanted = (method, provider, os, device, browser)
        if wanted not in self._found:
            self._found[wanted] = _added(each for group, each in self._sums.items() if _fits(group, wanted))
        return self._found[wanted]


def rates(session: Session, shop_id: int, now: datetime, *, with_latency: bool = False) -> Rates:
    """The health of a shop now. Times are read only when asked for: they cost most.

    Who asks again in the same transaction within some seconds gets the same answer.
    """
    key = ("health", shop_id, with_latency)
    known: tuple[datetime, Rates] | None = session.info.get(key)
    if known is None or not timedelta() <= now - known[0] < _SAME_FOR:
        known = session.info[key] = (now, _read(session, shop_id, now, with_latency=with_latency))
    return known[1]


def _read(session: Session, shop_id: int, now: datetime, *, with_latency: bool) -> Rates:
    sums: dict[Group, _Sum] = {}
    for *names, span, worked, failed, declined in session.execute(_summed(), {"shop_id": shop_id} | _starts(now)):
        found, counts = sums.setdefault(Group(*names), _Sum()), (worked, failed, declined)
        for column, number in zip((found.worked, found.failed, found.declined), counts, strict=True):
            # A longer span holds what a shorter one holds. What is taken back of an attempt whose provider was not
            # known at first counts below zero here, and not where all are added.
            for longer in range(span, len(SPANS)):
                column[longer] += int(number)
    if with_latency:
        _read_latency(session, shop_id, now, sums)
    return Rates(sums)


@cache
def _summed() -> Any:
    """Counts by group and by the shortest span that holds them. Built once: to build it takes longer than to run it."""
    cell = HealthCell
    starts: list[sa.BindParameter[datetime]] = [sa.bindparam(f"start_{number}") for number in range(len(SPANS))]
    span = sa.case(*((cell.since >= start, number) for number, start in enumerate(starts[:-1])), else_=len(SPANS) - 1)
    groups = (cell.method, cell.provider, cell.os, cell.device, cell.browser, span.label("span"))
    sums = (sa.func.sum(column) for column in (cell.worked, cell.failed, cell.declined))
    recent = sa.select(*groups, *sums).where(cell.shop_id == sa.bindparam("shop_id"), cell.since >= starts[-1])
    # By span, browser, method, system, provider, device: SQLite sorts the rows to group them. They come by time, so by
    # span, and then what differs most ends a comparison soonest. So the provider costs nothing.
    return recent.group_by(sa.text("6, 5, 1, 3, 2, 4"))


def _starts(now: datetime) -> dict[str, datetime]:
    """The first cell of each span. The one that is being filled counts as none of its own, so a span is never short."""
    current = slot_of(now)
    return {
        f"start_{number}": moment_of(current - int(span.total_seconds()) // CELL_SECONDS)
        for number, span in enumerate(SPANS)
    }


def _read_latency(session: Session, shop_id: int, now: datetime, sums: dict[Group, _Sum]) -> None:
    starts = list(_starts(now).values())
    cell = HealthCell
    query = sa.select(cell.method, cell.provider, cell.os, cell.device, cell.browser, cell.since, cell.latency)
    query = query.where(cell.shop_id == shop_id, cell.since >= starts[-1], cell.worked > 0)
    for *names, since, latency in session.execute(query):
        found = sums.get(Group(*names))
        if found is None:
            continue
        counts = {int(bucket): number for bucket, number in latency.items()}
        for number, start in enumerate(starts):
            if since >= start:
                found.latency[number].update(counts)


def _added(sums: Iterable[_Sum]) -> _Sum:
    total = _Sum()
    for each in sums:
        for mine, theirs in ((total.worked, each.worked), (total.failed, each.failed), (total.declined, each.declined)):
            for span, number in enumerate(theirs):
                mine[span] += number
        for span, counts in enumerate(each.latency):
            total.latency[span].update(counts)
    for column in (total.worked, total.failed, total.declined):
        column[:] = (max(number, 0) for number in column)
    return total


def _fits(group: Group, wanted: tuple[str | None, ...]) -> bool:
    known = (group.method, group.provider, group.os, group.device, group.browser)
    return all(part is None or part == mine for part, mine in zip(wanted, known, strict=True))


def _lower_bound(failed: int, tries: int) -> float:
    """Wilson's: the share of failures that is certain at 95 %, however few tries there were."""
    if tries == 0 or failed <= 0:
        return 0.0
    share, square = failed / tries, _Z95**2
    spread = _Z95 * ((share * (1 - share) + square / (4 * tries)) / tries) ** 0.5
    return float((share + square / (2 * tries) - spread) / (1 + square / tries))
