"""`.ci/setup`, which `make demo` and `make test` begin with, on machines made of a few fake commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / ".ci" / "setup"
PROBED = (
    *("chromium", "firefox-esr", "WebKitWebDriver", "xvfb-run", "xauth", "dbus-run-session"),
    *("postgres", "node", "npm"),
)


class Machine:
    """A folder of commands that is all of `PATH`; `installed` is what its package manager was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "apt.log"
        for tool in ("bash", "env", "find", "grep"):
            folder.joinpath(tool).symlink_to(shutil.which(tool) or tool)
        folder.joinpath("python3").symlink_to(sys.executable)
        for tool in PROBED:
            self.has(tool, ":")
        self.has("id", "echo 0")
        self.has("ldconfig", 'echo "	libatomic.so.1 (libc6,x86-64) => /lib/libatomic.so.1"')
        self.has("apt-get", f'echo "$@" >>{self.log}')

    def has(self, tool: str, body: str) -> None:
        """Give the machine the command TOOL, a shell script of BODY."""
        path = self.folder / tool
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)

    def set_up(self, what: str = "test") -> subprocess.CompletedProcess[str]:
        path = {"PATH": str(self.folder)}
        return subprocess.run([SETUP, what], env=path, capture_output=True, text=True, timeout=60, check=False)

    @property
    def installed(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_that_has_everything_installs_nothing(machine: Machine) -> None:
    done = machine.set_up()
    assert (done.returncode, done.stderr, machine.installed) == (0, "", "")


def test_a_library_is_found_however_long_the_list_goes_on_after_it(machine: Machine) -> None:
    """A list longer than a pipe holds breaks the pipe of a reader that stops at its match, which is not "missing"."""
    machine.has("ldconfig", 'echo "	libatomic.so.1 => /lib/libatomic.so.1"; printf "%s\\n" {1..100000} || exit 1')
    done = machine.set_up()
    assert (done.returncode, done.stderr, machine.installed) == (0, "", "")


def test_what_is_missing_is_installed(machine: Machine) -> None:
    machine.folder.joinpath("chromium").unlink()
    machine.has("ldconfig", "echo nothing")
    machine.has("apt-get", f'echo "$@" >>{machine.log}; [[ $1 != install ]] || : >{machine.folder}/chromium')
    done = machine.set_up()
    assert done.returncode == 0
    assert "install -y -qq --no-install-recommends chromium libatomic1" in machine.installed


def test_what_was_installed_and_is_not_found_is_said_and_does_not_stop_the_tests(machine: Machine) -> None:
    machine.has("ldconfig", "echo nothing")
    done = machine.set_up()
    assert done.returncode == 0
    assert "libatomic1" in done.stderr


def test_the_demo_needs_no_browser(machine: Machine) -> None:
    for tool in PROBED:
        machine.folder.joinpath(tool).unlink()
    done = machine.set_up("demo")
    assert (done.returncode, machine.installed) == (0, "")


@pytest.mark.parametrize("broken", ["nobody may install", "the packages cannot be had"])
def test_what_cannot_be_installed_is_named_with_the_command(machine: Machine, broken: str) -> None:
    machine.folder.joinpath("xauth").unlink()
    if broken == "nobody may install":
        machine.has("id", "echo 1000")
    else:
        machine.has("apt-get", "exit 100")
    done = machine.set_up()
    assert done.returncode == 1
    assert "apt-get install xauth" in done.stderr
