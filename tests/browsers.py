"""A real browser for tests: Debian's Chromium, which reaches nothing but this machine."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Error, Page, sync_playwright

from tests.engines import families
from tests.engines.chromium import FLAGS, program

_HOSTS = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"
_TIMEOUT_MS = 10_000
_CLOSES_WITHIN_SECONDS = 20

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


class Program:
    """Chromium, started when it is first needed, and again when it had to be killed."""

    def __init__(self, maker: BrowserType) -> None:
        self._maker, self._mark = maker, f"--mark-{uuid.uuid4().hex}"
        self._browser: Browser | None = None

    def running(self) -> Browser:
        if self._browser is None or not self._browser.is_connected():
            if (path := program()) is None:
                pytest.fail("Chromium is not installed. `make test` installs it, or says how to.")
            self._browser = self._maker.launch(executable_path=path, args=[*FLAGS, _HOSTS, self._mark])
        return self._browser

    def close(self, what: Browser | BrowserContext) -> None:
        """Close it, or kill it: now and then Chromium never answers that it has closed something."""
        impatience = threading.Timer(_CLOSES_WITHIN_SECONDS, self._kill)
        impatience.start()
        try:
            what.close()
        except Error as error:
            # A page that a test froze on purpose cannot be asked to close in an orderly way.
            if "closed" not in str(error):
                raise
        finally:
            impatience.cancel()

    def stop(self) -> None:
        if self._browser is not None:
            self.close(self._browser)

    def _kill(self) -> None:
        if root := families.marked(self._mark):
            families.kill(families.descendants(root))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Program]:
    with sync_playwright() as playwright:
        program = Program(playwright.chromium)
        yield program
        program.stop()


@pytest.fixture
def browser(chromium: Program) -> Browser:
    return chromium.running()


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def open_page(chromium: Program, browser: Browser, console: Console) -> Iterator[OpenPage]:
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
        chromium.close(context)
    assert console.unexpected() == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of a visitor nobody has seen before."""
    return open_page()
