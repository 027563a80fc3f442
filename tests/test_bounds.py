"""A server that drips its answer byte by byte, or never stops, holds nobody for longer than an answer may take."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path

import pytest
import requests
import urllib3

from widget import polling
from widget.feeds import NoAnswer, Shape, Source
from widget.providers import ADAPTERS, ProviderDown, adapter_class, adyen_calls, asking, bounds, sessions
from widget.providers.adyen import Adyen
from widget.providers.sessions import BoundedSession
from widget.providers.stripe import Stripe

# What each server sends at once, and what it then goes on sending.
DRIPS = {
    "its first line": (b"", b"H"),
    "its headers": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "a body of a known length": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "a body in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body that ends with the connection": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", b" "),
}
ADYEN = {"api_key": "k", "merchant_account": "m", "hmac_key": "00"}
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}"


class Drip:
    """A server that sends `pieces` to everybody, one every `every_seconds`, until they hang up."""

    def __init__(self) -> None:
        self.start, self.piece, self.every_seconds = b"", b"", 0.02
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        self._is_over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._is_over.set()
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._drip, args=self._server.accept()[:1], daemon=True).start()

    def _drip(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(10_000)
            client.sendall(self.start)
            for piece in repeat(self.piece):
                if self._is_over.wait(self.every_seconds):
                    return
                client.sendall(piece)


@pytest.fixture
def drip() -> Iterator[Drip]:
    server = Drip()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (asking, sessions, polling, adyen_calls):
        monkeypatch.setattr(module, "WHOLE_SECONDS", 0.4)


def by_adapter(url: str) -> object:
    return asking.send("GET", url, headers={})


def by_library(url: str) -> object:
    with BoundedSession() as session:
        return session.get(url)


def by_poller(url: str) -> object:
    return polling._ask(Source.model_construct(shape=Shape.STATUSPAGE, url=url), None)


ASKED = {
    "adapter": (by_adapter, ProviderDown, "did not answer"),
    "library": (by_library, requests.ReadTimeout, "too long"),
    "poller": (by_poller, NoAnswer, "did not answer in time"),
}


@pytest.mark.parametrize("who", ASKED)
@pytest.mark.parametrize("what", DRIPS)
def test_a_server_that_drips_is_given_up_in_time(drip: Drip, who: str, what: str) -> None:
    ask, problem, said = ASKED[who]
    drip.start, drip.piece = DRIPS[what]
    began = time.monotonic()
    with pytest.raises(problem, match=said):
        ask(drip.url)
    assert 0.3 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("ask", "problem"), [(by_adapter, ProviderDown), (by_library, requests.ConnectionError), (by_poller, NoAnswer)]
)
def test_an_answer_that_never_stops_is_not_read_to_its_end(
    drip: Drip, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], object], problem: type[Exception]
) -> None:
    for module in (asking, sessions, polling):
        monkeypatch.setattr(module, "WHOLE_SECONDS", 30)
        monkeypatch.setattr(module, "MAX_BYTES", 200_000)
    drip.start, drip.piece, drip.every_seconds = ENDLESS, b" " * 50_000, 0
    began = time.monotonic()
    with pytest.raises(problem):
        ask(drip.url)
    assert time.monotonic() - began < 5


def test_within_a_block_the_earlier_end_counts(drip: Drip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WHOLE_SECONDS", 30)
    drip.start, drip.piece = DRIPS["its headers"]
    began = time.monotonic()
    with pytest.raises(bounds.TooLate), bounds.within(0.4):
        by_adapter(drip.url)
    assert time.monotonic() - began < 3


def test_a_question_of_many_requests_ends_in_time(drip: Drip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "QUESTION_SECONDS", 1.0)
    drip.start, drip.piece = DRIPS["its headers"]
    tries = []

    @bounds.in_time
    def ask_often() -> None:
        for number in range(20):
            tries.append(number)
            with suppress(ProviderDown):
                by_adapter(drip.url)
        raise bounds.TooLate

    began = time.monotonic()
    with pytest.raises(ProviderDown, match="too long"):
        ask_often()
    assert time.monotonic() - began < 3
    assert len(tries) == 20


def test_an_answer_that_came_before_the_end_is_kept_though_more_was_asked_after_it(drip: Drip) -> None:
    drip.start, drip.piece = DRIPS["its headers"]

    def ask() -> str:
        with suppress(ProviderDown):
            by_adapter(drip.url)
        return "charged"

    with bounds.within(0.2):
        assert ask() == "charged"


@pytest.mark.parametrize("name", ["ask", "give_up"])
@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_every_adapter_answers_within_the_bounds_of_a_question(
    adapter: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "QUESTION_SECONDS", -1.0)
    method = getattr(adapter_class(adapter), name)
    with pytest.raises(ProviderDown, match="too long"):
        method(None, None)


def test_the_client_of_stripe_is_held_to_the_same_bounds(drip: Drip) -> None:
    drip.start, drip.piece = DRIPS["a body in chunks"]
    began = time.monotonic()
    with pytest.raises(ProviderDown):
        Stripe({"secret_key": "sk_test_1", "api_url": drip.url.rstrip("/")}).link_state("cs_1")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("kind", ["its headers", "a body in chunks"])
def test_the_client_of_adyen_is_held_to_the_same_bounds(drip: Drip, kind: str) -> None:
    drip.start, drip.piece = DRIPS[kind]
    began = time.monotonic()
    with pytest.raises(ProviderDown):
        Adyen(ADYEN | {"api_url": drip.url.rstrip("/")}).link_state("PL12345")
    assert time.monotonic() - began < 3


def test_after_a_drip_the_same_session_asks_again(drip: Drip) -> None:
    drip.start, drip.piece = DRIPS["its headers"]
    with BoundedSession() as session:
        with pytest.raises(requests.ReadTimeout):
            session.get(drip.url)
        drip.start = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'
        assert session.get(drip.url).json() == {"a": 1}


def test_a_drip_under_tls_is_cut_too(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    made += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(server: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as client:
            client.recv(10_000)
            client.sendall(ENDLESS)
            while True:
                client.sendall(b" ")
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        pool = bounds.bound(urllib3.PoolManager(ca_certs=str(certificate), assert_hostname="localhost", retries=False))
        began = time.monotonic()
        with pytest.raises(bounds.TooLate), bounds.within(0.5):
            pool.request("GET", f"https://127.0.0.1:{server.getsockname()[1]}/")
    assert time.monotonic() - began < 5
