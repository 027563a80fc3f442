"""Audit: what somebody tried that they may not, and what was done about money, in rows that are only ever added."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, JsonObject, Key, Line
from widget.redaction import mask_all

KEPT_FOR = timedelta(days=400)
_KEY_CHARS, _LINE_CHARS = 64, 500


class AuditRow(Base):
    __tablename__ = "audit_rows"

    id: Mapped[Id]
    shop_id: Mapped[int | None] = mapped_column(sa.ForeignKey("shops.id", ondelete="SET NULL"), index=True)
    what: Mapped[Key]
    # What it was about, never a whole token: a purpose, an order's number, the start of a hash.
    about: Mapped[Line]
    # Keyed hash of the address it came from.
    address: Mapped[Key | None]
    detail: Mapped[JsonObject] = mapped_column(default=dict)
    at: Mapped[Instant]

    __table_args__ = (sa.Index("ix_audit_rows_at", "at"),)


def note(
    session: Session, what: str, about: str, *, shop_id: int | None, address: str | None, now: datetime, **detail: Any
) -> None:
    """Add a row: `what` was tried or done (link_refused, webhook_refused, suspected …), and what it was about.

    `address` is a keyed hash (`guard.hash_of`), never the address itself. No token, secret or personal datum belongs
    into `about` or `detail`; card numbers are masked in any case.
    """
    row = AuditRow(
        shop_id=shop_id,
        what=what[:_KEY_CHARS],
        about=str(mask_all(about))[:_LINE_CHARS],
        address=address,
        detail=mask_all(detail),
        at=now,
    )
    session.add(row)
    session.flush()


def latest(session: Session, shop_id: int | None = None, limit: int = 50) -> list[AuditRow]:
    """The newest rows, of one shop or of all, the newest first."""
    query = sa.select(AuditRow).order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)
    return list(session.scalars(query if shop_id is None else query.filter_by(shop_id=shop_id)))


def forget_old(session: Session, now: datetime) -> None:
    session.execute(sa.delete(AuditRow).where(AuditRow.at < now - KEPT_FOR))
