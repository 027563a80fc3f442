"""Payment methods: their names, the shop's own and ours in the reader's language, and which device cannot have them.

Rules that concern one method ask for it by `known_as`, since pages pass on what their provider's script calls it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widget.browsers import in_app_of, kin_of, maker_of
from widget.language import N_, language_of, say

# By the id that shops give them. Brands are not here: they are called the same everywhere.
_NAMES = {
    "account": N_("Store account"),
    "bank": N_("Bank transfer"),
    "bank_transfer": N_("Bank transfer"),
    "card": N_("Card"),
    "cards": N_("Card"),
    "cash": N_("Cash"),
    "cash_on_delivery": N_("Cash on delivery"),
    "cod": N_("Cash on delivery"),
    "credit_card": N_("Credit card"),
    "debit_card": N_("Debit card"),
    "direct_debit": N_("Direct debit"),
    "eft": N_("Instant EFT"),
    "gift_card": N_("Gift card"),
    "giftcard": N_("Gift card"),
    "invoice": N_("Invoice"),
    "mobile": N_("Mobile payment"),
    "pay_later": N_("Pay later"),
    "store_account": N_("Store account"),
    "store_credit": N_("Store credit"),
    "transfer": N_("Bank transfer"),
    "voucher": N_("Voucher"),
    "wallet": N_("Wallet"),
}
_BRANDS = {
    "amazon_pay": "Amazon Pay",
    "apple_pay": "Apple Pay",
    "google_pay": "Google Pay",
    "ideal": "iDEAL",
    "mpesa": "M-Pesa",
    "paypal": "PayPal",
    "pix": "PIX",
    "samsung_pay": "Samsung Pay",
    "sepa": "SEPA",
    "upi": "UPI",
}
# How Adyen (`paymentMethod.type`), Stripe (`payment_method.type`), Mollie (`method`) and PayPal (`fundingSource`) spell
# them in lower case, by our id. A word that a shop may mean something else by is not here.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "amazon_pay": ("amazonpay",),
    "apple_pay": ("applepay",),
    "bancontact": ("bcmc", "bcmc_mobile"),
    "bank_transfer": ("banktransfer", "banktransfer_iban", "customer_balance"),
    "card": ("cards", "creditcard", "scheme"),
    "direct_debit": (
        *("ach", "acss_debit", "au_becs_debit", "bacs_debit", "directdebit", "directdebit_gb", "us_bank_account"),
    ),
    "gift_card": ("giftcard",),
    "google_pay": ("googlepay", "gpay", "paywithgoogle"),
    "klarna": ("klarna_account", "klarna_paynow", "klarnapaylater", "klarnapaynow", "klarnasliceit"),
    "pay_later": ("paylater",),
    "samsung_pay": ("samsungpay",),
    "sepa": ("sepa_debit", "sepadirectdebit"),
    "upi": ("upi_collect", "upi_intent", "upi_qr"),
}
_KNOWN_AS = {spelling: ours for ours, spellings in _SPELLINGS.items() for spelling in spellings}


def known_as(method: str | None) -> str:
    """What we call the method with this id: a provider's spelling in ours, all else as it is; "" for none."""
    return _KNOWN_AS.get(method or "", method or "")


def own_id(said: str, ids: Sequence[str]) -> str:
    """The one among a shop's ids that what a page says stands for, or else what it says.

    The same id counts first, then one that is spelled alike, then one that means the same. Where two of these could be
    meant, neither is.
    """
    if said in ids:
        return said
    alike = [each for each in ids if each.replace("_", "") == said.replace("_", "")]
    found = alike or [each for each in ids if known_as(each) == known_as(said)]
    return found[0] if len(found) == 1 else said


def spellings_of(own: str, ids: Sequence[str]) -> tuple[str, ...]:
    """What pages may say for one of a shop's ids, beside that id."""
    return tuple(each for each in (*_SPELLINGS, *_KNOWN_AS) if each not in {own, *ids} and own_id(each, ids) == own)


# Where a wallet certainly is not. In desktop browsers of other makers Apple Pay shows a code for the iPhone, and
# Samsung Pay asks the phone, so there they may work.
_WITHOUT_APPLE_PAY = {"android", "linux"}
_WITHOUT_SAMSUNG_PAY = {"ios", "mac"}


def bare(method: str) -> str:
    """The id without what shops and providers spell differently: "apple_pay", "applepay" and "Apple-Pay" are one."""
    return "".join(filter(str.isalnum, method.lower()))


def is_out_of_reach(method: str, user_agent: str | None, facts: Mapping[str, Any] | None = None) -> bool:
    """Whether this browser or device certainly cannot pay by this method; never where that is not known."""
    spelled, system = bare(method), kin_of(user_agent, facts).os
    if "applepay" in spelled:
        return system in _WITHOUT_APPLE_PAY or in_app_of(user_agent) is not None
    if "samsungpay" in spelled:
        is_other_phone = system == "android" and maker_of(user_agent, facts) not in {None, "Samsung"}
        return system in _WITHOUT_SAMSUNG_PAY or is_other_phone
    return False


def name_of(method: str, label: str | None, home: str, locale: str | None) -> str:
    """How this reader calls the method with this id.

    `label` is the shop's name for it, if it has one, in the language of the shop's locale `home`. It stands where the
    reader shares that language, and where we know no name for the method.
    """
    if label and language_of(home) == language_of(locale):
        return label
    known = method if method in _NAMES else known_as(method)
    if known in _NAMES:
        return say(_NAMES[known], locale)
    return label or _BRANDS.get(known) or known.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class MethodName:
    """A method as a value of a sentence, called as each reader calls it; as plain text, as the shop does."""

    method: str
    label: str | None
    home: str

    def shown(self, locale: str | None) -> str:
        return name_of(self.method, self.label, self.home, locale)

    def __str__(self) -> str:
        return self.shown(self.home)
