"""Dates and times as their reader writes them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_time, get_timezone_location, get_timezone_name

from widget.language import direction, isolated, known_locale


def moment(at: datetime, time_zone: str, locale: str | None, own_zone: str = "") -> str:
    """A date and time in a shop's time zone, with the zone named, e.g. "23 Nov 2026, 14:05 (SAST)".

    The zone is left out where the reader's own clock, in `own_zone` as their browser names it, says the same then.
    """
    reader, zone = known_locale(locale), ZoneInfo(time_zone)
    local = at.astimezone(zone)
    is_rtl = direction(locale) == "rtl"
    # There the medium form is figures alone, which read the other way round.
    day = format_date(local, "long" if is_rtl else "medium", locale=reader)
    clock_time = format_time(local, "short", tzinfo=zone, locale=reader)
    named = "" if _offset(at, own_zone) == local.utcoffset() else f" ({isolated(_zone_name(local, reader), locale)})"
    return isolated(f"{day}{'،' if is_rtl else ','} {clock_time}{named}", locale)


def _zone_name(local: datetime, reader: str) -> str:
    """As the reader's country calls the zone; its city where it has no name there but an offset."""
    name = get_timezone_name(local, width="short", locale=reader)
    return get_timezone_location(local.tzinfo, locale=reader, return_city=True) if name[:1] in "+-" else name


def _offset(at: datetime, zone: str) -> timedelta | None:
    """None for what is no zone: browsers say what they like."""
    try:
        return at.astimezone(ZoneInfo(zone)).utcoffset() if zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
