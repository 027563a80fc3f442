"""Names of payment methods: the shop's own, and ours in the reader's language where the shop writes another one."""

from dataclasses import dataclass

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
    "apple_pay": "Apple Pay",
    "applepay": "Apple Pay",
    "google_pay": "Google Pay",
    "googlepay": "Google Pay",
    "ideal": "iDEAL",
    "mpesa": "M-Pesa",
    "paypal": "PayPal",
    "pix": "PIX",
    "samsung_pay": "Samsung Pay",
    "samsungpay": "Samsung Pay",
    "sepa": "SEPA",
    "upi": "UPI",
}


def name_of(method: str, label: str | None, home: str, locale: str | None) -> str:
    """How this reader calls the method with this id.

    `label` is the shop's name for it, if it has one, in the language of the shop's locale `home`. It stands where the
    reader shares that language, and where we know no name for the method.
    """
    if label and language_of(home) == language_of(locale):
        return label
    if method in _NAMES:
        return say(_NAMES[method], locale)
    return label or _BRANDS.get(method) or method.replace("_", " ").capitalize()


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
