"""Real processes of ours for tests: a server or a worker in a process group of its own, to be killed without mercy."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.forking import Forked, Mother

STARTS_WITHIN_SECONDS = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Running:
    """`unjam …` in a process group of its own. What it prints goes to `log`."""

    process: subprocess.Popen[bytes] | Forked
    log: Path
    port: int | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def kill(self) -> None:
        """kill -9 the whole group, as a power cut or the kernel would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it in an orderly way. Returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"did not stop within 15 s:\n{self.log.read_text()}")


def start(*command: str, env: Mapping[str, str], log: Path, port: int | None = None) -> Running:
    """Start `unjam` with these words; with a port, wait until it answers there."""
    with log.open("ab") as output:
        process = _mother().fork(_with_port(command, port), _environment(env), output)
    return _started(Running(process, log, port))


def start_afresh(*command: str, env: Mapping[str, str], log: Path, port: int | None = None) -> Running:
    """The same as a person would do it: a new Python, which imports everything first."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "widget.cli", *_with_port(command, port)],
            env=_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return _started(Running(process, log, port))


def pytest_unconfigure() -> None:
    if _mother.cache_info().currsize:
        _mother().end()
        _mother.cache_clear()


@cache
def _mother() -> Mother:
    return Mother()


def _with_port(command: tuple[str, ...], port: int | None) -> tuple[str, ...]:
    return (*command, "--port", str(port)) if port else command


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("UNJAM_")} | dict(env)


def _started(running: Running) -> Running:
    if running.port is not None:
        _wait_until_it_answers(running)
    return running


def _wait_until_it_answers(running: Running) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            pytest.fail(f"ended with {running.process.returncode}:\n{running.log.read_text()}")
        if is_answering(running.port or 0):
            return
        time.sleep(0.05)
    running.kill()
    pytest.fail(f"did not answer within {STARTS_WITHIN_SECONDS} s:\n{running.log.read_text()}")


def is_answering(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
