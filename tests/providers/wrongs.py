"""What every adapter must hold, whichever provider it talks to."""

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from widget.money import Money
from widget.providers import Bill

TROUBLES = ("silence", "half", "html", "empty", "list", "redirect", "429", "500", "503")


def bill(money: Money | None = None, key: str = "unjam:demo:D-1001:abc", locale: str = "en") -> Bill:
    return Bill(
        order="D-1001",
        money=money or Money(1250, "EUR"),
        key=key,
        return_url="https://help.example/pay/T/back",
        cancel_url="https://help.example/pay/T",
        expires_at=datetime(2026, 11, 22, 9, tzinfo=UTC),
        shop_name="Demo & Sons",
        email="ada@example.org",
        locale=locale,
    )


def told_by(action: Callable[[], object], expected: type[Exception], logged: pytest.LogCaptureFixture) -> str:
    """All that a log would show of a failure: the whole traceback, and what libraries logged."""
    logged.set_level(logging.DEBUG)
    with pytest.raises(expected) as caught:
        action()
    return "".join(traceback.format_exception(caught.value)) + logged.text
