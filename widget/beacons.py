"""Beacons: batches of signals as the browser sends them. Taken in fast, digested later by `widget.digest`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Mapped, Session

from widget.attempts import KEY_PATTERN, AttemptContext
from widget.database import Base, Id, Instant, Key, Text, insert_new, to
from widget.errors import Malformed, Stale, TooLarge, misshapen
from widget.redaction import mask_all

MAX_BYTES = 64 * 1024
MAX_SIGNALS = 200
# How far `sent_at` may be off; the browser takes its clock from the frame, so an honest beacon is off by its latency.
MAX_SKEW = timedelta(minutes=5)
# Digested beacons are kept this long, so that a replay within MAX_SKEW still meets its identifier.
KEPT_FOR = timedelta(minutes=30)
# A page that remembers the attempt of the page before tells of it from this number on, which that page never reached.
REMEMBERED_SEQ = 99_999
# What each source may tell; other names, the server's own among them, are dropped.
_OF_BROWSER = frozenset({"stall", "thawed", "asleep"})
NAMES: Mapping[str, frozenset[str]] = {
    "page": frozenset(
        {"stage", "paid", "failed", "left", "back", "hidden", "visible", "offline", "online", "stall"}
        | {"error", "violation", "long_frame", "popup", "resource", "clicks"}
    ),
    "frame": _OF_BROWSER,
    "worker": _OF_BROWSER,
}


class SignalIn(BaseModel):
    """One signal. `at` is milliseconds since the attempt started, by the page's monotonic clock; None means now.

    The page numbers its signals 0, 1, 2 … within the attempt; of others `seq` means nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    seq: int = Field(ge=0, le=100_000)
    at: float | None = Field(default=None, ge=0, le=7 * 24 * 3600 * 1000)
    name: str = Field(pattern=r"^[a-z][a-z_]{0,39}$")
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_remembered(self) -> bool:
        """Whether a later page tells it, which remembers the attempt of the page before."""
        return self.seq >= REMEMBERED_SEQ


class BeaconIn(BaseModel):
    """The wire format of a beacon, version 1. `sent_at` is Unix milliseconds by the server's clock, when known."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    v: Literal[1]
    id: str = Field(pattern=KEY_PATTERN)
    site: str = Field(max_length=40)
    # Who speaks: the shop's page, our frame in it, or the frame's worker. Only the page numbers its signals.
    source: Literal["page", "frame", "worker"] = "page"
    sent_at: float | None = None
    attempt: AttemptContext
    facts: dict[str, Any] = Field(default_factory=dict)
    signals: Annotated[list[SignalIn], Field(max_length=MAX_SIGNALS)]


class Beacon(Base):
    """The inbox: one row per accepted beacon, until it has been digested and cannot be replayed any more."""

    __tablename__ = "beacons"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    key: Mapped[Key]
    attempt_key: Mapped[Key]
    # Keyed hash of the address it came from (see `guard`).
    address: Mapped[Key | None]
    body: Mapped[Text]
    fingerprint: Mapped[Key]
    user_agent: Mapped[Text | None]
    received_at: Mapped[Instant]
    digested_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index(
            "ix_beacons_pending",
            "id",
            sqlite_where=sa.text("digested_at IS NULL"),
            postgresql_where=sa.text("digested_at IS NULL"),
        ),
        sa.Index("ix_beacons_attempt_key", "attempt_key"),
    )


@dataclass(frozen=True, slots=True)
class Parsed:
    """A beacon that may be stored: `body` is its JSON with every card number masked."""

    beacon: BeaconIn
    body: str
    fingerprint: str


def parse(raw: bytes, now: datetime) -> Parsed:
    """Read a beacon and mask what must not be stored. Raises TooLarge, Malformed or Stale."""
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"A beacon has at most {MAX_BYTES} bytes; send the signals in several.")
    try:
        beacon = BeaconIn.model_validate_json(raw)
    except ValidationError as error:
        raise Malformed(misshapen(error, "body")) from None
    if beacon.sent_at is not None and not _is_recent(beacon.sent_at, now):
        raise Stale("sent_at must be within 5 minutes of the server's clock; take the clock from the frame.")
    beacon = _masked(beacon) or beacon
    # As it was understood, not as it came: what was dropped or unknown in it is not stored either.
    return Parsed(beacon, beacon.model_dump_json(exclude_unset=True), hashlib.sha256(raw).hexdigest())


@dataclass(frozen=True, slots=True)
class Arrival:
    """A parsed beacon, who it is for and what came with it."""

    shop_id: int
    parsed: Parsed
    user_agent: str | None
    at: datetime
    # Keyed hash of the address it came from (see `guard`).
    address: str | None = None


def accept(connection: sa.Connection, arrivals: Sequence[Arrival]) -> list[bool]:
    """Put beacons into the inbox. The same one again changes nothing.

    Returns for each whether it is well: False when other content came under its id before.
    """
    inserted = connection.execute(_insert(connection.dialect.name), [_row(each) for each in arrivals])
    new = {(row.shop_id, row.key) for row in inserted}
    told: dict[tuple[int, str], str] = {}
    for each in arrivals:
        key = (each.shop_id, each.parsed.beacon.id)
        if key not in told:
            told[key] = each.parsed.fingerprint if key in new else _fingerprint_of(connection, *key)
    return [told[each.shop_id, each.parsed.beacon.id] == each.parsed.fingerprint for each in arrivals]


@cache
def _insert(dialect: str) -> Any:
    return insert_new(dialect, Beacon, ("shop_id", "key")).returning(Beacon.__table__.c.shop_id, Beacon.__table__.c.key)


def _row(arrival: Arrival) -> dict[str, Any]:
    return {
        "shop_id": arrival.shop_id,
        "key": arrival.parsed.beacon.id,
        "attempt_key": arrival.parsed.beacon.attempt.key,
        "body": arrival.parsed.body,
        "fingerprint": arrival.parsed.fingerprint,
        "user_agent": arrival.user_agent,
        "address": arrival.address,
        "received_at": arrival.at,
    }


def _fingerprint_of(connection: sa.Connection, shop_id: int, key: str) -> str:
    return connection.scalars(sa.select(Beacon.fingerprint).filter_by(shop_id=shop_id, key=key)).one()


def pending(session: Session, *, limit: int, attempt_key: str | None = None) -> list[Beacon]:
    """Undigested beacons in the order they came, locked.

    For one attempt this waits for a worker that is digesting them; for all it passes over what another worker holds.
    """
    query = sa.select(Beacon).where(Beacon.digested_at.is_(None)).order_by(Beacon.id).limit(limit)
    if attempt_key is not None:
        return list(session.scalars(query.where(Beacon.attempt_key == attempt_key).with_for_update()))
    return list(session.scalars(query.with_for_update(skip_locked=True)))


def forget_digested(session: Session, now: datetime) -> None:
    session.execute(sa.delete(Beacon).where(Beacon.digested_at < now - KEPT_FOR))


def _masked(beacon: BeaconIn) -> BeaconIn | None:
    """The beacon without what must not be stored, or None when there is nothing of it."""
    facts, data = mask_all(beacon.facts), [mask_all(each.data) for each in beacon.signals]
    if facts == beacon.facts and all(new == each.data for new, each in zip(data, beacon.signals, strict=True)):
        return None
    signals = [each.model_copy(update={"data": new}) for new, each in zip(data, beacon.signals, strict=True)]
    return beacon.model_copy(update={"facts": facts, "signals": signals})


def _is_recent(sent_at_ms: float, now: datetime) -> bool:
    try:
        sent_at = datetime.fromtimestamp(sent_at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return False
    return abs(now - sent_at) <= MAX_SKEW
