"""What a browser tells about itself: the allow-list of captured facts, and readable names from a user-agent text."""

from dataclasses import dataclass
from typing import Any

from ua_parser import parse

from widget.redaction import mask_all

MAX_FACT_CHARS = 200

# Every fact the embed may send, in the order people read them. Whatever else arrives is dropped.
FACTS: dict[str, str] = {
    "language": "Language",
    "time_zone": "Time zone",
    "viewport": "Window",
    "screen": "Screen",
    "pixel_ratio": "Pixel ratio",
    "touch": "Touch screen",
    "connection": "Connection",
    "online": "Online",
    "memory": "Memory (GB)",
    "cores": "Processor cores",
    "cookies": "Cookies",
    "storage": "Storage",
    "page": "Page",
    "referrer": "Came from",
    "clock_skew": "Clock is off by (s)",
}


@dataclass(frozen=True, slots=True)
class Browser:
    name: str
    system: str
    device: str


def allowed_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """The allowed facts, short and plain, with card numbers masked."""
    plain = {
        name: value[:MAX_FACT_CHARS] if isinstance(value, str) else value
        for name, value in facts.items()
        if name in FACTS and isinstance(value, str | int | float | bool)
    }
    masked: dict[str, Any] = mask_all(plain)
    return masked


def browser_of(user_agent: str | None) -> Browser:
    """Readable names, or "unknown" where the text says nothing."""
    result = parse(user_agent or "")
    browser, system, device = result.user_agent, result.os, result.device
    return Browser(
        name=_versioned(browser.family, browser.major) if browser else "unknown",
        system=_versioned(system.family, system.major, system.minor) if system else "unknown",
        device=" ".join(part for part in (device.brand, device.model) if part) or device.family
        if device
        else "unknown",
    )


def _versioned(family: str, *numbers: str | None) -> str:
    version = ".".join(number for number in numbers if number)
    return f"{family} {version}".strip()
