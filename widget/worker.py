"""The worker: digests beacons, notices silence and keeps the promises of follow-ups.

Any number may run; a crash repeats work, never loses it.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from widget import beacons, clock, deadlines, digest, enquiry, followups, letters, logs, pulses, silence
from widget.addresses import Addresses
from widget.casework import Pace, pace_of
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.mail import NotWanted, Outbox, OutgoingMail, Post, SendFailed, outbox_for
from widget.settings import Settings
from widget.tokens import Tokens

log = structlog.get_logger()

IDLE_SECONDS = 1.0
# After an error of the database, wait so that a restart of it is not met by a storm.
TROUBLE_SECONDS = 5.0
TIDY_EVERY = timedelta(minutes=5)
# Pages without pulses are looked for more rarely: they have a minute more than the others anyway.
LOOK_FOR_UNHEARD_EVERY = timedelta(seconds=10)


class Worker:
    """One loop over one database. `run` returns after `stop`, having given back what it had claimed."""

    def __init__(self, database: Database, outbox: Outbox, addresses: Addresses, pace: Pace, lease: timedelta) -> None:
        self._database, self._outbox, self._addresses, self._pace = database, outbox, addresses, pace
        self._lease = lease
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._tidied_at = self._looked_at = clock.now()

    def run(self) -> None:
        log.info("worker_started", worker=self.name)
        while not self._stopping.is_set():
            try:
                is_busy = self.work_once()
            except SQLAlchemyError as error:
                log.error("worker_database_trouble", error=type(error).__name__)
                self._stopping.wait(TROUBLE_SECONDS)
                continue
            except Exception as error:
                # A bug in one row must not stop the mails of all others; the lease brings the row back later.
                log.error("worker_unexpected", error=type(error).__name__, places=logs.places(error))
                self._stopping.wait(TROUBLE_SECONDS)
                continue
            if not is_busy:
                self._stopping.wait(IDLE_SECONDS)
        self._give_back()
        log.info("worker_stopped", worker=self.name)

    def stop(self) -> None:
        self._stopping.set()

    def work_once(self) -> bool:
        """One round. Returns whether there was anything to do, so that the next round should follow at once."""
        digested = self._digest()
        self._notice_silence()
        with self._database.write() as session:
            claimed = followups.claim(session, self.name, clock.now(), lease=self._lease)
        if claimed:
            self._send_all(claimed)
        self._tidy()
        return bool(digested or claimed)

    def _digest(self) -> int:
        try:
            with self._database.write() as session:
                return digest.digest_all(session, self._pace, clock.now())
        except OperationalError as error:
            # Two who lock each other out, for instance. The beacons stay in the inbox, and the mails go on.
            log.warning("digest_put_off", error=type(error.orig).__name__)
            return 0

    def _notice_silence(self) -> None:
        """Give a verdict about every page that is silent for too long, each in a transaction of its own."""
        try:
            with self._database.read() as session:
                alive = pulses.revived(session, limit=silence.BATCH)
                suspects = silence.suspects(session)
                if not timedelta() <= clock.now() - self._looked_at < LOOK_FOR_UNHEARD_EVERY:
                    self._looked_at = clock.now()
                    suspects += silence.unheard(session)
        except OperationalError as error:
            log.warning("silence_put_off", error=type(error.orig).__name__)
            return
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

    def _send_all(self, claimed: list[FollowUp]) -> None:
        with self._outbox.open() as post:
            for follow_up in claimed:
                if self._stopping.is_set():
                    return
                self._send(post, follow_up.id)

    def _send(self, post: Post, follow_up_id: int) -> None:
        """Compose from what is true now, send, and write down how it went."""
        try:
            if not self._prepare(follow_up_id):
                return
            with self._database.read() as session:
                follow_up = session.get_one(FollowUp, follow_up_id)
                mail = letters.compose(session, follow_up, self._addresses, clock.now())
            said = post.send(mail, lambda: self._is_still_true(follow_up_id, mail))
        except NotWanted:
            # Cancelled now, or kept and composed anew in the next round, when a part of it was no longer true.
            if not self._drop_if_unwanted(follow_up_id):
                self._give_back_one(follow_up_id)
        except SendFailed as error:
            log.warning("mail_failed", follow_up=follow_up_id, is_permanent=error.is_permanent, detail=error.detail)
            self._note_failure(follow_up_id, error.detail, is_permanent=error.is_permanent)
        except SQLAlchemyError:
            raise
        except Exception as error:
            # A letter that cannot be composed must not hold up the others; it ends where agents see it.
            log.error("mail_broken", follow_up=follow_up_id, error=type(error).__name__, places=logs.places(error))
            self._note_failure(follow_up_id, f"The mail could not be composed: {type(error).__name__}.")
        else:
            with self._database.write() as session:
                followups.mark_sent(session, session.get_one(FollowUp, follow_up_id), clock.now(), said)

    def _prepare(self, follow_up_id: int) -> bool:
        """Whether to send it. A mail that asks for money needs the provider's word, just now, that none was taken."""
        with self._database.read() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            kind = Kind(follow_up.kind)
            attempt_id = followups.attempt_id_of(session, follow_up)
        if kind.speaks_of_money:
            enquiry.ask(self._database, self._pace, attempt_id)
        if self._drop_if_unwanted(follow_up_id):
            return False
        with self._database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            if kind.asks_for_payment and not followups.may_ask_for_payment(session, follow_up, clock.now()):
                followups.postpone(follow_up, clock.now())
                return False
        return True

    def _is_still_true(self, follow_up_id: int, mail: OutgoingMail) -> bool:
        """Asked right before the mail leaves: a payment may have come in since it was composed."""
        with self._database.read() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            is_mine = followups.is_held_by(follow_up, self.name, clock.now())
            if not is_mine or followups.reason_to_cancel(session, follow_up) is not None:
                return False
            return not (mail.asks_for_payment and followups.is_paid(session, follow_up))

    def _drop_if_unwanted(self, follow_up_id: int) -> bool:
        with self._database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            if not followups.is_held_by(follow_up, self.name, clock.now()):
                return True
            reason = followups.reason_to_cancel(session, follow_up)
            if reason is not None:
                followups.mark_cancelled(follow_up, reason, clock.now())
            return reason is not None

    def _give_back_one(self, follow_up_id: int) -> None:
        with self._database.write() as session:
            followups.release(session.get_one(FollowUp, follow_up_id))

    def _note_failure(self, follow_up_id: int, detail: str, *, is_permanent: bool = False) -> None:
        with self._database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            followups.mark_failed(session, follow_up, clock.now(), detail, is_permanent=is_permanent)

    def _tidy(self) -> None:
        now = clock.now()
        if now - self._tidied_at < TIDY_EVERY:
            return
        self._tidied_at = now
        with self._database.write() as session:
            beacons.forget_digested(session, now)
            pulses.forget_old(session, now)
        with self._database.write() as session:
            deadlines.learn(session, now)

    def _give_back(self) -> None:
        try:
            with self._database.write() as session:
                followups.release_all(session, self.name)
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
    )
