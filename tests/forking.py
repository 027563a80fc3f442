"""A process that has imported all of Unjam and forks one `unjam …` after the other, each ready in a tenth of the time.

What it forks runs the same command with an environment and a process group of its own. One thing differs: where
`unjam serve` would replace its process by granian's, granian runs in the same process, as the point is to import
nothing again. `tests.processes.start_afresh` does it the real way.
"""

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, NoReturn

from granian.cli import entrypoint

from widget import cli

_MAX_REQUEST_BYTES = 100_000
_IMPORTED = ("alembic.command", "granian.server", "psycopg", "widget.migrations", "widget.web.app", "widget.worker")


class Forked:
    """What `subprocess.Popen` would be to the process, as far as tests need it."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = int(told.recv(100))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(100))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("unjam", timeout or 0) from None
            self._told.close()
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class Mother:
    """The process that forks. It ends when this one closes its end of the line, or is no more."""

    def __init__(self) -> None:
        self._line, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking"],
                cwd=Path(__file__).parent.parent,
                stdin=end.fileno(),
                start_new_session=True,
            )

    def fork(self, command: tuple[str, ...], env: dict[str, str], log: IO[bytes]) -> Forked:
        told, teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"command": command, "env": env, "folder": str(Path.cwd())}).encode()
        with teller:
            socket.send_fds(self._line, [request], [teller.fileno(), log.fileno()])
        return Forked(told)

    def end(self) -> None:
        self._line.close()
        self._process.wait()


def _serve(line: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, (*passed,), _, _ = socket.recv_fds(line, _MAX_REQUEST_BYTES, 2)
        if not request:
            return
        if os.fork() == 0:
            _watch(request, *passed)
        for each in passed:
            os.close(each)


def _watch(request: bytes, teller: int, log: int) -> NoReturn:
    """Between the two, to wait for the one and tell the other how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for mine, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(mine, theirs)
    child = os.fork()
    if child == 0:
        os.close(teller)
        _become(**json.loads(request))
    os.setpgid(child, child)
    os.write(teller, str(child).encode())
    _kill_when_nobody_listens(child, teller)
    _, status = os.waitpid(child, 0)
    os.write(teller, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _kill_when_nobody_listens(child: int, teller: int) -> None:
    """Return when it has ended; where the run of tests is over or was killed, see to that."""
    poll, ended = select.poll(), os.pidfd_open(child)
    poll.register(ended, select.POLLIN)
    poll.register(teller, select.POLLHUP)
    if ended not in dict(poll.poll()):
        os.killpg(child, signal.SIGKILL)


def _become(command: list[str], env: dict[str, str], folder: str) -> NoReturn:
    os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    os.execv = _run_granian  # type: ignore[assignment]
    sys.argv = ["unjam", *command]
    cli.main()
    sys.exit()


def _run_granian(_program: str, words: list[str]) -> NoReturn:
    assert words[1:3] == ["-m", "granian"]
    sys.argv = words[2:]
    entrypoint()  # type: ignore[no-untyped-call]
    sys.exit()


if __name__ == "__main__":
    for module in _IMPORTED:
        importlib.import_module(module)
    _serve(socket.socket(fileno=0))
