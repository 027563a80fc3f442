"""A web server on loopback that answers as a provider would, and on demand as one in trouble does."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came in. Header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Told:
    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


class Loopback:
    """`trouble` makes it misbehave: silence, half, html, empty, list, redirect, or an HTTP status as a word."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.asked: list[Asked] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Told:
        """What the provider says when it is well."""
        raise NotImplementedError

    def error(self, status: int) -> Told:
        """The provider's own body for an HTTP error."""
        raise NotImplementedError

    def _answer(self, asked: Asked) -> Told:
        self.asked.append(asked)
        if self.trouble and self.trouble.isdigit():
            return self.error(int(self.trouble))
        if self.trouble == "redirect":
            return Told(307, {}, {"Location": f"{self.url}/elsewhere"})
        return self.answer(asked)

    @property
    def was_followed(self) -> bool:
        """Whether somebody went where a redirect led."""
        return any(asked.path == "/elsewhere" for asked in self.asked)


def _handler(provider: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, split.path, dict(parse_qsl(split.query)), headers, body)
            self._tell(provider._answer(asked))

        do_GET = do_POST = do_PATCH = do_DELETE = _take  # noqa: N815 -- their names are the library's

        def _tell(self, told: Told) -> None:
            if provider.trouble == "silence":
                provider._stopped.wait(30)
                return
            wrong: dict[str | None, tuple[int, bytes]] = {
                "html": (200, b"<!doctype html><title>Maintenance</title>"),
                "empty": (200, b""),
                "list": (200, b"[]"),
            }
            status, raw = wrong.get(provider.trouble, (told.status, _raw(told)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2] if provider.trouble == "half" else raw)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _raw(told: Told) -> bytes:
    return b"" if told.body is None else json.dumps(told.body).encode()
