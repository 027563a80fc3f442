"""The embed never breaks the shop: whatever becomes of Unjam, the checkout pays as if it were not there."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from tests.browsers import Console
from tests.processes import free_port
from widget.demo.shop import DemoConfig, create_shop

OpenShop = Callable[..., str]


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[OpenShop]:
    """Starts the demo shop with Unjam at an address of the test's choice; returns the shop's address."""
    servers = []

    def open_shop(unjam_url: str, policy: str | None = None) -> str:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        shop = create_shop(DemoConfig(url, unjam_url, "demo", "secret", "uk_x", tmp_path / "shop.sqlite"))
        if policy:

            @shop.after_request
            def restrict(response: Any) -> Any:
                response.headers["Content-Security-Policy"] = policy
                return response

        server = make_server("127.0.0.1", port, shop, threaded=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append((server, shop))
        return url

    yield open_shop
    for server, shop in servers:
        server.shutdown()
        shop.extensions["till"].close()


@pytest.fixture
def unjam_that_answers() -> Iterator[Callable[[int, str, bytes], str]]:
    """An Unjam that answers everything with the same status, type and bytes; returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, kind: str, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 -- the name that http.server looks for

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://localhost:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent_unjam() -> Iterator[str]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://localhost:{listener.getsockname()[1]}"


def pay(page: Page, shop_url: str) -> None:
    # A script that hangs keeps `load` from firing, so nothing here waits for that.
    page.goto(shop_url, wait_until="domcontentloaded")
    page.get_by_role("button", name="Check out").click(no_wait_after=True)
    page.wait_for_url("**/checkout/**", wait_until="domcontentloaded")
    page.goto(f"{page.url.split('?')[0]}?scenario=ok", wait_until="domcontentloaded")
    page.get_by_role("button", name="Pay").click(no_wait_after=True)
    page.wait_for_url("**/thanks/**", wait_until="domcontentloaded")
    expect(page.get_by_role("heading").first).to_be_visible()


def test_the_checkout_pays_when_unjam_is_down(page: Page, open_shop: OpenShop) -> None:
    pay(page, open_shop(f"http://localhost:{free_port()}"))
    expect(page.locator("iframe")).to_have_count(0)


def test_the_checkout_pays_when_unjam_never_answers(page: Page, open_shop: OpenShop, silent_unjam: str) -> None:
    pay(page, open_shop(silent_unjam))


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/javascript", b"this is { not JavaScript"),
        (200, "text/html", b"<html>captive portal</html>"),
        (200, "text/javascript", b"throw new Error('broken release')"),
        (500, "text/plain", b"oops"),
        (200, "text/javascript", b""),
    ],
)
def test_the_checkout_pays_when_unjam_answers_garbage(
    page: Page, open_shop: OpenShop, console: Console, unjam_that_answers: Any, status: int, kind: str, body: bytes
) -> None:
    console.expected += ["SyntaxError", "Unexpected", "broken release", "not JavaScript"]
    pay(page, open_shop(unjam_that_answers(status, kind, body)))


@pytest.mark.parametrize("blocked", ["script-src", "frame-src", "connect-src"])
def test_the_checkout_pays_when_its_policy_blocks_unjam(
    page: Page, open_shop: OpenShop, console: Console, unjam_that_answers: Any, blocked: str
) -> None:
    embed = (Path(__file__).parent.parent / "static/dist/embed.js").read_bytes()
    unjam = unjam_that_answers(200, "text/javascript", embed)
    console.expected += ["Content Security Policy"]
    allowed = {"script-src": f"'self' {unjam}", "frame-src": unjam, "connect-src": f"'self' {unjam}"}
    allowed[blocked] = "'self'"
    rules = "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())
    pay(page, open_shop(unjam, policy=f"default-src 'self'; {rules}"))


def test_a_frame_that_is_not_ours_shows_nothing_on_the_shops_page(
    page: Page, open_shop: OpenShop, unjam_that_answers: Any
) -> None:
    embed = (Path(__file__).parent.parent / "static/dist/embed.js").read_bytes()
    shop = open_shop(unjam_that_answers(200, "text/javascript", embed))
    page.goto(shop)
    page.get_by_role("button", name="Check out").click()
    page.wait_for_url("**/checkout/**")
    frame = page.locator("iframe")
    expect(frame).to_have_count(1)
    expect(frame).not_to_be_visible()


def test_nothing_is_stored_in_the_shoppers_browser(page: Page, open_shop: OpenShop, unjam_that_answers: Any) -> None:
    embed = (Path(__file__).parent.parent / "static/dist/embed.js").read_bytes()
    pay(page, open_shop(unjam_that_answers(200, "text/javascript", embed)))
    kept = page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")
    assert kept == ["", 0, 0]
    assert page.context.cookies() == []
