"""Amounts as providers write them: decimal strings, or whole numbers with the provider's own count of decimals.

`Money.minor` follows Unicode's currency data, which differs from what some providers expect (RSD, CLP, HUF). So every
amount passes through its decimal value, never from one kind of minor unit straight into another.
"""

from decimal import Decimal, InvalidOperation

from babel.numbers import get_currency_precision

from widget.money import MAX_MINOR, Money, is_currency
from widget.providers import ProviderDown, ProviderRefused


def written(money: Money, decimals: int) -> str:
    """The amount with this many decimals, such as "12.50". Raises ProviderRefused when some of it would be lost."""
    return f"{_exact(money, decimals):.{decimals}f}"


def whole(money: Money, decimals: int) -> int:
    """The amount in units of 10^-decimals. Raises ProviderRefused when some would be lost."""
    return int(_exact(money, decimals).scaleb(decimals))


def read(value: object, currency: object) -> Money:
    """The money of a decimal string such as "12.50". Raises ProviderDown for anything else."""
    if not isinstance(value, str) or not value.isascii():
        raise ProviderDown("The provider's answer has an amount of an unknown shape.")
    try:
        return _money(Decimal(value), currency)
    except InvalidOperation:
        raise ProviderDown("The provider's answer has an amount of an unknown shape.") from None


def read_whole(value: object, decimals: int, currency: object) -> Money:
    """The money of a whole number of units of 10^-decimals. Raises ProviderDown for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**18:
        raise ProviderDown("The provider's answer has an amount of an unknown shape.")
    return _money(Decimal(value).scaleb(-decimals), currency)


def _exact(money: Money, decimals: int) -> Decimal:
    rounded = round(money.major, decimals)
    if rounded != money.major:
        raise ProviderRefused(f"The provider takes {money.currency} with {decimals} decimals only.")
    return rounded


def _money(major: Decimal, currency: object) -> Money:
    if not isinstance(currency, str) or not is_currency(currency):
        raise ProviderDown("The provider's answer has an unknown currency.")
    minor = major.scaleb(get_currency_precision(currency)) if major.is_finite() else Decimal("NaN")
    # A fraction of our smallest unit cannot be kept, and rounding would invent money.
    if not minor.is_finite() or abs(minor) > MAX_MINOR or minor != minor.to_integral_value():
        raise ProviderDown("The provider's answer has an amount that cannot be kept.")
    return Money(int(minor), currency)
