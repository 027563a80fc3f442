"""Verdicts: what kind of stall a symptom is, as pure rules over what is known. The first rule that applies decides."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from widget.attempts import Stage
from widget.stalls import StallKind

# Off by so much, signatures and certificates of banks count as expired or not yet valid. Small skews harm nobody.
CLOCK_IS_OFF_SECONDS = 120
# An attempt that was heard of within this time before another one began is taken to be under way still.
IS_ALIVE_FOR = timedelta(seconds=15)

WALLETS = frozenset({"apple_pay", "google_pay", "samsung_pay"})

# Words of the common providers' decline codes and of their messages.
_DECLINED = re.compile(
    r"declin|\brefus|insufficient.?fund|do.not.hono|card.has.expired|(expired|lost|stolen|pickup|restricted).card"
    r"|(incorrect|invalid)_(cvc|expiry|number|pin|zip)|card_velocity|transaction_not|limit_exceeded|fraud",
    re.IGNORECASE,
)
# Codes of a bank's check that was refused, cancelled or ran out of time.
_UNAUTHENTICATED = re.compile(r"authentication_?(failure|failed|error|cancel|timeout)|three_?d_?s|\b3ds", re.IGNORECASE)


class Symptom(StrEnum):
    """What the page, the frame or the worker saw. The first two say that something went wrong, not yet what."""

    NO_ANSWER = "no_answer"  # the stage lasted past its deadline
    FAILED = "failed"  # the provider or the shop reported a failure
    SDK = "sdk"
    POPUP = "popup"
    DEAD_BUTTON = "dead_button"
    RAGE = "rage"
    OFFLINE = "offline"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Observed:
    """A symptom with everything the verdict depends on."""

    symptom: Symptom
    stage: Stage
    method: str | None = None
    # Of a failure: its code, name and message in one text.
    failure: str = ""
    # Answers that came since Pay from addresses that were not asked before it.
    answers: int = 0
    earlier_leg_paid: bool = False
    earlier_declines: int = 0
    # The browser refused to show the bank's frame.
    frame_denied: bool = False
    was_offline: bool = False
    clock_skew: float = 0
    may_store: bool = True
    in_app: str | None = None

    @property
    def failed(self) -> bool:
        return self.symptom is Symptom.FAILED

    @property
    def is_declined(self) -> bool:
        return self.failed and bool(_DECLINED.search(self.failure))

    @property
    def is_challenge(self) -> bool:
        """Whether the bank's check was not completed: it hangs, its frame was denied, or it is named as the failure."""
        is_checking = self.stage is Stage.AUTHENTICATING and (not self.failed or self.frame_denied)
        return is_checking or (self.failed and bool(_UNAUTHENTICATED.search(self.failure)))


_Rule = Callable[[Observed], bool]

# Certainty first: what happened to money, then what the provider said, then what the device explains, then the rest.
_RULES: dict[StallKind, _Rule] = {
    StallKind.SPLIT: lambda seen: seen.earlier_leg_paid,
    StallKind.DECLINED_AGAIN: lambda seen: seen.is_declined and seen.earlier_declines > 0,
    StallKind.DECLINED: lambda seen: seen.is_declined,
    StallKind.WALLET: lambda seen: seen.method in WALLETS,
    StallKind.CHALLENGE: lambda seen: seen.is_challenge,
    StallKind.OFFLINE: lambda seen: seen.was_offline,
    StallKind.CLOCK: lambda seen: abs(seen.clock_skew) >= CLOCK_IS_OFF_SECONDS,
    StallKind.STORAGE: lambda seen: not seen.may_store,
    StallKind.IN_APP: lambda seen: seen.in_app is not None,
    StallKind.UNSETTLED: lambda seen: not seen.failed and seen.answers > 0,
    StallKind.NO_ANSWER: lambda seen: not seen.failed,
    StallKind.ERROR: lambda seen: seen.failed,
}
_ORDER = list(_RULES)


def verdict(seen: Observed) -> StallKind:
    if seen.symptom not in {Symptom.NO_ANSWER, Symptom.FAILED}:
        return StallKind(seen.symptom.value)
    return next(kind for kind, applies in _RULES.items() if applies(seen))


def finer(known: StallKind, new: StallKind) -> StallKind:
    """The one of two verdicts about the same symptom that comes from the earlier rule.

    What was certain once stays certain: a connection that is back now was still lost when the payment got stuck.
    """
    return min(known, new, key=_ORDER.index) if known in _RULES and new in _RULES else known


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at an order from Pay to its end, as far as it is known."""

    attempt_id: int
    pressed_at: datetime
    ended_at: datetime | None
    seen_at: datetime
    stalled_at: datetime | None
    leg: int | None

    def is_under_way(self, at: datetime) -> bool:
        """Whether a second Pay at this moment meets it: not over, not stuck, and heard of just before."""
        is_over = self.ended_at is not None and self.ended_at <= at
        is_stuck = self.stalled_at is not None and self.stalled_at <= at
        return self.pressed_at <= at and not is_over and not is_stuck and self.seen_at >= at - IS_ALIVE_FOR


def doubled(runs: Sequence[Run]) -> dict[int, int]:
    """The attempts that began while another one at the same order was under way, each with that other one.

    Legs of one split payment may run side by side.
    """
    found: dict[int, int] = {}
    in_order = sorted(runs, key=lambda run: (run.pressed_at, run.attempt_id))
    for number, later in enumerate(in_order):
        for earlier in in_order[:number]:
            are_legs = later.leg is not None and earlier.leg is not None and later.leg != earlier.leg
            if not are_legs and earlier.is_under_way(later.pressed_at):
                found[later.attempt_id] = earlier.attempt_id
    return found
