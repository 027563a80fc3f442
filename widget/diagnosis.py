"""Diagnosis: the probable cause of a stall, as pure rules over what is known. Adding a rule is adding a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class _Rule:
    """`measured` are sentences over the stall's evidence; one whose figures are not there is left out."""

    side: Side
    said: str
    noted: str
    measured: tuple[str, ...] = ()


_FAILURE = ("It said {code}.", "It said: {message}")
# What is said about the cause follows the sentence about the charge, so none of these speaks of money that moved.
_RULES: dict[StallKind, _Rule] = {
    StallKind.FROZEN: _Rule(
        Side.SHOP,
        said="The payment page stopped responding.",
        noted="The main thread of the shop’s page was blocked.",
        measured=("The page was silent for {silent_ms} ms when this was noticed.", "It lasted {frozen_ms} ms."),
    ),
    StallKind.NO_ANSWER: _Rule(
        Side.PROVIDER,
        said="The payment was started, but no answer came.",
        noted="Nothing that the page asked for since Pay was answered within the deadline.",
        measured=("It waited {seconds} s.", "Failing: {failing}."),
    ),
    StallKind.UNSETTLED: _Rule(
        Side.SHOP,
        said="The payment was started, but the page did not finish it.",
        noted="Answers came, but the payment promise of the shop’s page did not settle within its deadline.",
        measured=("It waited {seconds} s.", "Answers since Pay: {answered}.", "Failing: {failing}."),
    ),
    StallKind.SDK: _Rule(
        Side.PROVIDER,
        said="The payment form did not load.",
        noted="The provider’s script is blocked, missing, hanging or without its global.",
        measured=("Host: {host}.", "Why: {why}.", "Status: {status}."),
    ),
    StallKind.WALLET: _Rule(
        Side.PROVIDER,
        said="The wallet did not complete the payment.",
        noted="The wallet failed or did not answer, and not by a decline.",
        measured=("Wallet: {wallet}.", *_FAILURE),
    ),
    StallKind.CHALLENGE: _Rule(
        Side.BANK,
        said="Your bank’s security check was not completed.",
        noted="The bank’s check hung, failed, or its frame was refused.",
        measured=("It waited {seconds} s.", *_FAILURE),
    ),
    StallKind.NO_RETURN: _Rule(
        Side.PROVIDER,
        said="You left the shop to pay, and the payment page has heard nothing since.",
        noted="The customer left for the bank or the provider, and the page never came back.",
        measured=("Nothing was heard for {silent_seconds} s.",),
    ),
    StallKind.POPUP: _Rule(
        Side.CUSTOMER,
        said="Your browser did not open the window in which you pay.",
        noted="The browser blocked the provider’s window.",
    ),
    StallKind.SPLIT: _Rule(
        Side.PROVIDER,
        said="The other part did not go through.",
        noted="An earlier leg of the order was paid, and a later one is stuck. Never ask for the whole amount.",
        measured=("Leg {leg} of {legs} is stuck.", "Paid before: {first[method]}.", *_FAILURE),
    ),
    StallKind.DECLINED: _Rule(
        Side.BANK,
        said="Your bank did not approve this payment.",
        noted="The provider reported a decline.",
        measured=_FAILURE,
    ),
    StallKind.DECLINED_AGAIN: _Rule(
        Side.BANK,
        said="Your bank did not approve this payment, and not the one before. Ask your bank, or pay another way.",
        noted="The provider reported a decline of this order more than once.",
        measured=("Declines so far: {declines}.", *_FAILURE),
    ),
    StallKind.ERROR: _Rule(
        Side.SHOP,
        said="The payment page reported an error.",
        noted="The shop’s page reported a failure that is not a decline.",
        measured=_FAILURE,
    ),
    StallKind.DEAD_BUTTON: _Rule(
        Side.SHOP,
        said="The Pay button did not respond.",
        noted="Pay was pressed and nothing followed: no attempt, no request, no change of the form.",
    ),
    StallKind.RAGE: _Rule(
        Side.SHOP,
        said="Pay was pressed, but the payment did not go on.",
        noted="Pay was pressed again and again without progress.",
        measured=("Times: {count}.",),
    ),
    StallKind.OFFLINE: _Rule(
        Side.CUSTOMER,
        said="The internet connection was lost during the payment.",
        noted="The browser was offline, or lost its connection several times, after Pay.",
    ),
    StallKind.STORAGE: _Rule(
        Side.CUSTOMER,
        said="Your browser blocks cookies or storage, which this payment needs.",
        noted="The browser lets the page keep nothing, so what comes back from a bank may not be matched.",
    ),
    StallKind.IN_APP: _Rule(
        Side.CUSTOMER,
        said="This page is open inside another app, where some payments do not work. Open it in your browser.",
        noted="The page runs in the built-in browser of another app.",
        measured=("App: {app}.",),
    ),
    StallKind.CLOCK: _Rule(
        Side.CUSTOMER,
        said="The clock of your device is wrong, and banks can refuse a payment because of that.",
        noted="The clock of the device is off, so signatures and certificates may count as invalid.",
        measured=("Off by {clock_skew} s.",),
    ),
    StallKind.DOUBLE: _Rule(
        Side.SHOP,
        said="Two payments for this order were started at the same time. Leave the other one alone.",
        noted="Pay was pressed while another attempt at the same order was under way.",
        measured=("It came {seconds_after} s after the other one.",),
    ),
    StallKind.CLOSED: _Rule(
        Side.CUSTOMER,
        said="The payment page was closed before the payment ended.",
        noted="The page said goodbye in the middle of a payment and did not come back.",
        measured=("Nothing was heard for {silent_seconds} s.",),
    ),
    StallKind.SILENT: _Rule(
        Side.UNKNOWN,
        said="We lost contact with the payment page before the payment ended.",
        noted="The page fell silent without goodbye: crashed, killed or cut off.",
        measured=("Nothing was heard for {silent_seconds} s; it was last {presence}.",),
    ),
    StallKind.ASKED: _Rule(
        Side.UNKNOWN,
        said="",
        noted="Nothing was detected; the customer asked for help.",
    ),
}


def diagnose(kind: StallKind | None, evidence: Mapping[str, Any] | None = None) -> Diagnosis:
    rule = _RULES[kind or StallKind.ASKED]
    known = {name: value for name, value in (evidence or {}).items() if value not in (None, "")}
    return Diagnosis(rule.side, rule.said, " ".join([rule.noted, *_filled(rule.measured, known)]))


def _filled(sentences: tuple[str, ...], known: dict[str, Any]) -> list[str]:
    filled = []
    for sentence in sentences:
        try:
            filled.append(sentence.format_map(known))
        except (KeyError, IndexError, TypeError):
            continue
    return filled
