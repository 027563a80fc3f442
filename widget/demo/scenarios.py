"""What a visitor of the demo can choose to happen when Pay is pressed."""

from enum import StrEnum

from widget.demo import provider
from widget.demo.store import Payment, PaymentStatus, Store


class Scenario(StrEnum):
    OK = "ok"
    HANG = "hang"
    HANG_CHARGED = "hang_charged"
    HANG_PROCESSING = "hang_processing"
    DECLINE = "decline"
    ERROR = "error"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def hangs(self) -> bool:
        return self in {Scenario.HANG, Scenario.HANG_CHARGED, Scenario.HANG_PROCESSING}


_LABELS = {
    Scenario.OK: "Payment goes through",
    Scenario.HANG: "Hangs behind a spinner (not charged)",
    Scenario.HANG_CHARGED: "Hangs, but the money was taken",
    Scenario.HANG_PROCESSING: "Hangs, provider still processing",
    Scenario.DECLINE: "Card is declined",
    Scenario.ERROR: "Page reports an error",
}

# How far the payment comes at the provider; in the other scenarios the provider never hears of it.
_REACHES = {
    Scenario.OK: PaymentStatus.SUCCEEDED,
    Scenario.HANG_CHARGED: PaymentStatus.SUCCEEDED,
    Scenario.HANG_PROCESSING: PaymentStatus.PROCESSING,
    Scenario.DECLINE: PaymentStatus.REQUIRES_PAYMENT_METHOD,
}

# What the page is told: an HTTP status, a code and words. The hanging ones come to this only when the wait is over.
_FAILURES = {
    Scenario.DECLINE: (402, "card_declined", "Your bank declined this payment. You have not been charged."),
    Scenario.ERROR: (502, "provider_error", "The payment service answered with an error. You have not been charged."),
}
_NO_ANSWER = (504, "no_answer", "The payment service has not answered. Press Pay again: you cannot be charged twice.")


def play(store: Store, payment: Payment, method: str, scenario: Scenario) -> None:
    """Bring the payment as far as the scenario says. Raises `provider.Refused` when money may have been taken."""
    if scenario in _REACHES:
        provider.confirm(store, payment, method, _REACHES[scenario])


def failure_of(scenario: Scenario) -> tuple[int, str, str] | None:
    """The HTTP status, code and words of an unhappy end; None when the payment went through."""
    return _NO_ANSWER if scenario.hangs else _FAILURES.get(scenario)
