"""What a browser tells about itself: the allow-list of captured facts, and readable names from a user-agent text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ua_parser import parse

from widget.language import N_
from widget.redaction import mask_all

MAX_FACT_CHARS = 200
# What a user-agent text does not say.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CapturedFact:
    """One thing the browser may tell: what people call it, and why it is asked for at all."""

    label: str
    reason: str


# Every fact the embed and its frame may send, in the order people read them. Whatever else arrives is dropped.
FACTS: dict[str, CapturedFact] = {
    "language": CapturedFact(
        N_("Language"), "So that help, amounts and e-mails are written as the customer reads them."
    ),
    "time_zone": CapturedFact(N_("Time zone"), "So that agents know what time it is for the customer."),
    "viewport": CapturedFact(N_("Window"), "A payment form or bank page may be cut off in a small window."),
    "screen": CapturedFact(N_("Screen"), "Tells a phone from a desktop where the browser hides it."),
    "pixel_ratio": CapturedFact(N_("Pixel ratio"), "Zoomed pages hide buttons; this shows the zoom."),
    "touch": CapturedFact(N_("Touch screen"), "Some payment buttons fail on touch screens only."),
    "connection": CapturedFact(N_("Connection"), "A slow connection explains a slow payment."),
    "online": CapturedFact(N_("Online"), "Tells a lost connection from a provider that does not answer."),
    "memory": CapturedFact(N_("Memory (GB)"), "Pages freeze or are closed by the system when memory is short."),
    "cores": CapturedFact(N_("Processor cores"), "A slow device freezes where a fast one does not."),
    "cookies": CapturedFact(N_("Cookies"), "Banks and providers need cookies to finish a payment."),
    "storage": CapturedFact(N_("Storage"), "A checkout that may store nothing loses the payment on the way."),
    "wallets": CapturedFact(
        N_("Wallets"),
        "Which of the interfaces `ApplePaySession` and `PaymentRequest` the browser has: by which wallets open, not "
        "which is set up.",
    ),
    "page": CapturedFact(N_("Page"), "On which page the payment got stuck: the path only, without the query."),
    "referrer": CapturedFact(N_("Came from"), "Which site led here, a provider's for instance: the host only."),
    "clock_skew": CapturedFact(N_("Clock is off by (s)"), "Banks refuse payments from a device whose clock is wrong."),
    "protection": CapturedFact(N_("Help while frozen"), "Whether help could show although the shop's page was frozen."),
    "architecture": CapturedFact(N_("Processor"), "To repeat a fault on the same kind of processor."),
    "bitness": CapturedFact(N_("Processor bits"), "To repeat a fault on the same build of the browser."),
    "model": CapturedFact(N_("Device model"), "To repeat a fault on the same phone."),
    "platform_version": CapturedFact(N_("System version"), "The user-agent text no longer tells the true version."),
    "browser_versions": CapturedFact(N_("Browser versions"), "To repeat a fault in the same version of the browser."),
    "form_factors": CapturedFact(N_("Form"), "Tells a tablet from a phone and a desktop."),
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


_SYSTEMS = {
    "ios": "ios",
    "android": "android",
    "windows": "windows",
    "mac_os_x": "mac",
    "linux": "linux",
    "ubuntu": "linux",
    "fedora": "linux",
    "chrome_os": "chromeos",
}
_NO_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Kin:
    """What a browser is like, in few words, so that the same fault is counted together: "safari", "ios", "phone"."""

    browser: str
    os: str
    device_class: str


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
        name=_versioned(browser.family, browser.major) if browser else UNKNOWN,
        system=_versioned(system.family, system.major, system.minor) if system else UNKNOWN,
        device=" ".join(part for part in (device.brand, device.model) if part) or device.family if device else UNKNOWN,
    )


def kin_of(user_agent: str | None, facts: Mapping[str, Any] | None = None) -> Kin:
    """What this browser is like; "" for what is not known. An iPad says that it is a Mac with a touch screen."""
    result, known = parse(user_agent or ""), facts or {}
    system = _spelled(result.os.family) if result.os else ""
    if system == "mac_os_x" and known.get("touch") not in (None, False, 0):
        return Kin(_family(user_agent, result.user_agent), "ios", "tablet")
    return Kin(_family(user_agent, result.user_agent), _SYSTEMS.get(system, ""), _class_of(user_agent, system))


def maker_of(user_agent: str | None, facts: Mapping[str, Any] | None = None) -> str | None:
    """Who made the device, "Samsung" for instance; None where nobody says, or its model is not known.

    Chrome on Android writes K for every model. Where it tells the true one, that is a fact.
    """
    model = str((facts or {}).get("model") or "K")
    device = parse((user_agent or "").replace("; K)", f"; {model})")).device
    return device.brand if device and device.brand and not device.brand.startswith("Generic") else None


def in_app_of(user_agent: str | None) -> str | None:
    """The app in whose built-in browser the page is open, "an app" where it has no name, or None."""
    return next((app for app, named in _IN_APP.items() if named.search(user_agent or "")), None)


def _versioned(family: str, *numbers: str | None) -> str:
    version = ".".join(number for number in numbers if number)
    return f"{family} {version}".strip()


def _family(user_agent: str | None, found: Any) -> str:
    """The browser without its version and without "mobile"; of one inside an app, the app."""
    app = in_app_of(user_agent)
    if app is not None:
        return _spelled(app)
    words = _spelled(found.family).split("_") if found else []
    return "_".join(word for word in words if word not in {"mobile", "ios", "webview"})[:40]


def _class_of(user_agent: str | None, system: str) -> str:
    text = user_agent or ""
    if system == "ios":
        return "tablet" if "iPad" in text else "phone"
    if system == "android":
        return "phone" if "Mobile" in text else "tablet"
    return "desktop" if system in _SYSTEMS else ""


def _spelled(words: str) -> str:
    return _NO_WORD.sub("_", words.lower()).strip("_")
