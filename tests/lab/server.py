"""The lab's shop and its provider on one port: the shop at 127.0.0.10, .11 and so on, the provider at `localhost`.

Each case that runs has a shop address of its own, so that cases share neither connections nor cookies nor processes.
"""

import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.lab.lab import Lab

HANGS_SECONDS = 90
CLOCK_SHIFT_MS = 10 * 60 * 1000
# From here, Unjam's sheet for the frame comes long after its script.
LATE_HOST = "127.0.0.9"
_LATE_SECONDS = 1
_HERE = Path(__file__).parent
_DONE = "<!doctype html><title>{title}</title><p>{text}</p>"
# What of Unjam the lab passes on when it plays the shop's own origin or a shifted clock.
_PASSED_ON = {"content-type", "cache-control", "content-security-policy", "origin-agent-cluster", "location", "vary"}


class Server(ThreadingHTTPServer):
    """One address of the lab."""

    daemon_threads = True
    request_queue_size = 256
    lab: "Lab"
    host: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is what many cases are about."""


def serve(lab: "Lab", hosts: list[str]) -> list[Server]:
    servers = []
    for host in hosts:
        server = Server((host, lab.port), Handler)
        server.lab, server.host = lab, host
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    return servers


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_OPTIONS(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        _, first, *rest = (address.path.rstrip("/") + "/").split("/")
        route = _ROUTES.get(first)
        if route is None:
            self._pass_on()
        else:
            route(self, *[part for part in rest if part])

    def say(self, text: str | bytes, status: int = 200, kind: str = "text/html", **headers: str) -> None:
        body = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def say_json(self, value: object, status: int = 200) -> None:
        self.say(json.dumps(value), status, "application/json", Cache_Control="no-store")

    def checkout(self, case: str, run: str) -> None:
        text, policy = self.server.lab.page(case, run, self.server.host)
        # Without no-store: the page may go into the back/forward cache.
        self.say(text, Content_Security_Policy=policy, Cache_Control="no-cache")

    def arrival(self, case: str, run: str) -> None:
        self.say(self.server.lab.arrival(case, run, self.server.host))

    def asset(self, name: str) -> None:
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.say((_HERE / Path(name).name).read_bytes(), kind=kind)

    def hang(self, *_: str) -> None:
        """Never answer. Ends when the browser gives up or the lab ends."""
        self.close_connection = True
        self.server.lab.ended.wait(float(self.query.get("seconds", HANGS_SECONDS)))

    def slow(self, ms: str) -> None:
        time.sleep(float(ms) / 1000)
        self.say_json({"ok": True})

    def status(self, code: str) -> None:
        self.say_json(
            {"code": self.query.get("code", "processing_error"), "message": self.query.get("message", "")}, int(code)
        )

    def reset(self, *_: str) -> None:
        """Hang up with a TCP reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def sdk(self, name: str) -> None:
        if name == "hang.js":
            self.hang()
        elif name == "good.js":
            time.sleep(float(self.query.get("ms", 0)) / 1000)
            self.say("window.LabPay = { pay: () => wait(200) };", kind="text/javascript")
        elif name == "empty.js":
            self.say("/* Nothing that anybody could use. */", kind="text/javascript")
        else:
            self.say("Not found", int(self.query.get("status", 404)), "text/plain")

    def bank(self, *_: str) -> None:
        """The bank's page in a frame: waits for ever, or is done after so many milliseconds."""
        done = self.query.get("done")
        script = f"setTimeout(() => parent.postMessage('done', '*'), {float(done)})" if done else ""
        self.say(
            _DONE.format(title="Your bank", text="Confirm this in your bank's app.") + f"<script>{script}</script>"
        )

    def denied(self, *_: str) -> None:
        self.say("No.", X_Frame_Options="DENY")

    def provider(self, *_: str) -> None:
        """The provider's own page: keeps the customer, or sends them back after so many milliseconds."""
        back, ms = self.query.get("back"), float(self.query.get("ms", 0))
        script = f"setTimeout(() => {{ location.href = {json.dumps(back)} }}, {ms})" if back else ""
        self.say(_DONE.format(title="The provider", text="Pay here.") + f"<script>{script}</script>")

    def form(self, what: str) -> None:
        """What a form is sent to, where no JavaScript of the shop is involved."""
        ms = float(self.query.get("ms", 0))
        if what == "hang":
            self.hang()
        elif what == "back":
            time.sleep(ms / 1000)
            self.say("", 303, Location=self.query["to"])

    def elsewhere(self, *_: str) -> None:
        self.say(_DONE.format(title="Another page", text="Delivery times."), Cache_Control="no-cache")

    def icon(self, *_: str) -> None:
        self.say(b"", 204, "image/x-icon")

    def _pass_on(self) -> None:
        """Ask Unjam, as a reverse proxy of the shop would; on `localhost` with the clock that the case asks for."""
        lab = self.server.lab
        if self.server.host == LATE_HOST and self.path.startswith("/static/frame.css"):
            time.sleep(_LATE_SECONDS)
        connection = http.client.HTTPConnection("127.0.0.1", lab.unjam_port, timeout=30)
        given = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"host", "connection", "accept-encoding"}
        }
        try:
            connection.request(self.command, self.path, self.body or None, given)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if self.path.startswith("/frame/") and self.server.host == "127.0.0.1":
            body = re.sub(rb'data-now="(\d+)"', lambda now: b'data-now="%d"' % (int(now[1]) - CLOCK_SHIFT_MS), body)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in _PASSED_ON or name.lower().startswith("access-control"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_ROUTES: dict[str, Callable[..., None]] = {
    "case": Handler.checkout,
    "done": Handler.arrival,
    "lab": Handler.asset,
    "hang": Handler.hang,
    "slow": Handler.slow,
    "status-of": Handler.status,
    "reset": Handler.reset,
    "sdk": Handler.sdk,
    "bank": Handler.bank,
    "denied": Handler.denied,
    "provider": Handler.provider,
    "form": Handler.form,
    "elsewhere": Handler.elsewhere,
    "favicon.ico": Handler.icon,
}
