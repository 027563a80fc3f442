"""Advice: what a decline code means for the customer and for agents, whether to try again, and what to offer instead.

One table of groups, and one table of codes for each provider and for the card networks. Adding a code is adding a row.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from widget.advice import adyen, iso8583, mollie, paypal, stripe
from widget.advice.groups import GENERIC, GROUPS, Advice, Again
from widget.providers import Retry

__all__ = ["GENERIC", "GROUPS", "TABLES", "Advice", "Again", "advice_for", "spelled"]

TABLES: dict[str, Mapping[str, str]] = {
    "stripe": stripe.CODES,
    "adyen": adyen.CODES,
    "paypal": paypal.CODES,
    "mollie": mollie.CODES,
    "iso8583": iso8583.CODES,
}
# Of a provider without a table of its own: words that mean the same everywhere, and no bare numbers.
_COMMON: dict[str, str] = {
    code: group
    for table in (mollie.CODES, paypal.CODES, adyen.CODES, stripe.CODES)
    for code, group in table.items()
    if not any(char.isdigit() for char in code)
}
# What may be said of a payment that went on all the same.
_NO_REFUSALS = {"already_done", "cancelled", "expired_session", "needs_authentication"}
_RESPONSE_CODE = re.compile(r"\s*([0-9A-Z]{2})(?![0-9A-Za-z])")
_ODD = re.compile(r"[^a-z0-9]+")
# Whose words ask the customer to try the same again.
_ASKED_FOR = {Again.NOW, Again.WITH_BANK, Again.RETYPED, Again.SOON}
_AGAIN = {Retry.NEVER: Again.NEVER, Retry.LATER: Again.LATER, Retry.AFTER_CHANGE: Again.AFTER_CHANGE}


def advice_for(
    provider: str | None, code: str | None, network_code: str | None = None, retry: Retry | None = None
) -> Advice | None:
    """What to make of a decline; None when no code was given. An unknown code gets the careful generic advice.

    `network_code` is the card network's own ("51", "05 : Do not honor"), `retry` what the provider itself advises.
    The more exact of the two codes decides, and suspicion of fraud wins over both.
    """
    if not code and not network_code:
        return None
    networks = _network_code(network_code) or (_network_code(code) if provider not in TABLES else None)
    said = _of_provider(provider, code)
    found = _decisive(said, GROUPS.get(iso8583.CODES.get(networks or "", "")))
    if found.is_fraud_like:
        return found
    if retry is Retry.NEVER or _is_forbidden(networks, said):
        return _for_good(found)
    # What the provider says about trying again is news only where the code itself leaves it open.
    return replace(found, retry=_AGAIN[retry]) if retry is not None and found.group == GENERIC.group else found


def is_decline(provider: str | None, code: str | None) -> bool:
    """Whether this code says that the payment was refused, so that nothing was taken. An error may have come later."""
    group = TABLES.get(provider or "", _COMMON).get(spelled(code))
    return group is not None and group not in _NO_REFUSALS and not GROUPS[group].is_technical


def spelled(code: str | None) -> str:
    """A code as the tables write it: small letters, digits and underscores."""
    return _ODD.sub("_", (code or "").lower()).strip("_")


def _of_provider(provider: str | None, code: str | None) -> Advice:
    table = TABLES.get(provider or "", _COMMON)
    return GROUPS[table.get(spelled(code), GENERIC.group)]


def _decisive(said: Advice, networks: Advice | None) -> Advice:
    if networks is None or said.is_fraud_like:
        return said
    return networks if networks.is_fraud_like or said is GENERIC else said


def _network_code(code: str | None) -> str | None:
    """The two signs of ISO 8583 at the beginning of what an acquirer wrote."""
    found = _RESPONSE_CODE.match((code or "").upper())
    return found[1] if found else None


def _is_forbidden(networks: str | None, said: Advice) -> bool:
    """Whether the network forbids another try. Where the provider says that the number is wrong, only with that one."""
    is_mistyped = networks in iso8583.NEVER_AS_TYPED and said.group == "wrong_number"
    return networks in iso8583.NEVER and not is_mistyped


def _for_good(found: Advice) -> Advice:
    """The same without another try: words that ask for one give way to those of a plain decline."""
    prefers = tuple(kind for kind in found.prefers if kind != "retry") or GENERIC.prefers
    said = GENERIC.said if found.retry in _ASKED_FOR else found.said
    return replace(found, said=said, retry=Again.NEVER, prefers=prefers)
