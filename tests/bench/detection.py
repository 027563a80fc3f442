"""Does it cry wolf? Healthy checkouts with random values, many times over: `python -m tests.bench.detection [RUNS]`."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from playwright.sync_api import BrowserType, sync_playwright

from tests.engines.chromium import Chromium
from tests.engines.firefox import Firefox
from tests.engines.tab import Launcher
from tests.engines.webkit import WebKit
from tests.lab.cases import Case, corpus
from tests.lab.lab import Lab, running_lab
from tests.lab.playing import play
from tests.lab.runs import Result
from widget import migrations

RUNS = 500
# Of ten runs. Chromium is what most shoppers have.
SHARES = {"chromium": 6, "firefox": 2, "webkit": 2}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    results = list(measure(runs))
    false = [result for result in results if result.found]
    broken = [result for result in results if result.problems and not result.found]
    for result in (*false, *broken):
        print(f"{result.engine} {result.run}: {'; '.join(result.problems)}")
    counts = ", ".join(f"{engine} {sum(result.engine == engine for result in results)}" for engine in SHARES)
    print(f"{len(results)} healthy runs ({counts}): {len(false)} false stalls, {len(broken)} could not be run")
    return 1 if false else 0


def measure(runs: int) -> Iterator[Result]:
    """So many healthy runs, spread over the engines and the cases; each is repeated exactly by its seed."""
    folder = Path(tempfile.mkdtemp(prefix="unjam-detection-"))
    url = f"sqlite:///{folder / 'unjam.sqlite'}"
    migrations.upgrade(url)
    try:
        with sync_playwright() as playwright, running_lab(url, folder) as lab:
            for engine, launch in _launchers(playwright.chromium).items():
                yield from _runs(lab, engine, launch, runs * SHARES[engine] // sum(SHARES.values()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runs(lab: Lab, engine: str, launch: Launcher, runs: int) -> Iterator[Result]:
    cases = [case for case in corpus("healthy") if case.runs_on(engine)]
    begun, seed = time.monotonic(), 0
    wanted: list[Case] = list(islice(cycle(cases), runs))
    while wanted:
        # A fresh browser now and then, as shoppers have.
        together, wanted = wanted[: len(cases)], wanted[len(cases) :]
        yield from play(lab, launch, engine, together, seed)
        seed += 1000
        print(f"{engine}: {runs - len(wanted)} of {runs} after {time.monotonic() - begun:.0f} s", flush=True)


def _launchers(chromium: BrowserType) -> dict[str, Launcher]:
    return {"chromium": lambda conditions: Chromium(chromium, conditions), "firefox": Firefox, "webkit": WebKit}


if __name__ == "__main__":
    sys.exit(main())
