"""Hours in which people are there: over midnight, around the clock, and where the clock changes."""

from datetime import UTC, datetime, timedelta

import pytest

from widget.shops import Profile
from widget.web.panel import hours

HOUR = timedelta(hours=1)


def shop(opens: str, closes: str, *days: int, zone: str = "Africa/Johannesburg") -> Profile:
    told = [{"day": day, "opens": opens, "closes": closes} for day in days or range(7)]
    return Profile.model_validate({"hours": told, "time_zone": zone})


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def open_hours(profile: Profile, start: datetime, count: int = 24) -> list[int]:
    """The hours after the start in which somebody is there."""
    return [number for number in range(count) if profile.is_open(start + number * HOUR)]


@pytest.mark.parametrize(
    ("opens", "closes", "there"),
    [
        ("09:00", "17:00", list(range(9, 17))),
        ("18:00", "02:00", [18, 19, 20, 21, 22, 23, 24, 25]),
        ("08:00", "00:00", list(range(8, 24))),
        ("00:00", "00:00", list(range(24))),
        ("10:00", "10:00", list(range(10, 34))),
    ],
)
def test_a_friday_is_open_from_its_opening_to_its_closing_be_that_on_saturday(
    opens: str, closes: str, there: list[int]
) -> None:
    friday = shop(opens, closes, 4)
    midnight = at(19, 22)
    assert open_hours(friday, midnight, 48) == there
    assert not friday.is_open(midnight - timedelta(seconds=1))


def test_before_midnight_and_after_it_people_are_there_until_the_same_moment() -> None:
    bar = shop("18:00", "02:00")
    for now in (at(20, 17), at(20, 22), at(20, 23, 59)):
        assert hours.closes_at(bar, now) == at(21, 0)
        assert hours.opens_at(bar, now) is None
    assert hours.closes_at(bar, at(21, 0)) is None
    assert hours.opens_at(bar, at(21, 0)) == at(21, 16)


def test_the_night_of_the_last_open_day_reaches_into_a_closed_one() -> None:
    weekend = shop("20:00", "04:00", 6)
    assert hours.closes_at(weekend, at(23, 1)) == at(23, 2)
    assert hours.opens_at(weekend, at(23, 2)) == at(29, 18)


def test_calls_are_offered_in_the_night_that_is_worked_and_at_no_other_time() -> None:
    bar = shop("18:00", "02:00")
    times = hours.call_times(bar, at(20, 21, 50))
    assert times[:3] == [at(20, 22, 30), at(20, 23, 30), at(21, 16)]
    assert times == sorted(set(times))
    assert all(bar.is_open(each) for each in times)


def test_hours_that_adjoin_are_one_opening() -> None:
    told = [{"day": 4, "opens": "08:00", "closes": "00:00"}, {"day": 5, "opens": "00:00", "closes": "03:00"}]
    profile = Profile.model_validate({"hours": told, "time_zone": "UTC"})
    assert hours.closes_at(profile, at(20, 12)) == at(21, 3)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_people_who_never_leave_have_no_hour_at_which_they_do(zone: str) -> None:
    always = shop("00:00", "00:00", zone=zone)
    # Through both changes of the clock.
    for month in (3, 10, 11):
        for day in range(1, 31):
            assert always.is_open(at(day, 22, 59, month))
            assert hours.closes_at(always, at(day, 22, 59, month)) is None
            assert hours.opens_at(always, at(day, 22, 59, month)) is None


def test_a_night_in_which_the_clock_changes_ends_at_its_hour_by_the_clock() -> None:
    club = shop("22:00", "06:00", 5, zone="Europe/Berlin")
    longer = open_hours(club, at(24, 20, month=10))
    shorter = open_hours(club, at(28, 21, month=3))
    assert (len(longer), len(shorter)) == (9, 7)
    assert hours.closes_at(club, at(24, 22, month=10)) == at(25, 5, month=10)
    assert hours.closes_at(club, at(28, 22, month=3)) == at(29, 4, month=3)


def test_an_hour_that_the_clock_skips_makes_no_opening_that_ends_before_it_begins() -> None:
    odd = shop("02:30", "03:15", 6, zone="Europe/Berlin")
    assert open_hours(odd, at(29, 0, month=3)) == []
    assert hours.opens_at(odd, at(28, 12, month=3)) == at(5, 0, 30, month=4)
