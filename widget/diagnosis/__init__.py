"""Diagnosis: the probable cause of a stall, as pure rules over what is known. Adding a rule is adding a row."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from widget.advice import GENERIC, Advice
from widget.diagnosis.case import Case, Diagnosis, Side
from widget.diagnosis.kinds import KINDS
from widget.diagnosis.rule import SEEN, Rule, rounded
from widget.diagnosis.rules import RULES
from widget.language import N_, Said
from widget.stalls import StallKind

__all__ = ["KINDS", "RULES", "Case", "Diagnosis", "Side", "diagnose", "diagnose_kind", "rounded"]

_AGAIN = Said(N_("Your bank did not approve this payment, and not the one before. Ask your bank, or pay another way."))
_CUSTOMERS_TURN = {"wrong_number", "wrong_code", "wrong_expiry", "wrong_pin", "wrong_address", "wrong_details"}
_OF_SHOP = {"shop_setup", "wrong_amount", "already_done"}


def diagnose(case: Case) -> Diagnosis:
    """The cause of this case. The bank's word comes first, then the finer rules, then the kind of the stall itself."""
    if case.is_declined and case.advice is not None:
        return _of_decline(case, case.advice)
    rule = next((each for each in (*RULES, *KINDS) if each.when(case)), KINDS[-1])
    return _of_rule(case, rule)


def diagnose_kind(kind: StallKind | None, evidence: Mapping[str, Any] | None = None) -> Diagnosis:
    """What the kind of a stall and its evidence say alone."""
    case = Case(kind=kind or StallKind.ASKED, evidence=evidence or {})
    return _of_rule(case, next(each for each in KINDS if each.when(case)))


def _of_rule(case: Case, rule: Rule) -> Diagnosis:
    return Diagnosis(
        cause=rule.cause,
        side=rule.side,
        said=rule.words(case),
        noted=rule.engineering(case),
        evidence=rule.proof(case),
        confidence=rule.confidence,
        advice=case.advice,
        avoid=case.avoid,
    )


def _of_decline(case: Case, advice: Advice) -> Diagnosis:
    """The same for customer and offers whether the bank gave no reason or suspects fraud; agents read the group."""
    is_plain = advice.is_fraud_like or advice.group == GENERIC.group
    base = _of_rule(case, next(each for each in KINDS if each.when(case)))
    is_again = case.kind is StallKind.DECLINED_AGAIN
    return replace(
        base,
        cause=f"decline:{GENERIC.group if is_plain else advice.group}",
        side=_side_of(advice),
        said=_AGAIN if is_plain and is_again else advice.said,
        noted=" ".join([base.noted, *_codes(case), advice.agent]),
        confidence=SEEN,
        advice=advice,
    )


def _side_of(advice: Advice) -> Side:
    if advice.group in _CUSTOMERS_TURN or advice.group == "cancelled":
        return Side.CUSTOMER
    if advice.group in _OF_SHOP:
        return Side.SHOP
    return Side.PROVIDER if advice.group == "processing_error" else Side.BANK


def _codes(case: Case) -> list[str]:
    """The codes that the provider gave, where the page's own words do not hold them."""
    given = (("Decline code", case.code), ("Network code", case.network_code))
    known = {str(value) for value in case.evidence.values()}
    return [f"{label}: {code}." for label, code in given if code and code not in known]
