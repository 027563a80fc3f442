"""The scripts in the shop's page and in our frame: built from their sources, small, and true to the shared rules."""

import fcntl
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from widget.browsers import FACTS
from widget.deadlines import SHIPPED
from widget.redaction import mask_card_numbers

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".ci" / "node"
EMBED = ROOT / "static" / "embed"
BUILT = ROOT / "static" / "dist" / "embed.js"
CARD_NUMBERS = json.loads((ROOT / "tests" / "data" / "card_numbers.json").read_text())
MAX_GZIPPED_BYTES = 5_000
MIN_DIGITS = 13

Node = Callable[..., str]

_MASK_ALL = """
import { readFileSync } from "node:fs";
// As a data address, since Debian's Node.js takes a plain .js file for CommonJS.
const source = readFileSync("./static/embed/redact.js", "base64");
const { redact } = await import(`data:text/javascript;base64,${source}`);
const rows = JSON.parse(readFileSync("./tests/data/card_numbers.json", "utf8"));
console.log(JSON.stringify(rows.map((row) => redact(row.text))));
"""


@pytest.fixture(scope="session")
def node() -> Node:
    """Run a command of the JavaScript tools, which are installed on first use; returns what it prints."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.fail("Install Node.js 20 or later with npm (on Debian: apt install nodejs npm).")
    lock = ROOT / ".cache" / "npm.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        # npm writes this file last.
        if not (TOOLS / "node_modules" / ".package-lock.json").exists():
            _run("npm", "--prefix", str(TOOLS), "ci", "--no-audit", "--no-fund")
    return _run


def test_the_built_embed_comes_from_its_sources(node: Node) -> None:
    rebuilt = node("npm", "--prefix", str(TOOLS), "run", "--silent", "bundle")

    assert BUILT.read_text() == rebuilt, "Run `make embed` and commit static/dist/embed.js."


def test_the_embed_is_small() -> None:
    assert len(gzip.compress(BUILT.read_bytes(), 9)) <= MAX_GZIPPED_BYTES


def test_types_hold(node: Node) -> None:
    node("npm", "--prefix", str(TOOLS), "run", "--silent", "types")


def test_the_linter_finds_nothing(node: Node) -> None:
    node("npm", "--prefix", str(TOOLS), "run", "--silent", "lint")


def test_the_documented_queue_is_the_stub_minified(node: Node) -> None:
    minified = node(str(TOOLS / "node_modules/.bin/esbuild"), str(EMBED / "stub.js"), "--minify", "--target=es2020")

    assert minified.strip() in (EMBED / "embed.d.ts").read_text()


@pytest.mark.parametrize("row", CARD_NUMBERS, ids=lambda row: ascii(row["text"]))
def test_python_masks_card_numbers(row: dict[str, str]) -> None:
    assert mask_card_numbers(row["text"]) == row["masked"]


def test_the_browser_masks_at_least_what_the_server_masks(node: Node) -> None:
    masked = json.loads(node("node", "--input-type=module", "--eval", _MASK_ALL))

    assert [mask_card_numbers(text) for text in masked] == masked
    changed = {row["text"] for row, text in zip(CARD_NUMBERS, masked, strict=True) if text != row["text"]}
    assert changed >= {row["text"] for row in CARD_NUMBERS if row["masked"] != row["text"]}
    assert not {text for text in changed if sum(map(str.isdecimal, text)) < MIN_DIGITS}


def test_the_browser_gathers_no_fact_but_the_allowed_ones() -> None:
    source = (EMBED / "gather.js").read_text()

    names = re.findall(r"^    (\w+)[:,]", source[source.index("return {") :], re.MULTILINE)

    assert names
    assert set(names) <= set(FACTS)


def test_the_browser_has_the_same_deadlines() -> None:
    shipped = {stage: f"{SHIPPED[stage]:g}" for stage in ("sdk", "submitted", "authenticating", "confirming")}

    assert (
        f"{{ {', '.join(f'{stage}: {seconds}' for stage, seconds in shipped.items())} }}"
        in (EMBED / "deadlines.js").read_text()
    )


def test_the_lock_file_names_no_download_address() -> None:
    assert "resolved" not in (TOOLS / "package-lock.json").read_text()


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
