"""The fixtures every test may ask for; each family has its own module."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from itsdangerous import TimestampSigner

import widget.agents
import widget.clock

pytest_plugins = [
    "tests.databases",
    "tests.processes",
    "tests.applications",
    "tests.mailserver",
    "tests.browsers",
    "tests.fake_provider",
    "tests.stage",
    "tests.lab.fixtures",
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


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with as little work as argon2 allows; how much work it is in production is not what is tested."""
    monkeypatch.setattr(widget.agents, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
