"""Posting: sends the letters that are due.

An edge step: the mail server is talked to between transactions, and a letter is asked about once more before it leaves.
"""

import threading
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.exc import OperationalError

from widget import clock, enquiry, followups, leases, letters, logs
from widget.addresses import Addresses
from widget.casework import Pace
from widget.database import Database
from widget.followups import FollowUp, Kind
from widget.mail import NotWanted, Outbox, OutgoingMail, Post, SendFailed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Courier:
    """Sends in the name of a worker, which holds what it has claimed until the lease ends. Stops between letters."""

    database: Database
    outbox: Outbox
    addresses: Addresses
    pace: Pace
    worker: str
    lease: timedelta
    stopping: threading.Event

    def send_due(self) -> bool:
        """Send what is due. Returns whether there was anything."""
        with self.database.write() as session:
            claimed = followups.claim(session, self.worker, clock.now(), lease=self.lease)
        if claimed:
            self._send_all(claimed)
        return bool(claimed)

    def _send_all(self, claimed: list[FollowUp]) -> None:
        with self.outbox.open() as post:
            for follow_up in claimed:
                if self.stopping.is_set():
                    return
                self._send(post, follow_up.id)

    def _send(self, post: Post, follow_up_id: int) -> None:
        """Compose from what is true now, send, and write down how it went."""
        try:
            if not self._prepare(follow_up_id):
                return
            with self.database.read() as session:
                follow_up = session.get_one(FollowUp, follow_up_id)
                mail = letters.compose(session, follow_up, self.addresses, clock.now())
            said = post.send(mail, lambda: self._is_still_true(follow_up_id, mail))
        except NotWanted:
            # Cancelled now, or kept and composed anew in the next round, when a part of it was no longer true.
            if not self._drop_if_unwanted(follow_up_id):
                self._give_back_one(follow_up_id)
        except SendFailed as error:
            log.warning("mail_failed", follow_up=follow_up_id, is_permanent=error.is_permanent, detail=error.detail)
            self._note_failure(follow_up_id, error.detail, is_permanent=error.is_permanent)
        except OperationalError:
            raise
        except Exception as error:
            # A letter that cannot be composed must not hold up the others; it ends where agents see it.
            log.error("mail_broken", follow_up=follow_up_id, error=type(error).__name__, places=logs.places(error))
            self._note_failure(follow_up_id, f"The mail could not be composed: {type(error).__name__}.")
        else:
            with self.database.write() as session:
                followups.mark_sent(session, session.get_one(FollowUp, follow_up_id), clock.now(), said)

    def _prepare(self, follow_up_id: int) -> bool:
        """Whether to send it. A mail that asks for money needs the provider's word, just now, that none was taken."""
        with self.database.read() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            kind = Kind(follow_up.kind)
            attempt_id = followups.attempt_id_of(session, follow_up)
        if kind.speaks_of_money:
            enquiry.ask(self.database, self.pace, attempt_id, is_looked_at=False)
        if self._drop_if_unwanted(follow_up_id):
            return False
        with self.database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            if not kind.asks_for_payment or followups.may_ask_for_payment(session, follow_up, clock.now()):
                return True
            return not followups.put_off(session, follow_up, clock.now())

    def _is_still_true(self, follow_up_id: int, mail: OutgoingMail) -> bool:
        """Asked right before the mail leaves: a payment may have come in since it was composed."""
        with self.database.read() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            is_mine = followups.is_held_by(follow_up, self.worker, clock.now())
            if not is_mine or followups.reason_to_cancel(session, follow_up, clock.now()) is not None:
                return False
            return not (mail.asks_for_payment and followups.is_paid(session, follow_up))

    def _drop_if_unwanted(self, follow_up_id: int) -> bool:
        with self.database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            if not followups.is_held_by(follow_up, self.worker, clock.now()):
                return True
            reason = followups.reason_to_cancel(session, follow_up, clock.now())
            if reason is not None:
                followups.mark_cancelled(follow_up, reason, clock.now())
            return reason is not None

    def _give_back_one(self, follow_up_id: int) -> None:
        with self.database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            if followups.is_held_by(follow_up, self.worker, clock.now()):
                leases.release(follow_up)

    def _note_failure(self, follow_up_id: int, detail: str, *, is_permanent: bool = False) -> None:
        with self.database.write() as session:
            follow_up = session.get_one(FollowUp, follow_up_id)
            # Where the lease ran out, another worker has it, and perhaps sent it.
            if followups.is_held_by(follow_up, self.worker, clock.now()):
                followups.mark_failed(session, follow_up, clock.now(), detail, is_permanent=is_permanent)
