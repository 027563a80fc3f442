"""Deadlines: how long a stage may last before the attempt counts as stalled, learned from attempts that ended paid."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from widget.database import Base, Id, Instant, Key, to


class StageTime(Base):
    """How many paid attempts spent how long in a stage: one count per logarithmic bucket, merged by adding."""

    __tablename__ = "stage_times"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    method: Mapped[Key]  # "" where the page did not say
    stage: Mapped[Key]
    week: Mapped[int]  # whole weeks since 1970, so that old habits are forgotten
    bucket: Mapped[int]
    count: Mapped[int]

    __table_args__ = (sa.UniqueConstraint("shop_id", "method", "stage", "week", "bucket"),)


class LearnedDeadline(Base):
    """What the worker made of the counts. `method` is "" for the shop as a whole."""

    __tablename__ = "learned_deadlines"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    method: Mapped[Key]
    stage: Mapped[Key]
    seconds: Mapped[float]
    samples: Mapped[int]
    learned_at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("shop_id", "method", "stage"),)
