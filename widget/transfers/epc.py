"""The code of a SEPA credit transfer: EPC069-12, version 2 ("Girocode"). Refuses what the guideline refuses."""

import re

from widget.accounts import EpcAccount
from widget.money import Money
from widget.transfers.references import as_creditor_reference, shown_reference

MAX_BYTES = 331
LOWEST_CENTS, HIGHEST_CENTS = 1, 999_999_999_99
_MAX_TEXT_CHARS = 140


def payload(account: EpcAccount, due: Money, reference: str) -> str:
    """The text in the code. Raises ValueError for an amount or a text that it cannot hold."""
    if due.currency != "EUR" or not LOWEST_CENTS <= due.minor <= HIGHEST_CENTS:
        raise ValueError("an EPC code holds 0.01 to 999999999.99 euro")
    structured = as_creditor_reference(reference) if account.reference == "rf" else ""
    text = "" if structured else shown_reference(reference)
    lines = [
        "BCD",
        "002",
        "1",  # UTF-8
        "SCT",
        account.bic or "",
        account.holder,
        account.iban,
        f"EUR{due.major:.2f}",
        "",  # purpose
        structured,
        text,
    ]
    made = re.sub(r"\n+\Z", "", "\n".join(lines))
    if len(text) > _MAX_TEXT_CHARS or len(made.encode()) > MAX_BYTES:
        raise ValueError("this does not fit into an EPC code")
    return made
