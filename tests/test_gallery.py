"""The gallery: each state of the payment help comes about in the real application, and is kept as pictures."""

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browsers import OpenPage
from tests.fake_provider import FakeProvider
from tests.gallery import PICTURES, Picture, keep, take, world
from widget.database import Database

PHONE = {"width": 375, "height": 740}
DESKTOP = {"width": 1200, "height": 800}
# Each look by the end of its picture's name, with the width of the window and the scheme.
LOOKS = {
    "": (PHONE, "light"),
    "-dark": (PHONE, "dark"),
    "-desktop": (DESKTOP, "light"),
    "-desktop-dark": (DESKTOP, "dark"),
}
SPOKEN = [(each, look) for each in PICTURES for look in each.also if f"-{look}" not in LOOKS]
DOCS = Path(__file__).parent.parent / "static" / "docs"
_LARGEST_BYTES = 40_000
_ALL_BYTES = 1_500_000


@pytest.fixture
def folder() -> Path | None:
    """Where the pictures are kept; nowhere unless UNJAM_GALLERY names it."""
    kept = os.environ.get("UNJAM_GALLERY")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
    return Path(kept) if kept else None


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_state_can_be_seen_fits_a_phone_and_is_accessible(
    picture: Picture, sqlite_database: Database, provider: FakeProvider, open_page: OpenPage, folder: Path | None
) -> None:
    with world(sqlite_database, provider) as made:
        page = open_page(viewport=PHONE, reduced_motion="reduce")
        take(page, made, picture)
        for look, (viewport, scheme) in LOOKS.items():
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if folder and f"{picture.name}{look}.png" in picture.files:
                keep(page, folder / f"{picture.name}{look}.png")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if look != "-desktop":
                found = Axe().run(page)
                assert found.violations_count == 0, found.generate_report()


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("picture", "language"), SPOKEN, ids=lambda each: getattr(each, "name", each))
def test_some_states_are_kept_in_other_languages(
    picture: Picture,
    language: str,
    sqlite_database: Database,
    provider: FakeProvider,
    open_page: OpenPage,
    folder: Path | None,
) -> None:
    with world(sqlite_database, provider) as made:
        page = open_page(viewport=PHONE, reduced_motion="reduce")
        take(page, made, picture, language)
        if folder:
            keep(page, folder / f"{picture.name}-{language}.png")

        assert page.evaluate("document.documentElement.lang").split("-")[0] == language
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_of_the_documents_shows_every_state_and_every_kept_look() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(screens/([^)]+)\)", (DOCS / "panel.md").read_text())

    assert sorted(shown) == sorted(name for picture in PICTURES for name in picture.files)


def test_the_kept_pictures_are_those_of_the_gallery_and_small() -> None:
    sizes = {file.name: file.stat().st_size for file in (DOCS / "screens").iterdir()}

    assert set(sizes) == {name for picture in PICTURES for name in picture.files}
    assert max(sizes.values()) < _LARGEST_BYTES
    assert sum(sizes.values()) < _ALL_BYTES
