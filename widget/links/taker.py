"""Whose page takes the money of a payment link: a provider's, or one of the shop's own."""

from decimal import Decimal
from urllib.parse import quote

from widget.money import Money
from widget.orders import Order
from widget.providers import ADAPTERS
from widget.shops import Profile


def provider_for(profile: Profile, provider: str | None) -> str | None:
    """The provider that takes payments by link for an attempt with this one: its own, else the first that can.

    A setting `"links": false` says that a provider takes none; the shop's own endpoint does only with `"links": true`.
    """
    known = ((name, config) for name, config in profile.providers.items() if name in ADAPTERS)
    able = [name for name, config in known if config.get("links", name != "shop")]
    return provider if provider in able else next(iter(able), None)


def takes_links(profile: Profile, provider: str | None) -> bool:
    """Whether a payment link can be offered at all."""
    return provider_for(profile, provider) is not None or profile.link_template is not None


def own_page(profile: Profile, order: Order, due: Money) -> str | None:
    """The shop's own page that takes this payment, where it has one. Amounts as 1234.50."""
    if profile.link_template is None:
        return None
    digits = max(0, -int(due.major.as_tuple().exponent))
    values = {"{order}": order.reference, "{amount}": f"{Decimal(due.major):.{digits}f}", "{currency}": due.currency}
    address = profile.link_template
    for place, value in values.items():
        address = address.replace(place, quote(value, safe=""))
    return address
