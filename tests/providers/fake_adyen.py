"""Adyen on loopback: payment links of the Checkout API v72, and webhooks signed as Adyen signs them."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from tests.providers.loopback import Asked, Loopback, Told

KEY = "AQEqhmfuXNWTK0Qc+iSfakeFakeFake"
ACCOUNT = "DemoShopECOM"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
ERRORS = {401: ("000", "security"), 403: ("010", "security"), 404: ("142", "validation"), 422: ("14_030", "validation")}


class FakeAdyen(Loopback):
    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, dict[str, Any]] = {}

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("x-api-key") != KEY:
            return self.error(401)
        name = asked.path.removeprefix("/v72/paymentLinks").strip("/")
        if asked.method == "POST":
            return Told(201, self._create(asked))
        if name not in self.links:
            return self.error(404)
        if asked.method == "PATCH":
            if self.links[name]["status"] not in {"active", "paymentPending"}:
                return self.error(422)
            self.links[name]["status"] = asked.json["status"]
        return Told(200, self.links[name])

    def error(self, status: int) -> Told:
        code, kind = ERRORS.get(status, ("901", "internal"))
        return Told(status, {"status": status, "errorCode": code, "message": f"Said no to {KEY}.", "errorType": kind})

    def _create(self, asked: Asked) -> dict[str, Any]:
        key = asked.headers["idempotency-key"]
        if key not in self.by_key:
            link_id = f"PL{len(self.links) + 1:016X}"
            self.links[link_id] = asked.json | {
                "id": link_id,
                "status": "active",
                "url": f"https://test.adyen.link/{link_id}",
                "merchantAccount": ACCOUNT,
            }
            self.by_key[key] = dict(self.links[link_id])
        return self.by_key[key]


def item(event: str, psp: str = "PSP0000000000001", success: str = "true", **changes: Any) -> dict[str, Any]:
    """One notification item, signed. `added` goes into its additionalData."""
    added = changes.pop("added", {})
    found: dict[str, Any] = {
        "amount": {"value": 1250, "currency": "EUR"},
        "eventCode": event,
        "eventDate": "2026-11-21T10:00:00+01:00",
        "merchantAccountCode": ACCOUNT,
        "merchantReference": "D-1001",
        "paymentMethod": "visa",
        "pspReference": psp,
        "reason": "" if success == "true" else "Refused",
        "success": success,
    } | changes
    found["additionalData"] = added | {"hmacSignature": signature(found)}
    return found


def signature(found: dict[str, Any], key: str = HMAC_KEY) -> str:
    fields = [found["pspReference"], found.get("originalReference") or "", found["merchantAccountCode"]]
    fields += [found["merchantReference"], str(found["amount"]["value"]), found["amount"]["currency"]]
    fields += [found["eventCode"], found["success"]]
    digest = hmac.new(binascii.a2b_hex(key), ":".join(fields).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def webhook(*items: dict[str, Any]) -> bytes:
    return json.dumps(
        {"live": "false", "notificationItems": [{"NotificationRequestItem": each} for each in items]}
    ).encode()
