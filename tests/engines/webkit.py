"""WebKitGTK's MiniBrowser in a virtual screen, driven by its own WebDriver."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import urllib3

from tests.engines import families
from tests.engines.tab import HIDDEN, Conditions, Gone, NotPossible, Tab
from tests.engines.w3c import Refused, W3cTab, Windows
from tests.processes import free_port

_STARTS_WITHIN_SECONDS = 60
# Of what was killed. One that outlives this says so instead of holding up the whole run.
_ENDS_WITHIN_SECONDS = 30
_ANSWERS_WITHIN_SECONDS = 60
_MINIBROWSER = "usr/lib/*/webkit2gtk-4.*/MiniBrowser"
_WEB_PROCESS = "WebKitWebProcess"

# Marionette's names, which the other driver speaks, in the words of the standard.
_COMMANDS = {
    "WebDriver:Navigate": ("POST", "/url"),
    "WebDriver:GetCurrentURL": ("GET", "/url"),
    "WebDriver:GetWindowHandles": ("GET", "/window/handles"),
    "WebDriver:NewWindow": ("POST", "/window/new"),
    "WebDriver:SwitchToWindow": ("POST", "/window"),
    "WebDriver:CloseWindow": ("DELETE", "/window"),
    "WebDriver:SwitchToFrame": ("POST", "/frame"),
    "WebDriver:FindElement": ("POST", "/element"),
    "WebDriver:ElementClick": ("POST", "/element/{id}/click"),
    "WebDriver:PerformActions": ("POST", "/actions"),
    "WebDriver:ElementSendKeys": ("POST", "/element/{id}/value"),
    "WebDriver:ExecuteScript": ("POST", "/execute/sync"),
    "WebDriver:TakeScreenshot": ("GET", "/screenshot"),
}


class WebKit:
    name = "webkit"

    def __init__(self, conditions: Conditions) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="unjam-webkit-"))
        self._port = free_port()
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "xvfb-run",
                    "-a",
                    "-s",
                    "-screen 0 1280x900x24 -nolisten tcp",
                    "dbus-run-session",
                    "--",
                    "WebKitWebDriver",
                    f"--port={self._port}",
                    "--host=127.0.0.1",
                ],
                env=os.environ | _environment(self._home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._session = Session(self._port, self._process, _options(conditions))
        self._windows = Windows(self._session)
        if conditions.user_agent:
            self._insist_on(conditions.user_agent)

    def tab(self) -> "WebKitTab":
        return WebKitTab(self._windows, self._windows.make(), self._process.pid)

    def addresses(self, besides: Tab) -> list[str]:
        return self._windows.addresses(besides)

    def kill(self) -> None:
        families.kill(families.descendants(self._process.pid))
        self._process.wait(_ENDS_WITHIN_SECONDS)

    def suspend(self) -> None:
        families.tell(self._browser(), signal.SIGSTOP)

    def resume(self) -> None:
        families.tell(self._browser(), signal.SIGCONT)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()
        self._session.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _insist_on(self, user_agent: str) -> None:
        """WebKitGTK keeps its own name, in silence, when given one that is not products and comments (RFC 9110)."""
        said = self._session.say("WebDriver:ExecuteScript", script="return navigator.userAgent", args=[])
        if said != user_agent:
            self.stop()
            raise NotPossible(f"WebKitGTK does not take this user agent: {user_agent}")

    def _browser(self) -> list[int]:
        """The browser without the screen, whose end would be the end of it too."""
        return [pid for pid in families.descendants(self._process.pid) if families.command_has(pid, "webkit2gtk")]


class WebKitTab(W3cTab):
    def __init__(self, windows: Windows, handle: str, root: int) -> None:
        super().__init__(windows, handle)
        self._root = root

    def offline(self, on: bool) -> None:
        # The driver cannot take the network away; this is all that a page would hear of it.
        event = "offline" if on else "online"
        self.evaluate(
            f"Object.defineProperty(navigator, 'onLine', {{configurable: true, value: {'false' if on else 'true'}}});"
            f"window.dispatchEvent(new Event('{event}'));"
        )

    def throttle(self, rate: float) -> None:
        raise NotPossible("WebKit has no switch for a slow processor.")

    def cover(self) -> None:
        # MiniBrowser's pages stay visible behind others without a window manager.
        self.evaluate(HIDDEN.format(hidden="true"))

    def uncover(self) -> None:
        self.evaluate(HIDDEN.format(hidden="false"))

    def crash(self) -> None:
        """All pages at once: which process shows which page is not told."""
        web = [pid for pid in families.descendants(self._root) if families.command_has(pid, _WEB_PROCESS)]
        families.kill(web)


class Session:
    def __init__(self, port: int, process: subprocess.Popen[bytes], options: dict[str, Any]) -> None:
        self._pool = urllib3.HTTPConnectionPool(
            "127.0.0.1",
            port,
            timeout=_ANSWERS_WITHIN_SECONDS,
            retries=False,
            maxsize=1,
            headers={"Content-Type": "application/json"},
        )
        self._base = ""
        self._wait_until_ready(process)
        wanted = {"browserName": "MiniBrowser", "pageLoadStrategy": "none", "webkitgtk:browserOptions": options}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base = f"/session/{made['sessionId']}"

    def say(self, command: str, **parameters: Any) -> Any:
        method, path = _COMMANDS[command]
        return self._send(method, path.format(**parameters), parameters)

    def close(self) -> None:
        self._pool.close()

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = self._pool.request(method, self._base + path, json=body if method == "POST" else None)
        except urllib3.exceptions.HTTPError as trouble:
            raise Gone(f"WebKit: {type(trouble).__name__} at {path}") from trouble
        value = answer.json()["value"]
        if answer.status >= 400:
            raise Refused(value["error"], value.get("message", ""))
        return value

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _STARTS_WITHIN_SECONDS
        while process.poll() is None and time.monotonic() < until:
            try:
                if self._pool.request("GET", "/status").status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        raise AssertionError(f"WebKitWebDriver did not start (exit code {process.poll()}).")


def _options(conditions: Conditions) -> dict[str, Any]:
    arguments = ["--automation"]
    if conditions.user_agent:
        arguments.append(f"--user-agent={conditions.user_agent}")
    if conditions.blocks_storage:
        arguments.append("--enable-html5-local-storage=false")
    found = sorted(Path("/").glob(_MINIBROWSER))
    assert found, "WebKit's MiniBrowser is not installed. `make test` installs it, or says how to."
    return {"binary": str(found[0]), "args": arguments}


def _environment(home: Path) -> dict[str, str]:
    """Folders of its own, no accessibility bus and no graphics card."""
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "NO_AT_BRIDGE": "1",
        "GTK_A11Y": "none",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
    }
