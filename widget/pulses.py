"""Pulses: the latest sign of life of each payment page, so that the server notices when there is none any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session

from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, UtcDateTime, to
from widget.shops import Shop

# A page's goodbye and its last beat travel apart: within this time of each other, the goodbye is the later one.
GOODBYE_WINS_FOR = timedelta(seconds=2)
# Servers note that they listen far more often than this; a longer pause means that pulses may have been missed.
DEAF_AFTER = timedelta(seconds=6)
# Nobody judges a page that has been gone for so long, and nothing else asks for its pulse.
KEPT_FOR = timedelta(days=1)
# A pulse may be there before the first beacon was digested. One of no attempt after this time was made up.
ORPHANS_KEPT_FOR = timedelta(minutes=5)

# The servers' own pulse stands among those of the pages. No attempt has this key.
_LISTENING = "listening"
# So often a server notes that it listens.
LISTENS_EVERY = timedelta(seconds=1)


class Presence(StrEnum):
    SEEN = "seen"  # the page is visible
    HIDDEN = "hidden"  # another tab or app is in front of it
    AWAY = "away"  # it said goodbye: closed, or gone to the provider


class Pulse(Base):
    __tablename__ = "pulses"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    # Not a foreign key: the first pulse may come before the first beacon was digested.
    attempt_key: Mapped[Key]
    presence: Mapped[Key]
    at: Mapped[Instant]
    # When the server gave its verdict about the silence after this pulse.
    judged_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "attempt_key"),
        sa.Index(
            "ix_pulses_waiting",
            "shop_id",
            "at",
            sqlite_where=sa.text("judged_at IS NULL"),
            postgresql_where=sa.text("judged_at IS NULL"),
        ),
        sa.Index(
            "ix_pulses_revived",
            "id",
            sqlite_where=sa.text("judged_at < at"),
            postgresql_where=sa.text("judged_at < at"),
        ),
    )


# The row stands under the first shop there is, so that it is found by its key.
_HEARD = sa.select(Pulse.judged_at, Pulse.at).where(
    Pulse.shop_id == sa.select(sa.func.min(Shop.id)).scalar_subquery(), Pulse.attempt_key == sa.bindparam("listening")
)


@dataclass(frozen=True, slots=True)
class Listening:
    """From when until when pulses could be received without a break, by the servers' own clocks."""

    since: datetime
    until: datetime

    def silence_after(self, at: datetime) -> float:
        """Seconds of silence after this moment that somebody listened to; less than zero where `at` is ahead."""
        return (self.until - max(at, self.since)).total_seconds()


def heard(session: Session, shop_id: int, key: str, presence: Presence, at: datetime) -> None:
    """A page showed life, or said goodbye. An older word never replaces a newer one."""
    session.flush()
    beat(session.connection(), shop_id, [key], presence, at)


def beat(connection: sa.Connection, shop_id: int, keys: Sequence[str], presence: Presence, at: datetime) -> None:
    """The same for several attempts of one page, in one statement and without a session."""
    if presence is Presence.AWAY:
        unless_alive_after = unless_away_after = at + GOODBYE_WINS_FOR
    else:
        unless_alive_after, unless_away_after = at, at - GOODBYE_WINS_FOR
    row = {
        "shop_id": shop_id,
        "presence": presence.value,
        "at": at,
        "unless_alive_after": unless_alive_after,
        "unless_away_after": unless_away_after,
    }
    # Sorted, so that two who write the same rows never wait for each other.
    connection.execute(_beat(connection.dialect.name), [row | {"attempt_key": key} for key in sorted(set(keys))])


def end(session: Session, shop_id: int, key: str) -> None:
    """The attempt is over: nobody waits for its page any more."""
    session.execute(sa.delete(Pulse).where(Pulse.shop_id == shop_id, Pulse.attempt_key == key))


def let_rest(session: Session, shop_id: int, key: str, at: datetime) -> None:
    """The attempt's page is gone for good and all is said about it: its silence is not judged any more."""
    heard(session, shop_id, key, Presence.AWAY, at)
    session.execute(sa.update(Pulse).where(Pulse.shop_id == shop_id, Pulse.attempt_key == key).values(judged_at=at))


def listen(connection: sa.Connection, at: datetime) -> None:
    """A server notes that it can receive pulses. Every server does so every few seconds.

    A pause of all servers, or a jump of their clock, starts a new time of listening, so that nobody is called silent
    for what nobody could hear.
    """
    some_shop = connection.scalar(sa.select(sa.func.min(Shop.id)))
    if some_shop is not None:
        row = {"shop_id": some_shop, "attempt_key": _LISTENING, "presence": _LISTENING, "at": at, "judged_at": at}
        connection.execute(
            _listen(connection.dialect.name), row | {"earliest": at - DEAF_AFTER, "latest": at + DEAF_AFTER}
        )


def listening(session: Session, now: datetime) -> Listening | None:
    """How long pulses have been received, or None when no server has ever listened.

    A server that has just noted that it listens goes on until it is to note it again.
    """
    row = session.execute(_HEARD, {"listening": _LISTENING}).one_or_none()
    since, noted = row if row is not None else (None, None)
    if since is None or noted is None:
        return None
    return Listening(since, max(noted, min(now, noted + LISTENS_EVERY)))


def shops_waiting(session: Session) -> list[Shop]:
    """The shops of which a page's silence might have to be judged."""
    has_any = sa.exists().where(Pulse.shop_id == Shop.id, Pulse.judged_at.is_(None))
    return list(session.scalars(sa.select(Shop).where(has_any).order_by(Shop.id)))


def claimed(session: Session, pulse_id: int) -> Pulse | None:
    """One pulse, held until the transaction ends; None when it is gone or somebody else holds it."""
    query = sa.select(Pulse).filter_by(id=pulse_id).with_for_update(skip_locked=True)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def revived(session: Session, *, limit: int) -> list[int]:
    """Pages that were judged and have shown life since."""
    query = sa.select(Pulse.id).where(Pulse.judged_at < Pulse.at, Pulse.attempt_key != _LISTENING)
    return list(session.scalars(query.order_by(Pulse.id).limit(limit)))


def forget_old(session: Session, now: datetime) -> None:
    """Also those of no attempt, which anybody can make up."""
    has_attempt = sa.exists().where(Attempt.shop_id == Pulse.shop_id, Attempt.key == Pulse.attempt_key)
    is_orphan = sa.and_(Pulse.at < now - ORPHANS_KEPT_FOR, ~has_attempt, Pulse.attempt_key != _LISTENING)
    session.execute(sa.delete(Pulse).where(sa.or_(Pulse.at < now - KEPT_FOR, is_orphan)))


def _insert(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(Pulse.__table__)


def _latest(new: Any) -> Any:
    return sa.case((new.at > Pulse.at, new.at), else_=Pulse.at)


@cache
def _beat(dialect: str) -> Any:
    columns: dict[str, Any] = {name: sa.bindparam(name) for name in ("shop_id", "attempt_key", "presence")}
    insert = _insert(dialect).values(columns | {"at": sa.bindparam("at", type_=UtcDateTime)})
    not_after = sa.case(
        (Pulse.presence == Presence.AWAY.value, sa.bindparam("unless_away_after", type_=UtcDateTime)),
        else_=sa.bindparam("unless_alive_after", type_=UtcDateTime),
    )
    return insert.on_conflict_do_update(
        index_elements=["shop_id", "attempt_key"],
        set_={"presence": insert.excluded.presence, "at": _latest(insert.excluded)},
        where=Pulse.at <= not_after,
    )


@cache
def _listen(dialect: str) -> Any:
    insert = _insert(dialect)
    insert = insert.values({name: sa.bindparam(name) for name in ("shop_id", "attempt_key", "presence")}).values(
        at=sa.bindparam("at", type_=UtcDateTime), judged_at=sa.bindparam("judged_at", type_=UtcDateTime)
    )
    has_jumped = Pulse.at > sa.bindparam("latest", type_=UtcDateTime)
    was_deaf = sa.or_(Pulse.at < sa.bindparam("earliest", type_=UtcDateTime), has_jumped)
    return insert.on_conflict_do_update(
        index_elements=["shop_id", "attempt_key"],
        set_={
            "at": sa.case((has_jumped, insert.excluded.at), else_=_latest(insert.excluded)),
            "judged_at": sa.case((was_deaf, insert.excluded.at), else_=Pulse.judged_at),
        },
    )
