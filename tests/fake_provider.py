"""A payment provider on loopback that speaks the demo provider's wire format, and misbehaves on demand."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class FakeProvider:
    """One payment per order whose `status` a test sets; `taken` lists what links made it take."""

    def __init__(self) -> None:
        self.status: str | None = "requires_payment_method"
        self.amount = 124900
        self.answers_with = 200
        self.body: bytes | None = None
        self.fails_after_taking = False
        self.taken: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/provider"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, order: dict[str, Any], key: str) -> dict[str, Any]:
        known = next((each for each in self.taken if each["key"] == key), None)
        if known is None:
            known = order | {"key": key, "id": f"pay_{len(self.taken) + 1}", "status": "succeeded"}
            self.taken.append(known)
        return known

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 -- two selves meet here
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if fake.status is None:
                    return self._answer(404, {})
                found: dict[str, Any] = {"id": "pay_0", "order": "D-1001", "status": fake.status, "currency": "ZAR"}
                found["amount"] = fake.amount
                return self._answer(fake.answers_with, found)

            def do_POST(self) -> None:
                order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taken = fake._take(order, self.headers["Idempotency-Key"])
                self._answer(500 if fake.fails_after_taking else 201, taken)

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                raw = fake.body if fake.body is not None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.stop()
