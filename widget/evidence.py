"""Evidence: everything known about an attempt, in the words a person reads.

The shopper's preview, the desk and the e-mail to engineering all show this, so nobody is shown less than is sent.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from widget import attempts, charges, offers, signals, stalls
from widget.attempts import Attempt
from widget.browsers import FACTS, browser_of
from widget.diagnosis import Diagnosis, diagnose
from widget.money import Money
from widget.offers import Offer
from widget.shops import Shop
from widget.stalls import Stall, StallKind


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    order: str | None
    is_verified: bool
    due: Money | None
    charge: charges.Charge | None
    payment: tuple[Fact, ...]
    device: tuple[Fact, ...]
    timeline: tuple[Moment, ...]
    stalls: tuple[Stall, ...]
    offers: tuple[Offer, ...]
    diagnosis: Diagnosis


_NAMES = {
    "stage": "Stage",
    "stall": "Stall",
    "paid": "Paid",
    "failed": "Failed",
    "left": "Left the page",
    "back": "Came back",
    "hidden": "Page hidden",
    "visible": "Page visible again",
    "offline": "Connection lost",
    "online": "Connection back",
    "error": "Error on the page",
    "violation": "Blocked by the page’s security policy",
    "long_frame": "Page was busy",
    "popup": "Payment window",
    "resource": "Could not be loaded",
    "clicks": "Pay was pressed",
    "thawed": "Page responds again",
    "asleep": "Device was asleep",
    "named": "Order number given",
    "elsewhere": "Outcome of another order",
    "greeted": "Was told of the payment on return",
    "provider_said": "Provider answered",
    "offer": "Way out chosen",
}
# How figures are told; whatever is not here is told without its name.
_FIGURES = {
    "ms": "for {} ms",
    "silent_ms": "silent for {} ms",
    "frozen_ms": "after {} ms",
    "seconds": "for {} s",
    "silent_seconds": "silent for {} s",
    "answered": "answers: {}",
    "failing": "failing: {}",
    "count": "{} times",
    "status": "status {}",
    "seen_by": "seen by the {}",
}


def gather(session: Session, shop: Shop, attempt: Attempt, locale: str | None = None) -> Evidence:
    order = attempts.order_of(session, attempt)
    seen = stalls.of(session, attempt.id)
    return Evidence(
        order=order.reference if order else None,
        is_verified=bool(order and order.is_verified),
        due=order.due if order else None,
        charge=charges.latest(session, attempt.id),
        payment=_payment_facts(shop, attempt, locale),
        device=_device_facts(attempt),
        timeline=tuple(_moment(each) for each in signals.timeline(session, attempt.id) if each.name != "timed"),
        stalls=tuple(seen),
        offers=tuple(offers.of(session, attempt.id)),
        diagnosis=diagnose(StallKind(seen[0].kind), seen[0].evidence) if seen else diagnose(None),
    )


def _payment_facts(shop: Shop, attempt: Attempt, locale: str | None) -> tuple[Fact, ...]:
    error = " – ".join(part for part in (attempt.error_code, attempt.error_message) if part)
    known = {
        "Amount": attempt.due.shown(locale) if attempt.due else None,
        "Method": shop.settled.method_label(attempt.method),
        "Provider": attempt.provider.replace("_", " ").capitalize() if attempt.provider else None,
        "Stage": attempt.stage,
        "Error": error,
        "Payment id": attempt.payment,
    }
    return tuple(Fact(label, value) for label, value in known.items() if value)


def _device_facts(attempt: Attempt) -> tuple[Fact, ...]:
    browser = browser_of(attempt.user_agent)
    named = (Fact("Browser", browser.name), Fact("System", browser.system), Fact("Device", browser.device))
    told = (Fact(fact.label, _shown(attempt.facts[name])) for name, fact in FACTS.items() if name in attempt.facts)
    return (*named, *told)


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _in_words(value: object) -> str:
    """A code such as `no_answer` without its underscore; sentences as they are."""
    said = str(value)
    return said if " " in said else said.replace("_", " ")


def _told(name: str, value: object) -> str:
    """One part of a signal; what is false, empty or nothing says nothing."""
    if isinstance(value, dict):
        return ", ".join(part for key, each in value.items() if (part := _told(str(key), each)))
    if value is None or value is False or value == "":
        return ""
    if value is True:
        return name.replace("_", " ")
    if isinstance(value, float):
        value = f"{round(value, 1):g}"
    return _FIGURES.get(name, "{}").format(_in_words(value))


def _moment(signal: signals.Signal) -> Moment:
    detail = _told("", signal.data)
    return Moment(signal.at, _NAMES.get(signal.name, signal.name.replace("_", " ").capitalize()), detail)
