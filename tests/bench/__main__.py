"""Start everything, measure in turns, print medians and ratios, stop everything."""

import gzip
import os
import platform
import secrets
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.bench import host_cost, month, work
from tests.bench.load import Outcome, drive
from tests.bench.servers import Server, cpu_seconds, memory_mb, running, serving
from tests.bench.world import shipped
from tests.cluster import prepared
from tests.processes import free_port
from widget import __version__, migrations
from widget.database import Database
from widget.paths import STATIC

ROUNDS = 5
SECONDS_PER_ROUND = 1.0
# More than any machine opens within a round.
TICKETS_PER_ROUND = 600
EMBED_MAX_BYTES = 5_000
SCRIPT_MAX_MS = 5


@dataclass
class Subject:
    """One kind of request to one server, and what was measured of it so far."""

    name: str
    server: Server
    requests: Callable[[int], Iterable[bytes]]
    connections: int = 32
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failures: list[bytes] = field(default_factory=list)

    def measure(self, round_number: int) -> None:
        before = cpu_seconds(self.server.pid)
        outcome: Outcome = drive(self.server.port, self.requests(round_number), SECONDS_PER_ROUND, self.connections)
        used = cpu_seconds(self.server.pid) - before
        self.rates.append(outcome.answers / outcome.seconds)
        self.cpu_ms.append(used * 1000 / outcome.answers)
        self.latencies += outcome.latencies
        self.failures += outcome.failures


def main() -> int:
    print(f"Unjam {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores.")
    print(
        f"Medians of {ROUNDS} rounds of {SECONDS_PER_ROUND:.0f} s each, taken in turns; one server process, 4 threads."
    )
    print(
        "CPU: of the server's own processes, for one request; x hello, x insert: how many times that of these lines.\n"
    )
    failed = False
    for name, prepare in (("SQLite", _sqlite_folder), ("PostgreSQL", _postgresql)):
        with prepare() as (bare_url, url):
            failed |= _compare(name, bare_url, url)
    failed |= not _print_embed()
    print()
    month.report(shipped(), seeds=[1])
    return 1 if failed else 0


def _compare(name: str, bare_url: str, url: str) -> bool:
    """Measure and print one database. Returns whether any request failed."""
    key = secrets.token_urlsafe(48)
    database = Database(url)
    migrations.upgrade(url)
    attempt_ids = work.prepare(database, ROUNDS * TICKETS_PER_ROUND)
    with ExitStack() as stack:
        hello = stack.enter_context(_bare("hello", bare_url))
        insert = stack.enter_context(_bare("insert", bare_url))
        unjam = stack.enter_context(serving(url, key))
        idle_mb = memory_mb(unjam.pid)

        def reports(number: int) -> Iterable[bytes]:
            return work.reports(attempt_ids[number * TICKETS_PER_ROUND : (number + 1) * TICKETS_PER_ROUND], key)

        subjects = [
            Subject("hello world", hello, lambda _: work.hellos()),
            Subject("one bare insert", insert, lambda _: work.beacons()),
            Subject("a beacon", unjam, lambda _: work.beacons()),
            Subject("a pulse", unjam, lambda _: work.pulses()),
            Subject("a report opens a ticket", unjam, reports, connections=8),
        ]
        for round_number in range(ROUNDS):
            for subject in subjects:
                subject.measure(round_number)
        loaded_mb = memory_mb(unjam.pid)
    _print_table(name, subjects)
    print(f"  digesting a beacon, in the worker: {work.digest_cpu_ms(database):.2f} ms CPU")
    print(f"  memory (PSS, all processes): {idle_mb:.0f} MB idle, {loaded_mb:.0f} MB after the load\n")
    database.dispose()
    return any(subject.failures for subject in subjects)


def _print_table(name: str, subjects: list[Subject]) -> None:
    print(f"{name:<28}{'req/s':>8}{'CPU ms':>9}{'x hello':>9}{'x insert':>9}{'p50 ms':>9}{'p99 ms':>9}")
    hello, insert = (statistics.median(subject.cpu_ms) for subject in subjects[:2])
    for subject in subjects:
        cpu, rate = statistics.median(subject.cpu_ms), statistics.median(subject.rates)
        p50, p99 = statistics.median(subject.latencies), statistics.quantiles(subject.latencies, n=100)[98]
        ratios = f"{cpu / hello:>9.1f}{cpu / insert:>9.2f}"
        print(f"  {subject.name:<26}{rate:>8.0f}{cpu:>9.3f}{ratios}{p50 * 1000:>9.1f}{p99 * 1000:>9.1f}")
        if subject.failures:
            print(f"  {len(subject.failures)} FAILED, the first with: {subject.failures[0][:300]!r}")


def _print_embed() -> bool:
    """Returns whether the script is as small and as cheap as it has to be."""
    built = STATIC / "dist" / "embed.js"
    if not built.exists():
        print("The embed is not built; run: make embed")
        return False
    code = built.read_bytes()
    small = len(gzip.compress(code, compresslevel=9, mtime=0))
    verdict = "within" if small <= EMBED_MAX_BYTES else "OVER"
    print(f"embed.js: {len(code)} bytes minified, {small} with gzip -9, {verdict} the {EMBED_MAX_BYTES} it may have")
    cost = host_cost.measure()
    is_cheap = cost["script_ms"] <= SCRIPT_MAX_MS and not cost["long_tasks"]
    print(
        f"with the processor slowed down {cost['throttling']}x it takes {cost['script_ms']:.1f} ms of script at load, "
        f"{cost['mounted_ms']:.1f} ms in all until its frame is mounted, beyond a bare script; "
        f"long tasks: {cost['long_tasks']:.0f}; "
        f"aim: {SCRIPT_MAX_MS} ms at load and no long task: {'reached' if is_cheap else 'MISSED'}"
    )
    return is_cheap and small <= EMBED_MAX_BYTES


@contextmanager
def _sqlite_folder() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="unjam-bench-") as folder:
        yield f"sqlite:///{folder}/bare.sqlite", f"sqlite:///{folder}/unjam.sqlite"


@contextmanager
def _postgresql() -> Iterator[tuple[str, str]]:
    with prepared() as cluster:
        # As a server in production runs: every commit reaches the disk.
        cluster.start({})
        address = cluster.url("postgres").replace("+psycopg", "", 1)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bare")
            connection.execute("CREATE DATABASE unjam")
        yield cluster.url("bare"), cluster.url("unjam")


@contextmanager
def _bare(target: str, url: str) -> Iterator[Server]:
    port = free_port()
    # As `unjam serve` starts granian.
    options = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", "4", "--no-access-log"]
    words = ["--host", "127.0.0.1", "--port", str(port), *options, f"tests.bench.bare:{target}"]
    command = [sys.executable, "-m", "granian", *words]
    with running(command, port, {"BENCH_DATABASE_URL": url}, path="/") as server:
        yield server


if __name__ == "__main__":
    sys.exit(main())
