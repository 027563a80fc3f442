"""A story of the demo: what can happen to a payment, what the visitor reads of it, and what Unjam should notice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.stalls import StallKind


class Group(StrEnum):
    WELL = "Goes well"
    CONNECTION = "Connection"
    PAGE = "Page"
    PROVIDER = "Provider"
    BANK = "Bank"
    WALLET = "Wallet"
    SPLIT = "Split payment"
    MONEY = "Money and amounts"
    BROWSER = "Browser and device"
    PLAIN = "Without JavaScript of the shop"


class Mode(StrEnum):
    """How the page is set up, where that cannot wait until Pay is pressed."""

    USUAL = "usual"
    SDK = "sdk"  # the provider's script has to load first
    NO_FRAMES = "no_frames"  # the page's policy forbids the provider's frames
    PLAIN = "plain"  # a plain form, watched by Unjam's no-code mode


@dataclass(frozen=True, slots=True)
class Story:
    """`kind` and `stage` are what Unjam should notice, None where it should notice nothing.

    `reaches` is how far the payment comes at the provider, None when the provider never hears of it.
    """

    group: Group
    label: str
    explanation: str
    kind: StallKind | None = None
    stage: Stage | None = None
    reaches: PaymentStatus | None = None
    hangs: bool = False
    mode: Mode = Mode.USUAL
    # Chosen beforehand; None leaves what is chosen.
    method: str | None = None
    # What the provider adds when it is asked: code, network_code, advice, is_reversed.
    told: Mapping[str, str | bool] = field(default_factory=dict)
    # So much more than the order is worth is taken, in minor units; less where it is negative.
    excess: int = 0
    # A second payment of the same order is taken, too.
    is_twice: bool = False

    @property
    def expected(self) -> str:
        return f"{self.kind.value} at {self.stage.value}" if self.kind and self.stage else "nothing"
