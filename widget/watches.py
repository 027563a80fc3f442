"""Watches: a charge state that is not known yet is asked again, more and more rarely, until it is or the time is up."""

from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import leases
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, insert_once, to
from widget.leases import Leased

# Seconds from each question to the next; the last one is repeated until the watch is over.
BACKOFF_SECONDS = (5, 10, 20, 40, 80, 160, 300, 600, 1200, 3600)
# Long enough for a slow bank transfer or a review of the provider; after that an agent has to look.
LASTS = timedelta(hours=24)
# A panel that keeps asking does so at least once in this time, so somebody is there.
LOOKING_LASTS = timedelta(seconds=90)


class About(StrEnum):
    """What the watch wants to know."""

    CHARGE = "charge"  # whether the customer was charged; they are told when it is known
    TWICE = "twice"  # whether two names of a payment are two payments; that is for agents


class Watch(Leased, Base):
    __tablename__ = "watches"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts", unique=True, index=False)
    about: Mapped[Key] = mapped_column(default=About.CHARGE.value, server_default=About.CHARGE.value)
    begun_at: Mapped[Instant]
    until: Mapped[Instant]
    # When somebody last looked at the answer on a page of ours.
    looked_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    # The charge state it ended with.
    outcome: Mapped[Key | None]

    __table_args__ = (
        sa.Index(
            "ix_watches_open",
            "next_try_at",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )


def start(session: Session, attempt: Attempt, now: datetime, about: About = About.CHARGE) -> None:
    """Ask about this attempt until something is certain. One that runs goes on; one that has ended begins anew."""
    first = now + timedelta(seconds=BACKOFF_SECONDS[0])
    fresh = {"about": about.value, "begun_at": now, "until": now + LASTS, "next_try_at": first, "tries": 0}
    if insert_once(session, Watch, {"attempt_id": attempt.id} | fresh, unique=["attempt_id"]) is not None:
        return
    mine = sa.update(Watch).where(Watch.attempt_id == attempt.id)
    session.execute(mine.where(Watch.ended_at.is_not(None)).values(fresh | {"ended_at": None, "outcome": None}))
    if about is About.CHARGE:
        # Someone waits for the answer now; whatever it was asked for before is answered by it, too.
        session.execute(mine.values(about=about.value))


def of(session: Session, attempt_id: int, *, is_to_be_changed: bool = False) -> Watch | None:
    mine = sa.select(Watch).filter_by(attempt_id=attempt_id)
    if is_to_be_changed:
        mine = mine.with_for_update().execution_options(populate_existing=True)
    return session.scalars(mine).one_or_none()


def is_open(session: Session, attempt_id: int) -> bool:
    mine = sa.select(Watch.id).where(Watch.attempt_id == attempt_id, Watch.ended_at.is_(None))
    return session.scalar(mine) is not None


def looked(session: Session, attempt_id: int, now: datetime) -> None:
    """Somebody looks at the charge on a page of ours, and so needs no e-mail about what it says."""
    session.execute(sa.update(Watch).filter_by(attempt_id=attempt_id).values(looked_at=now))


def is_looked_at(watch: Watch, now: datetime) -> bool:
    return watch.looked_at is not None and now - watch.looked_at < LOOKING_LASTS


def claim(session: Session, worker: str, now: datetime, *, lease: timedelta, limit: int) -> list[Watch]:
    return leases.claim(session, Watch, Watch.ended_at.is_(None), worker, now, lease=lease, limit=limit)


def put_off(watch: Watch, now: datetime) -> None:
    """Nothing is certain yet: ask again later, or give up when the time is over."""
    pause = BACKOFF_SECONDS[min(watch.tries, len(BACKOFF_SECONDS) - 1)]
    watch.tries += 1
    watch.next_try_at = now + timedelta(seconds=pause)
    leases.release(watch)
    if watch.next_try_at > watch.until:
        end(watch, None, now)


def end(watch: Watch, outcome: str | None, now: datetime) -> None:
    """`outcome` is the charge state that is certain now, or None when the time is over without one."""
    watch.ended_at, watch.outcome = now, outcome
    leases.release(watch)
