"""A payment provider on loopback that speaks the demo provider's wire format, and misbehaves on demand."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from widget import clock

_REACHED = {"pay": "succeeded", "process": "processing", "decline": "requires_payment_method"}
_PAGE = """<!doctype html><html lang="en"><title>Pay</title><h1>Bank</h1><form method="post">
<button name="answer" value="pay">Pay</button><button name="answer" value="decline">Decline</button>
<button name="answer" value="process">Process</button><button name="answer" value="cancel">Back</button></form>"""


class FakeProvider:
    """One payment per order whose `status` a test sets, and pages of links; `taken` lists what they took."""

    def __init__(self) -> None:
        self.status: str | None = "requires_payment_method"
        self.amount = 124900
        self.answers_with = 200
        self.body: bytes | None = None
        self.fails_after_making = False
        self.refuses_to_close = False
        self.refuses_to_cancel = False
        self.is_down_to_cancel = False
        # Whether it has such a payment of every order that it is asked about, each with an id of its own.
        self.knows_every_order = False
        # Whether what was paid on pages is part of what it says of the order.
        self.speaks_of_pages = True
        self.cancelled: list[str] = []
        self.pages: dict[str, dict[str, Any]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/provider"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def taken(self) -> list[dict[str, Any]]:
        found = (page["payment"] for page in self.pages.values())
        return [payment for payment in found if payment and payment["status"] == "succeeded"]

    def answer(self, url: str, answer: str) -> bool:
        """What the customer does on a page: pay, process or decline. Returns whether the page still took it."""
        page = self.pages[url.rsplit("/", 1)[1]]
        if _status(page) != "open":
            return False
        page["payment"] = {name: page[name] for name in ("order", "amount", "currency")} | {
            "id": f"pay_{page['id']}",
            "status": _REACHED[answer],
        }
        if answer == "decline":
            page["payment"]["code"] = "card_declined"
        return True

    def settle(self, url: str, status: str) -> None:
        """The bank has decided about what was processing."""
        self.pages[url.rsplit("/", 1)[1]]["payment"]["status"] = status

    def make(self, wanted: dict[str, Any], key: str) -> dict[str, Any] | None:
        known = next((page for page in self.pages.values() if page["key"] == key), None)
        if known is not None:
            return known if known["wanted"] == wanted else None
        page_id = f"pl_{len(self.pages) + 1}"
        page = wanted | {"id": page_id, "key": key, "wanted": wanted, "payment": None, "is_closed": False}
        self.pages[page_id] = page
        return page

    def shown(self, page: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/pay/{page['id']}"
        known = {name: page[name] for name in ("id", "expires_at", "payment")}
        return known | {"url": url, "status": _status(page)}

    def payment(self) -> dict[str, Any] | None:
        """The furthest of the order."""
        moved = [page["payment"] for page in self.pages.values() if page["payment"] and self.speaks_of_pages]
        for status in ("succeeded", "processing"):
            if found := [each for each in moved if each["status"] == status]:
                return dict(found[0])
        if self.status is None:
            return None
        return {"id": "pay_0", "order": "D-1001", "status": self.status, "amount": self.amount, "currency": "ZAR"}


class _Server(ThreadingHTTPServer):
    fake: FakeProvider


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        place, name = self._place()
        if place == "pay":
            return self._show_page(name)
        if place == "links":
            page = self.server.fake.pages.get(name)
            return (
                self._answer(self.server.fake.answers_with, self.server.fake.shown(page))
                if page
                else self._answer(404, {})
            )
        found = self.server.fake.payment()
        asked = parse_qs(urlsplit(self.path).query).get("order", [""])[0]
        if found and self.server.fake.knows_every_order:
            found |= {"id": f"pay_{asked}", "order": asked}
        return self._answer(self.server.fake.answers_with, found) if found else self._answer(404, {})

    def do_POST(self) -> None:
        place, name = self._place()
        sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if place == "pay":
            return self._take_answer(name, parse_qs(sent.decode())["answer"][0])
        if place == "payments" and name:
            return self._cancel(name.removesuffix("/cancel"))
        if name:
            return self._close(self.server.fake.pages[name])
        page = self.server.fake.make(json.loads(sent), self.headers["Idempotency-Key"])
        if page is None:
            return self._answer(409, {})
        return self._answer(500 if self.server.fake.fails_after_making else 201, self.server.fake.shown(page))

    def _place(self) -> tuple[str, str]:
        parts = self.path.split("?")[0].removesuffix("/expire").split("/")
        return parts[2], "/".join(parts[3:])

    def _close(self, page: dict[str, Any]) -> None:
        if self.server.fake.refuses_to_close:
            return self._answer(500, {})
        page["is_closed"] = page["is_closed"] or _status(page) == "open"
        return self._answer(200, self.server.fake.shown(page))

    def _cancel(self, payment: str) -> None:
        fake = self.server.fake
        if fake.is_down_to_cancel:
            return self._answer(503, {})
        if fake.status != "requires_action" or fake.refuses_to_cancel:
            return self._answer(409, {})
        fake.status = "canceled"
        fake.cancelled.append(payment)
        return self._answer(200, fake.payment() or {})

    def _show_page(self, name: str) -> None:
        is_open = _status(self.server.fake.pages[name]) == "open"
        self._answer(200, {}, raw=(_PAGE if is_open else "<h1>This page is closed</h1>").encode())

    def _take_answer(self, name: str, answer: str) -> None:
        page = self.server.fake.pages[name]
        if answer != "cancel" and not self.server.fake.answer(f"/{name}", answer):
            return self._show_page(name)
        if answer == "decline":
            return self._show_page(name)
        self.send_response(303)
        self.send_header("Location", page["cancel_url" if answer == "cancel" else "return_url"])
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def _answer(self, status: int, body: dict[str, Any], raw: bytes | None = None) -> None:
        content = "application/json" if raw is None else "text/html"
        if raw is None:
            raw = self.server.fake.body if self.server.fake.body is not None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


def _status(page: dict[str, Any]) -> str:
    payment = page["payment"]
    if payment and payment["status"] in {"succeeded", "processing"}:
        return "complete"
    return "expired" if page["is_closed"] or page["expires_at"] <= clock.now().timestamp() else "open"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.stop()
