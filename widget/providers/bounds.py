"""Bounds of an answer over HTTP: all of it has to come within a time, however slowly a server drips it.

The time limits of a socket are for each piece that is read, so a server that sends a byte now and then meets none of
them. Here a timer closes the socket under whoever reads from it.
"""

import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from widget.providers import ProviderDown

# For a whole answer, connecting included, and the most bytes of it.
WHOLE_SECONDS = 10.0
# For all the answers that one question to a provider takes.
QUESTION_SECONDS = 20.0
MAX_BYTES = 2 * 1024 * 1024

P = ParamSpec("P")
R = TypeVar("R")


class TooLate(Exception):
    """Not all of the answer came in time."""


class _Limit:
    def __init__(self, until: float) -> None:
        self._lock, self._sockets = threading.Lock(), list[socket.socket]()
        self._is_done = self.is_over = self.has_cut = False
        self.until = until

    def watch(self, opened: socket.socket | None) -> None:
        """Close this socket too when the time is over. Raises TimeoutError when it is over by now."""
        with self._lock:
            if self.is_over:
                raise TimeoutError("the time for the whole answer is over")
            if opened is not None and opened not in self._sockets:
                self._sockets.append(opened)

    def cut(self) -> None:
        with self._lock:
            if self._is_done:
                return
            self.is_over, self.has_cut = True, bool(self._sockets)
            for opened in self._sockets:
                with suppress(OSError):
                    # Of the bare socket, also under TLS: whoever reads from it finds its end.
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)

    def end(self) -> None:
        """From now on the sockets may be at work for somebody else."""
        with self._lock:
            self._is_done = True


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is asked of our connections in this block ends by then, read to its end. Raises TooLate if it does not.

    Within another such block, the earlier of the two ends counts.
    """
    outer, now = _limit.get(), time.monotonic()
    limit = _Limit(min(now + seconds, outer.until) if outer is not None else now + seconds)
    if limit.until <= now:
        raise TooLate
    timer = threading.Timer(limit.until - now, limit.cut)
    timer.daemon = True
    before = _limit.set(limit)
    timer.start()
    try:
        yield
    except Exception as error:
        # The timer of an inner block with the same end may have been the first.
        if limit.is_over or time.monotonic() >= limit.until:
            raise TooLate from error
        raise
    finally:
        timer.cancel()
        limit.end()
        _limit.reset(before)
    if limit.has_cut:
        # An answer without a length looks whole, wherever it was cut.
        raise TooLate


def in_time(asks: Callable[P, R]) -> Callable[P, R]:
    """All that is asked of our connections in this function ends in time. Raises ProviderDown if it does not."""

    @functools.wraps(asks)
    def bounded(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            with within(QUESTION_SECONDS):
                return asks(*arguments, **options)
        except TooLate:
            raise ProviderDown("The provider took too long for its answers.") from None

    return bounded


def _watch(opened: socket.socket | None) -> None:
    if (limit := _limit.get()) is not None:
        limit.watch(opened)


class BoundConnection(HTTPConnection):
    """Heeds `within`, also where it is kept for another request."""

    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def request(self, *arguments: Any, **options: Any) -> None:
        # One that is kept from an earlier request does not connect again.
        _watch(self.sock)
        super().request(*arguments, **options)


class BoundTlsConnection(BoundConnection, HTTPSConnection):
    """The same, where it connects with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = BoundConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = BoundTlsConnection


def bound(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """The same manager, whose connections heed `within` from now on."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager
