"""Debian's Firefox ESR, headless, driven by Marionette, the protocol that it brings along."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.engines import families
from tests.engines.tab import Conditions, Gone, NotPossible, Tab
from tests.engines.w3c import Refused, W3cTab, Windows, decoded
from tests.processes import free_port

_STARTS_WITHIN_SECONDS = 60
# Of what was killed. One that outlives this says so instead of holding up the whole run.
_ENDS_WITHIN_SECONDS = 30
_ANSWERS_WITHIN_SECONDS = 60
_PREFERENCES: dict[str, str | int | bool] = {
    # As people have it: the driver's own preferences turn the pop-up blocker and other things off.
    "remote.prefs.recommended": False,
    "fission.webContentIsolationStrategy": 1,
    "dom.disable_open_during_load": True,
    "dom.disable_beforeunload": True,
    # Nothing but this machine, and nothing that comes up by itself.
    "app.update.disabledForTesting": True,
    "app.normandy.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.blockedURIs.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.sessionstore.resume_from_crash": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.tabs.warnOnClose": False,
    "browser.uitour.enabled": False,
    "browser.translations.enable": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "dom.max_script_run_time": 0,
    "dom.ipc.processHangMonitor": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "network.dns.disableIPv6": True,
    "services.settings.server": "data:,",
    "toolkit.startup.max_resumed_crashes": -1,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "signon.rememberSignons": False,
    "extensions.formautofill.creditCards.enabled": False,
    "extensions.formautofill.addresses.enabled": False,
    "security.sandbox.content.level": 0,
    # The prompt for the local network would come in front of every request on this machine.
    "network.lna.enabled": False,
    "network.lna.blocking": False,
}


class Firefox:
    name = "firefox"

    def __init__(self, conditions: Conditions) -> None:
        """Start it; once more where it shuts the door again in the middle of the greeting, as it does now and then."""
        try:
            self._start(conditions)
        except Gone:
            self._start(conditions)

    def _start(self, conditions: Conditions) -> None:
        self._port, self._home = free_port(), Path(tempfile.mkdtemp(prefix="unjam-firefox-"))
        special: dict[str, str | int | bool] = {"marionette.port": self._port}
        if conditions.user_agent:
            special["general.useragent.override"] = conditions.user_agent
        if conditions.blocks_storage:
            special["network.cookie.cookieBehavior"] = 2
        _write_profile(self._home, _PREFERENCES | special)
        program = shutil.which("firefox-esr") or shutil.which("firefox")
        assert program, "Firefox is not installed. `make test` installs it, or says how to."
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    "--headless",
                    "--marionette",
                    "--remote-allow-system-access",
                    "--no-remote",
                    "--profile",
                    str(self._home),
                ],
                env=os.environ
                | {"HOME": str(self._home), "MOZ_CRASHREPORTER_DISABLE": "1", "MOZ_DISABLE_AUTO_SAFE_MODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._marionette = Marionette(self._port, self._process)
        except Gone:
            self.kill()
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        self._windows = Windows(self._marionette)

    def tab(self) -> "FirefoxTab":
        return FirefoxTab(self._windows, self._windows.make(), self._marionette)

    def addresses(self, besides: Tab) -> list[str]:
        return self._windows.addresses(besides)

    def kill(self) -> None:
        families.kill(families.descendants(self._process.pid))
        self._process.wait(_ENDS_WITHIN_SECONDS)

    def suspend(self) -> None:
        families.tell(families.descendants(self._process.pid), signal.SIGSTOP)

    def resume(self) -> None:
        families.tell(families.descendants(self._process.pid), signal.SIGCONT)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()
        self._marionette.close()
        shutil.rmtree(self._home, ignore_errors=True)


class FirefoxTab(W3cTab):
    def __init__(self, windows: Windows, handle: str, marionette: "Marionette") -> None:
        super().__init__(windows, handle)
        self._marionette = marionette

    def offline(self, on: bool) -> None:
        # Firefox reaches this machine even when it is offline, so the page hears of it and requests still work.
        self._in_chrome(f"Services.io.offline = {json.dumps(on)};")

    def throttle(self, rate: float) -> None:
        raise NotPossible("Firefox has no switch for a slow processor.")

    def cover(self) -> None:
        self._in_chrome(
            "gBrowser.covered = gBrowser.selectedTab; gBrowser.selectedTab = gBrowser.addTrustedTab('about:blank');"
        )

    def uncover(self) -> None:
        self._in_chrome(
            "const cover = gBrowser.selectedTab; gBrowser.selectedTab = gBrowser.covered; gBrowser.removeTab(cover);"
        )

    def crash(self) -> None:
        self._on_page()
        pid = self._in_chrome("return gBrowser.selectedBrowser.browsingContext.currentWindowGlobal.osPid;")
        families.kill([int(pid)])

    def _in_chrome(self, body: str) -> Any:
        self._on_page()
        self._marionette.say("Marionette:SetContext", value="chrome")
        try:
            return self._marionette.say("WebDriver:ExecuteScript", script=body, args=[])["value"]
        finally:
            self._marionette.say("Marionette:SetContext", value="content")


class Marionette:
    """The protocol: `LENGTH:[type, id, command, parameters]` over TCP, and the same back."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._socket = _connected(port, process)
        self._file = self._socket.makefile("rb")
        self._id = 0
        try:
            self._receive()
        except (Gone, OSError) as trouble:
            self.close()
            raise Gone(f"Firefox: {type(trouble).__name__} at its greeting") from trouble
        # Not under "capabilities", as in WebDriver. What Marionette does not know it passes over in silence, and then
        # it waits until each page has loaded, which a page with a script that hangs never has.
        self.say("WebDriver:NewSession", pageLoadStrategy="none")

    def say(self, command: str, **parameters: Any) -> Any:
        self._id += 1
        message = json.dumps([0, self._id, command, parameters]).encode()
        try:
            self._socket.sendall(b"%d:%s" % (len(message), message))
            _, _, error, result = self._receive()
        except OSError as trouble:
            raise Gone(f"Firefox: {type(trouble).__name__} at {command}") from trouble
        if error:
            raise Refused(error["error"], error["message"])
        return result

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._file.read(1)
            if not byte:
                raise Gone("Firefox ended")
            length += byte
        return decoded(self._file.read(int(length[:-1])))


def _connected(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    until = time.monotonic() + _STARTS_WITHIN_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=_ANSWERS_WITHIN_SECONDS)
        except OSError:
            time.sleep(0.05)
    raise Gone(f"Firefox did not start (exit code {process.poll()}).")


def _write_profile(folder: Path, preferences: dict[str, str | int | bool]) -> None:
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
    (folder / "user.js").write_text("\n".join(lines))
