"""The live board of one shop: how each method goes on each kind of browser, and what the providers say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from widget import feeds, findings, health, polling
from widget.feeds import FeedView, Indicator
from widget.health import Group, Rate, Rates
from widget.shops import Shop
from widget.web.desk.words import Badge, Clockface, span, spelled

# More columns than these nobody takes in; the kinds of browsers that were used least are told together.
MAX_COLUMNS = 6
# Outcomes wait for a worker no longer than this, unless none is running.
IS_BEHIND_AFTER = timedelta(minutes=10)

_DEVICES = {
    ("ios", "phone"): "iPhone",
    ("ios", "tablet"): "iPad",
    ("android", "phone"): "Android phone",
    ("android", "tablet"): "Android tablet",
    ("windows", "desktop"): "Windows",
    ("mac", "desktop"): "Mac",
    ("linux", "desktop"): "Linux",
    ("chromeos", "desktop"): "Chromebook",
}
_INDICATORS = {
    Indicator.NONE: Badge("Working", "good"),
    Indicator.MAINTENANCE: Badge("Maintenance", "warn"),
    Indicator.MINOR: Badge("Minor trouble", "warn"),
    Indicator.MAJOR: Badge("Outage", "bad"),
    Indicator.CRITICAL: Badge("Critical outage", "bad"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of device and browser; both "" stand for all the others."""

    os: str
    device: str
    browser: str

    @property
    def label(self) -> str:
        return _DEVICES.get((self.os, self.device)) or (spelled(self.device) if self.device else "Not known")

    @property
    def detail(self) -> str:
        return spelled(self.browser) if self.browser else ""


@dataclass(frozen=True, slots=True)
class Square:
    """One cell of the table."""

    rate: Rate

    @property
    def share(self) -> str:
        return f"{self.rate.share:.0%}".replace("%", " %") if self.rate.share is not None else "–"

    @property
    def counts(self) -> str:
        return f"{self.rate.answered} of {self.rate.tries}" if self.rate.tries else ""

    @property
    def tone(self) -> str:
        """Colour only for what the panel avoids and the agents are warned of, too."""
        return "bad" if self.rate.is_failing else ""

    @property
    def p50(self) -> str:
        return _seconds(self.rate.p50)

    @property
    def p95(self) -> str:
        return _seconds(self.rate.p95)

    @property
    def within(self) -> str:
        return f"last {span(self.rate.within)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One method, or one provider behind it where there are several."""

    method: str
    provider: str
    whole: Square
    squares: tuple[Square, ...]


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """A provider of the shop; `view` is None where no status page is asked, or none was asked yet.

    `is_asked` is whether one is; else `is_refused` whether the shop wants it so. The others have none that is known.
    """

    name: str
    view: FeedView | None
    is_asked: bool
    is_refused: bool

    @property
    def badge(self) -> Badge:
        if self.view is None:
            return Badge("Not asked yet" if self.is_asked else "Not asked")
        if self.view.indicator is None:
            return Badge("No answer yet", "warn")
        known = _INDICATORS[self.view.indicator]
        return Badge(f"{known.words}, as it was") if self.view.is_stale else known


@dataclass(frozen=True, slots=True)
class Board:
    shop: Shop
    clock: Clockface
    columns: tuple[Kind, ...]
    rows: tuple[Row, ...]
    providers: tuple[ProviderLine, ...]

    @property
    def failing(self) -> list[Row]:
        return [row for row in self.rows if row.whole.rate.is_failing or any(s.tone == "bad" for s in row.squares)]


def board_of(session: Session, shop: Shop, now: datetime) -> Board:
    profile, rates = shop.settled, health.rates(session, shop.id, now, with_latency=True)
    columns, asked = _columns(rates), dict(polling.sources_of(profile))
    named = {each.id: each.label for each in profile.methods}
    return Board(
        shop=shop,
        clock=Clockface(now, ZoneInfo(profile.time_zone)),
        columns=columns,
        rows=tuple(
            _row(rates, method, named.get(method) or profile.method_label(method) or "Not named", columns, provider)
            for method in dict.fromkeys([*named, *rates.methods])
            for provider in (None, *_split(rates, method))
        ),
        providers=tuple(
            ProviderLine(
                findings.provider_label(provider) or provider,
                feeds.view(session, provider, profile.providers, now),
                is_asked=provider in asked,
                is_refused=feeds.is_refused(settings),
            )
            for provider, settings in profile.providers.items()
        ),
    )


def _split(rates: Rates, method: str) -> list[str]:
    """The providers behind a method, where there are several."""
    known = rates.providers(method)
    return known if len(known) > 1 else []


def _row(rates: Rates, method: str, label: str, columns: Sequence[Kind], provider: str | None) -> Row:
    return Row(
        method=label,
        provider=findings.provider_label(provider) or "",
        whole=Square(rates.of(method, provider=provider)),
        squares=tuple(
            Square(rates.of(method, provider=provider, os=kind.os, device=kind.device, browser=kind.browser))
            for kind in columns
        ),
    )


def alarms(session: Session, shops: Sequence[Shop], now: datetime) -> int:
    """How many methods fail and providers report an outage, in all of these shops."""
    count = 0
    for shop in shops:
        profile, rates = shop.settled, health.rates(session, shop.id, now)
        count += len(rates.failing)
        seen = (feeds.view(session, provider, profile.providers, now) for provider in profile.providers)
        count += sum(view is not None and view.tells_outage for view in seen)
    return count


def _columns(rates: Rates) -> tuple[Kind, ...]:
    """The kinds of browsers with the most tries, failing ones first, so that none is left out because it is rare."""
    tries: Counter[Kind] = Counter()
    failing: set[Kind] = set()
    for group in rates.groups:
        place = {"os": group.os, "device": group.device, "browser": group.browser}
        kind, rate = _kind(group), rates.of(group.method, provider=group.provider, **place)
        tries[kind] += rate.tries
        if rate.is_failing:
            failing.add(kind)
    ranked = sorted(tries, key=lambda kind: (kind not in failing, -tries[kind], kind.os, kind.browser))
    return tuple(kind for kind in ranked if tries[kind])[:MAX_COLUMNS]


def _kind(group: Group) -> Kind:
    return Kind(group.os, group.device, group.browser)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
