"""The way into the beacons' inbox. On SQLite, where one writes at a time, beacons that meet share a transaction.

While one transaction is being written, the beacons of other threads gather, and whoever is next writes them all.
Nobody is answered before their beacon is committed, so a crash loses nothing that was promised. PostgreSQL writes side
by side; gathering there made beacons slower, `make bench` said.
"""

import threading
from dataclasses import dataclass

from widget import beacons
from widget.beacons import Arrival
from widget.database import Database
from widget.errors import Replayed


@dataclass(slots=True, eq=False)
class _Waiting:
    arrival: Arrival
    is_stored: bool = False
    problem: Exception | None = None


class Inbox:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._gate, self._turn = threading.Lock(), threading.Lock()

    def put(self, arrival: Arrival) -> None:
        """Returns when the beacon is committed. Raises Replayed, or whatever the database raised."""
        mine = _Waiting(arrival)
        if self._database.is_sqlite:
            self._gather(mine)
        else:
            self._store([mine])
        if mine.problem is not None:
            raise mine.problem

    def _gather(self, mine: _Waiting) -> None:
        with self._gate:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_stored:
                with self._gate:
                    together, self._waiting = self._waiting, []
                self._store(together)

    def _store(self, together: list[_Waiting]) -> None:
        try:
            with self._database.write_rows() as connection:
                found_well = beacons.accept(connection, [each.arrival for each in together])
            for each, is_well in zip(together, found_well, strict=True):
                each.problem = None if is_well else Replayed("Give every beacon an id of its own.")
        except Exception as error:
            if len(together) > 1:
                # One of them may be to blame: each gets a transaction of its own.
                for each in together:
                    self._store([each])
                return
            together[0].problem = error
        for each in together:
            each.is_stored = True
