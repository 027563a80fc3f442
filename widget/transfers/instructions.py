"""What a customer needs to transfer the money of an order: the lines of the account, the reference, the code."""

import re
from dataclasses import dataclass
from datetime import datetime

from babel.numbers import format_decimal, get_currency_precision
from sqlalchemy.orm import Session
from stdnum import iban as ibans
from stdnum.ch import esr

from widget import accounts
from widget.accounts import BankAccount, EftAccount, EpcAccount, PixAccount, SwissAccount, UpiAccount
from widget.attempts import Attempt
from widget.errors import Refused
from widget.language import N_, known_locale
from widget.money import Money
from widget.orders import Order
from widget.shops import Profile, Shop
from widget.transfers import eft, epc, picture, pix, swiss, transfer, upi
from widget.transfers.references import as_creditor_reference, as_qr_reference, shown_reference
from widget.transfers.transfer import Transfer

_PIX_KEYS = {
    "cpf": N_("PIX key (CPF)"),
    "cnpj": N_("PIX key (CNPJ)"),
    "phone": N_("PIX key (phone)"),
    "email": N_("PIX key (e-mail)"),
    "random": N_("PIX key (random)"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to enter at the bank: its name (a message id), how it is shown, and what is copied."""

    label: str
    shown: str
    copied: str
    # Whether it reads from left to right in every language.
    is_code: bool = True


@dataclass(frozen=True, slots=True)
class Instructions:
    transfer: Transfer
    lines: tuple[Line, ...]
    amount: Money
    # As the customer writes it for this kind of account, in groups.
    reference: str
    # What kind of code it is: epc, swiss, pix, upi or snapscan; None without one.
    qr_kind: str | None
    # An inline SVG, and the same as a picture to keep.
    qr: str | None
    picture: str | None
    # A link that opens the payment in an app on this device, and a text to paste into one.
    link: str | None
    paste: str | None
    expires_at: datetime
    # Fewest and most working days until it arrives.
    days: tuple[int, int]

    @property
    def is_announced(self) -> bool:
        return self.transfer.announced_at is not None and self.transfer.is_open


def can_take(profile: Profile, currency: str) -> bool:
    """Whether the shop has an account for this currency."""
    return accounts.suited(profile.bank_accounts, currency) is not None


def instructions(
    session: Session,
    shop: Shop,
    attempt: Attempt,
    order: Order,
    now: datetime,
    locale: str,
    due: Money | None = None,
) -> Instructions:
    """How to transfer what is due of this order (all of it, unless `due` says less). Asked again, it is the same.

    Raises Refused when the shop has no account for the currency, or when the order is paid.
    """
    due = due or order.due
    account = accounts.suited(shop.settled.bank_accounts, due.currency, _country(locale))
    if account is None or order.paid_at is not None:
        raise Refused(N_("This order cannot be paid by bank transfer. Choose another way."))
    given = transfer.open_for(session, attempt, order, account.scheme, due, now)
    # The account that was given out first stays, whatever language the customer reads now.
    account = next((each for each in shop.settled.bank_accounts if _is_of(each, given)), account)
    return _made(account, given, locale=locale)


def _made(account: BankAccount, given: Transfer, *, locale: str) -> Instructions:
    kind, code = _code(account, given)
    written = _reference(account, given.reference)
    return Instructions(
        transfer=given,
        lines=(
            *_lines(account),
            _line(N_("Transfer reference"), written),
            Line(N_("Amount"), given.due.shown(locale), _typed(given.due, locale), is_code=False),
        ),
        amount=given.due,
        reference=written,
        qr_kind=kind,
        qr=picture.code_of(code, has_cross=kind == "swiss") if code else None,
        picture=picture.png_of(code) if code and kind in {"epc", "pix"} else None,
        link=code if kind in {"upi", "snapscan"} else None,
        paste=code if kind == "pix" else None,
        expires_at=given.expires_at,
        days=account.days,
    )


def _code(account: BankAccount, given: Transfer) -> tuple[str | None, str | None]:
    """The kind of code and its text; none of both where the account has none or it cannot hold this amount."""
    try:
        match account:
            case EpcAccount():
                return "epc", epc.payload(account, given.due, given.reference)
            case SwissAccount():
                return "swiss", swiss.payload(account, given.due, given.reference)
            case PixAccount():
                return "pix", pix.payload(account, given.due, given.reference)
            case UpiAccount():
                return "upi", upi.payload(account, given.due, given.reference)
            case EftAccount():
                return "snapscan", eft.payload(account, given.due, given.reference)
    except ValueError:
        return None, None


def _lines(account: BankAccount) -> tuple[Line, ...]:
    holder = Line(N_("Account holder"), account.holder, account.holder, is_code=False)
    match account:
        case EpcAccount():
            bic = (_line(N_("BIC"), account.bic),) if account.bic else ()
            return (holder, _line("IBAN", str(ibans.format(account.iban)), account.iban), *bic)
        case SwissAccount():
            street = f"{account.street} {account.house_number}".strip()
            address = ", ".join(part for part in (street, f"{account.postcode} {account.city}") if part)
            return (
                holder,
                _line("IBAN", str(ibans.format(account.iban)), account.iban),
                Line(N_("Address of the holder"), address, address, is_code=False),
            )
        case PixAccount():
            return (holder, _line(_PIX_KEYS[account.key_kind], account.key))
        case UpiAccount():
            return (holder, _line(N_("UPI address"), account.address))
        case EftAccount():
            of_kind = account.account_type
            return (
                Line(N_("Bank"), account.bank, account.bank, is_code=False),
                holder,
                _line(N_("Account number"), account.account_number),
                _line(N_("Branch code"), account.branch_code),
                *((Line(N_("Account type"), of_kind, of_kind, is_code=False),) if of_kind else ()),
            )


def _line(label: str, shown: str, copied: str | None = None) -> Line:
    """A code: what is copied has no spaces, as forms of banks do not like them."""
    return Line(label, shown, copied or re.sub(r"\s", "", shown))


def _typed(due: Money, locale: str) -> str:
    """As people type an amount: with the decimal mark of their language, and nothing between the thousands."""
    return format_decimal(due.major, f"0.{'0' * get_currency_precision(due.currency)}", known_locale(locale))


def _reference(account: BankAccount, reference: str) -> str:
    """As it is read from this screen and typed at the bank."""
    if isinstance(account, SwissAccount) and account.is_qr_iban:
        return str(esr.format(as_qr_reference(reference)))
    if isinstance(account, EpcAccount | SwissAccount) and account.reference == "rf":
        written = as_creditor_reference(reference)
        return " ".join(written[at : at + 4] for at in range(0, len(written), 4))
    return shown_reference(reference)


def _is_of(account: BankAccount, given: Transfer) -> bool:
    return account.scheme == given.scheme and account.currency == given.currency


def _country(locale: str) -> str | None:
    parts = known_locale(locale).split("_")
    return next((part for part in parts[1:] if len(part) == 2), None)
