"""Pulses: the latest sign of life of each payment page, so that the server notices when there is none any more."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from widget.database import Base, Id, Instant, Key, to


class Presence(StrEnum):
    SEEN = "seen"  # the page is visible
    HIDDEN = "hidden"  # another tab or app is in front of it
    AWAY = "away"  # it said goodbye: closed, or gone to the provider


class Pulse(Base):
    __tablename__ = "pulses"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    # Not a foreign key: the first pulse may come before the first beacon was digested.
    attempt_key: Mapped[Key]
    presence: Mapped[Key]
    at: Mapped[Instant]
    # When the server gave its verdict about the silence after this pulse.
    judged_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "attempt_key"),
        sa.Index(
            "ix_pulses_waiting",
            "at",
            sqlite_where=sa.text("judged_at IS NULL"),
            postgresql_where=sa.text("judged_at IS NULL"),
        ),
    )
