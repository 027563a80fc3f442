"""What a browser tells about itself: the allow-list of captured facts, and readable names from a user-agent text."""

import re
from dataclasses import dataclass
from typing import Any

from ua_parser import parse

from widget.redaction import mask_all

MAX_FACT_CHARS = 200


@dataclass(frozen=True, slots=True)
class CapturedFact:
    """One thing the browser may tell: what people call it, and why it is asked for at all."""

    label: str
    reason: str


# Every fact the embed and its frame may send, in the order people read them. Whatever else arrives is dropped.
FACTS: dict[str, CapturedFact] = {
    "language": CapturedFact("Language", "So that help, amounts and e-mails are written as the customer reads them."),
    "time_zone": CapturedFact("Time zone", "So that agents know what time it is for the customer."),
    "viewport": CapturedFact("Window", "A payment form or bank page may be cut off in a small window."),
    "screen": CapturedFact("Screen", "Tells a phone from a desktop where the browser hides it."),
    "pixel_ratio": CapturedFact("Pixel ratio", "Zoomed pages hide buttons; this shows the zoom."),
    "touch": CapturedFact("Touch screen", "Some payment buttons fail on touch screens only."),
    "connection": CapturedFact("Connection", "A slow connection explains a slow payment."),
    "online": CapturedFact("Online", "Tells a lost connection from a provider that does not answer."),
    "memory": CapturedFact("Memory (GB)", "Pages freeze or are closed by the system when memory is short."),
    "cores": CapturedFact("Processor cores", "A slow device freezes where a fast one does not."),
    "cookies": CapturedFact("Cookies", "Banks and providers need cookies to finish a payment."),
    "storage": CapturedFact("Storage", "A checkout that may store nothing loses the payment on the way."),
    "wallets": CapturedFact("Wallets", "Which of Apple Pay, Google Pay and Samsung Pay this browser has."),
    "page": CapturedFact("Page", "On which page the payment got stuck: the path only, without the query."),
    "referrer": CapturedFact("Came from", "Which site led here, a provider's for instance: the host only."),
    "clock_skew": CapturedFact("Clock is off by (s)", "Banks refuse payments from a device whose clock is wrong."),
    "protection": CapturedFact("Help while frozen", "Whether help could show although the shop's page was frozen."),
    "architecture": CapturedFact("Processor", "To repeat a fault on the same kind of processor."),
    "bitness": CapturedFact("Processor bits", "To repeat a fault on the same build of the browser."),
    "model": CapturedFact("Device model", "To repeat a fault on the same phone."),
    "platform_version": CapturedFact("System version", "The user-agent text no longer tells the true version."),
    "browser_versions": CapturedFact("Browser versions", "To repeat a fault in the same version of the browser."),
    "form_factors": CapturedFact("Form", "Tells a tablet from a phone and a desktop."),
}

# What the browsers inside other apps call themselves. They share no cookies with the real one, cannot open a bank's
# app and often have no wallet.
_IN_APP = {
    "Instagram": re.compile(r"Instagram"),
    "Facebook": re.compile(r"\bFB(?:AN|AV|_IAB)\b"),
    "TikTok": re.compile(r"BytedanceWebview|musical_ly|TikTok"),
    "WeChat": re.compile(r"MicroMessenger"),
    "LinkedIn": re.compile(r"LinkedInApp"),
    "Snapchat": re.compile(r"Snapchat"),
    "Pinterest": re.compile(r"\[?Pinterest/"),
    "Line": re.compile(r"\bLine/\d"),
    "Twitter": re.compile(r"Twitter(?: for |Android)"),
    "an app": re.compile(r"Android\b[^)]*; wv\)"),
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


def in_app_of(user_agent: str | None) -> str | None:
    """The app in whose built-in browser the page is open, "an app" where it has no name, or None."""
    return next((app for app, named in _IN_APP.items() if named.search(user_agent or "")), None)


def _versioned(family: str, *numbers: str | None) -> str:
    version = ".".join(number for number in numbers if number)
    return f"{family} {version}".strip()
