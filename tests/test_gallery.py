"""The gallery: each state comes about in the real application, is accessible, and is what the kept pictures show."""

import os
import re
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page

from tests.browsers import Console, OpenPage, Program
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.gallery import PICTURES, WORDS, Picture, keep, keep_words, known_words, show, words_of, world
from tests.gallery.checkout import WALK, frame_of
from tests.stage import Stage
from widget.database import Database
from widget.language import LANGUAGES, direction

PHONE = {"width": 375, "height": 740}
DESKTOP = {"width": 1200, "height": 800}
# Each look by the end of its picture's name, with the width of the window and the scheme.
LOOKS = {
    "": (PHONE, "light"),
    "-dark": (PHONE, "dark"),
    "-desktop": (DESKTOP, "light"),
    "-desktop-dark": (DESKTOP, "dark"),
}
DOCS = Path(__file__).parent.parent / "static" / "docs"
SCREENS = DOCS / "screens"
FILES = {*(name for picture in PICTURES for name in picture.files), *(f"{sight.name}.png" for sight in WALK)}
_AXE = "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => ({ violations }))"
_LARGEST_BYTES = 100_000
_ALL_BYTES = 3_000_000


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What a page looks like does not depend on the database."""
    return sqlite_url


@pytest.fixture
def folder() -> Path | None:
    """Where the pictures are kept; nowhere unless UNJAM_GALLERY names it."""
    kept = os.environ.get("UNJAM_GALLERY")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
    return Path(kept) if kept else None


@pytest.fixture(scope="module")
def _shared(chromium: Program) -> Iterator[tuple[Page, Console]]:
    context, console = chromium.running().new_context(reduced_motion="reduce"), Console()
    context.set_default_timeout(10_000)
    console.watch(context)
    yield context.new_page(), console
    chromium.close(context)


@pytest.fixture
def page(_shared: tuple[Page, Console]) -> Iterator[Page]:
    """One page for all pictures, as nobody has seen it before: that is much quicker than a new one for each."""
    page, console = _shared
    yield page
    page.unroute_all()
    page.goto("about:blank")
    page.context.clear_cookies()
    found, console.errors, console.uncaught = console.unexpected(), [], []
    assert found == []


def looks(picture: Picture) -> Iterator[tuple[str, dict[str, int], str, str]]:
    """The ends of the names of all that is looked at, each with the window, the scheme and the language."""
    for look, (viewport, scheme) in LOOKS.items():
        yield look, viewport, scheme, "en"
    for language in LANGUAGES[1:]:
        if picture.is_of_money or language in picture.also:
            yield f"-{language}", PHONE, "light", language


def check(page: Page) -> None:
    # Read once for each document, and asked for nothing but violations: that halves the time of this module.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = AxeResults(page.evaluate(_AXE))
    assert found.violations_count == 0, found.generate_report()


def compare(folder: Path | None, name: str, words: list[str]) -> None:
    """The kept picture of this name shows these words; or keep them beside it."""
    if folder:
        keep_words(folder, name, words)
    else:
        kept = known_words(SCREENS).get(name, [])
        other = "\n".join(unified_diff(kept, words, "kept", "shown", lineterm=""))
        assert words == kept, f"{name}.png shows other words. Run: make gallery\n{other}"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_state_is_accessible_fits_a_phone_and_is_what_its_picture_shows(
    picture: Picture, sqlite_database: Database, provider: FakeProvider, clock: Clock, page: Page, folder: Path | None
) -> None:
    with world(sqlite_database, provider, clock) as made:
        picture.prepare(made)
        spoken = ""
        for look, viewport, scheme, language in looks(picture):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if spoken != language:
                show(page, made, picture, language)
                spoken = language
                root = page.locator("html")
                assert [str(root.get_attribute("lang"))[:2], root.get_attribute("dir")] == [
                    language,
                    direction(language),
                ]
            name = f"{picture.name}{look}"
            if f"{name}.png" in picture.files:
                if folder:
                    keep(page, folder / f"{name}.png")
                compare(folder, name, words_of(page.locator("body")))
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if look != "-desktop":
                check(page)


def test_the_help_on_the_checkout_is_what_its_pictures_show(
    stage: Stage, open_page: OpenPage, folder: Path | None
) -> None:
    page = open_page(viewport=PHONE, reduced_motion="reduce")
    for sight in WALK:
        sight.act(stage, page)
        page.set_viewport_size(DESKTOP if sight.is_wide else PHONE)  # type: ignore[arg-type]
        frame = frame_of(stage, page, sight)
        if folder:
            # Not of the whole page: growing the window for it, Chromium loses the clicks of frames.
            keep(page, folder / f"{sight.name}.png", is_whole=False)
        compare(folder, sight.name, words_of(frame.locator("body")))


def test_the_page_of_the_documents_shows_every_state_and_every_kept_look() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(screens/([^)]+)\)", (DOCS / "panel.md").read_text())

    assert sorted(shown) == sorted(FILES)


@pytest.mark.skipif("UNJAM_GALLERY" in os.environ, reason="The pictures are being made.")
def test_the_kept_pictures_are_those_of_the_gallery_and_small() -> None:
    sizes = {file.name: file.stat().st_size for file in SCREENS.iterdir()}

    assert set(sizes) == FILES | {WORDS}
    assert {f"{name}.png" for name in known_words(SCREENS)} == FILES
    assert max(sizes.values()) < _LARGEST_BYTES
    assert sum(sizes.values()) < _ALL_BYTES
