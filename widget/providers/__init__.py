"""Payment providers: what an adapter must be able to do, and which adapters there are."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from widget.money import Money


class ChargeState(StrEnum):
    """Whether money moved, as the provider says it; never a guess."""

    CHARGED = "charged"
    NOT_CHARGED = "not_charged"
    HELD = "held"  # authorised, not captured
    UNKNOWN = "unknown"  # processing, or the provider did not answer


@dataclass(frozen=True, slots=True)
class Question:
    """Which payment we ask about: the provider's own id where the page knew it, else by order reference."""

    order: str
    payment: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    state: ChargeState
    money: Money | None = None
    # The provider's id of the payment that this answer is about.
    payment: str | None = None
    # What was said or why nothing was, for agents and engineers.
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Paid:
    payment: str
    money: Money


class ProviderDown(Exception):
    """The provider did not answer in time, or not in its own format. Nothing is known about the money."""


class Provider(Protocol):
    """One adapter. Methods talk to the network, so they are called outside of transactions."""

    def ask(self, question: Question) -> Answer:
        """What happened to a payment. Raises ProviderDown."""
        ...

    def pay(self, order: str, money: Money, idempotency_key: str) -> Paid:
        """Take the payment of a manual link; the same key never takes it twice. Raises ProviderDown."""
        ...


def adapter_for(name: str | None, config: dict[str, dict[str, Any]]) -> Provider | None:
    """The adapter of this provider with the shop's settings, or None when the shop has not configured it."""
    from widget.providers.demo import DemoProvider

    adapters = {"demo": DemoProvider}
    if name is None or name not in config or name not in adapters:
        return None
    return adapters[name](config[name])
