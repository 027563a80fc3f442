"""Debian's Chromium, driven by Playwright. Every tab is a visitor of its own."""

import contextlib
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, BrowserType, CDPSession, Error, Frame, Page

from tests.engines import families
from tests.engines.tab import FRAME, HIDDEN, Conditions, NotPossible, Tab

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# So that it draws and behaves alike everywhere and asks nobody anything by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
]
# Nothing but this machine. All of 127.0.0.0/8 is: the lab gives each case an address of its own.
_HOSTS = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.*"
# Playwright turns these off to be quick; to a shopper they are on, and both matter here.
_AS_PEOPLE_HAVE_IT = [
    "--disable-back-forward-cache",
    "--disable-popup-blocking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
_TIMEOUT_MS = 15_000


def program() -> str | None:
    """Where it is on this machine."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


class Chromium:
    """A browser of its own; `maker` is Playwright's, of which there can be one in a process."""

    name = "chromium"

    def __init__(self, maker: BrowserType, conditions: Conditions) -> None:
        self._conditions, self._mark = conditions, f"--mark-{uuid.uuid4().hex}"
        self._home = tempfile.mkdtemp(prefix="unjam-chromium-")
        self._browser: Browser = maker.launch(
            executable_path=program(),
            args=[*FLAGS, _HOSTS, self._mark],
            ignore_default_args=_AS_PEOPLE_HAVE_IT,
            env={"HOME": self._home},
            handle_sigint=False,
        )
        self._contexts: list[BrowserContext] = []

    def tab(self) -> "ChromiumTab":
        context = self._browser.new_context(user_agent=self._conditions.user_agent)
        context.set_default_timeout(_TIMEOUT_MS)
        self._contexts.append(context)
        page = context.new_page()
        if self._conditions.blocks_storage:
            _block_storage(context)
        return ChromiumTab(context, page)

    def addresses(self, besides: Tab) -> list[str]:
        for context in self._contexts:
            # Any question makes Playwright take in what the browser has told since the last one.
            context.cookies()
        pages = (page for context in self._contexts for page in context.pages)
        return [page.url for page in pages if not (isinstance(besides, ChromiumTab) and page is besides.page)]

    def kill(self) -> None:
        families.kill(self._processes())

    def suspend(self) -> None:
        families.tell(self._processes(), signal.SIGSTOP)

    def resume(self) -> None:
        families.tell(self._processes(), signal.SIGCONT)

    def stop(self) -> None:
        # A page that a test froze cannot be asked to close in an orderly way, and a whole browser costs time to end.
        self.kill()
        with contextlib.suppress(Error):
            self._browser.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _processes(self) -> list[int]:
        root = families.marked(self._mark)
        return families.descendants(root) if root else []


class ChromiumTab:
    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._context, self.page = context, page
        self._session: CDPSession | None = None
        self._frame: Frame | None = None
        self._corner = (0.0, 0.0)

    def open(self, url: str) -> None:
        self.page.goto(url, wait_until="commit")

    def evaluate(self, body: str) -> Any:
        return self.page.evaluate(f"() => {{ {body} }}")

    def click(self, css: str, times: int = 1) -> None:
        box = self.page.locator(css).first.bounding_box()
        assert box is not None, css
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for _ in range(times):
            self.page.mouse.click(x, y)

    def type(self, css: str, text: str) -> None:
        self.page.locator(css).press_sequentially(text)

    def hold_frame(self) -> None:
        element = self.page.query_selector(FRAME)
        box = element.bounding_box() if element else None
        if element is None or box is None:
            raise NotPossible("Our frame is not on the page.")
        self._frame = element.content_frame()
        # The corner that stays when the frame grows to the words of its pill, which may happen after this.
        self._corner = (box["x"] + box["width"], box["y"] + box["height"])

    def in_frame(self, body: str) -> Any:
        if self._frame is None or self._frame.is_detached():
            self.hold_frame()
        assert self._frame is not None
        return self._frame.evaluate(f"() => {{ {body} }}")

    def click_in_frame(self, css: str) -> None:
        centre = self.in_frame(
            f"const b = document.querySelector({css!r}).getBoundingClientRect();"
            "return [b.x + b.width / 2 - innerWidth, b.y + b.height / 2 - innerHeight]"
        )
        x, y = map(float, centre)
        # By coordinates through the browser process, because Playwright's own click asks the page around the frame.
        self.page.mouse.click(self._corner[0] + x, self._corner[1] + y)

    def offline(self, on: bool) -> None:
        self._context.set_offline(on)

    def throttle(self, rate: float) -> None:
        self._cdp().send("Emulation.setCPUThrottlingRate", {"rate": rate})

    def cover(self) -> None:
        # Playwright makes every page believe that it is visible and has the focus.
        self.evaluate(HIDDEN.format(hidden="true"))

    def uncover(self) -> None:
        self.evaluate(HIDDEN.format(hidden="false"))

    def back(self) -> None:
        self.page.evaluate("() => { setTimeout(() => history.back(), 0) }")

    def close(self) -> None:
        self.page.close(run_before_unload=True)

    def crash(self) -> None:
        # It never answers, since there is nobody left to do it.
        with contextlib.suppress(Error):
            self.page.goto("chrome://crash", timeout=500)

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=path)

    def _cdp(self) -> CDPSession:
        if self._session is None:
            self._session = self._context.new_cdp_session(self.page)
        return self._session


def _block_storage(context: BrowserContext) -> None:
    """Playwright has no switch for "block all cookies"; the init script answers as Chromium then does."""
    context.add_init_script(
        """for (const name of ["sessionStorage", "localStorage"])
             Object.defineProperty(window, name, {
               get() { throw new DOMException("Access is denied.", "SecurityError"); },
             });
           Object.defineProperty(Navigator.prototype, "cookieEnabled", {get: () => false});"""
    )
