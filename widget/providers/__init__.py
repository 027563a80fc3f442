"""Payment providers: what an adapter must be able to do, and which adapters there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Any, ClassVar, Protocol

from widget.money import Money


class ChargeState(StrEnum):
    """Whether money moved, as the provider says it; never a guess."""

    CHARGED = "charged"
    NOT_CHARGED = "not_charged"
    HELD = "held"  # authorised, not captured
    UNKNOWN = "unknown"  # processing, or the provider did not answer


class GivenUp(StrEnum):
    """What is left of the payments of an order after closing what could be closed."""

    GONE = "gone"  # nothing can be completed any more; or it was charged already
    CUSTOMER = "customer"  # only its customer can complete one, on a page in their hands
    MOVING = "moving"  # money may be moving, or nobody knows


class Retry(StrEnum):
    """What the provider itself says about trying the same again."""

    NEVER = "never"
    LATER = "later"
    AFTER_CHANGE = "after_change"  # with other or corrected data


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a verified webhook, reduced to what concerns the money.

    `kind` is payment, refund, dispute or link. `state` is None where the event does not tell whether money moved.
    `key` is the provider's id of the event, or a hash over what makes it one.
    """

    key: str
    kind: str
    happened_at: datetime
    order: str | None = None
    payment: str | None = None
    state: ChargeState | None = None
    status: str | None = None
    code: str | None = None
    money: Money | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Which payment we ask about: the provider's own id where the page knew it, else by order reference.

    `heard` is what verified webhooks have told about this order so far, oldest first. Some providers cannot be asked
    by order; there it is the best that is known.
    """

    order: str
    payment: str | None
    due: Money | None = None
    heard: tuple[Happened, ...] = ()
    # What other tries at this order have named, the latest first: each of these may have taken the money.
    payments: tuple[str, ...] = ()
    # No payment of this order is older; None where that is not known.
    since: datetime | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Every payment that a page of this order has named."""
        return tuple(dict.fromkeys(each for each in (self.payment, *self.payments) if each))


@dataclass(frozen=True, slots=True)
class Answer:
    """`money` is what was taken or is held. The order's furthest payment counts, whichever attempt made it."""

    state: ChargeState
    money: Money | None = None
    # The provider's id of the payment that this answer is about.
    payment: str | None = None
    # What was said or why nothing was, for agents and engineers.
    detail: str = ""
    # The provider's own word for the state, its decline code, the network's code, and its advice.
    status: str | None = None
    code: str | None = None
    network_code: str | None = None
    retry: Retry | None = None
    # Approved, then reversed: the customer may see it on the statement for some days.
    is_reversed: bool = False
    # Every payment of this order that was charged, when there is more than one.
    charged: tuple["Paid", ...] = ()
    # A payment of this order may still be completed by its customer alone, at the bank or in the provider's window.
    waits: bool = field(default=False, compare=False)
    # Beside what was charged, another payment of this order may still take money, or holds some.
    moves: bool = field(default=False, compare=False)
    # Whether the provider itself says that the payment is of this order. Otherwise only a page has named it. `taken_at`
    # is when its money was taken or held, and `names` what stands where shops by custom write the order's number when
    # that is another text; both where the provider says so.
    is_proven: bool = field(default=True, compare=False)
    taken_at: datetime | None = field(default=None, compare=False)
    names: str | None = field(default=None, compare=False)
    # Whether the provider has looked at every payment of the order; else it speaks for those that it was `asked` about.
    is_of_order: bool = field(default=False, compare=False)
    asked: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class Paid:
    """`is_proven`, `taken_at` and `names` as in an answer."""

    payment: str
    money: Money
    is_proven: bool = field(default=True, compare=False)
    taken_at: datetime | None = field(default=None, compare=False)
    names: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a payment link of the provider is to take. `key` is the idempotency key: the same one never makes two."""

    order: str
    money: Money
    key: str
    # Where the provider sends the customer afterwards, and when they give up.
    return_url: str
    cancel_url: str
    expires_at: datetime
    shop_name: str
    email: str | None = None
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Hosted:
    """A page of the provider that takes one payment. `until` is when the provider stops taking it."""

    id: str
    url: str
    until: datetime


@dataclass(frozen=True, slots=True)
class StatusFeed:
    """Where the provider says how it is. `shape`: statuspage, stripe, instatus, paypal."""

    shape: str
    url: str


class ProviderDown(Exception):
    """The provider did not answer in time, or not in its own format. Nothing is known about the money."""


class ProviderRefused(Exception):
    """The provider understood and said no, for instance to a wrong key. The text says what the shop must mend."""


class WebhookRefused(Exception):
    """A webhook that is not the provider's, is stale, or does not have the provider's shape."""


class Provider(Protocol):
    """One adapter. Methods talk to the network, so they are called outside of transactions.

    All raise ProviderDown, and ProviderRefused where the shop's settings are at fault.
    """

    # Settings that the shop must give, with what each is; for `unjam` and the documentation.
    SETTINGS: ClassVar[Mapping[str, str]]
    FEED: ClassVar[StatusFeed | None]
    # Whether `link_state` takes what the customer has approved, so that it is no harmless question.
    TAKES_BY_LOOKING: ClassVar[bool]

    def ask(self, question: Question) -> Answer:
        """What happened to the money of an order, whichever of its tries moved it.

        A payment that names another order where the shop has told us that it does is passed over, whoever has named it.
        One that names something else elsewhere counts when a page has named it, and is told with what it `names`.
        NOT_CHARGED is said only when each payment that was named is known, and was not charged.
        """
        ...

    def link(self, bill: Bill) -> Hosted:
        """A page of the provider that takes this payment once. The same key gives the same page again."""
        ...

    def link_state(self, hosted_id: str) -> Answer:
        """What became of such a page: NOT_CHARGED while it is open, or once it has expired or was closed.

        Where the adapter TAKES_BY_LOOKING this takes what was approved on it; never on a page that was revoked.
        """
        ...

    def revoke(self, hosted_id: str) -> None:
        """Close such a page, so that it takes nothing any more. One that was paid or has expired stays as it is.

        Raises when it may still take money afterwards.
        """
        ...

    def give_up(self, question: Question) -> GivenUp:
        """Close what the customer may still complete of this order's payments, such as one to confirm at the bank.

        Pages of our own links are left alone: those are for `revoke`. Says what is left; the worst counts. A payment
        that was charged counts as gone: ask afterwards.
        """
        ...

    def health(self) -> str | None:
        """What the shop must mend before the provider does what we ask of it; None where it answers as it should.

        Looks for something that does not exist, with the shop's own key, and changes nothing. Raises ProviderDown.
        """
        ...

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:
        """The events of a webhook whose signature was verified. Header names are lower case. Raises WebhookRefused."""
        ...


# An order that no shop has, to ask about where nothing but an order can be asked about.
NO_ORDER = "unjam-check"

# Adapter -> its class in the module of the same name, and the extra that brings its client library, if it needs one.
ADAPTERS: dict[str, tuple[str, str | None]] = {
    "demo": ("DemoProvider", None),
    "stripe": ("Stripe", "stripe"),
    "adyen": ("Adyen", "adyen"),
    "paypal": ("PayPal", "paypal"),
    "mollie": ("Mollie", "mollie"),
    "shop": ("ShopEndpoint", None),
}


def adapter_for(name: str | None, config: Mapping[str, dict[str, Any]]) -> Provider | None:
    """The adapter of this provider with the shop's settings, or None when there is none or the shop has not set it up.

    Raises ProviderRefused when the shop's settings are unusable, or its client library is not installed.
    """
    if name is None or name not in config or name not in ADAPTERS:
        return None
    adapter: Provider = adapter_class(name)(config[name])
    return adapter


def adapter_class(name: str) -> Any:
    """Its client library is loaded only now, so that nobody pays for what no shop uses. Raises ProviderRefused."""
    made, extra = ADAPTERS[name]
    try:
        return getattr(import_module(f"widget.providers.{name}"), made)
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        raise ProviderRefused(f"{made} needs a library that is missing: pip install unjam[{extra}]") from error


def needed(config: Mapping[str, Any], settings: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """These settings of an adapter as text. Raises ProviderRefused that names the missing one, never its value."""
    for name in names:
        if not isinstance(config.get(name), str) or not config[name]:
            raise ProviderRefused(f"The setting {name!r} is missing: {settings.get(name, '')}")
    return tuple(str(config[name]) for name in names)
