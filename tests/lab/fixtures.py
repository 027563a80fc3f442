"""The lab and the three engines, for tests; and the table of what was found, at the end of a run of tests."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.engines import Conditions, Engine
from tests.engines.chromium import Chromium
from tests.engines.firefox import Firefox
from tests.engines.tab import Launcher
from tests.engines.webkit import WebKit
from tests.lab.lab import Lab, running_lab
from tests.lab.report import table
from tests.lab.runs import Result

_PROPERTY = "corpus"
_REPORT = "unjam-corpus.txt"
_told: list[Result] = []


@pytest.fixture(scope="session")
def lab(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for each worker of the test run: each case has an order of its own, so cases do not meet."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copyfile(_sqlite_template, folder / "unjam.sqlite")
    with running_lab(f"sqlite:///{folder / 'unjam.sqlite'}", folder) as lab:
        yield lab


@pytest.fixture
def launcher(request: pytest.FixtureRequest) -> Callable[[str], Launcher]:
    """How to start the engine of this name."""

    def chromium(conditions: Conditions) -> Engine:
        browser: Browser = request.getfixturevalue("browser")
        return Chromium(browser.browser_type, conditions)

    def named(engine: str) -> Launcher:
        return {"chromium": chromium, "firefox": Firefox, "webkit": WebKit}[engine]

    return named


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[list[Result]], None]:
    """Put results into the table at the end."""

    def told(results: list[Result]) -> None:
        request.node.user_properties.append((_PROPERTY, json.dumps([result.as_json() for result in results])))

    return told


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name == _PROPERTY:
                _told.extend(Result(**each) for each in json.loads(str(value)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _told:
        return
    text = table(_told)
    file = Path(tempfile.gettempdir()) / _REPORT
    file.write_text(text)
    terminalreporter.section("stalls: kind x engine")
    terminalreporter.write_line(text)
    terminalreporter.write_line(f"Also in {file}.")
