"""The worker: digests beacons, notices silence, keeps the promises of follow-ups and asks and tells other servers.

Any number may run; a crash repeats work, never loses it. What talks to other people's servers runs in lanes of its own,
mails among them, so that a slow one holds up neither the others nor the switch that notices silence.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from widget import (
    beacons,
    cashier,
    clock,
    deadlines,
    digest,
    enquiry,
    guard,
    health,
    holds,
    leases,
    logs,
    polling,
    pulses,
    ranking,
    silence,
    telling,
)
from widget.addresses import Addresses
from widget.casework import Pace, pace_of
from widget.database import Database
from widget.followups import FollowUp
from widget.hooks import Hook
from widget.mail import Outbox, outbox_for
from widget.posting import Courier
from widget.settings import Settings
from widget.tokens import Tokens
from widget.watches import Watch

log = structlog.get_logger()

IDLE_SECONDS = 1.0
# What pages tell, and that they went silent, is to be known within a second of its time.
NOTICES_WITHIN_SECONDS = 0.5
# After an error a job rests, so that neither a bug nor a restart of the database is met by a storm.
TROUBLE_SECONDS = 5.0
# A question to a provider or a shop's server that is under way when we stop.
LAST_ANSWER_SECONDS = 10.0
TIDY_EVERY = timedelta(minutes=5)
COUNT_EVERY = timedelta(minutes=1)
# Pages without pulses are looked for more rarely: they have a minute more than the others anyway.
LOOK_FOR_UNHEARD_EVERY = timedelta(seconds=10)


@dataclass
class Job:
    """Something that is looked for in every round, or `every` so often. `run` returns whether there was any."""

    name: str
    run: Callable[[], object]
    every: timedelta | None = None
    ran_at: datetime | None = None
    rests_until: float = 0.0

    def is_due(self, now: datetime) -> bool:
        """A clock that was set back makes it due."""
        if time.monotonic() < self.rests_until:
            return False
        return self.every is None or self.ran_at is None or not timedelta() <= now - self.ran_at < self.every


class Worker:
    """Three lanes over one database. `run` returns after `stop`, having given back what it had claimed."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        addresses: Addresses,
        pace: Pace,
        lease: timedelta,
        *,
        tells_internal: bool = False,
    ) -> None:
        self._database, self._pace = database, pace
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._looked_at = started_at = clock.now()
        self._inward = [
            Job("digest", self._digest),
            Job("health", self._tally),
            Job("silence", self._notice_silence),
            Job("holds", partial(self._in_one, holds.release_due), COUNT_EVERY),
            Job("transfers", partial(cashier.end_waiting, database), COUNT_EVERY),
            Job("ranking", partial(self._in_one, ranking.count_due), COUNT_EVERY),
            Job("tidy", self._tidy, TIDY_EVERY, ran_at=started_at),
        ]
        # A mail that speaks of money asks the provider first, and mail servers are slow.
        courier = Courier(database, outbox, addresses, pace, self.name, lease, self._stopping)
        self._mails = [Job("mails", courier.send_due)]
        self._outward = [
            Job("webhooks", partial(cashier.heed_webhooks, database, pace)),
            Job("watches", partial(enquiry.ask_due, database, pace, self.name, lease)),
            Job("pages", partial(cashier.look_at_pages, database, pace)),
            Job("feeds", partial(polling.ask_due_feeds, database, self.name, lease)),
            Job("hooks", partial(telling.tell_due, database, self.name, lease, may_be_internal=tells_internal)),
        ]

    def run(self) -> None:
        log.info("worker_started", worker=self.name)
        lanes = {"inward": self._inward, "outward": self._outward}
        beside = [threading.Thread(target=self._go_on, args=(jobs,), name=name) for name, jobs in lanes.items()]
        for lane in beside:
            lane.daemon = True
            lane.start()
        self._go_on(self._mails)
        for lane in beside:
            lane.join(LAST_ANSWER_SECONDS)
        self._give_back()
        log.info("worker_stopped", worker=self.name)

    def stop(self) -> None:
        self._stopping.set()

    def work_once(self) -> bool:
        """One round of all lanes. Returns whether there was anything to do, so that the next should follow at once."""
        return self._round(self._inward) | self._round(self._mails) | self._round(self._outward)

    def _go_on(self, jobs: list[Job]) -> None:
        idle_seconds = NOTICES_WITHIN_SECONDS if jobs is self._inward else IDLE_SECONDS
        while not self._stopping.is_set():
            if not self._round(jobs):
                self._stopping.wait(idle_seconds)

    def _round(self, jobs: list[Job]) -> bool:
        is_busy = False
        for job in jobs:
            if job.is_due(clock.now()) and not self._stopping.is_set():
                is_busy |= self._do(job)
        return is_busy

    def _do(self, job: Job) -> bool:
        """One job, guarded: whatever is wrong with it, the others are done. Its rows come back with their lease."""
        job.ran_at = clock.now()
        try:
            found = bool(job.run())
        except SQLAlchemyError as error:
            # Two who lock each other out, for instance, or the database is being restarted.
            log.warning("job_put_off", job=job.name, error=type(error).__name__)
        except Exception as error:
            log.error("job_failed", job=job.name, error=type(error).__name__, places=logs.places(error))
        else:
            # What runs at intervals has done its share of this one.
            return found and job.every is None
        job.rests_until = time.monotonic() + TROUBLE_SECONDS
        return False

    def _in_one(self, count: Callable[[Session, datetime], object]) -> bool:
        with self._database.write() as session:
            return bool(count(session, clock.now()))

    def _tally(self) -> int:
        with self._database.write() as session:
            return health.tally(session)

    def _digest(self) -> int:
        with self._database.write() as session:
            return digest.digest_all(session, self._pace, clock.now())

    def _notice_silence(self) -> None:
        """Give a verdict about every page that is silent for too long, each in a transaction of its own."""
        with self._database.read() as session:
            alive = pulses.revived(session, limit=silence.BATCH)
            suspects = silence.suspects(session, clock.now())
            if not timedelta() <= clock.now() - self._looked_at < LOOK_FOR_UNHEARD_EVERY:
                self._looked_at = clock.now()
                suspects += silence.unheard(session, clock.now())
        for pulse_id in alive:
            self._apart(partial(silence.withdraw, pulse_id=pulse_id))
        for suspect in suspects:
            self._apart(partial(silence.judge, suspect=suspect, pace=self._pace, now=clock.now()))

    def _apart(self, judge: Callable[[Session], object]) -> None:
        """One row in its own transaction: whatever is wrong with it, the others are judged and the mails go out."""
        if self._stopping.is_set():
            return
        try:
            with self._database.write() as session:
                judge(session)
        except Exception as error:
            log.error("silence_not_judged", error=type(error).__name__, places=logs.places(error))

    def _tidy(self) -> None:
        now = clock.now()
        for tidy in (beacons.forget_digested, pulses.forget_old, health.forget_old, guard.tidy, deadlines.learn):
            with self._database.write() as session:
                tidy(session, now)

    def _give_back(self) -> None:
        try:
            with self._database.write() as session:
                leases.release_all(session, (FollowUp, Watch, Hook), self.name)
        except SQLAlchemyError as error:
            log.warning("worker_leases_left", error=type(error).__name__)


def worker_for(settings: Settings, database: Database) -> Worker:
    """A worker as the settings describe it."""
    return Worker(
        database,
        outbox_for(settings, database),
        Addresses(settings.public_url, Tokens(settings.signing_key)),
        pace_of(settings.reminder_after_minutes, settings.rating_after_minutes),
        timedelta(seconds=settings.lease_seconds),
        tells_internal=settings.environment != "production",
    )
