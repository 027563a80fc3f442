"""A real browser for tests: Debian's Chromium, which reaches nothing but this machine."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
]
_TIMEOUT_MS = 10_000

OpenPage = Callable[..., Page]


@dataclass
class Console:
    """What the pages of a test complained of. A test that expects a complaint adds a part of it to `expected`."""

    errors: list[str] = field(default_factory=list)
    uncaught: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.uncaught.append(str(error.error)))

    def unexpected(self) -> list[str]:
        """Uncaught exceptions, and what our own Content-Security-Policy or a shop's forbade."""
        forbidden = [text for text in self.errors if "Content Security Policy" in text]
        return [text for text in self.uncaught + forbidden if not any(part in text for part in self.expected)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("Chromium is not installed. `make test` installs it, or says how to.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def open_page(browser: Browser, console: Console) -> Iterator[OpenPage]:
    """Opens a page as a new visitor: `open_page(viewport={"width": 375, "height": 740}, color_scheme="dark")`.

    The test fails on whatever `Console.unexpected` holds in the end.
    """
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(_TIMEOUT_MS)
        console.watch(context)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        _close(context)
    assert console.unexpected() == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of a visitor nobody has seen before."""
    return open_page()


def _close(context: BrowserContext) -> None:
    try:
        context.close()
    except Error as error:
        # A page that a test froze on purpose cannot be asked to close in an orderly way.
        if "closed" not in str(error):
            raise
