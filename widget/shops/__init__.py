"""Shops: who embeds Unjam, what they allow, and the keys that prove it is them. Strictly apart from one another."""

from widget.shops.keys import (
    RETIRED_KEY_LIVES,
    KeyKind,
    by_api_key,
    live_secrets,
    retired_secrets,
    rotate_key,
    signature_for,
)
from widget.shops.profile import SETTABLE_DEADLINES, Contact, Method, Profile, origin_of
from widget.shops.shop import Shop, add, all_of_them, by_site, by_site_even_disabled, change

__all__ = [
    "RETIRED_KEY_LIVES",
    "SETTABLE_DEADLINES",
    "Contact",
    "KeyKind",
    "Method",
    "Profile",
    "Shop",
    "add",
    "all_of_them",
    "by_api_key",
    "by_site",
    "by_site_even_disabled",
    "change",
    "live_secrets",
    "origin_of",
    "retired_secrets",
    "rotate_key",
    "signature_for",
]
