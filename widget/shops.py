"""Shops: who embeds Unjam, what they allow, and the keys that prove it is them. Strictly apart from one another."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import available_timezones

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import openings
from widget.accounts import BankAccount
from widget.database import Base, Id, Instant, JsonObject, Key, Line, Word, to
from widget.errors import Malformed, Unauthorised, UnknownSite
from widget.methods import MethodName
from widget.openings import Opening

SITE_KEY = re.compile(r"[a-z0-9][a-z0-9-]{1,39}\Z")
RETIRED_KEY_LIVES = timedelta(days=7)

# The deadlines a shop may set, and between which seconds. The lowest are for trying things out: a page sends a pulse
# every 4 s and beats four times a second, so that less than three of these would take a hiccup for a stall.
SETTABLE_DEADLINES: dict[str, tuple[float, float]] = {
    "sdk": (0.2, 300),
    "submitted": (0.2, 300),
    "authenticating": (0.2, 1800),
    "confirming": (0.2, 300),
    "silent": (1, 300),
    "closed": (1, 3600),
    "away": (1, 86400),
    "hidden": (1, 86400),
    "frozen": (0.5, 60),
    "dead": (0.5, 60),
}


class KeyKind(StrEnum):
    SIGNING = "signing"  # HMAC secret of the shop's server for order context; needed in clear to verify
    API = "api"  # bearer key for /api/v1; only its SHA-256 is kept
    HOOK = "hook"  # HMAC secret of what we tell the shop's server; needed in clear to sign


class Shop(Base):
    __tablename__ = "shops"

    id: Mapped[Id]
    site: Mapped[Key] = mapped_column(unique=True)
    name: Mapped[Word]
    profile: Mapped[JsonObject]
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None]

    @property
    def settled(self) -> "Profile":
        """The profile, read once for as long as the stored one stays the same."""
        held: tuple[dict[str, Any], Profile] | None = self.__dict__.get("_settled")
        if held is None or held[0] is not self.profile:
            held = self.__dict__["_settled"] = (self.profile, Profile.model_validate(_readable(self.profile)))
        return held[1]


class ShopKey(Base):
    __tablename__ = "shop_keys"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops")
    kind: Mapped[Key]
    secret: Mapped[Line]
    created_at: Mapped[Instant]
    # Still accepted until then, so that a rotation does not break a checkout that is open.
    retires_at: Mapped[Instant | None]

    __table_args__ = (sa.Index("ix_shop_keys_kind_secret", "kind", "secret"),)


class Method(BaseModel):
    """A payment method the shop offers, e.g. {"id": "eft", "label": "Instant EFT"}."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    label: str = Field(min_length=1, max_length=60)


class Contact(BaseModel):
    """A way to reach a person. `value` is a phone number or an address that the browser opens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["phone", "chat", "messenger"]
    label: str = Field(min_length=1, max_length=60)
    value: str = Field(min_length=3, max_length=300)

    @property
    def href(self) -> str:
        return "tel:" + re.sub(r"[^\d+]", "", self.value) if self.kind == "phone" else self.value

    @field_validator("value")
    @classmethod
    def _opens_safely(cls, value: str, info: Any) -> str:
        if info.data.get("kind") != "phone" and urlsplit(value).scheme not in {"https", "http"}:
            raise ValueError("chat and messenger contacts need an https:// address")
        return value


class Profile(BaseModel):
    """Everything about a shop that its merchant decides. Stored as JSON; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    allowed_origins: tuple[str, ...] = ()
    # Where an order can be paid again; {order} and {method} are filled in, percent-encoded.
    checkout_url: str | None = None
    methods: tuple[Method, ...] = ()
    contacts: tuple[Contact, ...] = ()
    hours: tuple[Opening, ...] = ()
    time_zone: str = "UTC"
    locale: str = "en"
    answer_within_hours: int = Field(default=24, ge=1, le=240)
    colour: str = Field(default="#1f5eff", pattern=r"^#[0-9a-f]{6}$")
    # Provider name -> its settings, as that provider's adapter describes them.
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    payment_link_hours: int = Field(default=24, ge=1, le=24 * 30)
    reminder_after_minutes: int | None = Field(default=None, ge=1)
    rating_after_minutes: int | None = Field(default=None, ge=0)
    # The shop’s own page that takes a payment; {order}, {amount} (as 1234.50) and {currency} are filled in.
    link_template: str | None = None
    # Accounts that customers may transfer to.
    bank_accounts: tuple[BankAccount, ...] = ()
    # For how many hours an order is kept when the customer wants to pay later; None does not offer it.
    hold_hours: int | None = Field(default=72, ge=1, le=24 * 30)
    # Whether customers may ask to be called back.
    calls_back: bool = False
    # Where we tell the shop's server what it must know (see `hooks`).
    hook_url: str | None = None
    # An order context signed longer ago than this is not vouched for any more; None takes any, also undated ones.
    signature_hours: int | None = Field(default=None, ge=1, le=24 * 30)
    # After an interrupted payment, the customer is written to this much later; None never.
    interrupted_after_minutes: int | None = Field(default=10, ge=1)
    # Seconds by stage or by limit of the switch (see SETTABLE_DEADLINES); absent ones are learned, or as shipped.
    deadlines: dict[str, float] = Field(default_factory=dict)

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin_of(origin) for origin in origins)

    @field_validator("checkout_url")
    @classmethod
    def _has_order(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"https", "http"} or "{order}" not in value):
            raise ValueError("must be an http(s) address that contains {order}")
        return value

    @field_validator("hook_url")
    @classmethod
    def _can_be_told(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"https", "http"} or not urlsplit(value).hostname):
            raise ValueError("must be an http(s) address of the shop's server")
        return value

    @field_validator("link_template")
    @classmethod
    def _names_the_order(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"https", "http"} or "{order}" not in value):
            raise ValueError("must be an http(s) address that contains {order}")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in _time_zones():
            raise ValueError("must be an IANA time zone such as Africa/Johannesburg")
        return value

    @field_validator("deadlines")
    @classmethod
    def _are_sane(cls, deadlines: dict[str, float]) -> dict[str, float]:
        for name, seconds in deadlines.items():
            if name not in SETTABLE_DEADLINES:
                raise ValueError(f"{name!r} is no deadline; there are {', '.join(SETTABLE_DEADLINES)}")
            low, high = SETTABLE_DEADLINES[name]
            if not low <= seconds <= high:
                raise ValueError(f"{name} is between {low:g} and {high:g} seconds, not {seconds:g}")
        return deadlines

    def is_open(self, at: datetime) -> bool:
        """Whether a person answers now. A shop without hours answers any time it has contacts."""
        if not self.hours:
            return True
        return any(opens <= at for opens, _closes in openings.spans(self.hours, self.time_zone, at))

    def checkout_for(self, order: str, method: str = "") -> str | None:
        """Where this order can be paid in the shop, with a method preselected."""
        if self.checkout_url is None:
            return None
        return self.checkout_url.replace("{order}", quote(order, safe="")).replace("{method}", quote(method, safe=""))

    def method_label(self, method: str | None) -> str | None:
        """The shop's name for a method, or a readable form of its id."""
        known = {each.id: each.label for each in self.methods}
        return known.get(method, method.replace("_", " ").capitalize()) if method else None

    def method_name(self, method: str) -> MethodName:
        """The same for a reader of any language."""
        known = {each.id: each.label for each in self.methods}
        return MethodName(method, known.get(method), self.locale)


def _readable(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored profile with the deadlines that may be set today: an older one must not stop the shop's help."""
    deadlines = stored.get("deadlines")
    known = deadlines.items() if isinstance(deadlines, dict) else ()
    kept = [(name, value) for name, value in known if name in SETTABLE_DEADLINES and isinstance(value, int | float)]
    within = {name: min(max(value, SETTABLE_DEADLINES[name][0]), SETTABLE_DEADLINES[name][1]) for name, value in kept}
    return stored | {"deadlines": within}


@cache
def _time_zones() -> set[str]:
    # Reads the whole folder of zones, so once is enough.
    return available_timezones()


def origin_of(address: str) -> str:
    """`https://shop.example` from any address on it. Raises ValueError for what is no http(s) address."""
    parts = urlsplit(address.strip().lower())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{address!r} is not an address like https://shop.example")
    default_port = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in {None, default_port} else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def add(session: Session, *, site: str, name: str, profile: Profile, now: datetime) -> Shop:
    """A new shop without keys. Raises Malformed for a site key that cannot stand in a URL or is taken."""
    if not SITE_KEY.match(site):
        raise Malformed("A site key has 2 to 40 small letters, digits or hyphens, and starts with a letter or digit.")
    if session.scalar(sa.select(Shop.id).where(Shop.site == site)):
        raise Malformed(f"There is already a shop with the site key {site}.")
    shop = Shop(site=site, name=name, profile=profile.model_dump(mode="json"), created_at=now)
    session.add(shop)
    session.flush()
    return shop


def by_site(session: Session, site: str) -> Shop:
    """Raises UnknownSite also for a shop that was disabled."""
    shop = session.scalar(sa.select(Shop).where(Shop.site == site, Shop.disabled_at.is_(None)))
    if shop is None:
        raise UnknownSite("Check the data-site value of the script tag against `unjam shops`.")
    return shop


def by_site_even_disabled(session: Session, site: str) -> Shop:
    shop = session.scalar(sa.select(Shop).where(Shop.site == site))
    if shop is None:
        raise UnknownSite(f"There is no shop with the site key {site}; `unjam shops` lists them.")
    return shop


def all_of_them(session: Session) -> list[Shop]:
    return list(session.scalars(sa.select(Shop).order_by(Shop.site)))


def change(shop: Shop, *, name: str | None, profile: dict[str, Any], disable: bool | None, now: datetime) -> None:
    """Replace the given parts; absent ones stay. Raises pydantic's ValidationError for a profile that cannot be."""
    shop.name = name or shop.name
    shop.profile = Profile.model_validate(_readable(shop.profile) | profile).model_dump(mode="json")
    if disable is not None:
        shop.disabled_at = now if disable else None


def rotate_key(session: Session, shop: Shop, kind: KeyKind, now: datetime, *, at_once: bool = False) -> str:
    """A new key of this kind, in clear for the only time. The old ones retire in a week, or at once."""
    retires_at = now if at_once else now + RETIRED_KEY_LIVES
    session.execute(
        sa.update(ShopKey)
        .where(ShopKey.shop_id == shop.id, ShopKey.kind == kind.value)
        .where(sa.or_(ShopKey.retires_at.is_(None), ShopKey.retires_at > retires_at))
        .values(retires_at=retires_at)
    )
    prefix = {KeyKind.SIGNING: "us_", KeyKind.API: "uk_", KeyKind.HOOK: "uh_"}[kind]
    secret = prefix + secrets.token_urlsafe(32)
    kept = _fingerprint(secret) if kind is KeyKind.API else secret
    session.add(ShopKey(shop_id=shop.id, kind=kind.value, secret=kept, created_at=now))
    session.flush()
    return secret


def by_api_key(session: Session, key: str, now: datetime) -> Shop:
    """The shop whose API key this is. Raises Unauthorised."""
    shop = session.scalar(
        sa.select(Shop)
        .join(ShopKey, ShopKey.shop_id == Shop.id)
        .where(ShopKey.kind == KeyKind.API.value, ShopKey.secret == _fingerprint(key), Shop.disabled_at.is_(None))
        .where(_is_live(now))
    )
    if shop is None:
        raise Unauthorised("Send the header `Authorization: Bearer uk_…` with a key from `unjam rotate-key SITE api`.")
    return shop


def signing_secrets(session: Session, shop_id: int, now: datetime) -> list[str]:
    """Every secret that may have signed an order context that is open in a browser now."""
    rows = session.scalars(
        sa.select(ShopKey.secret).where(
            ShopKey.shop_id == shop_id, ShopKey.kind == KeyKind.SIGNING.value, _is_live(now)
        )
    )
    return list(rows)


def signature_for(
    secret: str, *, order: str, amount: int, currency: str, email: str, issued_at: int | None = None
) -> str:
    """The hex HMAC-SHA256 that a shop's server puts on the tag; the fields are joined by line feeds after `v2`.

    `issued_at` (Unix seconds) comes last. Without it, it is version 1, which does not say when it was signed.
    """
    fields = [order, str(amount), currency, email]
    parts = ["v1", *fields] if issued_at is None else ["v2", *fields, str(issued_at)]
    return hmac.new(secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _is_live(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(ShopKey.retires_at.is_(None), ShopKey.retires_at > now)


def _fingerprint(key: str) -> str:
    # The key has 256 random bits, so a plain hash cannot be searched.
    return hashlib.sha256(key.encode()).hexdigest()
