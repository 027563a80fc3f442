"""What the documents say about the settings of Adyen, PayPal and Mollie is what the adapters take."""

from pathlib import Path

import pytest

from widget.providers import adapter_class

TEXT = (Path(__file__).parent.parent / "static" / "docs" / "providers-adyen-paypal-mollie.md").read_text()


@pytest.mark.parametrize(("name", "title"), [("adyen", "Adyen"), ("paypal", "PayPal"), ("mollie", "Mollie")])
def test_every_setting_stands_in_the_documents_and_no_other(name: str, title: str) -> None:
    section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    made = adapter_class(name)

    assert {row[0].strip("`"): row[1] for row in rows} == dict(made.SETTINGS) | dict(made.OPTIONS)
