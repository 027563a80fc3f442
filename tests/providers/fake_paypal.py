"""PayPal on loopback: OAuth2, orders, captures and the verification of webhooks, in its own wire format."""

import base64
import json
import zlib
from typing import Any
from urllib.parse import parse_qs

from tests.providers.loopback import Asked, Loopback, Told

ID, SECRET, WEBHOOK_ID = "AeA1QIZXiflr1_-fake", "ELtVxAjhT7cJimnz-fake", "1JE4291016473214C"
# What an authorisation may be, and a capture is not.
AUTHORISED = {"CREATED", "VOIDED", "PARTIALLY_CAPTURED"}
NAMES = {
    400: "INVALID_REQUEST",
    401: "AUTHENTICATION_FAILURE",
    404: "RESOURCE_NOT_FOUND",
    422: "UNPROCESSABLE_ENTITY",
    429: "RATE_LIMIT_REACHED",
    500: "INTERNAL_SERVER_ERROR",
    503: "SERVICE_UNAVAILABLE",
}


class FakePayPal(Loopback):
    """`declines` is the issue that captures are refused with; `loses` makes a capture happen but answer 500."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, Told] = {}
        self.tokens: list[str] = []
        self.lives_seconds = 32400
        self.declines: str | None = None
        self.loses = False

    def has(self, number: int, status: str, *captures: dict[str, Any], **fields: Any) -> str:
        """Keeps an order and answers its id."""
        order_id = f"5O190127TN{number:07d}"
        unit: dict[str, Any] = {"reference_id": "default", "custom_id": "D-1001"}
        unit["amount"] = {"currency_code": "EUR", "value": "12.50"}
        if captures:
            unit["payments"] = {"captures": list(captures)}
        self.payments |= {each["id"]: each for each in captures}
        self.orders[order_id] = {
            "id": order_id,
            "intent": "CAPTURE",
            "status": status,
            "purchase_units": [unit],
            "create_time": "2026-11-21T08:00:00Z",
            "links": [],
        } | fields
        return order_id

    def answer(self, asked: Asked) -> Told:
        if asked.path == "/v1/oauth2/token":
            return self._token(asked)
        if asked.headers.get("authorization") not in {f"Bearer {token}" for token in self.tokens}:
            return self.error(401)
        if asked.path == "/v1/notifications/verify-webhook-signature":
            return self._verified(asked)
        key = asked.headers.get("paypal-request-id", "")
        if key and key in self.by_key:
            return self.by_key[key]
        told = self._told(asked)
        if key and told.status < 300:
            self.by_key[key] = told
        return self.error(500) if self.loses and asked.path.endswith("/capture") else told

    def error(self, status: int, issue: str | None = None) -> Told:
        body: dict[str, Any] = {
            "name": NAMES[status],
            "message": f"It did not work for {SECRET}.",
            "debug_id": "90957fca61718",
        }
        if issue:
            body["details"] = [{"issue": issue, "description": "Why it did not."}]
        return Told(status, body)

    def _token(self, asked: Asked) -> Told:
        basic = base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {basic}":
            return Told(
                401, {"error": "invalid_client", "error_description": f"Client Authentication failed for {SECRET}"}
            )
        assert parse_qs(asked.body.decode())["grant_type"] == ["client_credentials"]
        self.tokens.append(f"A21AAFakeToken{len(self.tokens)}")
        found = {"scope": "https://uri.paypal.com/services/checkout", "access_token": self.tokens[-1]}
        return Told(200, found | {"token_type": "Bearer", "app_id": "APP-1", "expires_in": self.lives_seconds})

    def _told(self, asked: Asked) -> Told:
        name, _, action = asked.path.removeprefix("/v2/checkout/orders").strip("/").partition("/")
        if asked.path.startswith("/v2/payments/"):
            payment = self.payments.get(asked.path.rsplit("/", 1)[-1])
            is_capture = "/captures/" in asked.path
            known = payment is not None and is_capture == (payment["status"] not in AUTHORISED)
            return Told(200, payment) if known else self.error(404)
        if asked.method == "POST" and not name:
            return self._create(asked)
        order = self.orders.get(name)
        if order is None:
            return self.error(404)
        if asked.method == "PATCH":
            return self._patch(order, asked)
        return self._capture(order) if action == "capture" else Told(200, order)

    def _create(self, asked: Asked) -> Told:
        order_id = self.has(900 + len(self.orders), "PAYER_ACTION_REQUIRED")
        order = self.orders[order_id]
        order["purchase_units"][0] |= asked.json["purchase_units"][0]
        href = f"https://www.sandbox.paypal.com/checkoutnow?token={order_id}"
        return Told(200, {"id": order_id, "status": order["status"], "links": [{"href": href, "rel": "payer-action"}]})

    def _patch(self, order: dict[str, Any], asked: Asked) -> Told:
        if order["status"] == "COMPLETED":
            return self.error(422, "ORDER_ALREADY_COMPLETED")
        (change,) = json.loads(asked.body)
        assert (change["op"], change["path"]) == ("replace", "/purchase_units/@reference_id=='default'/custom_id")
        order["purchase_units"][0]["custom_id"] = change["value"]
        return Told(204)

    def _capture(self, order: dict[str, Any]) -> Told:
        if order["status"] != "APPROVED":
            taken = order["status"] == "COMPLETED"
            return self.error(422, "ORDER_ALREADY_CAPTURED" if taken else "ORDER_NOT_APPROVED")
        if self.declines:
            return self.error(422, self.declines)
        unit = order["purchase_units"][0]
        made = capture(f"3C679366HH{order['id'][-7:]}", "COMPLETED", amount=unit["amount"])
        unit["payments"] = {"captures": [made]}
        self.payments[made["id"]] = made
        order["status"] = "COMPLETED"
        return Told(201, json.loads(json.dumps(order)))

    def _verified(self, asked: Asked) -> Told:
        """PayPal signs a checksum of the very bytes that it sent."""
        found = asked.json
        raw = asked.body.split(b'"webhook_event":', 1)[1][:-1]
        is_ours = found["transmission_sig"] == signature(raw, found["transmission_id"], found["transmission_time"])
        good = is_ours and found["webhook_id"] == WEBHOOK_ID
        return Told(200, {"verification_status": "SUCCESS" if good else "FAILURE"})


def capture(payment_id: str, status: str, **fields: Any) -> dict[str, Any]:
    amount = {"currency_code": "EUR", "value": "12.50"}
    return {"id": payment_id, "status": status, "amount": amount, "final_capture": True, "custom_id": "D-1001"} | fields


def signature(raw: bytes, transmission: str, time: str) -> str:
    return base64.b64encode(f"signed {transmission}|{time}|{WEBHOOK_ID}|{zlib.crc32(raw)}".encode()).decode()


def headers_for(raw: bytes, time: str = "2026-11-21T09:00:00Z") -> dict[str, str]:
    return {
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        "paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
        "paypal-transmission-sig": signature(raw, "69cd13f0-d67a-11e5-baa3-778b53f4ae55", time),
        "paypal-transmission-time": time,
    }


def event(kind: str, resource: dict[str, Any], number: int = 1) -> bytes:
    found = {"id": f"WH-{number:017d}-0", "event_version": "1.0", "create_time": "2026-11-21T09:00:00.000Z"}
    found |= {"resource_type": "capture", "event_type": kind, "summary": "Something happened", "resource": resource}  # type: ignore[dict-item]
    # With spaces and an order of fields that no serialiser would write again.
    return json.dumps(found, indent=1).encode()
