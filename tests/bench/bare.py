"""The floor to compare with: the same server saying hello, and doing nothing but one insert of a beacon's size."""

import os
import threading
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
_opening = threading.Lock()
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
    with _opening:
        if _database is None:
            _database = Database(os.environ["BENCH_DATABASE_URL"])
            _rows.create(_database.engine, checkfirst=True)
    return _database
