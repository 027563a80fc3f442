"""Signatures over what servers tell each other, as Stripe makes them: `t=<Unix seconds>,v1=<hex HMAC-SHA256>`."""

import hashlib
import hmac

from widget import clock
from widget.providers import WebhookRefused

HEADER = "Unjam-Signature"
HOLDS_SECONDS = 300


def signature_of(secret: str, body: bytes, at: int) -> str:
    """The header's value for a body that is sent at this moment."""
    return f"t={at},v1={_mac(secret, body, str(at))}"


def check(secret: str, body: bytes, signature: str) -> int:
    """The Unix time at which this body was signed. Raises WebhookRefused."""
    parts = [part.strip().partition("=") for part in signature.split(",")]
    signed_at = next((value for name, _, value in parts if name == "t"), "")
    macs = [value for name, _, value in parts if name == "v1"]
    if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) < 12):
        raise WebhookRefused("The signature has no time.")
    expected = _mac(secret, body, signed_at)
    if not any(hmac.compare_digest(expected.encode(), mac.encode()) for mac in macs):
        raise WebhookRefused("The signature does not fit.")
    if abs(clock.now().timestamp() - int(signed_at)) > HOLDS_SECONDS:
        raise WebhookRefused("It was signed more than five minutes ago.")
    return int(signed_at)


def _mac(secret: str, body: bytes, at: str) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
