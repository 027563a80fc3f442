"""What the embed costs the shop's page on a slow device: its script at load, mounting the frame afterwards, long tasks.

Counted in time of the page's thread, so that neighbours on the machine do not count.
"""

import json
import statistics
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.embed_lab import Lab, opened_lab
from tests.engines.chromium import program

THROTTLING = 4
LOADS = 9
# The frame is mounted 200 ms after the script has run, then loads and greets.
MOUNTED_MS = 1000
_WATCH_LONG_TASKS = """<script nonce="shop">longTasks = 0;
new PerformanceObserver((list) => { longTasks += list.getEntries().length; }).observe({type: "longtask"});</script>"""


def measure() -> dict[str, float]:
    """Medians of milliseconds beyond a bare script, until ours has run and until all is mounted; and long tasks."""
    with opened_lab() as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        rounds = [
            (
                _load(browser, lab, "sdk.js"),
                _load(browser, lab, "embed.js"),
                _load(browser, lab, "embed.js", MOUNTED_MS),
            )
            for _ in range(LOADS)
        ]
        browser.close()
    return {
        "throttling": THROTTLING,
        "script_ms": round(statistics.median(loaded[0] - bare[0] for bare, loaded, _ in rounds), 2),
        "mounted_ms": round(statistics.median(mounted[0] - bare[0] for bare, _, mounted in rounds), 2),
        "long_tasks": max(mounted[1] for _, _, mounted in rounds),
    }


def _load(browser: Browser, lab: Lab, script: str, wait_ms: int = 0) -> tuple[float, int]:
    """Milliseconds of script until a tag has loaded and the wait is over, and how many long tasks there were."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLING})
    session.send("Performance.enable")
    lab.pages["/bare"] = (f"<!doctype html><title>bare</title>{_WATCH_LONG_TASKS}<button>Pay</button>", {})
    page.goto(lab.shop_url + "/bare")
    before = _script_ms(session)
    page.evaluate(
        """([url, wait]) => new Promise((done) => { const script = document.createElement("script");
        script.dataset.site = "demo"; script.src = url; script.onload = () => setTimeout(done, wait);
        document.head.append(script); })""",
        [f"{lab.unjam_url}/{script}", wait_ms],
    )
    cost = _script_ms(session) - before
    long_tasks = int(page.evaluate("longTasks"))
    page.close()
    return cost, long_tasks


def _script_ms(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "ScriptDuration")) * 1000


if __name__ == "__main__":
    print(json.dumps(measure()))
