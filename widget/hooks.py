"""Hooks: what the shop's own server is told, by signed webhooks that are repeated until it has answered."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import leases
from widget.database import WORD_CHARS, Base, Id, Instant, JsonObject, Key, Text, Word, insert_once, to
from widget.errors import NotFound
from widget.leases import Leased
from widget.shops import KeyKind, Shop, live_secrets

# Seconds until the next try after each failed one: together three days. After the last the hook is a dead letter.
BACKOFF_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 57600, 86400)
MAX_TROUBLE_CHARS = 300


class Event(StrEnum):
    PAID = "order.paid"  # the provider says so, whatever the page showed
    MAYBE_PAID = "order.maybe_paid"  # only a page ties the payment to this order
    PAID_TWICE = "order.paid_twice"
    WRONG_AMOUNT = "order.wrong_amount"
    HELD = "order.held"  # the customer asked to keep the order and pay later
    RELEASED = "order.released"
    TRANSFER = "order.transfer_announced"


class Hook(Leased, Base):
    """One event that the shop's server is owed."""

    __tablename__ = "hooks"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    event: Mapped[Key]
    # What it is about, so that the same thing is never told as two events.
    key: Mapped[Word]
    # The id the receiver sees, by which it knows a repetition.
    public_id: Mapped[Key] = mapped_column(unique=True)
    body: Mapped[JsonObject]
    created_at: Mapped[Instant]
    delivered_at: Mapped[Instant | None]
    dead_at: Mapped[Instant | None]
    trouble: Mapped[Text | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index(
            "ix_hooks_open",
            "next_try_at",
            sqlite_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
        ),
    )

    @property
    def is_open(self) -> bool:
        return self.delivered_at is None and self.dead_at is None


@dataclass(frozen=True, slots=True)
class Errand:
    """All that is needed to tell one event, so that no transaction is open while the shop's server thinks."""

    hook_id: int
    site: str
    url: str | None
    secrets: tuple[str, ...]
    content: dict[str, Any]


def owe(session: Session, shop: Shop, event: Event, key: str, body: Mapping[str, Any], now: datetime) -> None:
    """Promise to tell the shop's server, once for each `key`. A shop that named no address is owed nothing.

    `body` becomes the event's `data`: JSON values, amounts in minor units, nothing personal.
    """
    if shop.settled.hook_url is None:
        return
    values = {
        "shop_id": shop.id,
        "event": event.value,
        "key": _key(event, key),
        "public_id": f"evt_{secrets.token_hex(16)}",
        "body": dict(body),
        "created_at": now,
        "next_try_at": now,
        "tries": 0,
    }
    insert_once(session, Hook, values, unique=["shop_id", "key"])


def claim(session: Session, worker: str, now: datetime, *, lease: timedelta, limit: int) -> list[Hook]:
    return leases.claim(session, Hook, _is_open(), worker, now, lease=lease, limit=limit)


def errand(session: Session, hook: Hook, now: datetime) -> Errand:
    shop = session.get_one(Shop, hook.shop_id)
    content = {
        "id": hook.public_id,
        "event": hook.event,
        "created_at": hook.created_at.isoformat(timespec="seconds"),
        "site": shop.site,
        "data": hook.body,
    }
    return Errand(
        hook.id, shop.site, shop.settled.hook_url, tuple(live_secrets(session, shop.id, KeyKind.HOOK, now)), content
    )


def signature(keys: Sequence[str], body: bytes, now: datetime) -> str:
    """The header `Unjam-Signature`: the Unix time, and hex HMAC-SHA256 of `t.body` by each key that is valid."""
    moment = str(int(now.timestamp()))
    signed = moment.encode() + b"." + body
    made = (hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys)
    return ",".join((f"t={moment}", *(f"v1={each}" for each in made)))


def delivered(hook: Hook, now: datetime) -> None:
    hook.delivered_at, hook.trouble = now, None
    hook.tries += 1
    leases.release(hook)


def failed(hook: Hook, trouble: str, now: datetime) -> None:
    """Note why it was not taken; plan the next try, or leave it to the agents."""
    hook.trouble = trouble[:MAX_TROUBLE_CHARS]
    hook.tries += 1
    leases.release(hook)
    if hook.tries > len(BACKOFF_SECONDS):
        hook.dead_at = now
    else:
        hook.next_try_at = now + timedelta(seconds=BACKOFF_SECONDS[hook.tries - 1])


def dead(session: Session, shop_ids: Sequence[int]) -> list[Hook]:
    """What the shops' servers did not take, the newest first."""
    theirs = sa.select(Hook).where(Hook.dead_at.is_not(None), Hook.shop_id.in_(shop_ids))
    return list(session.scalars(theirs.order_by(Hook.dead_at.desc(), Hook.id.desc()).limit(200)))


def count_dead(session: Session, shop_ids: Sequence[int]) -> int:
    theirs = sa.select(sa.func.count(Hook.id)).where(Hook.dead_at.is_not(None), Hook.shop_id.in_(shop_ids))
    return session.scalar(theirs) or 0


def retry(session: Session, hook_id: int, shop_ids: Sequence[int], now: datetime) -> Hook:
    """Another round of tries for a dead one of these shops; one that lives stays as it is. Raises NotFound."""
    mine = sa.select(Hook).where(Hook.id == hook_id, Hook.shop_id.in_(shop_ids)).with_for_update()
    hook = session.scalars(mine.execution_options(populate_existing=True)).one_or_none()
    if hook is None:
        raise NotFound("There is no such event in your shops.")
    if hook.dead_at is not None:
        hook.dead_at, hook.tries, hook.next_try_at = None, 0, now
    return hook


def _is_open() -> sa.ColumnElement[bool]:
    return sa.and_(Hook.delivered_at.is_(None), Hook.dead_at.is_(None))


def _key(event: Event, key: str) -> str:
    whole = f"{event.value}:{key}"
    return whole if len(whole) <= WORD_CHARS else f"{event.value}:{hashlib.sha256(key.encode()).hexdigest()}"
