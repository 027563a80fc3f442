"""Amounts in whole minor units, shown in the reader's locale."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel.numbers import format_currency, get_currency_precision, get_currency_symbol, list_currencies

from widget.language import direction, known_locale

# Nobody checks out for more; a larger number is a mistake of units or an attack on the column.
MAX_MINOR = 10**12
_LEFT_TO_RIGHT = "\u2066{}\u2069"


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` is in the currency's smallest unit: 1999 EUR is 19.99 euro, 500 JPY is 500 yen."""

    minor: int
    currency: str

    @property
    def major(self) -> Decimal:
        return Decimal(self.minor).scaleb(-get_currency_precision(self.currency))

    def shown(self, locale: str | None) -> str:
        reader = known_locale(locale)
        shown = format_currency(self.major, self.currency, locale=reader)
        symbol = get_currency_symbol(self.currency, locale=reader)
        # From right to left, the sign of R$ would come before its letter.
        is_latin = direction(locale) == "rtl" and symbol[:1].isascii() and symbol[:1].isalpha()
        return shown.replace(symbol, _LEFT_TO_RIGHT.format(symbol)) if is_latin else shown


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())


def is_currency(code: str) -> bool:
    return code in _currencies()


def currency_code(text: str) -> str:
    """The text, which is a code of ISO 4217. Raises ValueError."""
    if not is_currency(text):
        raise ValueError("must be an ISO 4217 code such as EUR")
    return text
