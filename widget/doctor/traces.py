"""What the doctor's visit leaves in the database: found by a mark in the browser's name, and removed afterwards."""

import json
import time
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import clock
from widget.attempts import Attempt
from widget.beacons import Beacon
from widget.database import Database
from widget.orders import Order
from widget.pulses import Pulse

_MOST_ROUNDS = 12
_QUIET_ROUNDS = 3
_BETWEEN_ROUNDS_SECONDS = 0.4
# Clocks of the database's machines may differ a little.
_EARLIER = timedelta(minutes=1)


class Traces:
    """The rows of one visit, from now on. `mark` stands in the user-agent text of its browser and nowhere else."""

    def __init__(self, database: Database, mark: str) -> None:
        self._database, self._mark = database, mark
        self._since = clock.now() - _EARLIER
        # Of every attempt that the visited page began, its own ones too, and the shops they belong to.
        self._keys: set[str] = set()
        self._shops: set[int] = set()

    def has_beacon(self, method: str) -> bool:
        """Whether the page itself (not our frame in it) has told the inbox of an attempt with this method."""
        with self._database.read() as session:
            bodies = [json.loads(body) for body in session.scalars(sa.select(Beacon.body).where(*self._of_beacons()))]
        told_by_page = (body["attempt"] for body in bodies if body.get("source", "page") == "page")
        return any(attempt.get("method") == method for attempt in told_by_page)

    def has_pulse(self) -> bool:
        with self._database.read() as session:
            self._learn(session)
            return session.scalar(sa.select(Pulse.id).where(*self._of_pulses()).limit(1)) is not None

    def remove(self) -> None:
        """Remove everything, also what arrives while the browser is closing, or is being digested by a worker."""
        quiet = 0
        for _ in range(_MOST_ROUNDS):
            with self._database.write() as session:
                quiet = 0 if self._remove_once(session) else quiet + 1
            if not self._keys or quiet == _QUIET_ROUNDS:
                return
            time.sleep(_BETWEEN_ROUNDS_SECONDS)

    def _remove_once(self, session: Session) -> int:
        self._learn(session)
        orders = self._locked_orders(session)
        removed = [
            session.execute(sa.delete(Beacon).where(*self._of_beacons())),
            session.execute(sa.delete(Pulse).where(*self._of_pulses())),
            session.execute(sa.delete(Attempt).where(*self._of_attempts())),
        ]
        session.execute(sa.delete(Order).where(Order.id.in_(_unused(session, orders, self._since))))
        return sum(each.rowcount for each in removed)  # type: ignore[attr-defined]

    def _learn(self, session: Session) -> None:
        for row in session.execute(sa.select(Beacon.shop_id, Beacon.attempt_key).where(*self._of_beacons())):
            self._shops.add(row.shop_id)
            self._keys.add(row.attempt_key)

    def _locked_orders(self, session: Session) -> list[int]:
        # Orders before their attempts, as everybody locks them.
        ids = sa.select(Attempt.order_id).where(*self._of_attempts())
        return list(session.scalars(sa.select(Order.id).where(Order.id.in_(ids)).order_by(Order.id).with_for_update()))

    def _of_beacons(self) -> list[sa.ColumnElement[bool]]:
        # What Chromium sends while it leaves a page bears its own name instead of ours.
        is_known = sa.and_(Beacon.shop_id.in_(self._shops), Beacon.attempt_key.in_(self._keys))
        return [Beacon.received_at >= self._since, sa.or_(Beacon.user_agent.contains(self._mark), is_known)]

    def _of_pulses(self) -> list[sa.ColumnElement[bool]]:
        return [Pulse.shop_id.in_(self._shops), Pulse.attempt_key.in_(self._keys)]

    def _of_attempts(self) -> list[sa.ColumnElement[bool]]:
        return [Attempt.shop_id.in_(self._shops), Attempt.key.in_(self._keys)]


def _unused(session: Session, orders: list[int], since: datetime) -> list[int]:
    """Those that the visit itself brought in: new, unpaid, and spoken of by no attempt of a customer."""
    used = sa.select(Attempt.order_id).where(Attempt.order_id.in_(orders))
    query = sa.select(Order.id).where(Order.id.in_(orders), Order.created_at >= since, Order.paid_at.is_(None))
    return list(session.scalars(query.where(Order.id.not_in(used))))
