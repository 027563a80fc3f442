"""The document about diagnosis says what the code does: every cause, every group of declines, every figure."""

from pathlib import Path

import pytest

from widget import polling
from widget.advice import GROUPS, TABLES, iso8583
from widget.diagnosis import KINDS, RULES
from widget.feeds import STALE_AFTER, Shape
from widget.health import ENOUGH_TRIES, FEW_TRIES, SPANS
from widget.health.cells import KEPT_FOR

PAGE = Path(__file__).parent.parent / "static" / "docs" / "diagnosis.md"


def rows_of(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    part = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip().strip("|").split("|") for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in lines[1:]]


def cause_rows() -> list[list[str]]:
    return [[f"`{rule.cause}`", rule.side.value, f"{rule.confidence:g}", rule.said or "–"] for rule in (*RULES, *KINDS)]


def group_rows() -> list[list[str]]:
    return [
        [
            f"`{name}`",
            "as `generic`" if advice.is_fraud_like else advice.said.text,
            advice.retry.value.replace("_", " "),
            ", ".join(advice.prefers),
        ]
        for name, advice in GROUPS.items()
    ]


def test_every_cause_stands_in_the_order_in_which_it_is_looked_for() -> None:
    assert rows_of("Causes") == cause_rows()


def test_every_group_of_declines_stands_with_what_customers_are_told() -> None:
    assert rows_of("Declines") == group_rows()


@pytest.mark.parametrize("shape", Shape)
def test_every_shape_of_a_feed_is_described(shape: Shape) -> None:
    assert f"`{shape}`" in {row[0] for row in rows_of("Status feeds")}


def test_the_figures_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())

    assert ENOUGH_TRIES == 10
    assert "at least ten tries" in text
    assert FEW_TRIES == 4
    assert "four failures" in text
    assert [int(span.total_seconds() // 60) for span in SPANS[1:]] == [15, 60, 360, 1440]
    assert "15 minutes, 1 hour, 6 hours, 24 hours" in text
    assert f"after {KEPT_FOR.days} days" in text
    assert f"{int(polling.BUSY_EVERY.total_seconds() // 60)} minutes" in text
    assert f"older than {int(STALE_AFTER.total_seconds() // 60)} minutes" in text
    assert f"{polling.MAX_BYTES // 1_000_000} MB" in text


def test_every_table_of_codes_and_the_codes_that_are_never_tried_again_are_named() -> None:
    text = PAGE.read_text()

    assert all(f"`widget/advice/{provider}.py`" in text for provider in TABLES)
    assert all(f"`{code}`" in text for code in iso8583.NEVER)
