"""Firefox's Marionette and WebKitWebDriver understand the same commands; only how they are sent differs."""

import base64
import json
import time
from pathlib import Path
from typing import Any, Protocol

from tests.engines.tab import FRAME, Tab

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FOUND_WITHIN_SECONDS = 15


class Refused(Exception):
    """The browser answered a command with an error."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error


class Wire(Protocol):
    """Sends one command by its Marionette name and waits for the answer. Raises Refused and Gone."""

    def say(self, command: str, **parameters: Any) -> Any: ...


class Windows:
    """The windows of one browser, of which its driver looks at one at a time."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.current = ""
        # Whether the driver looks into our frame there. It forgets that with every other window it looks at.
        self.is_in_frame = False
        # Stays empty and open: with its last window a browser ends, and without one a driver answers nothing.
        self.anchor = self.handles()[0]

    def handles(self) -> list[str]:
        found = self.wire.say("WebDriver:GetWindowHandles")
        return [str(handle) for handle in (found if isinstance(found, list) else found["value"])]

    def make(self) -> str:
        self.look_at(self.anchor)
        made = self.wire.say("WebDriver:NewWindow", type="window")
        return str(made["handle"])

    def addresses(self, besides: Tab) -> list[str]:
        own = besides.handle if isinstance(besides, W3cTab) else ""
        return [self._address(handle) for handle in self.handles() if handle != own]

    def _address(self, handle: str) -> str:
        self.look_at(handle)
        said = self.wire.say("WebDriver:GetCurrentURL")
        return str(said["value"] if isinstance(said, dict) else said)

    def look_at(self, handle: str) -> None:
        if self.current != handle:
            self.wire.say("WebDriver:SwitchToWindow", handle=handle, focus=False)
            self.current, self.is_in_frame = handle, False


class W3cTab:
    """A window by W3C commands. Engines add what is their own."""

    def __init__(self, windows: Windows, handle: str) -> None:
        self._windows, self.handle = windows, handle

    def open(self, url: str) -> None:
        self._on_page()
        self._say("WebDriver:Navigate", url=url)

    def evaluate(self, body: str) -> Any:
        self._on_page()
        return self._evaluate(body)

    def click(self, css: str, times: int = 1) -> None:
        self._on_page()
        # Not ElementClick: a driver may wait there for what the click begins, and Firefox's leaves an `unload` listener
        # on the page, which then never comes back as it was left.
        self._say("WebDriver:PerformActions", actions=[_presses(self._find(css), times)])

    def type(self, css: str, text: str) -> None:
        self._on_page()
        self._say("WebDriver:ElementSendKeys", id=self._find(css), text=text)

    def hold_frame(self) -> None:
        self._on_page()
        self._say("WebDriver:SwitchToFrame", id={_ELEMENT: self._find(FRAME)}, element=self._find(FRAME))
        self._windows.is_in_frame = True

    def in_frame(self, body: str) -> Any:
        self._in_frame()
        return self._evaluate(body)

    def click_in_frame(self, css: str) -> None:
        self._in_frame()
        self._say("WebDriver:ElementClick", id=self._find(css))

    def back(self) -> None:
        self.evaluate("setTimeout(() => history.back(), 0)")

    def close(self) -> None:
        self._on_page()
        self._say("WebDriver:CloseWindow")
        self._windows.current = ""

    def screenshot(self, path: Path) -> None:
        self._on_page()
        said = self._say("WebDriver:TakeScreenshot", full=False)
        path.write_bytes(base64.b64decode(said if isinstance(said, str) else said["value"]))

    def _on_page(self) -> None:
        self._windows.look_at(self.handle)
        if self._windows.is_in_frame:
            self._say("WebDriver:SwitchToFrame", id=None)
            self._windows.is_in_frame = False

    def _in_frame(self) -> None:
        self._windows.look_at(self.handle)
        if not self._windows.is_in_frame:
            self.hold_frame()

    def _evaluate(self, body: str) -> Any:
        said = self._say("WebDriver:ExecuteScript", script=body, args=[])
        return said["value"] if isinstance(said, dict) and "value" in said else said

    def _find(self, css: str) -> str:
        until = time.monotonic() + _FOUND_WITHIN_SECONDS
        while True:
            try:
                found = self._say("WebDriver:FindElement", using="css selector", value=css)
                return str(found.get("value", found)[_ELEMENT])
            except Refused as error:
                if error.error != "no such element" or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _say(self, command: str, **parameters: Any) -> Any:
        return self._windows.wire.say(command, **parameters)


def _presses(element: str, times: int) -> dict[str, Any]:
    move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {_ELEMENT: element}}
    press = [
        {"type": "pointerDown", "button": 0},
        {"type": "pointerUp", "button": 0},
        {"type": "pause", "duration": 60},
    ]
    mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
    return mouse | {"actions": [move, *press * times]}


def decoded(raw: bytes) -> Any:
    return json.loads(raw.decode())
