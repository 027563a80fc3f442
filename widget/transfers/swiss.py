"""The code of a Swiss QR-bill (Implementation Guidelines 2.3), with a QR reference, a creditor reference or a text."""

from decimal import Decimal
from typing import Any

from widget.accounts import SwissAccount
from widget.money import Money
from widget.transfers.references import as_creditor_reference, as_qr_reference, shown_reference

LOWEST_CENTS, HIGHEST_CENTS = 1, 999_999_999_99


def payload(account: SwissAccount, due: Money, reference: str) -> str:
    """The text in the code. Raises ValueError for an amount or an address that it cannot hold."""
    if due.currency != account.currency or not LOWEST_CENTS <= due.minor <= HIGHEST_CENTS:
        raise ValueError(f"this QR-bill holds 0.01 to 999999999.99 {account.currency}")
    # It brings a drawing library along, which only shops with such an account should load.
    from qrbill import QRBill  # type: ignore[import-untyped]

    structured = structured_reference(account, reference)
    bill: Any = QRBill(
        account=account.iban,
        creditor={
            "name": account.holder,
            "street": account.street,
            "house_num": account.house_number,
            "pcode": account.postcode,
            "city": account.city,
            "country": account.country,
        },
        amount=Decimal(f"{due.major:.2f}"),
        currency=account.currency,
        reference_number=structured,
        additional_information="" if structured else shown_reference(reference),
    )
    return str(bill.qr_data())


def structured_reference(account: SwissAccount, reference: str) -> str | None:
    """How the reference is written for this account, without spaces; None where it goes into the message."""
    if account.is_qr_iban:
        return as_qr_reference(reference)
    return as_creditor_reference(reference) if account.reference == "rf" else None
