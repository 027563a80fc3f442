"""When a person is there: until when, from when again, and at what times somebody can be called back."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_datetime_format

from widget.language import known_locale
from widget.shops import Opening, Profile

CALL_EVERY = timedelta(hours=1)
SOONEST_CALL = timedelta(minutes=15)
MOST_CALL_TIMES = 12
_DAYS_AHEAD = 8
# Where a shop has told no hours, nobody wants to be called at night.
_UNTOLD_HOURS = tuple(Opening(day=day, opens=time(9), closes=time(17)) for day in range(5))


def closes_at(profile: Profile, now: datetime) -> datetime | None:
    """When the people who are there now leave; None when nobody is there, or the shop has told no hours."""
    return next((closes for opens, closes in _spans(profile.hours, profile, now) if opens <= now < closes), None)


def opens_at(profile: Profile, now: datetime) -> datetime | None:
    """When somebody is there again; None when somebody is, or the shop has told no hours."""
    if closes_at(profile, now) is not None:
        return None
    return next((opens for opens, _closes in _spans(profile.hours, profile, now) if opens > now), None)


def call_times(profile: Profile, now: datetime) -> list[datetime]:
    """At which times the customer may ask to be called, soonest first, within the shop's hours."""
    times: list[datetime] = []
    for opens, closes in _spans(profile.hours or _UNTOLD_HOURS, profile, now):
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


def _spans(hours: tuple[Opening, ...], profile: Profile, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The opening hours of the next days as moments, soonest first. A clock change shortens or lengthens a day."""
    zone = ZoneInfo(profile.time_zone)
    today = now.astimezone(zone).date()
    for ahead in range(_DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        spans = ((each.opens, each.closes) for each in hours if each.day == day.weekday())
        for opens, closes in sorted(spans):
            yield tuple(datetime.combine(day, at, zone).astimezone(now.tzinfo) for at in (opens, closes))  # type: ignore[misc]


def _next_half_hour(at: datetime) -> datetime:
    floor = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
    return floor if floor == at else floor + timedelta(minutes=30)
