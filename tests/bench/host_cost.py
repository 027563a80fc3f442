"""What the embed costs the shop's page: the time its script takes at load on a slow device, and its long tasks."""

import json
import shutil
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.embed_lab import Lab, _handler_for

THROTTLING = 4
LOADS = 5
_WATCH_LONG_TASKS = """<script nonce="shop">longTasks = 0;
new PerformanceObserver((list) => { longTasks += list.getEntries().length; }).observe({type: "longtask"});</script>"""


def measure() -> dict[str, float]:
    """Median milliseconds of script of a page with the tag at load, and the most long tasks."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or "google-chrome"
    with _lab() as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        bare = [_load(browser, lab, f"{lab.unjam_url}/sdk.js") for _ in range(LOADS)]
        loads = [_load(browser, lab, f"{lab.unjam_url}/embed.js") for _ in range(LOADS)]
        browser.close()
    return {
        "throttling": THROTTLING,
        "script_ms": round(_median_ms(loads) - _median_ms(bare), 2),
        "long_tasks": max(long_tasks for _, long_tasks in loads),
    }


def _median_ms(loads: list[tuple[float, int]]) -> float:
    return statistics.median(script_ms for script_ms, _ in loads)


def _load(browser: Browser, lab: Lab, script: str) -> tuple[float, int]:
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLING})
    session.send("Performance.enable")
    lab.pages["/bare"] = (f"<!doctype html><title>bare</title>{_WATCH_LONG_TASKS}<button>Pay</button>", {})
    page.goto(lab.shop_url + "/bare")
    before = _script_ms(session)
    page.evaluate(
        """url => new Promise((done) => { const script = document.createElement("script"); script.dataset.site = "demo";
        script.src = url; script.onload = () => setTimeout(done, 300); document.head.append(script); })""",
        script,
    )
    cost = _script_ms(session) - before
    long_tasks = int(page.evaluate("longTasks"))
    page.close()
    return cost, long_tasks


def _script_ms(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "ScriptDuration")) * 1000


@contextmanager
def _lab() -> Iterator[Lab]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(lambda: made))
    made = Lab(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    print(json.dumps(measure()))
