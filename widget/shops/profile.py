"""A shop's profile: everything about it that its merchant decides."""

import re
from datetime import datetime
from functools import cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator

from widget import openings
from widget.accounts import BankAccount
from widget.methods import MethodName, known_as, own_id
from widget.openings import Opening

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

    @field_validator("checkout_url", "link_template")
    @classmethod
    def _names_the_order(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"https", "http"} or "{order}" not in value):
            raise ValueError("must be an http(s) address that contains {order}")
        return value

    @field_validator("hook_url")
    @classmethod
    def _can_be_told(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"https", "http"} or not urlsplit(value).hostname):
            raise ValueError("must be an http(s) address of the shop's server")
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

    @property
    def method_ids(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.methods)

    def method_id(self, said: str | None) -> str | None:
        """The shop's own id of the method that its page names, as its provider may spell it; else what was said."""
        return own_id(said, self.method_ids) if said else None

    def method_label(self, method: str | None) -> str | None:
        """The shop's name for a method, or a readable form of its id."""
        known = {each.id: each.label for each in self.methods}
        return known.get(method, known_as(method).replace("_", " ").capitalize()) if method else None

    def method_name(self, method: str) -> MethodName:
        """The same for a reader of any language."""
        known = {each.id: each.label for each in self.methods}
        return MethodName(method, known.get(method), self.locale)


def readable(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored profile with the deadlines that may be set today: an older one must not stop the shop's help."""
    deadlines = stored.get("deadlines")
    known = deadlines.items() if isinstance(deadlines, dict) else ()
    kept = [(name, value) for name, value in known if name in SETTABLE_DEADLINES and isinstance(value, int | float)]
    within = {name: min(max(value, SETTABLE_DEADLINES[name][0]), SETTABLE_DEADLINES[name][1]) for name, value in kept}
    return stored | {"deadlines": within}


def origin_of(address: str) -> str:
    """`https://shop.example` from any address on it. Raises ValueError for what is no http(s) address."""
    parts = urlsplit(address.strip().lower())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{address!r} is not an address like https://shop.example")
    default_port = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in {None, default_port} else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


@cache
def _time_zones() -> set[str]:
    # Reads the whole folder of zones, so once is enough.
    return available_timezones()
