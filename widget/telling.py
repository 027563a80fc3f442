"""Telling: delivers hooks to the shops' own servers.

An edge step: the network is used between two transactions, and a server that is slow, away or hostile costs a bounded
time and holds up no other shop.
"""

import ipaddress
import json
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import structlog
import urllib3
from urllib3.connection import HTTPConnection

from widget import __version__, clock, hooks, leases
from widget.database import Database
from widget.hooks import Errand, Hook
from widget.providers.bounds import BoundConnection, BoundTlsConnection, TooLate, within

log = structlog.get_logger()

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 2.0, 5.0, 8.0
# The system's resolver may take a minute over a name whose servers do not answer.
RESOLVE_SECONDS = 3.0
# What one round of the worker spends on this; the rest comes in the next.
ROUND_SECONDS = 10.0
ROUND_HOOKS = 20
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NO_KEY = "There is no key to sign with. Make one with `unjam rotate-key {site} hook` and give it to the shop's server."
_NO_ADDRESS = "The shop has taken its hook_url out of the profile."


class Untold(Exception):
    """The shop's server has not taken it. The text says why, without addresses or secrets."""


@dataclass(frozen=True, slots=True)
class _Door:
    """Where to connect. The name was resolved once, so that what was checked is what is connected to."""

    address: str
    port: int
    host: str
    target: str
    is_https: bool

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_https else 80) else f"{name}:{self.port}"


def tell_due(database: Database, worker: str, lease: timedelta, *, may_be_internal: bool = False) -> bool:
    """Deliver what is due, for some seconds. Returns whether there was anything.

    `may_be_internal` allows addresses of this machine and its networks: for the demo and tests only.
    """
    with database.write() as session:
        claimed = hooks.claim(session, worker, clock.now(), lease=lease, limit=ROUND_HOOKS)
    until, away = time.monotonic() + ROUND_SECONDS, set[int]()
    for hook in claimed:
        if time.monotonic() > until or hook.shop_id in away:
            _give_back(database, hook.id, worker)
        elif not _tell(database, hook.id, worker, may_be_internal=may_be_internal):
            # One server that is away must not take the time of the others.
            away.add(hook.shop_id)
    return bool(claimed)


def deliver(errand: Errand, *, may_be_internal: bool) -> None:
    """One signed POST; whatever is not 2xx is Untold. No redirect is followed: the address is what was agreed on."""
    if errand.url is None:
        raise Untold(_NO_ADDRESS)
    if not errand.secrets:
        raise Untold(_NO_KEY.format(site=errand.site))
    door = _door(errand.url, may_be_internal=may_be_internal)
    body = json.dumps(errand.content, separators=(",", ":"), ensure_ascii=False).encode()
    headers = {
        "Host": door.host_header,
        "Content-Type": "application/json",
        "User-Agent": f"Unjam/{__version__}",
        "Unjam-Signature": hooks.signature(errand.secrets, body, clock.now()),
    }
    status = _post(door, body, headers)
    if not 200 <= status < 300:
        raise Untold(f"The shop's server answered {status}.")


def _tell(database: Database, hook_id: int, worker: str, *, may_be_internal: bool) -> bool:
    """Returns whether the shop's server took it, or another worker has it by now."""
    with database.read() as session:
        hook = session.get_one(Hook, hook_id)
        if not (hook.is_open and leases.is_held_by(hook, worker, clock.now())):
            return True
        errand = hooks.errand(session, hook, clock.now())
    trouble = None
    try:
        deliver(errand, may_be_internal=may_be_internal)
    except Untold as error:
        trouble = str(error)
        log.warning("hook_not_taken", site=errand.site, hook=hook_id, reason=trouble)
    with database.write() as session:
        hook = session.get_one(Hook, hook_id, with_for_update=True)
        # Delivered twice, after a lease that ran out, it is still delivered: the receiver knows its id.
        if trouble is None and hook.delivered_at is None:
            hooks.delivered(hook, clock.now())
        elif trouble is not None and hook.is_open and hook.claimed_by == worker:
            hooks.failed(hook, trouble, clock.now())
    return trouble is None


def _give_back(database: Database, hook_id: int, worker: str) -> None:
    with database.write() as session:
        hook = session.get_one(Hook, hook_id, with_for_update=True)
        # After a lease that ran out it may be at work for another worker.
        if hook.claimed_by == worker:
            leases.release(hook)


def _post(door: _Door, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. What it says besides is of no interest, however long it is."""
    try:
        with within(TOTAL_SECONDS):
            return _status(_connection(door), door, body, headers)
    except (ssl.SSLError, urllib3.exceptions.SSLError) as error:
        raise Untold("The shop's server has no certificate that can be trusted.") from error
    except TooLate:
        raise Untold(f"The shop's server did not answer within {TOTAL_SECONDS:g} seconds.") from None
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise Untold(f"The shop's server did not answer: {type(error).__name__}.") from error


def _status(connection: HTTPConnection, door: _Door, body: bytes, headers: dict[str, str]) -> int:
    try:
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        connection.request("POST", door.target, body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _connection(door: _Door) -> HTTPConnection:
    if not door.is_https:
        return BoundConnection(door.address, door.port, timeout=CONNECT_SECONDS)
    return BoundTlsConnection(
        door.address,
        door.port,
        timeout=CONNECT_SECONDS,
        cert_reqs="CERT_REQUIRED",
        server_hostname=door.host,
        assert_hostname=door.host,
    )


def _door(url: str, *, may_be_internal: bool) -> _Door:
    parts = urlsplit(url)
    is_https, host = parts.scheme == "https", parts.hostname or ""
    try:
        port = parts.port or (443 if is_https else 80)
        addresses = _addresses(host, port)
    except TimeoutError:
        raise Untold(f"The name of the shop's server was not resolved within {RESOLVE_SECONDS:g} seconds.") from None
    except (OSError, ValueError) as error:
        raise Untold("The name of the shop's server is not known.") from error
    if not may_be_internal and not all(_is_public(each) for each in addresses):
        raise Untold("The address of the shop's server is not on the public internet, so nothing was sent there.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Door(addresses[0], port, host, target, is_https)


def _addresses(host: str, port: int) -> list[str]:
    """What the name resolves to. Raises TimeoutError, and OSError or ValueError when there is no such name.

    Nothing can stop the system's resolver, so it is left behind in a thread that ends when it does.
    """
    answer: Future[list[Any]] = Future()

    def resolve() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    return [str(each[4][0]) for each in answer.result(RESOLVE_SECONDS)]


def _is_public(address: str) -> bool:
    """Whether it is on the public internet, also what an IPv6 address wraps of IPv4."""
    found = ipaddress.ip_address(address.split("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        wrapped = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            wrapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if wrapped is not None and not wrapped.is_global:
            return False
    return found.is_global and not found.is_multicast
