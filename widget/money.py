"""Amounts in whole minor units, shown in the reader's locale."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision, list_currencies

DEFAULT_LOCALE = "en"
# Nobody checks out for more; a larger number is a mistake of units or an attack on the column.
MAX_MINOR = 10**12


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` is in the currency's smallest unit: 1999 EUR is 19.99 euro, 500 JPY is 500 yen."""

    minor: int
    currency: str

    @property
    def major(self) -> Decimal:
        return Decimal(self.minor).scaleb(-get_currency_precision(self.currency))

    def shown(self, locale: str | None) -> str:
        return format_currency(self.major, self.currency, locale=known_locale(locale))


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())


def is_currency(code: str) -> bool:
    return code in _currencies()


def locale_for(reader: str, shop: str) -> str:
    """The reader's locale; the shop's where both write the same language, so that amounts look as at the checkout."""
    theirs, home = known_locale(reader or shop), known_locale(shop)
    return home if theirs.split("_")[0] == home.split("_")[0] else theirs


def known_locale(tag: str | None) -> str:
    """The locale in Babel's spelling, or the default when Babel does not know it."""
    if not tag:
        return DEFAULT_LOCALE
    for candidate in (tag, tag.replace("_", "-").split("-")[0]):
        try:
            return str(Locale.parse(candidate.replace("_", "-"), sep="-"))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return DEFAULT_LOCALE
