"""A case: everything the diagnosis of one stall depends on, as plain values. `findings` gathers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from widget.advice import Advice, advice_for
from widget.attempts import Stage
from widget.feeds import FeedView
from widget.health import FEW_TRIES, Rate
from widget.language import Said
from widget.methods import MethodName
from widget.providers import Retry, scripts
from widget.stalls import StallKind

_FRAMES = ("frame-src", "child-src", "fenced-frame-src")


class Side(StrEnum):
    """On whose side the cause is, so who can do something about it."""

    CUSTOMER = "customer"
    BANK = "bank"
    PROVIDER = "provider"
    SHOP = "shop"
    NETWORK = "network"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The probable cause of a stall.

    `cause` is its name, the same for all cases that look alike to the customer. `said` is for the customer and never
    speaks of whether money moved; `evidence` are sentences that any person can read; `noted` is for engineers.
    `confidence` says how often, out of 1, the cause is expected to be this one: 0.95 the browser or the provider itself
    said so; 0.8 two signs agree; 0.6 one sign, which has other explanations; 0.4 only the symptom is known; 0.2 nothing
    is known. `avoid` are methods that fail now, here.
    """

    cause: str
    side: Side
    said: Said
    noted: str
    evidence: tuple[Said, ...] = ()
    confidence: float = 0.2
    advice: Advice | None = None
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """`rates` are of devices like this one, `overall` of all, both by method. Labels are as people read them.

    Where `through` names a provider, the rates of this case's own method are of its tries alone.
    """

    kind: StallKind | None = None
    stage: Stage | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    method_label: str | MethodName | None = None
    provider: str | None = None
    provider_label: str | None = None
    browser: str = ""
    os: str = ""
    device_class: str = ""
    code: str | None = None
    network_code: str | None = None
    retry: Retry | None = None
    declines: int = 0
    feed: FeedView | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)
    overall: Mapping[str, Rate] = field(default_factory=dict)
    through: str | None = None
    labels: Mapping[str, str | MethodName] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    # The methods that this device cannot have, however well they work for others.
    out_of_reach: frozenset[str] = frozenset()
    # Directive and host of what the page's own policy blocked.
    violations: tuple[tuple[str, str], ...] = ()
    # Host and milliseconds of the script that kept the page busy longest.
    busiest: tuple[str, float] | None = None

    @property
    def is_declined(self) -> bool:
        return self.kind in {StallKind.DECLINED, StallKind.DECLINED_AGAIN}

    @property
    def advice(self) -> Advice | None:
        """What the decline code advises; None where nothing was declined, or no code is known."""
        is_refused = self.is_declined or self.kind in {StallKind.SPLIT, StallKind.ERROR, StallKind.CHALLENGE}
        code = self.code or _text(self.evidence.get("code"))
        return advice_for(self.provider, code, self.network_code, self.retry) if is_refused else None

    @property
    def why(self) -> str:
        return _text(self.evidence.get("why")) or ""

    @property
    def host(self) -> str:
        return _text(self.evidence.get("host")) or ""

    @property
    def blocking(self) -> tuple[str, str] | None:
        """Directive and host of what the page's own policy blocked and this payment needs: a script, a frame, a call.

        What else a policy blocks, such as statistics, stops no payment.
        """
        match self.kind:
            case StallKind.SDK if self.why == "csp":
                needed = [each for each in self.violations if each[1] == self.host]
                return needed[0] if needed else ("script-src", self.host)
            case StallKind.CHALLENGE:
                needed = [each for each in self.violations if each[0].startswith(_FRAMES)]
            case StallKind.NO_ANSWER | StallKind.WALLET | StallKind.ERROR:
                needed = [each for each in self.violations if scripts.is_of_provider(each[1])]
            case _:
                needed = []
        return needed[0] if needed else None

    @property
    def is_hanging(self) -> bool:
        """Whether nothing failed: it only never ended."""
        return self.evidence.get("symptom") == "no_answer"

    def rate_here(self, method: str | None) -> Rate | None:
        """How the method goes on devices like this one, or on all while too few of these have tried."""
        here = self.rates.get(method or "")
        return here if here is not None and here.tries >= FEW_TRIES else self.overall.get(method or "")

    def fails_here(self, method: str | None) -> bool:
        rate = self.rate_here(method)
        return rate is not None and rate.is_failing

    @property
    def avoid(self) -> frozenset[str]:
        return frozenset(method for method in {*self.rates, *self.overall} if self.fails_here(method))

    @property
    def working(self) -> str | None:
        """The other method that works best right now, where enough customers have tried it."""
        there = {*self.rates, *self.overall} - self.out_of_reach
        others = {method: self.rate_here(method) for method in there if method != self.method}
        good = {method: rate for method, rate in others.items() if rate and rate.tries >= FEW_TRIES}
        fine = [(rate.share or 0, rate.tries, method) for method, rate in good.items() if (rate.share or 0) >= 0.8]
        return max(fine)[2] if fine else None


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "", False) else None
