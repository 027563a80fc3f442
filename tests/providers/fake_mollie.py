"""Mollie on loopback: the payments API in its own wire format (HAL, decimal strings, RFC 7807-like errors)."""

from typing import Any

from tests.providers.loopback import Asked, Loopback, Told

KEY = "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM"
WORDS = {401: "Unauthorized Request", 404: "Not Found", 422: "Unprocessable Entity", 429: "Too Many Requests"}


class FakeMollie(Loopback):
    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[str, dict[str, Any]] = {}
        self.answered: dict[str, dict[str, Any]] = {}
        self.has_more = False

    def has(self, number: int, status: str, order: str | None = "D-1001", **fields: Any) -> str:
        """Keeps a payment and answers its id."""
        payment_id = f"tr_{number:010d}"
        self.payments[payment_id] = {
            "resource": "payment",
            "id": payment_id,
            "mode": "test",
            "createdAt": "2026-11-21T09:00:00+00:00",
            "amount": {"value": "12.50", "currency": "EUR"},
            "description": "Thank you for your purchase",
            "method": None,
            "metadata": {"order": order} if order else None,
            "status": status,
            "isCancelable": False,
            "_links": {"self": {"href": f"{self.url}/v2/payments/{payment_id}", "type": "application/hal+json"}},
        } | fields
        return payment_id

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return self.error(401)
        name = asked.path.removeprefix("/v2/payments").strip("/")
        if asked.method == "GET" and not name:
            return Told(200, self._list())
        if asked.method == "POST":
            return Told(201, self._create(asked))
        if name not in self.payments:
            return self.error(404)
        if asked.method == "DELETE":
            if not self.payments[name]["isCancelable"]:
                return self.error(422)
            self.payments[name] |= {"status": "canceled"}
        return Told(200, self.payments[name])

    def error(self, status: int) -> Told:
        title = WORDS.get(status, "Internal Server Error")
        body = {"status": status, "title": title, "detail": f"{title} of {KEY}.", "field": "amount", "_links": {}}
        return Told(status, body)

    def _list(self) -> dict[str, Any]:
        newest_first = sorted(self.payments.values(), key=lambda each: str(each["id"]), reverse=True)
        more = {"href": f"{self.url}/v2/payments?from=tr_1", "type": "application/hal+json"} if self.has_more else None
        links = {"next": more, "previous": None}
        return {"count": len(newest_first), "_embedded": {"payments": newest_first}, "_links": links}

    def _create(self, asked: Asked) -> dict[str, Any]:
        key = asked.headers["idempotency-key"]
        if key not in self.answered:
            made = self.payments[self.has(900 + len(self.payments), "open", None)]
            made |= asked.json | {"expiresAt": "2026-11-21T09:15:00+00:00"}
            made["_links"]["checkout"] = {"href": f"https://www.mollie.com/checkout/{made['id']}", "type": "text/html"}
            self.answered[key] = dict(made)
        return self.answered[key]
