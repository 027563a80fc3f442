"""The desk's words: codes and moments as an agent reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from widget.charges import Charge
from widget.diagnosis import Side
from widget.followups import FollowUp, Kind
from widget.hooks import Event
from widget.money import Money
from widget.offers import OfferKind
from widget.orders import Order
from widget.providers import ChargeState
from widget.stalls import Stall, StallKind
from widget.tickets import Status, Topic
from widget.web.desk.places import VIEWS

STATUSES: dict[Status, str] = {
    Status.NEW: "New",
    Status.OPEN: "Open",
    Status.PENDING_CUSTOMER: "Pending customer",
    Status.WAITING_ENGINEERS: "Waiting engineers",
    Status.RESOLVED: "Resolved",
    Status.CLOSED: "Closed",
}
_TONES = {Status.NEW: "info", Status.WAITING_ENGINEERS: "warn", Status.RESOLVED: "good"}
_STALLS: dict[str, str] = {
    StallKind.FROZEN: "Page frozen",
    StallKind.NO_ANSWER: "No answer",
    StallKind.UNSETTLED: "Answered but not finished",
    StallKind.SDK: "Payment form missing",
    StallKind.WALLET: "Wallet failed",
    StallKind.CHALLENGE: "Bank’s check not completed",
    StallKind.NO_RETURN: "Did not come back",
    StallKind.POPUP: "Payment window blocked",
    StallKind.SPLIT: "Second part unpaid",
    StallKind.DECLINED: "Declined",
    StallKind.DECLINED_AGAIN: "Declined again",
    StallKind.ERROR: "Error",
    StallKind.DEAD_BUTTON: "Pay button dead",
    StallKind.RAGE: "Pay pressed again and again",
    StallKind.OFFLINE: "Connection lost",
    StallKind.STORAGE: "Storage blocked",
    StallKind.IN_APP: "Inside another app",
    StallKind.CLOCK: "Wrong clock",
    StallKind.DOUBLE: "Paying twice at once",
    StallKind.CLOSED: "Page closed",
    StallKind.SILENT: "Contact lost",
    StallKind.ASKED: "Asked for help",
}
_STAGES = {
    "started": "before Pay",
    "sdk": "while loading the payment form",
    "submitted": "after Pay",
    "authenticating": "during the bank’s check",
    "confirming": "while confirming",
    "paid": "after the payment",
    "failed": "after it failed",
    "left": "after leaving the page",
}
# The kind says where already.
_WITHOUT_STAGE = {StallKind.ASKED, StallKind.SDK, StallKind.CHALLENGE, StallKind.DOUBLE, StallKind.SPLIT}
_OFFERS: dict[str, str] = {
    OfferKind.RETRY: "Try again",
    OfferKind.METHOD: "Another method",
    OfferKind.DEVICE: "Another device",
    OfferKind.PAYMENT_LINK: "Payment link",
    OfferKind.TRANSFER: "Bank transfer",
    OfferKind.REST: "The rest",
    OfferKind.DIFFERENCE: "The difference",
    OfferKind.ONE_METHOD: "One method for all of it",
    OfferKind.PERSON: "Talk to a person",
    OfferKind.CALL_BACK: "Call back",
    OfferKind.LATER: "Pay later",
    OfferKind.REPORT: "Report the problem",
}
_MAILS: dict[str, str] = {
    Kind.OPENED: "We have your report",
    Kind.REPLY: "Our reply",
    Kind.RESOLVED: "It is resolved",
    Kind.REMINDER: "Reminder that the order is unpaid",
    Kind.RATING: "How did we do?",
    Kind.INTERRUPTED: "Payment interrupted",
    Kind.PAID_TWICE: "Paid twice",
    Kind.PAID_TOO_MUCH: "Paid too much",
    Kind.OUTCOME: "What became of the payment",
    Kind.LATER: "Reminder of a kept order",
    Kind.DEVICE: "Go on elsewhere",
}
_SIDES: dict[str, str] = {
    Side.CUSTOMER: "Customer’s side",
    Side.BANK: "Bank’s side",
    Side.PROVIDER: "Provider’s side",
    Side.SHOP: "Shop’s side",
    Side.NETWORK: "Network",
    Side.UNKNOWN: "Side not known",
}
# From this confidence on it is called so (see `Diagnosis`).
_CONFIDENCES = ((0.9, "Certain"), (0.75, "Very likely"), (0.5, "Likely"), (0.3, "Possible"), (0.0, "Not known"))
_PATTERNS: dict[str, str] = {
    "rapid": "Many declines in a short time, on several orders",
    "stubborn": "Declined again and again in a short time",
    "same_sum": "The same small sums, on many orders",
    "slow": "Many declines over a day",
    "many": "Very many declines over a day",
    "changing_devices": "Many declines from one network that changes devices",
    "changing_addresses": "Many declines from one device that changes addresses",
    "one_order": "One order tried from many addresses",
    "numbers_in_sequence": "Tries order numbers one after another",
    "numbers": "Asks for many orders that the shop did not sign",
    "numbers_slowly": "Asks for many unsigned orders over a day",
}
_NUMBERS = {
    "attempts": "tries",
    "declines": "declines",
    "paid": "paid",
    "orders": "orders",
    "devices": "devices",
    "addresses": "addresses",
    "amounts": "sums",
    "unsigned": "unsigned orders",
    "in_sequence": "numbers in a row",
}
_TOPICS: dict[str, str] = {
    Topic.PAID_TWICE: "Paid twice",
    Topic.REFUND: "Refund due",
    Topic.CALL_BACK: "Call back",
    Topic.DISPUTE: "Dispute",
    Topic.UNPROVEN: "Compare the payment",
}
_EVENTS: dict[str, str] = {
    Event.PAID: "Order paid",
    Event.MAYBE_PAID: "Order perhaps paid",
    Event.PAID_TWICE: "Order paid twice",
    Event.WRONG_AMOUNT: "Wrong amount paid",
    Event.HELD: "Order to be kept",
    Event.RELEASED: "Order kept no longer",
    Event.TRANSFER: "Bank transfer announced",
}
# Up to here the timeline counts in seconds.
_COUNTED_IN_SECONDS = timedelta(minutes=10)
# A payment may still come in after the provider has said that there is none.
_CHARGE_IS_OLD_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Clockface:
    """Moments as they look from now, and exactly, in the shop's time zone."""

    now: datetime
    zone: ZoneInfo

    def age(self, at: datetime) -> str:
        return span(abs(self.now - at))

    def ago(self, at: datetime) -> str:
        return "just now" if self.now - at < timedelta(minutes=1) else f"{self.age(at)} ago"

    def until(self, at: datetime) -> str:
        return "now" if at - self.now < timedelta(minutes=1) else f"in {self.age(at)}"

    def exact(self, at: datetime) -> str:
        local = at.astimezone(self.zone)
        offset = local.isoformat()[-6:]
        return f"{local.day} {local:%b %Y, %H:%M:%S} (UTC{offset})"


@dataclass(frozen=True, slots=True)
class Badge:
    words: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ChargeSaid:
    """Whether the customer was charged, and what follows for the agent."""

    title: str
    advice: str
    tone: str


def span(length: timedelta) -> str:
    """A length in its largest unit, rounded down: "4 min", "3 h", "2 days"."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def offset(at: datetime, start: datetime) -> str:
    """How long after the start of the attempt: "+4.0 s" while it runs, then in larger units."""
    passed = at - start
    if passed < _COUNTED_IN_SECONDS:
        return f"+{max(passed.total_seconds(), 0):.1f} s"
    return f"+{span(passed)}"


def status_badge(status: str) -> Badge:
    known = Status(status)
    return Badge(STATUSES[known], _TONES.get(known, ""))


def stuck(stall: Stall | None, method: str | None) -> str:
    """What is stuck, in few words: "No answer while confirming · Card"."""
    if stall is None:
        return " · ".join(part for part in ("Asked for help", method) if part)
    kind = _STALLS.get(stall.kind, spelled(stall.kind))
    where = "" if stall.kind in _WITHOUT_STAGE else _STAGES.get(stall.stage, spelled(stall.stage).lower())
    return " · ".join(part for part in (f"{kind} {where}".strip(), method) if part)


def charge_said(
    charge: Charge | None, order: Order | None, locale: str, now: datetime, *, is_part_paid: bool = False
) -> ChargeSaid:
    if order is not None and order.paid_at is not None:
        return ChargeSaid("Paid", "The order is paid. There is nothing more to collect.", "good")
    if is_part_paid:
        advice = "One part went through. Never ask the customer for the whole amount."
        return ChargeSaid("Part of it is paid", advice, "warn")
    if charge is None:
        return ChargeSaid("Not known", "The provider has not been asked yet.", "warn")
    return _provider_said(charge, locale, now)


def _provider_said(charge: Charge, locale: str, now: datetime) -> ChargeSaid:
    money = Money(charge.amount, charge.currency).shown(locale) if charge.amount and charge.currency else "The amount"
    match ChargeState(charge.state):
        case ChargeState.CHARGED:
            return ChargeSaid("Charged", f"{money} was taken. Do not ask the customer to pay again.", "good")
        case ChargeState.HELD:
            return ChargeSaid(
                "Held, not taken", f"{money} is reserved. Capture or release it before anybody pays again.", "warn"
            )
        case ChargeState.NOT_CHARGED:
            if now - charge.answered_at > _CHARGE_IS_OLD_AFTER:
                return ChargeSaid("Not charged", "No money had moved by then. Ask again before you rely on it.", "info")
            return ChargeSaid("Not charged", "No money has moved. The customer can pay again.", "info")
        case ChargeState.UNKNOWN:
            return ChargeSaid("Not known", "Do not ask the customer to pay again until this is known.", "warn")


def offer_label(kind: str) -> str:
    return _OFFERS.get(kind, spelled(kind))


def side_label(side: str) -> str:
    return _SIDES.get(side, spelled(side))


def confidence_label(confidence: float) -> str:
    """How sure a diagnosis is, with the figure: "Likely (60 %)"."""
    label = next(label for least, label in _CONFIDENCES if confidence >= least)
    return f"{label} ({confidence:.0%})".replace("%)", " %)")


def pattern_label(pattern: str) -> str:
    return _PATTERNS.get(pattern, spelled(pattern))


def numbers_said(numbers: Mapping[str, Any]) -> str:
    """The numbers that made a suspicion: "14 tries · 12 declines · 6 orders, in 10 min"."""
    counted = " · ".join(f"{numbers[name]} {label}" for name, label in _NUMBERS.items() if numbers.get(name))
    minutes = numbers.get("minutes")
    return f"{counted}, in {span(timedelta(minutes=minutes))}" if isinstance(minutes, int) else counted


def topic_label(topic: str) -> str:
    return _TOPICS.get(topic, spelled(topic))


def event_label(event: str) -> str:
    return _EVENTS.get(event, spelled(event))


def mail_label(kind: str) -> str:
    return _MAILS.get(kind, spelled(kind))


def mail_badge(mail: FollowUp) -> Badge:
    if mail.sent_at:
        return Badge("Sent", "good")
    if mail.cancelled_at:
        return Badge("Cancelled")
    if mail.dead_at:
        return Badge("Not delivered", "bad")
    return Badge("Trying again", "warn") if mail.tries else Badge("Due", "info")


def counts_of_views(counts: Mapping[str, int]) -> dict[str, int]:
    """How many tickets each view holds."""
    return {view.key: sum(counts.get(status.value, 0) for status in view.statuses or tuple(Status)) for view in VIEWS}


def spelled(code: str) -> str:
    """A code that has no words of its own yet, made readable."""
    return code.replace("_", " ").capitalize()
