"""A browser is many processes; this is how to signal all of them, and no other."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_GONE_WITHIN_SECONDS = 10


def descendants(root: int) -> list[int]:
    """The process and everything it started that still runs, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def marked(mark: str) -> int | None:
    """The oldest process that has this word on its command line."""
    return min((pid for pid in _pids() if mark in _command(pid)), default=None)


def tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(pids: list[int]) -> None:
    """kill -9 and wait until they are gone, also those that a service of the system has adopted."""
    tell(pids, signal.SIGKILL)
    until = time.monotonic() + _GONE_WITHIN_SECONDS
    while any(_is_running(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)


def command_has(pid: int, word: str) -> bool:
    return word in _command(pid)


def _pids() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _parents() -> Iterator[tuple[int, int]]:
    for pid in _pids():
        fields = _stat(pid)
        if fields:
            yield pid, int(fields[1])


def _is_running(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
