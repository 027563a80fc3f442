"""Server processes on loopback, ours and bare ones, which end with the block that started them."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import free_port

_STARTS_WITHIN_SECONDS = 60
_STOPS_WITHIN_SECONDS = 15
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers on `port`; it leads a process group of its own."""

    pid: int
    port: int
    log: Path


@contextmanager
def running(command: Sequence[str], port: int, settings: Mapping[str, str], path: str) -> Iterator[Server]:
    """A process, once it answers at `path`. Its group is stopped at the end of the block, killed if it must be."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNJAM_")}
    with tempfile.TemporaryDirectory(prefix="unjam-server-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=inherited | dict(settings), stdout=output, stderr=output, start_new_session=True
            )
        try:
            _wait_until_it_answers(process, port, path, log)
            yield Server(process.pid, port, log)
        finally:
            _stop(process)


@contextmanager
def serving(url: str, key: str) -> Iterator[Server]:
    """Our own server over this database, without a worker."""
    port = free_port()
    settings = {
        "UNJAM_DATABASE_URL": url,
        "UNJAM_SECRET_KEY": key,
        "UNJAM_EMBEDDED_WORKER": "false",
        "UNJAM_PUBLIC_URL": f"http://localhost:{port}",
    }
    command = [sys.executable, "-m", "widget.cli", "serve", "--port", str(port)]
    with running(command, port, settings, path="/health") as server:
        yield server


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while not _answers(port, path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text()}")
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_seconds(group: int) -> float:
    """What the processes of a group have used so far."""
    return sum(sum(map(int, fields[11:13])) for _, fields in _processes(group)) / _TICKS_PER_SECOND


def memory_mb(group: int) -> float:
    """Proportional set size: what is shared between processes counts once."""
    rollups = [(Path("/proc") / pid / "smaps_rollup").read_text() for pid, _ in _processes(group)]
    lines = [line for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:")]
    return sum(int(line.split()[1]) for line in lines) / 1024


def _processes(group: int) -> Iterator[tuple[str, list[str]]]:
    """The processes of a group with the fields of their /proc/PID/stat, from the state on."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            yield folder.name, fields
