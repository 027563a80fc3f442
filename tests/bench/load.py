"""A load generator: one thread, many kept-alive connections, each sending its next request when it has its answer."""

import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_PATIENCE_SECONDS = 20


@dataclass
class Outcome:
    seconds: float = 0
    latencies: list[float] = field(default_factory=list)
    failures: list[bytes] = field(default_factory=list)

    @property
    def answers(self) -> int:
        return len(self.latencies)


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0
    received: bytes = b""


def drive(port: int, requests: Iterable[bytes], seconds: float, connections: int) -> Outcome:
    """Send the requests until they or the seconds are used up. Each of them is a whole HTTP/1.1 request."""
    outcome, pending, started_at = Outcome(), iter(requests), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for number in range(connections):
            connection = _Connection(_connect(port, number))
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            if not _send_next(connection, pending):
                _leave(selector, connection)
        while selector.get_map():
            ready = selector.select(_PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {_PATIENCE_SECONDS} s")
            for key, _ in ready:
                if not _receive(key.data, outcome):
                    continue
                is_late = time.perf_counter() - started_at > seconds
                if is_late or not _send_next(key.data, pending):
                    _leave(selector, key.data)
    outcome.seconds = time.perf_counter() - started_at
    return outcome


def _connect(port: int, number: int) -> socket.socket:
    # Each connection is a customer with an address of its own, as the rate limits count them.
    return socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.1.{number + 1}", 0))


def _send_next(connection: _Connection, pending: Iterator[bytes]) -> bool:
    request = next(pending, None)
    if request is None:
        return False
    connection.received, connection.sent_at = b"", time.perf_counter()
    connection.socket.sendall(request)
    return True


def _receive(connection: _Connection, outcome: Outcome) -> bool:
    """Whether the answer is complete now."""
    piece = connection.socket.recv(1 << 18)
    if not piece:
        raise ConnectionError("the server closed a connection that was to be kept alive")
    connection.received += piece
    head, separator, body = connection.received.partition(b"\r\n\r\n")
    if not separator or len(body) < _content_length(head):
        return False
    outcome.latencies.append(time.perf_counter() - connection.sent_at)
    if not head.startswith(b"HTTP/1.1 2"):
        outcome.failures.append(connection.received[:500])
    return True


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _leave(selector: selectors.BaseSelector, connection: _Connection) -> None:
    selector.unregister(connection.socket)
    connection.socket.close()
