"""localstripe, somebody else's imitation of Stripe, run as a program of its own and bound to loopback.

By itself it listens on every interface and keeps its objects in a fixed file; the few lines that start it prevent both.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from tests.processes import free_port

_STARTS_WITHIN_SECONDS = 30
# An IPv4 address as an IPv6 socket knows it, because localstripe binds one of those.
_LOOPBACK = "::ffff:127.0.0.1"
_START = f"""
import builtins, os, runpy, socket, sys
bind, opened = socket.socket.bind, builtins.open
socket.socket.bind = lambda self, to: bind(self, ({_LOOPBACK!r}, *to[1:]) if to[0] == "::" else to)
builtins.open = lambda file, *more, **named: opened(
    os.devnull if str(file).endswith("localstripe.pickle") else file, *more, **named)
sys.argv = ["localstripe", "--from-scratch", "--port", sys.argv[1]]
runpy.run_module("localstripe", run_name="__main__")
"""


class LocalStripe:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def listens_on(self) -> set[str]:
        """The local addresses of every socket that listens on its port, as the kernel writes them."""
        lines = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
        ]
        listening = [fields[1] for fields in lines[0:] if len(fields) > 3 and fields[3] == "0A"]
        return {address.split(":")[0] for address in listening if int(address.split(":")[1], 16) == self.port}

    def configure_webhook(self, url: str, secret: str) -> None:
        body = json.dumps({"url": url, "secret": secret})
        urllib3.request("POST", f"{self.url}/_config/webhooks/ours", body=body, retries=False)

    def post(self, path: str, **fields: str) -> dict[str, object]:
        headers = {"Authorization": "Bearer sk_test_peer", "Content-Type": "application/x-www-form-urlencoded"}
        answer = urllib3.request("POST", self.url + path, body=urlencode(fields), headers=headers, retries=False)
        found: dict[str, object] = answer.json()
        return found


@contextmanager
def running(log: Path) -> Iterator[LocalStripe]:
    peer = LocalStripe(free_port())
    with log.open("ab") as output:
        command = [sys.executable, "-c", _START, str(peer.port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait(peer, process, log)
        yield peer
    finally:
        process.kill()
        process.wait()


def _wait(peer: LocalStripe, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib3.request("GET", f"{peer.url}/v1/payment_intents/none", timeout=1.0, retries=False)
        except HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"localstripe did not start:\n{log.read_text()}")
