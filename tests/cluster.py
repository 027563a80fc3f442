"""One throw-away PostgreSQL server for a whole run of tests, started by the first test that needs it.

It listens on a Unix socket only, and it ends with the process that prepared it, even when that is killed.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_ALWAYS = {"listen_addresses": "''"}
FOR_TESTS = {
    # Nothing here outlives the run, so nothing has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    # Not UTC, so that a timestamp that lost its zone shows.
    "timezone": "Africa/Johannesburg",
}

# Waits for its input to close, which happens however the process at the other end of the pipe ends.
_WATCHDOG = """
folder=$1
shift
cat >/dev/null
cd /
if [ -f "$folder/data/postmaster.pid" ]; then "$@" stop -D "$folder/data" -m immediate -s; fi
rm -rf "$folder"
"""


class NotInstalled(Exception):
    """PostgreSQL is not on this machine; the text says what to do."""


class Cluster:
    """A folder for the run's databases, and the server in it once somebody has called `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time, among all that share the folder."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def start(self, options: Mapping[str, str]) -> None:
        """Start the server unless it was started before. The caller holds the lock."""
        started = self.folder / "started"
        if started.exists():
            return
        data = self.folder / "data"
        as_utf8 = ["--encoding=UTF8", "--locale=C"]
        self._run("initdb", "--pgdata", str(data), "--username=postgres", "--auth=trust", "--no-sync", *as_utf8)
        switches = " ".join(f"-c {name}={value}" for name, value in (_ALWAYS | dict(options)).items())
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-D", str(data), "-w", "-s", "-l", log, "-o", f"-k {self.folder} {switches}")
        started.touch()

    def _run(self, program: str, *arguments: str) -> None:
        # The server keeps what it inherits, so it must not get our output: a reader of it would wait for ever.
        with (self.folder / "setup.log").open("a") as log:
            done = subprocess.run([*_command(program), *arguments], cwd=self.folder, stdout=log, stderr=log)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{(self.folder / 'setup.log').read_text()}")


@contextmanager
def prepared() -> Iterator[Cluster]:
    """A cluster that is stopped and removed at the end of the block, or of this process."""
    folder = Path(tempfile.mkdtemp(prefix="unjam-tests-"))
    pg_ctl: list[str] = []
    if _folder_of_programs() is not None:
        pg_ctl = _command("pg_ctl")
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
    watchdog = subprocess.Popen(
        ["sh", "-c", _WATCHDOG, "watchdog", str(folder), *pg_ctl], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Cluster(folder)
    finally:
        watchdog.communicate(timeout=60)


def _command(program: str) -> list[str]:
    """How to run one of PostgreSQL's programs. They refuse to run as root, so root becomes `postgres`."""
    folder = _folder_of_programs()
    if folder is None:
        raise NotInstalled("PostgreSQL is not installed. `make test` installs it, or says how to.")
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return [*as_postgres, str(folder / program)]


def _folder_of_programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian keeps them off the path, one folder for each version.
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda folder: int(folder.parent.name), default=None)
