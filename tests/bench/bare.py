"""The floor to compare with: the same server saying hello, and doing nothing but one insert of a beacon's size."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from widget import clock
from widget.database import BigId, Database, UtcDateTime

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

_rows = sa.Table(
    "bare_rows",
    sa.MetaData(),
    sa.Column("id", BigId, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
)
_database: Database | None = None


def hello(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def insert(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    with _opened().write() as session:
        session.execute(sa.insert(_rows).values(body=body, received_at=clock.now()))
    return hello(environ, start_response)


def _opened() -> Database:
    global _database
    if _database is None:
        _database = Database(os.environ["BENCH_DATABASE_URL"])
    return _database


def main() -> None:
    """`python -m tests.bench.bare hello 8080`, served as `unjam serve` serves Unjam."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    target, port = sys.argv[1], int(sys.argv[2])
    if target == "insert":
        _rows.create(_opened().engine, checkfirst=True)
    Server(
        f"tests.bench.bare:{target}",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=4,
        log_access=False,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
