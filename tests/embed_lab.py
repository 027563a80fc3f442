"""A shop's page with the built embed, and an Unjam that only remembers: what the embed does, seen from outside."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Frame, Page

EMBED = Path(__file__).parent.parent / "static/dist/embed.js"
_PATIENCE_MS = 8_000
# As short as a test may have them, on a busy machine.
DEADLINES = {"sdk": 1, "submitted": 1, "authenticating": 2, "confirming": 1.5, "dead": 0.6}

# Speaks the protocol from the frame's side, and keeps what it hears.
_FRAME = """<!doctype html><title>frame</title><script>
heard = []; beats = [];
addEventListener("message", ({data, ports}) => {
  if (!data || data.unjam !== 1 || data.type !== "hello") return;
  [talk, pulse] = ports;
  talk.onmessage = ({data}) => heard.push(data);
  pulse.onmessage = ({data}) => beats.push(data);
  talk.postMessage({type: "ready", deadlines: DEADLINES, sdks: SDKS, now: Date.now()});
  talk.postMessage({type: "resize", css: "width:120px;height:40px;"});
});
</script>"""

_COUNT_TIMERS = """<script nonce="shop">
timers = new Set();
for (const [start, stop] of [["setInterval", "clearInterval"], ["setTimeout", "clearTimeout"]]) {
  const begin = window[start], end = window[stop];
  window[start] = (run, ...rest) => {
    const id = begin((...a) => { if (start === "setTimeout") timers.delete(id); run(...a); }, ...rest);
    timers.add(id);
    return id;
  };
  window[stop] = (id) => { timers.delete(id); end(id); };
}
</script>"""

SHOP_FORM = """<form id="form" action="/slow"><input id="name" name="name"><button id="pay">Pay</button></form>
<p id="error"></p>"""


@dataclass
class Lab:
    """The shop is on `127.0.0.1`, Unjam on `localhost`: two sites to a browser."""

    port: int
    beacons: list[dict[str, Any]] = field(default_factory=list)
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    deadlines: dict[str, Any] = field(default_factory=lambda: dict(DEADLINES))
    sdks: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def shop_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def unjam_url(self) -> str:
        return f"http://localhost:{self.port}"

    def put(
        self, path: str, body: str = SHOP_FORM, tag: str = "", head: str = "", policy: str = "", unjam: str = ""
    ) -> str:
        """Put a page with our tag on the shop's server; returns its address."""
        script = f'<script nonce="shop" async src="{unjam or self.unjam_url}/embed.js" data-site="demo" {tag}></script>'
        html = (
            f"<!doctype html><html><head><title>{path}</title>{_COUNT_TIMERS}{head}{script}</head><body>{body}</body>"
        )
        self.pages[path] = (html, {"Content-Security-Policy": policy} if policy else {})
        return self.shop_url + path

    def open(self, page: Page, path: str = "/checkout", **page_as: Any) -> Frame:
        """Open such a page and wait until its frame talks; returns the frame."""
        page.goto(self.put(path, **page_as), wait_until="domcontentloaded")
        return self.frame(page)

    def frame(self, page: Page) -> Frame:
        page.wait_for_selector("iframe[title='Payment help']")
        handle = page.query_selector("iframe[title='Payment help']")
        frame = handle.content_frame() if handle else None
        assert frame is not None
        frame.wait_for_function("window.heard && heard.length > 0", timeout=_PATIENCE_MS)
        return frame

    def signals(self, name: str = "") -> list[dict[str, Any]]:
        """The data of the signals of that name, or all, in the order they came in."""
        return [
            {"name": signal["name"], "key": beacon["attempt"].get("key"), "seq": signal["seq"], **signal["data"]}
            for beacon in list(self.beacons)
            for signal in beacon["signals"]
            if name in ("", signal["name"])
        ]

    def wait_for(self, page: Page, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The signals of that name, as soon as there are so many."""
        self.until(page, lambda: len(self.signals(name)) >= count, name)
        return self.signals(name)

    def until(self, page: Page, look: Callable[[], Any], what: str) -> Any:
        for _ in range(_PATIENCE_MS // 20):
            if found := look():
                return found
            page.wait_for_timeout(20)
        pytest.fail(f"waited in vain for {what}; came in: {self.signals()}")

    def let_pass(self, page: Page, seconds: float) -> None:
        """Let the page live through so many seconds, in which something must not happen."""
        page.wait_for_function(
            "([from, ms]) => performance.now() - from > ms",
            arg=[page.evaluate("performance.now()"), seconds * 1000],
            timeout=_PATIENCE_MS,
        )


@pytest.fixture
def lab() -> Iterator[Lab]:
    with opened_lab() as made:
        yield made


@contextmanager
def opened_lab() -> Iterator[Lab]:
    """A lab whose server stops, and answers what hangs, at the end of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.lab = made = Lab(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    lab: Lab


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        lab, url = self.server.lab, urlsplit(self.path)
        lab.requests.append(self.path)
        query = parse_qs(url.query)
        if url.path == "/embed.js":
            self.answer(200, "text/javascript", EMBED.read_text())
        elif url.path == "/frame/demo":
            frame = _FRAME.replace("DEADLINES", json.dumps(lab.deadlines)).replace("SDKS", json.dumps(lab.sdks))
            self.answer(200, "text/html", frame)
        elif url.path in lab.pages:
            html, headers = lab.pages[url.path]
            self.answer(200, "text/html", html, headers)
        elif url.path in ("/hang", "/slow", "/hang.js"):
            lab.released.wait(20)
            self.answer(200, "text/html", "// at last")
        elif url.path == "/sdk.js":
            self.answer(200, "text/javascript", "window.Sdk = {Pay: {}};")
        else:
            self.answer(int(query.get("status", ["404"])[0]), "application/json", "{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path == "/api/v1/beacons":
            self.server.lab.beacons.append(json.loads(body))
            self.answer(204, "text/plain", "")
        else:
            self.do_GET()

    def answer(self, status: int, kind: str, body: str, headers: dict[str, str] | None = None) -> None:
        raw = body.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **(headers or {})}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if status != 204:
                self.wfile.write(raw)
        except ConnectionError:
            # The page has gone on without this answer.
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass
