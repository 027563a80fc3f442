"""A shop's keys: what its server proves itself with, and what it knows us by."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget.database import Base, Id, Instant, Key, Line, to
from widget.errors import Unauthorised
from widget.shops.shop import Shop

RETIRED_KEY_LIVES = timedelta(days=7)


class KeyKind(StrEnum):
    SIGNING = "signing"  # HMAC secret of the shop's server for order context; needed in clear to verify
    API = "api"  # bearer key for /api/v1; only its SHA-256 is kept
    HOOK = "hook"  # HMAC secret of what we tell the shop's server; needed in clear to sign


class ShopKey(Base):
    __tablename__ = "shop_keys"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops")
    kind: Mapped[Key]
    secret: Mapped[Line]
    created_at: Mapped[Instant]
    # Still accepted until then, so that a rotation does not break a checkout that is open.
    retires_at: Mapped[Instant | None]

    __table_args__ = (sa.Index("ix_shop_keys_kind_secret", "kind", "secret"),)


def rotate_key(session: Session, shop: Shop, kind: KeyKind, now: datetime, *, at_once: bool = False) -> str:
    """A new key of this kind, in clear for the only time. The old ones retire in a week, or at once."""
    retires_at = now if at_once else now + RETIRED_KEY_LIVES
    session.execute(
        sa.update(ShopKey)
        .where(ShopKey.shop_id == shop.id, ShopKey.kind == kind.value)
        .where(sa.or_(ShopKey.retires_at.is_(None), ShopKey.retires_at > retires_at))
        .values(retires_at=retires_at)
    )
    prefix = {KeyKind.SIGNING: "us_", KeyKind.API: "uk_", KeyKind.HOOK: "uh_"}[kind]
    secret = prefix + secrets.token_urlsafe(32)
    kept = _fingerprint(secret) if kind is KeyKind.API else secret
    session.add(ShopKey(shop_id=shop.id, kind=kind.value, secret=kept, created_at=now))
    session.flush()
    return secret


def by_api_key(session: Session, key: str, now: datetime) -> Shop:
    """The shop whose API key this is. Raises Unauthorised."""
    shop = session.scalar(
        sa.select(Shop)
        .join(ShopKey, ShopKey.shop_id == Shop.id)
        .where(ShopKey.kind == KeyKind.API.value, ShopKey.secret == _fingerprint(key), Shop.disabled_at.is_(None))
        .where(_is_live(now))
    )
    if shop is None:
        raise Unauthorised("Send the header `Authorization: Bearer uk_…` with a key from `unjam rotate-key SITE api`.")
    return shop


def live_secrets(session: Session, shop_id: int, kind: KeyKind, now: datetime) -> list[str]:
    """Every secret of this kind that either side may use now, the newest first: while one is changed there are two."""
    return list(session.scalars(_secrets(shop_id, kind).where(_is_live(now))))


def retired_secrets(session: Session, shop_id: int, kind: KeyKind, now: datetime) -> list[str]:
    """Those that were accepted once, the newest first."""
    return list(session.scalars(_secrets(shop_id, kind).where(sa.not_(_is_live(now)))))


def signature_for(
    secret: str, *, order: str, amount: int, currency: str, email: str, issued_at: int | None = None
) -> str:
    """The hex HMAC-SHA256 that a shop's server puts on the tag; the fields are joined by line feeds after `v2`.

    `issued_at` (Unix seconds) comes last. Without it, it is version 1, which does not say when it was signed.
    """
    fields = [order, str(amount), currency, email]
    parts = ["v1", *fields] if issued_at is None else ["v2", *fields, str(issued_at)]
    return hmac.new(secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _secrets(shop_id: int, kind: KeyKind) -> sa.Select[str]:
    return sa.select(ShopKey.secret).filter_by(shop_id=shop_id, kind=kind.value).order_by(ShopKey.id.desc())


def _is_live(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(ShopKey.retires_at.is_(None), ShopKey.retires_at > now)


def _fingerprint(key: str) -> str:
    # The key has 256 random bits, so a plain hash cannot be searched.
    return hashlib.sha256(key.encode()).hexdigest()
