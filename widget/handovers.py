"""Hand-overs: an order carried to another browser or device, by a short-lived link that its first opener keeps."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.agents import address_of
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Line, to
from widget.errors import LinkExpired, LinkInvalid, Refused
from widget.language import N_

LASTS = timedelta(minutes=30)
# A link that is nearly over is not handed out again.
REUSED_WHILE_VALID_FOR = timedelta(minutes=10)
# Sent to an address that anybody may type, so no more than this for one attempt.
MAILS_PER_ATTEMPT = 3


class State(StrEnum):
    """How a hand-over goes, as the window that shows its code is told."""

    OFFERED = "offered"
    TAKEN = "taken"
    OVER = "over"


class HandOver(Base):
    __tablename__ = "handovers"

    id: Mapped[Id]
    key: Mapped[Key] = mapped_column(unique=True)
    attempt_id: Mapped[int] = to("attempts")
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    # Where it was sent when the customer asked for that.
    email: Mapped[Line | None]
    # SHA-256 of what the device that took it over keeps in a cookie.
    taken_by: Mapped[Key | None]
    taken_at: Mapped[Instant | None]

    def is_of(self, secret: str | None) -> bool:
        """Whether this secret is the one of the device that took it over."""
        return bool(secret and self.taken_by) and hmac.compare_digest(self.taken_by or "", _print_of(secret or ""))


def open_for(session: Session, attempt: Attempt, now: datetime) -> HandOver:
    """A link for another device. One that was sent to nobody is handed out again, until it or a later is opened."""
    taken = sa.select(sa.func.max(HandOver.id)).where(HandOver.attempt_id == attempt.id, HandOver.taken_at.is_not(None))
    free = sa.select(HandOver).filter_by(attempt_id=attempt.id, email=None)
    free = free.where(HandOver.id > sa.func.coalesce(taken.scalar_subquery(), 0))
    free = free.where(HandOver.expires_at > now + REUSED_WHILE_VALID_FOR).order_by(HandOver.id.desc()).limit(1)
    return session.scalars(free).first() or _open(session, attempt, now)


def send(session: Session, attempt: Attempt, email: str, now: datetime) -> HandOver:
    """A link of its own for this address, which whoever calls must owe as an e-mail.

    Raises Malformed for an unusable address and Refused when this attempt has sent enough of them.
    """
    address = address_of(email)
    sent = sa.select(sa.func.count()).select_from(HandOver).filter_by(attempt_id=attempt.id)
    if (session.scalar(sent.where(HandOver.email.is_not(None))) or 0) >= MAILS_PER_ATTEMPT:
        raise Refused(N_("The link was sent several times already. Look for it in your e-mails, or scan the code."))
    hand_over = _open(session, attempt, now)
    hand_over.email = address
    session.flush()
    return hand_over


def by_key(session: Session, key: str) -> HandOver:
    """Raises LinkInvalid."""
    hand_over = session.scalar(sa.select(HandOver).filter_by(key=key))
    if hand_over is None:
        raise LinkInvalid(N_("Copy the whole link, or make a new one in the payment help on the first device."))
    return hand_over


def check(hand_over: HandOver, secret: str | None, now: datetime) -> None:
    """Raise unless the device with this secret may go on: LinkExpired, or Refused where another device has it."""
    if hand_over.taken_by is not None and not hand_over.is_of(secret):
        raise Refused(N_("This link was opened on another device, and it works on one device only."))
    if hand_over.expires_at <= now:
        raise LinkExpired(
            N_("This link worked for 30 minutes. Make a new one in the payment help on the first device.")
        )


def take(session: Session, key: str, secret: str | None, now: datetime) -> str:
    """The first device to go on keeps the link; returns the secret by which it is known from then on.

    The same device may come again while the link lasts. Raises as `check` does.
    """
    hand_over = by_key(session, key)
    check(hand_over, secret, now)
    if hand_over.is_of(secret) and secret:
        return secret
    made = secrets.token_urlsafe(32)
    first = sa.update(HandOver).where(HandOver.id == hand_over.id, HandOver.taken_by.is_(None))
    won = session.execute(first.values(taken_by=_print_of(made), taken_at=now).returning(HandOver.id)).first()
    session.refresh(hand_over)
    if won is None:
        # Another device was faster by a moment.
        check(hand_over, secret, now)
    return made


def state_of(session: Session, attempt_id: int, key: str, now: datetime) -> State:
    """How the link with this key goes, which a window shows as a code, with those that were sent while it did."""
    shown = session.scalar(sa.select(HandOver).filter_by(attempt_id=attempt_id, key=key))
    if shown is None:
        return State.OVER
    since = sa.select(HandOver.id).where(HandOver.attempt_id == attempt_id, HandOver.id >= shown.id)
    if session.scalar(since.where(HandOver.taken_at.is_not(None)).limit(1)) is not None:
        return State.TAKEN
    return State.OFFERED if shown.expires_at > now else State.OVER


def _open(session: Session, attempt: Attempt, now: datetime) -> HandOver:
    key = secrets.token_urlsafe(16)
    hand_over = HandOver(key=key, attempt_id=attempt.id, created_at=now, expires_at=now + LASTS)
    session.add(hand_over)
    session.flush()
    return hand_over


def _print_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
