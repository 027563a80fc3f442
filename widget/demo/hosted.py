"""The demo provider's own payment pages: what a link of Unjam opens, and how the provider tells Unjam of it.

A page takes one payment, once. It knows the rules of a real one: a key makes one page, and a page that has expired, was
closed or was paid takes nothing any more.
"""

import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from flask import Blueprint, Response, abort, current_app, jsonify, make_response, redirect, render_template, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from urllib3.exceptions import HTTPError
from werkzeug.wrappers import Response as AnyResponse

from widget import clock
from widget.demo.store import Payment, PaymentStatus, Store
from widget.money import MAX_MINOR, Money
from widget.providers import signing

# It opens nothing but the demo on this machine.
WEBHOOK_SECRET = "whsec_of_the_demo"  # noqa: S105 -- not a secret
_TOLD_WITHIN = urllib3.Timeout(connect=2, read=5)
_TRIES = 3
_ANSWERS = {
    "pay": PaymentStatus.SUCCEEDED,
    "decline": PaymentStatus.REQUIRES_PAYMENT_METHOD,
    "process": PaymentStatus.PROCESSING,
}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS links (
  id TEXT PRIMARY KEY,
  order_reference TEXT NOT NULL,
  amount INTEGER NOT NULL,
  currency TEXT NOT NULL,
  return_url TEXT NOT NULL,
  cancel_url TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  idempotency_key TEXT NOT NULL UNIQUE,
  content TEXT NOT NULL,
  -- When it was closed on request, in Unix seconds.
  closed_at INTEGER,
  payment TEXT,
  was_declined INTEGER NOT NULL DEFAULT 0
)
"""


class Refused(Exception):
    """The page does not take this payment; the text says why."""


class Wanted(BaseModel):
    """The body of POST /provider/links."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    order: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0, le=MAX_MINOR, strict=True)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    return_url: str = Field(pattern=r"^https?://", max_length=2000)
    cancel_url: str = Field(pattern=r"^https?://", max_length=2000)
    expires_at: int = Field(gt=0)


@dataclass(frozen=True, slots=True)
class Link:
    """`expires_at` and `closed_at` in Unix seconds; `payment` is the one that it has begun."""

    id: str
    order_reference: str
    amount: int
    currency: str
    return_url: str
    cancel_url: str
    expires_at: int
    closed_at: int | None
    payment: str | None
    was_declined: int

    def is_over(self) -> bool:
        return self.closed_at is not None or self.expires_at <= clock.now().timestamp()


class Links:
    """In the shop's file, beside its books. Safe to use from any thread."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute(_SCHEMA)

    def make(self, wanted: Wanted, key: str) -> tuple[Link, bool]:
        """The page of this key; True when it was made now. Raises Refused when the key was used for another."""
        content = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
        with self._lock:
            known = self._first("SELECT * FROM links WHERE idempotency_key = ?", key)
            if known is None:
                values = (*wanted.model_dump().values(), key, content)
                self._connection.execute(
                    "INSERT INTO links (id, order_reference, amount, currency, return_url, cancel_url, expires_at,"
                    " idempotency_key, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    ("pl_" + secrets.token_hex(12), *values),
                )
            elif known["content"] != content:
                raise Refused("This idempotency key was used for another page.")
            row = self._first("SELECT * FROM links WHERE idempotency_key = ?", key)
        return _link(row), known is None

    def get(self, link_id: str) -> Link | None:
        row = self._first("SELECT * FROM links WHERE id = ?", link_id)
        return _link(row) if row else None

    def change(self, link: Link, **values: object) -> Link:
        names = ", ".join(f"{name} = ?" for name in values)
        with self._lock:
            self._connection.execute(f"UPDATE links SET {names} WHERE id = ?", (*values.values(), link.id))  # noqa: S608
        return self.get(link.id) or link

    def _first(self, query: str, *values: object) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return row


def pay(store: Store, links: Links, link: Link, status: PaymentStatus) -> Payment:
    """The customer answers on the page. Raises Refused when it takes nothing, or the order has nothing left to pay."""
    with store.exclusive():
        link = links.get(link.id) or link
        payment = store.payment(link.payment) if link.payment else None
        if payment is not None and payment.status.may_have_taken_money:
            raise Refused("This page was paid on before.")
        if link.is_over():
            raise Refused("This page is closed.")
        _check_something_left(store, link)
        if payment is None:
            # As one more part of the order, where one was paid already.
            leg = max((each.leg for each in store.payments_of(link.order_reference)), default=0) + 1
            payment = store.add_payment(
                order=link.order_reference,
                amount=link.amount,
                currency=link.currency,
                status=PaymentStatus.REQUIRES_PAYMENT_METHOD,
                leg=leg if _moved(store, link.order_reference) else 0,
            )
            links.change(link, payment=payment.id)
        links.change(link, was_declined=int(status is PaymentStatus.REQUIRES_PAYMENT_METHOD))
        return store.move(payment, status, "card")


class Counter:
    """The pages and their interface. `shown` is how the provider describes a payment."""

    def __init__(
        self,
        store: Store,
        links: Links,
        on_paid: Callable[[Payment], None],
        shown: Callable[[Payment], dict[str, Any]],
    ) -> None:
        self._store, self._links, self._on_paid, self._shown = store, links, on_paid, shown

    def blueprint(self) -> Blueprint:
        made = Blueprint("hosted", __name__)
        made.add_url_rule("/links", view_func=self.make, methods=["POST"])
        made.add_url_rule("/links/<link_id>", view_func=self.look)
        made.add_url_rule("/links/<link_id>/expire", view_func=self.close, methods=["POST"])
        made.add_url_rule("/pay/<link_id>", view_func=self.page)
        made.add_url_rule("/pay/<link_id>", view_func=self.answer, methods=["POST"])
        return made

    def make(self) -> tuple[Response, int]:
        key = request.headers.get("Idempotency-Key") or secrets.token_hex(8)
        try:
            link, is_new = self._links.make(Wanted.model_validate_json(request.get_data()), key)
        except ValidationError:
            return jsonify(error={"message": "Send order, amount, currency, return_url, cancel_url, expires_at."}), 422
        except Refused as refusal:
            return jsonify(error={"message": str(refusal)}), 409
        return self._described(link), 201 if is_new else 200

    def look(self, link_id: str) -> Response:
        return self._described(self._links.get(link_id) or abort(404))

    def close(self, link_id: str) -> tuple[Response, int]:
        link = self._links.get(link_id) or abort(404)
        if self._is_done(link):
            return jsonify(error={"message": "This page was paid on."}), 409
        if link.closed_at is None:
            link = self._links.change(link, closed_at=int(clock.now().timestamp()))
        return self._described(link), 200

    def page(self, link_id: str) -> Response:
        return self._page(self._links.get(link_id) or abort(404))

    def answer(self, link_id: str) -> AnyResponse:
        link, said = self._links.get(link_id) or abort(404), request.form.get("answer", "")
        if said == "cancel":
            return redirect(link.cancel_url, 303)
        try:
            payment = pay(self._store, self._links, link, _ANSWERS.get(said) or abort(400))
        except Refused as refusal:
            return self._page(self._links.get(link_id) or link, why=str(refusal))
        self._on_paid(payment)
        _tell(payment.id, self._shown(payment))
        if said == "decline":
            return self._page(link, why="Veld Bank declined this payment. Nothing was taken.")
        return redirect(link.return_url, 303)

    def _described(self, link: Link) -> Response:
        status = "complete" if self._is_done(link) else "expired" if link.is_over() else "open"
        url = f"{request.url_root}provider/pay/{link.id}"
        body = {"id": link.id, "url": url, "expires_at": link.expires_at, "status": status, "payment": None}
        payment = self._store.payment(link.payment) if link.payment else None
        if payment is not None:
            body["payment"] = self._shown(payment) | ({"code": "card_declined"} if link.was_declined else {})
        return jsonify(body)

    def _is_done(self, link: Link) -> bool:
        payment = self._store.payment(link.payment) if link.payment else None
        return payment is not None and payment.status.may_have_taken_money

    def _page(self, link: Link, why: str = "") -> Response:
        is_paid, amount = self._is_done(link), Money(link.amount, link.currency).shown("en-ZA")
        is_open = not is_paid and not link.is_over()
        page = render_template("demo/pay.html", link=link, amount=amount, why=why, is_paid=is_paid, is_open=is_open)
        response = make_response(page, 200)
        # The answer sends the customer back to Unjam, wherever that is.
        policy = "default-src 'self'; form-action 'self' http: https:; frame-ancestors 'none'; base-uri 'none'"
        response.headers["Content-Security-Policy"] = policy
        return response


def _check_something_left(store: Store, link: Link) -> None:
    """Unlike a real provider this one knows the order, and so never takes more than that."""
    order, moved = store.order(link.order_reference), _moved(store, link.order_reference)
    if moved and (order is None or moved + link.amount > order.amount):
        raise Refused("A payment of this order was made, or is being made.")


def _moved(store: Store, reference: str) -> int:
    return sum(each.amount for each in store.payments_of(reference) if each.status.may_have_taken_money)


def _tell(event_id: str, payment: dict[str, Any]) -> None:
    """Tell Unjam, in a thread of its own; a webhook that is lost is what Unjam has to live with."""
    till = current_app.extensions.get("till")
    if till is None:
        return
    at = int(clock.now().timestamp())
    event = {"id": f"evt_{event_id}_{payment['status']}_{at}", "at": at, "payment": payment}
    body = json.dumps(event).encode()
    headers = {"Content-Type": "application/json", signing.HEADER: signing.signature_of(WEBHOOK_SECRET, body, at)}
    address = f"{till.config.unjam_url}/api/v1/webhooks/{till.config.site}/demo"
    threading.Thread(target=_deliver, args=(address, body, headers, till.is_closing), daemon=True).start()


def _deliver(address: str, body: bytes, headers: dict[str, str], is_closing: threading.Event) -> None:
    for tries in range(_TRIES):
        try:
            answer = urllib3.request(
                "POST", address, body=body, headers=headers, timeout=_TOLD_WITHIN, retries=False, redirect=False
            )
            if answer.status < 500:
                return
        except HTTPError:
            pass
        if is_closing.wait(2.0**tries):
            return


def _link(row: sqlite3.Row | None) -> Link:
    if row is None:
        raise Refused("There is no such page.")
    return Link(**{name: row[name] for name in Link.__slots__})
