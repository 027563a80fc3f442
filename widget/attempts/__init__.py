"""Attempts: one try to pay one order, and the stage it has reached."""

from widget.attempts.attempt import (
    Attempt,
    Stage,
    by_id,
    hear_of,
    learn_facts,
    order_of,
    reach,
    settle,
    with_shop_and_order,
)
from widget.attempts.context import KEY_PATTERN, AttemptContext
from widget.attempts.family import is_split, kin, locale_of, others, paid_legs
from widget.attempts.opening import open_for, told_by_shop

__all__ = [
    "KEY_PATTERN",
    "Attempt",
    "AttemptContext",
    "Stage",
    "by_id",
    "hear_of",
    "is_split",
    "kin",
    "learn_facts",
    "locale_of",
    "open_for",
    "order_of",
    "others",
    "paid_legs",
    "reach",
    "settle",
    "told_by_shop",
    "with_shop_and_order",
]
