"""The three engines shoppers use, real ones, behind one small interface."""

from tests.engines.tab import Conditions, Engine, Gone, NotPossible, Tab

__all__ = ["Conditions", "Engine", "Gone", "NotPossible", "Tab"]
