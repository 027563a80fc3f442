"""Dates and times as their reader writes them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_name

from widget.money import known_locale


def moment(at: datetime, time_zone: str, locale: str | None) -> str:
    """A date and time in a shop's time zone, with the zone named, e.g. "23 Nov 2026, 14:05 (SAST)"."""
    reader, zone = known_locale(locale), ZoneInfo(time_zone)
    local = at.astimezone(zone)
    day = format_date(local, "medium", locale=reader)
    clock_time = format_time(local, "short", tzinfo=zone, locale=reader)
    return f"{day}, {clock_time} ({get_timezone_name(local, width='short', locale=reader)})"
