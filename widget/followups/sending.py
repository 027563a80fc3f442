"""Sending: a worker leases what is due, and writes down how each try went."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import leases
from widget.followups.promise import Delivery, FollowUp, is_open

# Minutes until the next try after each failed one; after the last the follow-up is a dead letter on the desk.
BACKOFF_MINUTES = (1, 5, 15, 60, 240, 720)
POSTPONED_BY = timedelta(hours=6)
# Two days; after that hardly any provider says something else.
MOST_POSTPONED = 8


def claim(session: Session, worker: str, now: datetime, *, lease: timedelta, limit: int = 20) -> list[FollowUp]:
    """Lease follow-ups that are due. No two workers hold the same one, and a dead worker's come back in the end."""
    return leases.claim(session, FollowUp, is_open(), worker, now, lease=lease, limit=limit)


def is_held_by(follow_up: FollowUp, worker: str, now: datetime) -> bool:
    """Whether this worker's lease still stands and nobody has settled the follow-up in the meantime."""
    is_open = not (follow_up.sent_at or follow_up.cancelled_at or follow_up.dead_at)
    return is_open and leases.is_held_by(follow_up, worker, now)


def postpone(follow_up: FollowUp, now: datetime) -> bool:
    """Put it off, because nobody can say whether the order was charged. False when it was put off for long enough."""
    if follow_up.postponed >= MOST_POSTPONED:
        return False
    follow_up.postponed += 1
    follow_up.next_try_at = now + POSTPONED_BY
    leases.release(follow_up)
    return True


def mark_sent(session: Session, follow_up: FollowUp, now: datetime, detail: str) -> None:
    session.add(Delivery(follow_up_id=follow_up.id, outcome="sent", detail=detail, at=now))
    follow_up.sent_at = now
    follow_up.tries += 1
    leases.release(follow_up)


def mark_failed(session: Session, follow_up: FollowUp, now: datetime, detail: str, *, is_permanent: bool) -> None:
    """Note the failed try; plan the next, or make it a dead letter that agents see."""
    session.add(
        Delivery(follow_up_id=follow_up.id, outcome="refused" if is_permanent else "failed", detail=detail, at=now)
    )
    follow_up.tries += 1
    leases.release(follow_up)
    if is_permanent or follow_up.tries > len(BACKOFF_MINUTES):
        follow_up.dead_at = now
    else:
        follow_up.next_try_at = now + timedelta(minutes=BACKOFF_MINUTES[follow_up.tries - 1])


def mark_cancelled(follow_up: FollowUp, because: str, now: datetime) -> None:
    follow_up.cancelled_at, follow_up.cancelled_because = now, because
    leases.release(follow_up)


def revive(follow_up: FollowUp, now: datetime) -> None:
    """An agent asks for another round of tries for a dead letter."""
    follow_up.dead_at, follow_up.tries, follow_up.next_try_at = None, 0, now


def last_error(session: Session, follow_up: FollowUp) -> str:
    """What the latest try to send it said, or nothing when there was none."""
    query = sa.select(Delivery.detail).filter_by(follow_up_id=follow_up.id).order_by(Delivery.id.desc()).limit(1)
    return session.scalar(query) or ""
