"""Dates and times: in the shop's zone, which is named for those whose clock may say something else."""

from datetime import UTC, datetime

import pytest

from widget.moments import moment

AT = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
JOHANNESBURG = "Africa/Johannesburg"


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-ZA", "23 Nov 2026, 14:05 (SAST)"),
        ("de", "23.11.2026, 14:05 (Johannesburg)"),
        ("es", "23 nov 2026, 14:05 (Johannesburgo)"),
    ],
)
def test_the_zone_has_its_name_or_its_city_and_never_an_offset(locale: str, words: str) -> None:
    assert moment(AT, JOHANNESBURG, locale) == words


@pytest.mark.parametrize("own", [JOHANNESBURG, "Africa/Harare"])
def test_the_zone_is_left_out_where_the_readers_clock_says_the_same(own: str) -> None:
    assert moment(AT, JOHANNESBURG, "de", own) == "23.11.2026, 14:05"


def test_what_counts_is_the_clock_of_that_moment() -> None:
    summer = datetime(2026, 7, 1, 12, 5, tzinfo=UTC)

    assert moment(summer, JOHANNESBURG, "de", "Europe/Berlin") == "01.07.2026, 14:05"
    assert moment(AT, JOHANNESBURG, "de", "Europe/Berlin").endswith("(Johannesburg)")


@pytest.mark.parametrize("own", ["", "Nowhere/City", "../../etc/passwd", "Africa", "a\0b"])
def test_what_is_no_zone_is_not_believed(own: str) -> None:
    assert moment(AT, JOHANNESBURG, "de", own).endswith("(Johannesburg)")


def test_an_arabic_city_is_kept_together() -> None:
    assert moment(AT, JOHANNESBURG, "ar").endswith("(\u2068جوهانسبرغ\u2069)\u2069")
