"""Stripe on loopback, in its own wire format: PaymentIntents, search, Checkout Sessions, their page, webhooks.

Written from Stripe's API reference; `tests.test_stripe_peer` asks an independent peer, too.
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from typing import Any

from flask import Flask, Response, abort, jsonify, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

KEY = "sk_test_of_the_fake"
WEBHOOK_SECRET = "whsec_of_the_fake"

PAGE = """<!doctype html><html lang="en"><title>Pay</title><h1>Checkout</h1><p id="amount">{amount}</p>
<form method="post"><button name="answer" value="pay">Pay</button>
<button name="answer" value="decline">Decline</button>
<button name="answer" value="process">Process</button><button name="answer" value="voucher">Voucher</button>
<button name="answer" value="cancel">Back</button></form>"""
ANSWERS = {
    "pay": "succeeded",
    "process": "processing",
    "voucher": "requires_action",
    "decline": "requires_payment_method",
}


class FakeStripe:
    """`fails_with` (status, error) or `raw` answers everything; `hangs` holds back; `index_lags` hides search."""

    def __init__(self) -> None:
        self.intents: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.fails_with: tuple[int, dict[str, Any]] | None = None
        self.raw: bytes | None = None
        self.index_lags = False
        # A payment of this status is completed at the moment that somebody wants to cancel it.
        self.is_confirmed_meanwhile = False
        self.hangs = threading.Event()
        self._released = threading.Event()
        self._keys: dict[str, tuple[str, dict[str, Any]]] = {}
        self._lock = threading.RLock()
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def config(self) -> dict[str, Any]:
        return {"secret_key": KEY, "webhook_secret": WEBHOOK_SECRET, "api_url": self.url}

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def intent(self, status: str, *, order: str | None = "D-1001", amount: int = 124900, **more: Any) -> dict[str, Any]:
        """A PaymentIntent as `GET /v1/payment_intents/:id?expand[]=latest_charge` shows it."""
        intent = {
            "id": "pi_" + secrets.token_hex(12),
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": amount if status == "requires_capture" else 0,
            "amount_received": amount if status == "succeeded" else 0,
            "canceled_at": None,
            "created": int(time.time()),
            "currency": "zar",
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": {"order": order} if order else {},
            "status": status,
        }
        if status in {"succeeded", "requires_capture"}:
            intent["latest_charge"] = charge(amount)
        self.intents[str(intent["id"])] = intent | more
        return self.intents[str(intent["id"])]

    def event(self, kind: str, thing: dict[str, Any], *, at: int | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body of a signed webhook."""
        created = int(time.time())
        event = {
            "id": "evt_" + secrets.token_hex(12),
            "object": "event",
            "api_version": "2025-03-31.basil",
            "created": created,
            "data": {"object": thing},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        body = json.dumps(event, indent=2).encode()
        return {"stripe-signature": signature(body, at or created)}, body

    def _app(self) -> Flask:
        app = Flask("fake_stripe")
        app.before_request(self._misbehave)
        app.add_url_rule("/v1/payment_intents/search", view_func=self._search)
        app.add_url_rule("/v1/payment_intents/<intent_id>", view_func=self._intent)
        app.add_url_rule("/v1/payment_intents/<intent_id>/cancel", view_func=self._cancel, methods=["POST"])
        app.add_url_rule("/v1/payment_intents", view_func=self._list)
        app.add_url_rule("/v1/checkout/sessions", view_func=self._create, methods=["POST"])
        app.add_url_rule("/v1/checkout/sessions/<session_id>", view_func=self._session)
        app.add_url_rule("/v1/checkout/sessions/<session_id>/expire", view_func=self._expire, methods=["POST"])
        app.add_url_rule("/c/pay/<session_id>", view_func=self._page, methods=["GET", "POST"])
        return app

    def _misbehave(self) -> AnyResponse | tuple[Response, int] | None:
        if request.path.startswith("/c/pay/"):
            return None
        self.calls.append(f"{request.method} {request.path}")
        if self.hangs.is_set():
            self._released.wait(30)
        if self.raw is not None:
            return Response(self.raw, 200, content_type="text/html")
        if self.fails_with is not None:
            return _error(*self.fails_with)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            said = f"Invalid API Key provided: {request.headers.get('Authorization', '')[7:15]}****"
            return _error(401, {"type": "invalid_request_error", "message": said})
        return None

    def _intent(self, intent_id: str) -> tuple[Response, int]:
        found = self.intents.get(intent_id)
        return _ok(self._shown(found, "latest_charge")) if found else _missing("payment_intent", intent_id)

    def _cancel(self, intent_id: str) -> tuple[Response, int]:
        intent = self.intents.get(intent_id)
        if intent is None:
            return _missing("payment_intent", intent_id)
        if self.is_confirmed_meanwhile:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        in_session = any(each["payment_intent"] == intent_id for each in self.sessions.values())
        if in_session or intent["status"] in {"succeeded", "canceled", "processing"}:
            said = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
            code = "payment_intent_unexpected_state"
            return _error(400, {"type": "invalid_request_error", "code": code, "message": said})
        intent |= {"status": "canceled", "canceled_at": int(time.time())}
        return _ok(intent)

    def _search(self) -> tuple[Response, int]:
        query = request.args["query"]
        wanted = {(key, value.replace("\\'", "'")) for key, value in _TERM.findall(query)}
        found = [each for each in self.intents.values() if wanted & set(each["metadata"].items())]
        rows = [] if self.index_lags else [self._shown(each, "data.latest_charge") for each in found]
        body = {"object": "search_result", "url": "/v1/payment_intents/search", "has_more": False, "data": rows}
        return _ok(body | {"next_page": None})

    def _list(self) -> tuple[Response, int]:
        since, limit = int(request.args.get("created[gte]", 0)), int(request.args.get("limit", 10))
        found = [each for each in reversed(self.intents.values()) if each["created"] >= since]
        ids = [each["id"] for each in found]
        start = ids.index(request.args["starting_after"]) + 1 if "starting_after" in request.args else 0
        rows = [self._shown(each, "data.latest_charge") for each in found[start : start + limit]]
        more = len(found) > start + limit
        return _ok({"object": "list", "url": "/v1/payment_intents", "has_more": more, "data": rows})

    def _create(self) -> tuple[Response, int]:
        key, content = request.headers["Idempotency-Key"], json.dumps(sorted(request.form.items()))
        with self._lock:
            if key in self._keys:
                known, session = self._keys[key]
                if known == content:
                    return _ok(session)
                said = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                return _error(400, {"type": "idempotency_error", "message": said})
            amount = int(request.form["line_items[0][price_data][unit_amount]"])
            if amount < 50:
                said = "The Checkout Session's total amount must convert to at least 50 cents."
                return _error(400, {"type": "invalid_request_error", "code": "amount_too_small", "message": said})
            expires_at = int(request.form["expires_at"])
            if not 30 * 60 <= expires_at - time.time() <= 24 * 3600:
                said = "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from creation."
                return _error(400, {"type": "invalid_request_error", "param": "expires_at", "message": said})
            session = self._new_session(amount, expires_at)
            self._keys[key] = (content, dict(session))
        return _ok(session)

    def _new_session(self, amount: int, expires_at: int) -> dict[str, Any]:
        session_id = "cs_test_" + secrets.token_hex(16)
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "amount_total": amount,
            "cancel_url": request.form["cancel_url"],
            "client_reference_id": request.form.get("client_reference_id"),
            "created": int(time.time()),
            "currency": request.form["line_items[0][price_data][currency]"],
            "expires_at": expires_at,
            "metadata": {"order": request.form.get("metadata[order]")},
            "mode": request.form["mode"],
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "success_url": request.form["success_url"],
            "url": f"{self.url}/c/pay/{session_id}",
        }
        return self.sessions[session_id]

    def _session(self, session_id: str) -> tuple[Response, int]:
        found = self.sessions.get(session_id)
        if found is None:
            return _missing("checkout.session", session_id)
        intent = self.intents.get(str(found["payment_intent"]))
        return _ok(found | {"payment_intent": self._shown(intent, "payment_intent.latest_charge") if intent else None})

    def _expire(self, session_id: str) -> tuple[Response, int]:
        session = self.sessions.get(session_id)
        if session is None:
            return _missing("checkout.session", session_id)
        if session["status"] != "open":
            said = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
            return _error(400, {"type": "invalid_request_error", "message": said})
        session |= {"status": "expired", "url": None}
        if session["payment_intent"] in self.intents:
            self.intents[session["payment_intent"]]["status"] = "canceled"
        return _ok(session)

    def _page(self, session_id: str) -> AnyResponse | str:
        session = self.sessions.get(session_id) or abort(404)
        if session["status"] != "open":
            return "<!doctype html><title>Closed</title><h1>This page is closed</h1>"
        if request.method == "GET":
            return PAGE.format(amount=session["amount_total"])
        return self.answer_page(session_id, request.form["answer"])

    def answer_page(self, session_id: str, answer: str) -> AnyResponse | str:
        """What the customer does on the page."""
        session = self.sessions[session_id]
        if answer == "cancel":
            return redirect(session["cancel_url"], 303)
        order = session["metadata"]["order"]
        intent = self.intent(ANSWERS[answer], order=order, amount=session["amount_total"], currency=session["currency"])
        session["payment_intent"] = intent["id"]
        if answer == "decline":
            intent |= {"last_payment_error": card_error("insufficient_funds")}
            return PAGE.format(amount=session["amount_total"])
        if answer == "voucher":
            intent |= {"next_action": next_action("oxxo_display_details")}
        session |= {"status": "complete", "payment_status": "paid" if answer == "pay" else "unpaid", "url": None}
        return redirect(session["success_url"], 303)

    def _shown(self, intent: dict[str, Any], expandable: str) -> dict[str, Any]:
        wanted = {value for name, value in request.args.items() if name.startswith("expand")}
        charged = intent["latest_charge"]
        if expandable in wanted or charged is None:
            return intent
        return intent | {"latest_charge": charged["id"]}


_TERM = re.compile(r"metadata\['(\w+)'\]:'((?:[^'\\]|\\.)*)'")


def charge(amount: int, **more: Any) -> dict[str, Any]:
    outcome = {"network_status": "approved_by_network", "seller_message": "Payment complete.", "type": "authorized"}
    known = {"id": "ch_" + secrets.token_hex(12), "object": "charge", "amount": amount, "amount_refunded": 0}
    return known | {"refunded": False, "disputed": False, "outcome": outcome} | more


def card_error(decline_code: str, **more: Any) -> dict[str, Any]:
    said = "Your card was declined."
    known = {"type": "card_error", "code": "card_declined", "decline_code": decline_code, "message": said}
    return known | {"charge": "ch_" + secrets.token_hex(12)} | more


def next_action(kind: str) -> dict[str, Any]:
    return {"type": kind, kind: {}}


def signature(body: bytes, at: int, secret: str = WEBHOOK_SECRET) -> str:
    mac = hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def _ok(body: dict[str, Any]) -> tuple[Response, int]:
    return jsonify(body), 200


def _error(status: int, error: dict[str, Any]) -> tuple[Response, int]:
    return jsonify(error=error), status


def _missing(kind: str, thing_id: str) -> tuple[Response, int]:
    said = {"type": "invalid_request_error", "code": "resource_missing", "param": "id"}
    return _error(404, said | {"message": f"No such {kind}: '{thing_id}'"})
