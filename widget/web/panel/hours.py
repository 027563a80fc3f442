"""When a person is there: until when, from when again, and at what times somebody can be called back."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_datetime_format

from widget import openings
from widget.language import known_locale
from widget.openings import Opening
from widget.shops import Profile

CALL_EVERY = timedelta(hours=1)
SOONEST_CALL = timedelta(minutes=15)
MOST_CALL_TIMES = 12
_WEEK = timedelta(days=7)
# Where a shop has told no hours, nobody wants to be called at night.
_UNTOLD_HOURS = tuple(Opening(day=day, opens=time(9), closes=time(17)) for day in range(5))


def closes_at(profile: Profile, now: datetime) -> datetime | None:
    """When the people who are there now leave; None when nobody is there, nobody leaves, or no hours were told."""
    return next((closes for opens, closes in _spans(profile, now) if opens <= now and closes - now < _WEEK), None)


def opens_at(profile: Profile, now: datetime) -> datetime | None:
    """When somebody is there again; None when somebody is, or the shop has told no hours."""
    if profile.is_open(now):
        return None
    return next((opens for opens, _closes in _spans(profile, now)), None)


def call_times(profile: Profile, now: datetime) -> list[datetime]:
    """At which times the customer may ask to be called, soonest first, within the shop's hours."""
    times: list[datetime] = []
    for opens, closes in openings.spans(profile.hours or _UNTOLD_HOURS, profile.time_zone, now):
        at = max(opens, _next_half_hour(now + SOONEST_CALL))
        while at < closes and len(times) < MOST_CALL_TIMES:
            times.append(at)
            at += CALL_EVERY
    return times


def hour_of(at: datetime, time_zone: str, locale: str) -> str:
    """Only the time, e.g. "17:00"."""
    return format_time(at.astimezone(ZoneInfo(time_zone)), "short", locale=known_locale(locale))


def weekday_and_hour(at: datetime, time_zone: str, locale: str) -> str:
    """The day of the week and the time, e.g. "Monday 08:00", as the reader's language joins them."""
    known, local = known_locale(locale), at.astimezone(ZoneInfo(time_zone))
    joined = str(get_datetime_format("short", locale=known))
    return joined.replace("{1}", format_date(local, "EEEE", locale=known)).replace(
        "{0}", format_time(local, "short", locale=known)
    )


def _spans(profile: Profile, now: datetime) -> Iterator[openings.Span]:
    return openings.spans(profile.hours, profile.time_zone, now)


def _next_half_hour(at: datetime) -> datetime:
    floor = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
    return floor if floor == at else floor + timedelta(minutes=30)
