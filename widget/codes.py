"""Codes: what a customer reads out on the phone where there is neither order nor ticket, and how it is found again.

A code is the beginning of the attempt's random key, in letters and figures that are not misheard. It opens nothing.
"""

import re

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget.attempts import Attempt

_CHARACTERS = 8
_HALF = _CHARACTERS // 2
_CODE = re.compile(rf"[0-9a-f]{{{_CHARACTERS}}}\Z")
# As Crockford has it: whoever writes down an O has heard a zero.
_MISHEARD = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})
_MOST_FOUND = 5


def code_of(attempt: Attempt) -> str:
    """E.g. "3F9A-02C7"."""
    shown = attempt.key[:_CHARACTERS].upper()
    return f"{shown[:_HALF]}-{shown[_HALF:]}"


def meant_by(typed: str) -> sa.ColumnElement[bool] | None:
    """The condition for an attempt with this code, None where the text is none."""
    start = typed.lower().translate(_MISHEARD)
    # A range, so that the index of the keys is used.
    return sa.and_(Attempt.key >= start, Attempt.key < start + "g") if _CODE.match(start) else None


def found_by(session: Session, shop_ids: list[int], typed: str) -> list[Attempt]:
    """The attempts of these shops with this code, the latest first: one, but for chance."""
    is_meant = meant_by(typed)
    if is_meant is None:
        return []
    query = sa.select(Attempt).where(Attempt.shop_id.in_(shop_ids), is_meant)
    return list(session.scalars(query.order_by(Attempt.id.desc()).limit(_MOST_FOUND)))
