"""What the gallery keeps: pictures, and beside them the words that each shows, so that none grows old unseen."""

import fcntl
import io
import json
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page

WORDS = "words.json"
_COLOURS = 256
# Drawn at random, or of this run: references of tickets and transfers, and the ports of our servers.
_VOLATILE = (re.compile(r"UJ-\w{4}-\w{4}"), re.compile(r"\b\d{5} \d{5}\b"), re.compile(r"127\.0\.0\.1:\d+"))


def keep(page: Page, file: Path, *, is_whole: bool = True) -> None:
    """The page as a picture of few colours: letters stay sharp, and it is a third as large."""
    page.mouse.move(0, 0)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=is_whole, animations="disabled"))).convert("RGB")
    shot.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def words_of(body: Locator) -> list[str]:
    """What can be read there, line by line, without what is another at each run."""
    text = body.inner_text()
    for volatile in _VOLATILE:
        text = volatile.sub("…", text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def known_words(folder: Path) -> dict[str, list[str]]:
    file = folder / WORDS
    return dict(json.loads(file.read_text())) if file.exists() else {}


def keep_words(folder: Path, name: str, words: list[str]) -> None:
    """Several tests at once may keep theirs."""
    with (folder / WORDS).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = json.loads(file.read() or "{}") | {name: words}
        file.truncate(0)
        json.dump(dict(sorted(known.items())), file, ensure_ascii=False, indent=1)
        file.write("\n")
