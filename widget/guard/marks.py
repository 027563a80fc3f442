"""Marks: keyed hashes that stand for an address or a device, so that neither is kept itself."""

import hashlib
import hmac
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from widget.attempts import Attempt

MARK_CHARS = 32
# Facts that stay the same from one payment to the next. Nothing here is drawn, measured or stored in the browser.
_STABLE_FACTS = ("language", "time_zone", "screen", "touch", "memory", "cores", "model", "platform_version")
# A subscriber is given at least this much of the IPv6 space, and may use any address in it.
_IPV6_PREFIX_BITS = 64


@lru_cache(maxsize=8192)
def hash_of(settings_key: str, address: str) -> str:
    """The keyed hash that stands for a client's address: 32 hex digits. IPv6 counts by its /64.

    Without the key nobody can find the address by trying all of them, which for IPv4 takes minutes.
    """
    return hmac.new(settings_key.encode(), b"address:" + _network_of(address), hashlib.sha256).hexdigest()[:MARK_CHARS]


def device_of(user_agent: str | None, facts: dict[str, Any]) -> str:
    """What a device and browser look like: the same for all phones of one model and language, so never a person."""
    return of("device", user_agent or "", *(str(facts.get(name, "")) for name in _STABLE_FACTS))


def of(*parts: str) -> str:
    """One mark out of several parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:MARK_CHARS]


def visitor(address: str, device: str) -> str:
    """One device behind one address, as far as the two can tell."""
    return of("visitor", address, device)


def network(address: str) -> str:
    return of("network", address)


def shape(device: str, amount: int | None, currency: str | None) -> str:
    """A kind of device that pays one sum: what is left to recognise when addresses change all the time."""
    return of("shape", device, str(amount), str(currency))


def order(order_id: int) -> str:
    return of("order", str(order_id))


def all_of(attempt: Attempt) -> dict[str, str]:
    """The subjects that this attempt belongs to, by kind."""
    found: dict[str, str] = {}
    device = attempt.device or ""
    if attempt.address is not None:
        found |= {"visitor": visitor(attempt.address, device), "network": network(attempt.address)}
        if attempt.amount is not None:
            found["shape"] = shape(device, attempt.amount, attempt.currency)
    if attempt.order_id is not None:
        found["order"] = order(attempt.order_id)
    return found


def _network_of(address: str) -> bytes:
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.strip().split("%", 1)[0])
    except ValueError:
        return address.encode()
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return parsed.packed[: _IPV6_PREFIX_BITS // 8]
        parsed = parsed.ipv4_mapped
    return parsed.packed
