"""`unjam demo`: the shop, Unjam and both databases on this machine, from nothing, until Ctrl-C."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import urllib3
from flask import Flask
from urllib3.exceptions import HTTPError
from werkzeug.serving import BaseWSGIServer, make_server

from widget.demo import keys
from widget.demo.shop import create_shop

FOLDER = ".demo"
HOST = "127.0.0.1"
STARTS_WITHIN_SECONDS = 60
STOPS_WITHIN_SECONDS = 10
LOG_LINES_SHOWN = 15
# What the user may set for the demo's Unjam; everything else of UNJAM_* is the demo's own.
_PASSED_ON = ("UNJAM_SMTP_", "UNJAM_MAIL_FROM")


class Unstartable(Exception):
    """The demo cannot start or go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Unjam is on `localhost` and the shop on `127.0.0.1`: two sites to a browser, as in real life."""

    unjam: int
    shop: int

    @property
    def unjam_url(self) -> str:
        return f"http://localhost:{self.unjam}"

    @property
    def shop_url(self) -> str:
        return f"http://{HOST}:{self.shop}"


def run() -> int:
    """Start everything, say where it is, and end all of it on Ctrl-C or SIGTERM. Returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        _run(_ports(), Path.cwd() / FOLDER, stop)
    except Unstartable as problem:
        click.echo(problem, err=True)
        return 1
    return 0


def _run(ports: Ports, folder: Path, stop: threading.Event) -> None:
    click.echo("Starting the demo …")
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = keys.prepare(folder, shop_url=ports.shop_url)
    config = kept.config(shop_url=ports.shop_url, unjam_url=ports.unjam_url, store_path=folder / "shop.sqlite")
    with _unjam(ports, folder, kept.secret_key) as unjam, _shop(create_shop(config), ports):
        if _is_up(unjam, ports, folder, stop):
            click.echo(_welcome(ports, kept.agent_password))
        while not stop.wait(0.3):
            _check_alive(unjam, folder)
        click.echo("\nStopping the demo …")


def _ports() -> Ports:
    ports = Ports(unjam=_port("UNJAM_DEMO_PORT", 8000), shop=_port("UNJAM_DEMO_SHOP_PORT", 8001))
    if ports.unjam == ports.shop:
        raise Unstartable("UNJAM_DEMO_PORT and UNJAM_DEMO_SHOP_PORT must be two different ports.")
    _check_free(ports.unjam, "UNJAM_DEMO_PORT")
    _check_free(ports.shop, "UNJAM_DEMO_SHOP_PORT")
    return ports


def _port(variable: str, default: int) -> int:
    given = os.environ.get(variable) or str(default)
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65536):
        raise Unstartable(f"{variable} must be a port number between 1 and 65535, not {given!r}.")
    return int(given)


def _check_free(port: int, variable: str) -> None:
    try:
        # As the servers will bind it, so that a connection of the last run that lingers is no obstacle.
        with socket.create_server((HOST, port)):
            pass
        is_free = not _answers_on_ipv6(port)
    except OSError:
        is_free = False
    if not is_free:
        raise Unstartable(
            f"Port {port} is in use. Stop the program that uses it, or choose another port: "
            f"{variable}={port + 100 if port < 65000 else port - 100} make demo"
        )


def _answers_on_ipv6(port: int) -> bool:
    """A browser tries `localhost` there first."""
    try:
        with socket.create_connection(("::1", port), timeout=0.5):
            return True
    except OSError:
        return False


@contextmanager
def _unjam(ports: Ports, folder: Path, secret_key: str) -> Iterator[subprocess.Popen[bytes]]:
    """Unjam with its worker, as a child whose output goes to a file; ended with every process it has started."""
    environment = {name: value for name, value in os.environ.items() if _is_passed_on(name)} | {
        "UNJAM_ENVIRONMENT": "demo",
        "UNJAM_DATABASE_URL": keys.database_url(folder),
        "UNJAM_SECRET_KEY": secret_key,
        "UNJAM_PUBLIC_URL": ports.unjam_url,
        "UNJAM_LOG_FORMAT": "console",
    }
    command = [sys.executable, "-m", "widget.cli", "serve", "--port", str(ports.unjam)]
    with _log(folder).open("wb") as log:
        # Its own process group: the terminal's Ctrl-C reaches only us, and we end the child in order.
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield child
    finally:
        _end(child)


def _is_passed_on(name: str) -> bool:
    return not name.startswith("UNJAM_") or name.startswith(_PASSED_ON)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    # A server that was killed may have left its own children behind.
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


@contextmanager
def _shop(shop: Flask, ports: Ports) -> Iterator[None]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = _server(shop, ports)
    thread = threading.Thread(target=server.serve_forever, name="shop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        shop.extensions["till"].close()
        server.shutdown()
        server.server_close()
        thread.join(timeout=STOPS_WITHIN_SECONDS)


def _server(shop: Flask, ports: Ports) -> BaseWSGIServer:
    try:
        return make_server(HOST, ports.shop, shop, threaded=True)
    except SystemExit as error:
        # Werkzeug exits when the port was taken since we looked.
        raise Unstartable(f"Port {ports.shop} is in use. Stop the program that uses it and start again.") from error


def _is_up(unjam: subprocess.Popen[bytes], ports: Ports, folder: Path, stop: threading.Event) -> bool:
    """Wait until both answer; False when we were asked to stop before that."""
    gives_up_at = time.monotonic() + STARTS_WITHIN_SECONDS
    addresses = [f"http://{HOST}:{ports.unjam}/health", f"{ports.shop_url}/health"]
    while not all(_answers(address) for address in addresses):
        _check_alive(unjam, folder)
        if time.monotonic() > gives_up_at:
            raise Unstartable(f"Unjam did not answer within {STARTS_WITHIN_SECONDS} seconds.\n{_last_words(folder)}")
        if stop.wait(0.1):
            return False
    return not stop.is_set()


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", address, timeout=2.0, retries=False).status == 200
    except HTTPError:
        return False


def _check_alive(unjam: subprocess.Popen[bytes], folder: Path) -> None:
    code = unjam.poll()
    if code is not None:
        raise Unstartable(f"Unjam has stopped by itself (exit code {code}).\n{_last_words(folder)}")


def _last_words(folder: Path) -> str:
    lines = _log(folder).read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return "\n".join([f"The end of {_log(folder)}:", *(f"  {line}" for line in lines or ["(it is empty)"])])


def _log(folder: Path) -> Path:
    return folder / "unjam.log"


def _welcome(ports: Ports, password: str) -> str:
    has_smtp = bool(os.environ.get("UNJAM_SMTP_HOST"))
    mail = f"mail goes to {os.environ['UNJAM_SMTP_HOST']}" if has_smtp else f"{ports.unjam_url}/mailbox/"
    return f"""
  The demo is running.

    Shop            {ports.shop_url}/
    Agents' desk    {ports.unjam_url}/desk/
    Sign in with    {keys.AGENT}   {password}
    Mailbox         {mail}

  Check out and press Pay: the payment hangs, and Unjam helps. "Demo controls" choose what happens.
  Everything is kept in {FOLDER}/ here; delete that folder to begin afresh. Press Ctrl-C to stop.
"""
