"""Diagnosis: the probable cause of a stall, as pure rules over what is known. Adding a rule is adding a row."""

from dataclasses import dataclass
from enum import StrEnum

from widget.stalls import StallKind


class Side(StrEnum):
    CUSTOMER = "customer"
    BANK = "bank"
    PROVIDER = "provider"
    SHOP = "shop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`said` is for the shopper, `noted` for agents and engineers."""

    side: Side
    said: str
    noted: str


_RULES: dict[StallKind, Diagnosis] = {
    StallKind.NO_ANSWER: Diagnosis(
        Side.PROVIDER,
        said="The payment was started, but never completed.",
        noted="The payment promise of the shop's page did not settle within its deadline.",
    ),
    StallKind.DECLINED: Diagnosis(
        Side.BANK,
        said="Your bank did not approve this payment.",
        noted="The provider reported a decline.",
    ),
    StallKind.ERROR: Diagnosis(
        Side.SHOP,
        said="The payment page reported an error.",
        noted="The shop's page reported a failure that is not a decline.",
    ),
    StallKind.ASKED: Diagnosis(
        Side.UNKNOWN,
        said="",
        noted="Nothing was detected; the customer asked for help.",
    ),
}

_NOTHING_SEEN = _RULES[StallKind.ASKED]


def diagnose(kind: StallKind | None) -> Diagnosis:
    return _RULES[kind] if kind else _NOTHING_SEEN
