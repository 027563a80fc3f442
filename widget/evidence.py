"""Evidence: everything known about an attempt, in the words a person reads.

The shopper's preview, the desk and the e-mail to engineering all show this, so nobody is shown less than is sent. Codes
of ours stand there in the shopper's words; what the provider answered the shop in its own words is for agents.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from widget import attempts, charges, offers, signals, stalls
from widget.advice import advice_for
from widget.attempts import Attempt, Stage
from widget.browsers import FACTS, UNKNOWN, browser_of
from widget.diagnosis import KINDS, rounded
from widget.language import N_, Said, counted, say
from widget.money import Money
from widget.offers import Offer
from widget.providers import ChargeState
from widget.shops import Shop
from widget.signals import Signal
from widget.stalls import SeenBy, Stall


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


# Puts a sentence or a word of ours into the reader's language.
_Say = Callable[[Said | str], str]
# What this reader reads for a value by its name: "" to leave it out, None where the value stands as it is.
_Read = Callable[[str, object], str | None]


_NAMES: dict[str, str] = {
    "stage": N_("Stage"),
    "stall": N_("Stall"),
    "paid": N_("Paid"),
    "failed": N_("Failed"),
    "left": N_("Left the page"),
    "back": N_("Came back"),
    "hidden": N_("Page hidden"),
    "visible": N_("Page visible again"),
    "offline": N_("Connection lost"),
    "online": N_("Connection back"),
    "error": N_("Error on the page"),
    "violation": N_("Blocked by the page’s security policy"),
    "long_frame": N_("Page was busy"),
    "popup": N_("Payment window"),
    "resource": N_("Could not be loaded"),
    "clicks": N_("Pay was pressed"),
    "thawed": N_("Page responds again"),
    "asleep": N_("Device was asleep"),
    "named": N_("Order number given"),
    "elsewhere": N_("Outcome of another order"),
    "greeted": N_("Was told of the payment on return"),
    "provider_said": N_("Provider answered"),
    "offer": N_("Way out chosen"),
}
# How figures are told; whatever is not here is told without its name.
_FIGURES: dict[str, str] = {
    "ms": N_("for {figure} ms"),
    "silent_ms": N_("silent for {figure} ms"),
    "frozen_ms": N_("after {figure} ms"),
    "seconds": N_("for {figure} s"),
    "silent_seconds": N_("silent for {figure} s"),
    "answered": N_("answers: {figure}"),
    "failing": N_("failing: {figure}"),
    "status": N_("status {figure}"),
    "seen_by": N_("seen by the {figure}"),
}
_STAGES: dict[str, str] = {
    Stage.STARTED: N_("The payment page was open"),
    Stage.SDK: N_("The payment form was loading"),
    Stage.SUBMITTED: N_("Pay was pressed"),
    Stage.AUTHENTICATING: N_("The bank or wallet was checking"),
    Stage.CONFIRMING: N_("The payment was being confirmed"),
    Stage.PAID: N_("Paid"),
    Stage.FAILED: N_("Failed"),
    Stage.LEFT: N_("The page was left"),
}
# What shoppers read for the codes of a signal, by the name of the value.
_CODES: dict[str, Mapping[str, str]] = {
    "stage": _STAGES,
    # A kind is one of a stall or of a way out; none is both.
    "kind": {rule.cause: rule.said for rule in KINDS} | offers.NAMES,
    "outcome": _NAMES,
    "state": {
        ChargeState.CHARGED: N_("charged"),
        ChargeState.NOT_CHARGED: N_("not charged"),
        ChargeState.HELD: N_("reserved"),
        ChargeState.UNKNOWN: N_("not known"),
    },
    "seen_by": {
        SeenBy.PAGE: N_("seen by the page"),
        SeenBy.FRAME: N_("seen by the help window"),
        SeenBy.WORKER: N_("seen by the help window"),
        SeenBy.SERVER: N_("seen by our server"),
        SeenBy.SHOPPER: N_("told by you"),
    },
    "why": {
        "csp": N_("blocked"),
        "error": N_("could not be loaded"),
        "global": N_("did not start"),
        "hang": N_("no answer"),
    },
    "symptom": {"no_answer": N_("no answer"), "failed": N_("Failed")},
}
_FOR_AGENTS = {"source", "detail"}
# The same for the facts of a device.
_FACT_CODES: dict[str, Mapping[str, str]] = {
    "protection": {
        "own process": N_("goes on"),
        "worker": N_("noticed at once"),
        "server only": N_("noticed by our server"),
    }
}
# What a shopper must not be shown of an answer that suspects them.
_TELLTALE = re.compile(
    r"fraud|stolen|lost.?card|pick.?up|blacklist|block.?list|restricted|security.?viol", re.IGNORECASE
)
_PLAIN = "card_declined"


def gather(
    session: Session, shop: Shop, attempt: Attempt, locale: str | None = None, *, is_for_agent: bool = False
) -> Evidence:
    """What is known, in this reader's language. Agents read English, and the codes that shoppers are not shown."""
    order = attempts.order_of(session, attempt)
    told = (each for each in signals.timeline(session, attempt.id) if each.name != "timed")
    speak = str if is_for_agent else partial(say, locale=locale)
    read = _as_it_stands if is_for_agent else _reader_of(shop, locale)
    shown = (lambda data: data) if is_for_agent else partial(_without_telltale, attempt.provider)
    return Evidence(
        order=order.reference if order else None,
        is_verified=bool(order and order.is_verified),
        due=order.due if order else None,
        charge=charges.latest(session, attempt.id),
        payment=_payment_facts(shop, attempt, locale, speak, is_for_agent=is_for_agent),
        device=_device_facts(attempt, speak, is_for_agent=is_for_agent),
        timeline=tuple(_moment(each, shown(each.data), speak, read) for each in told),
        stalls=tuple(stalls.of(session, attempt.id)),
        offers=tuple(offers.of(session, attempt.id)),
    )


def _payment_facts(
    shop: Shop, attempt: Attempt, locale: str | None, speak: _Say, *, is_for_agent: bool
) -> tuple[Fact, ...]:
    told: Mapping[str, Any] = {"code": attempt.error_code, "message": attempt.error_message}
    told = told if is_for_agent else _without_telltale(attempt.provider, told)
    known = {
        N_("Amount"): attempt.due.shown(locale) if attempt.due else None,
        N_("Method"): _method(shop, attempt, locale, is_for_agent=is_for_agent),
        N_("Provider"): attempt.provider.replace("_", " ").capitalize() if attempt.provider else None,
        N_("Stage"): attempt.stage if is_for_agent else speak(_STAGES[attempt.stage]),
        N_("Error"): " – ".join(str(part) for part in (told.get("code"), told.get("message")) if part),
        N_("Payment id"): attempt.payment,
    }
    return tuple(Fact(speak(label), value) for label, value in known.items() if value)


def _method(shop: Shop, attempt: Attempt, locale: str | None, *, is_for_agent: bool) -> str | None:
    if is_for_agent or attempt.method is None:
        return shop.settled.method_label(attempt.method)
    return shop.settled.method_name(attempt.method).shown(locale)


def _device_facts(attempt: Attempt, speak: _Say, *, is_for_agent: bool) -> tuple[Fact, ...]:
    browser = browser_of(attempt.user_agent)
    named = ((N_("Browser"), browser.name), (N_("System"), browser.system), (N_("Device"), browser.device))
    words: Mapping[str, Mapping[str, str]] = {} if is_for_agent else _FACT_CODES
    known = {name: attempt.facts[name] for name in FACTS if name in attempt.facts}
    told = (
        (FACTS[name].label, speak(code) if (code := words.get(name, {}).get(str(value))) else _shown(value, speak))
        for name, value in known.items()
    )
    # The very text, by which engineers repeat a fault; the names are only what we read from it.
    raw = ((N_("Browser says"), attempt.user_agent),) if attempt.user_agent else ()
    unknown = UNKNOWN if is_for_agent else speak(N_("not known"))
    shown = (*named, *told, *raw)
    return tuple(Fact(speak(label), unknown if value == UNKNOWN else value) for label, value in shown)


def _shown(value: object, speak: _Say) -> str:
    if isinstance(value, bool):
        return speak({True: N_("yes"), False: N_("no")}[value])
    return speak(N_("none")) if value == "" else str(value)


def _without_telltale(provider: str | None, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, with a plain decline in place of one that suspects the customer."""
    within = data.get("evidence")
    kept = dict(data) | ({"evidence": _without_telltale(provider, within)} if isinstance(within, dict) else {})
    texts = [str(kept[name]) for name in ("code", "name", "message", "detail") if kept.get(name)]
    advices = [advice_for(provider, text) for text in texts]
    if not any(advice is not None and advice.is_fraud_like for advice in advices) and not any(
        _TELLTALE.search(text) for text in texts
    ):
        return kept
    hidden = {name: None for name in ("name", "message", "detail", "network_code") if name in kept}
    return kept | hidden | {"code": _PLAIN}


def _in_words(value: object) -> str:
    """A code such as `no_answer` without its underscore; sentences as they are."""
    said = str(value)
    return said if " " in said else said.replace("_", " ")


def _as_it_stands(_name: str, _value: object) -> str | None:
    return None


def _reader_of(shop: Shop, locale: str | None) -> _Read:
    """How a shopper of this shop reads the values of signals."""

    def read(name: str, value: object) -> str | None:
        if name in _FOR_AGENTS or value is True:
            return ""
        if name == "method" and isinstance(value, str):
            return shop.settled.method_name(value).shown(locale)
        words = _CODES.get(name, {}).get(str(value))
        # A sentence stands among others in one line.
        return words if words is None else say(words, locale).rstrip(".")

    return read


def _told(name: str, value: object, speak: _Say, read: _Read) -> str:
    """One part of a signal; what is false, empty or nothing says nothing."""
    if isinstance(value, Mapping):
        return ", ".join(part for key, each in value.items() if (part := _told(str(key), each, speak, read)))
    if value is None or value is False or value == "":
        return ""
    if (words := read(name, value)) is not None:
        return words
    if name in {"count", "clicks"} and isinstance(value, int) and value is not True:
        return speak(counted("{count} time", "{count} times", value))
    if value is True:
        return name.replace("_", " ")
    if isinstance(value, float):
        value = rounded(value)
    figure = _in_words(value)
    return speak(Said(_FIGURES[name], {"figure": figure})) if name in _FIGURES else figure


def _moment(signal: Signal, data: Mapping[str, Any], speak: _Say, read: _Read) -> Moment:
    name = _NAMES.get(signal.name, signal.name.replace("_", " ").capitalize())
    return Moment(signal.at, speak(name), _told("", data, speak, read))
