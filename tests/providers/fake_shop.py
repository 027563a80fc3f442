"""A shop's own server on loopback, written from static/docs/providers.md: it checks our signatures as a shop would."""

import hashlib
import hmac
import json
import threading
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

SECRET = "a shared secret of at least 32 characters"


class FakeShop:
    """`state` is what it says of every order and page; `raw` (status, body) answers anything instead."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"state": "not_charged"}
        self.raw: tuple[int, bytes] | None = None
        self.pages: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}/unjam"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def config(self) -> dict[str, Any]:
        return {"url": self.url, "secret": SECRET, "links": True}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _app(self) -> Flask:
        app = Flask("fake_shop")
        app.before_request(self._check)
        app.add_url_rule("/unjam/payments", "payments", view_func=lambda: jsonify(self.state))
        app.add_url_rule("/unjam/links", view_func=self._make, methods=["POST"])
        app.add_url_rule("/unjam/links/<page>", "page", view_func=lambda page: jsonify(self.state))
        app.add_url_rule("/unjam/links/<page>/close", view_func=self._close, methods=["POST"])
        return app

    def _check(self) -> tuple[Response, int] | Response | None:
        parts = dict(part.split("=", 1) for part in request.headers.get("Unjam-Signature", "t=0,v1=").split(","))
        target = request.full_path.rstrip("?")
        signed = f"{parts['t']}.{request.method} {target}\n".encode() + request.get_data()
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        self.asked.append(target)
        if not hmac.compare_digest(expected, parts["v1"]):
            return jsonify(error="wrong signature"), 401
        return Response(self.raw[1], self.raw[0]) if self.raw else None

    def _make(self) -> tuple[Response, int]:
        key, wanted = request.headers["Idempotency-Key"], json.loads(request.get_data())
        page = self.pages.setdefault(key, wanted | {"id": f"page-{len(self.pages) + 1}"})
        url = f"https://shop.example/pay/{page['id']}"
        return jsonify(id=page["id"], url=url, expires_at=page["expires_at"]), 201

    def _close(self, page: str) -> tuple[Response, int]:
        return (jsonify(), 409) if page == "paid" else (jsonify(), 200)
