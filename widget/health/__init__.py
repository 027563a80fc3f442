"""Live health: how often a way to pay works right now, and how long it takes, counted from the attempts themselves.

An outcome is noted once per attempt as a mark; the worker adds marks to the cells, and rates are read from the cells.
"""

from widget.health.cells import HealthCell, HealthMark, Outcome, forget_old, tally
from widget.health.outcomes import count
from widget.health.rates import ENOUGH_TRIES, FEW_TRIES, SPANS, Group, Rate, Rates, rates

__all__ = [
    "ENOUGH_TRIES",
    "FEW_TRIES",
    "SPANS",
    "Group",
    "HealthCell",
    "HealthMark",
    "Outcome",
    "Rate",
    "Rates",
    "count",
    "forget_old",
    "rates",
    "tally",
]
