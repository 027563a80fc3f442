"""Ranking: which way out to show first, by what has worked for this cause and device class, with honest exploration.

Safety is decided elsewhere (`offers`): only what is open is ever ranked, and ranking opens nothing.
"""

from widget.ranking.beliefs import Beta, Candidate, order
from widget.ranking.tallies import Tally, count_due, ranked

__all__ = ["Beta", "Candidate", "Tally", "count_due", "order", "ranked"]
