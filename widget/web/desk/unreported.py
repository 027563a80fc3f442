"""Attempts that nobody has reported: found by the code that a customer reads out."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from widget import codes, stalls, tickets
from widget.attempts import Attempt
from widget.shops import Shop
from widget.web.desk import words
from widget.web.desk.words import Clockface


@dataclass(frozen=True, slots=True)
class Unreported:
    """An attempt without a ticket, as the list shows it."""

    attempt_id: int
    code: str
    stuck: str
    started_at: datetime
    clock: Clockface
    # Named only for agents of several shops.
    shop: str | None


def found(session: Session, shops: dict[int, Shop], search: str, now: datetime) -> list[Unreported]:
    """The attempts with this code that have no ticket yet."""
    known = codes.found_by(session, list(shops), search)
    free = [each for each in known if tickets.of_attempt(session, each.id) is None]
    return [_shown(session, shops[each.shop_id], each, now, is_named=len(shops) > 1) for each in free]


def _shown(session: Session, shop: Shop, attempt: Attempt, now: datetime, *, is_named: bool) -> Unreported:
    profile, seen = shop.settled, stalls.of(session, attempt.id)
    return Unreported(
        attempt_id=attempt.id,
        code=codes.code_of(attempt),
        stuck=words.stuck(next(iter(seen), None), profile.method_label(attempt.method)),
        started_at=attempt.started_at,
        clock=Clockface(now, ZoneInfo(profile.time_zone)),
        shop=shop.name if is_named else None,
    )
