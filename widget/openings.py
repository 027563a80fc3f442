"""Openings: the hours of a week in which people are there, as moments. A day may close after midnight."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

Span = tuple[datetime, datetime]
_DAY = timedelta(days=1)
_DAYS_AHEAD = 9


class Opening(BaseModel):
    """Hours of one weekday in the shop's time zone; `day` 0 is Monday.

    Where `closes` is not after `opens`, they end on the next day; equal times are 24 hours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    day: int = Field(ge=0, le=6)
    opens: time
    closes: time

    def on(self, day: date, zone: ZoneInfo) -> Span:
        """The opening that begins on this day. A clock change shortens or lengthens it."""
        until = day if self.closes > self.opens else day + _DAY
        opens, closes = datetime.combine(day, self.opens, zone), datetime.combine(until, self.closes, zone)
        return opens.astimezone(UTC), closes.astimezone(UTC)


def spans(hours: Iterable[Opening], time_zone: str, now: datetime) -> Iterator[Span]:
    """The openings that last now or begin in the next eight days, soonest first. What adjoins or overlaps is one."""
    zone, week = ZoneInfo(time_zone), list(hours)
    today = now.astimezone(zone).date()
    days = [today + ahead * _DAY for ahead in range(-1, _DAYS_AHEAD)]
    # A time that the clock skips can come after the end of its opening; that one does not take place.
    found = sorted(
        span for day in days for each in week if each.day == day.weekday() and (span := each.on(day, zone))[0] < span[1]
    )
    return (span for span in _joined(found) if span[1] > now)


def _joined(found: Iterable[Span]) -> Iterator[Span]:
    held: Span | None = None
    for opens, closes in found:
        if held is not None and opens <= held[1]:
            held = held[0], max(held[1], closes)
            continue
        if held is not None:
            yield held
        held = opens, closes
    if held is not None:
        yield held
