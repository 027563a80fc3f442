"""Commands that start something."""

import os
import signal
import sys

import click

from widget import settings
from widget.cli.transaction import upgrade
from widget.settings import Settings


@click.command()
def demo() -> None:
    """Try the whole job on this machine: Unjam, a demo shop and a mailbox."""
    from widget.demo.run import run

    sys.exit(run())


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 64), help="Threads per process.")
def serve(host: str, port: int, processes: int, threads: int) -> None:
    """Serve over HTTP with granian; with one process, send the e-mails too."""
    loaded = settings.load()
    if processes > 1:
        _check_can_share(loaded)
        os.environ["UNJAM_EMBEDDED_WORKER"] = "false"
    upgrade(loaded)
    # Replace this process by granian's, so that what it has imported for the migration does not stay in memory.
    # The access log stays off: it would print paths, and ours hold signed links.
    places = ["--host", host, "--port", str(port)]
    sizes = ["--workers", str(processes), "--blocking-threads", str(threads)]
    words = ["--interface", "wsgi", "--no-access-log", "--log-level", "warning", "widget.server:app"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "granian", *places, *sizes, *words])  # noqa: S606 -- no shell


@click.command()
def worker() -> None:
    """Send e-mails and digest beacons. Run as many as you like."""
    from widget import logs
    from widget.database import Database
    from widget.worker import worker_for

    loaded = settings.load()
    logs.configure(loaded.log_format)
    running = worker_for(loaded, Database(loaded.database_url))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    running.run()


@click.command()
def migrate() -> None:
    """Bring the database up to date. Safe to run from several processes at once."""
    upgrade(settings.load())
    click.echo("The database is up to date.")


def _check_can_share(loaded: Settings) -> None:
    if loaded.database_url.startswith("sqlite"):
        raise click.ClickException("several processes need PostgreSQL: set UNJAM_DATABASE_URL, or use --processes 1.")
    if loaded.redis_url is None:
        click.echo("Note: without UNJAM_REDIS_URL each process counts its rate limits alone.", err=True)
