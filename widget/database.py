"""Sessions, column types and the few statements that differ between SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

SQLITE_BUSY_TIMEOUT_MS = 10_000
Row = TypeVar("Row", bound="Base")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite has no time zones, so they are put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise TypeError("a timestamp must be aware; use widget.clock.now()")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> datetime | None:
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Of what others name, such as a provider its payments.
WORD_CHARS = 100

Id = Annotated[int, mapped_column(BigId, primary_key=True)]
Key = Annotated[str, mapped_column(sa.String(64))]
Word = Annotated[str, mapped_column(sa.String(WORD_CHARS))]
Line = Annotated[str, mapped_column(sa.String(500))]
Text = Annotated[str, mapped_column(sa.Text)]
Currency = Annotated[str, mapped_column(sa.String(3))]
# Money is always whole minor units (cents) beside its ISO 4217 currency.
Minor = Annotated[int, mapped_column(sa.BigInteger)]
Instant = Annotated[datetime, mapped_column(UtcDateTime)]
JsonObject = Annotated[dict[str, Any], mapped_column(Json)]
JsonList = Annotated[list[Any], mapped_column(Json)]


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def to(target: str, **options: Any) -> Any:
    """A foreign key column to `table.id` that is indexed and deleted with its owner."""
    index = options.pop("index", True)
    return mapped_column(BigId, sa.ForeignKey(f"{target}.id", ondelete="CASCADE"), index=index, **options)


class Database:
    """One engine with a reading and a writing transaction; only the web edge and the worker open them."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writer = self.engine.execution_options(unjam_writes=True)
        # SQLite has one writer. Queueing here, not in its busy handler, cuts the p99 of writes about 13-fold.
        self._one_writer: AbstractContextManager[object] = threading.RLock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Commit when the block ends, roll back when it raises."""
        with self._one_writer, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write_rows(self) -> Iterator[sa.Connection]:
        """A writing transaction for plain statements, without a session, which costs half as much again."""
        with self._one_writer, self._writer.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self.engine.dispose()


def insert_once(session: Session, model: type[Base], values: dict[str, Any], unique: Sequence[str]) -> int | None:
    """Insert a row unless one with the same `unique` columns exists. Returns its id, or None if it was there."""
    statement = _insert_once(session.get_bind().dialect.name, model, tuple(unique))
    result: int | None = session.scalar(statement, values)
    return result


def add_once(session: Session, model: type[Row], values: dict[str, Any], unique: Sequence[str]) -> Row | None:
    """`insert_once` that returns the whole row, or None if it was there."""
    insert = insert_new(session.get_bind().dialect.name, model, tuple(unique)).returning(*model.__table__.c)
    return session.scalars(sa.select(model).from_statement(insert), values).one_or_none()


@cache
def _insert_once(dialect: str, model: type[Base], unique: tuple[str, ...]) -> Any:
    # Building the statement takes as long as running it, so each is built once.
    return insert_new(dialect, model, unique).returning(model.__table__.c.id)


def insert_new(dialect: str, model: type[Base], unique: tuple[str, ...]) -> Any:
    """An INSERT that passes over rows whose `unique` columns are there already, for one of the two dialects."""
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(model.__table__).on_conflict_do_nothing(index_elements=unique)


def _engine(url: str) -> sa.Engine:
    # Parameters stay out of error messages, and so out of logs: they are what customers typed.
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=10, hide_parameters=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN is off, so that _begin_sqlite decides which kind is sent.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that turns into a writer fails at once when another has written: take the lock first.
    writes = connection.get_execution_options().get("unjam_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
