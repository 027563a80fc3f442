"""The fixtures every test may ask for; each family has its own module."""

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import TimestampSigner

import widget.clock

pytest_plugins = [
    "tests.databases",
    "tests.applications",
    "tests.mailserver",
    "tests.browsers",
    "tests.fake_provider",
    "tests.stage",
]


class Clock:
    """Stands at Friday noon until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def forward(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`clock.now` and `clock.forward(timedelta(hours=1))`, for code in this process. Signed links age by it too."""
    stopped = Clock()
    monkeypatch.setattr(widget.clock, "now", lambda: stopped.now)
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _signer: int(stopped.now.timestamp()))
    return stopped
