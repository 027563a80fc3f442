"""Every screen that customers see, made by the real application in each state, as pictures.

`python -m pytest tests/test_gallery.py` walks them. UNJAM_GALLERY names a folder that keeps the pictures, as
`make gallery` does for static/docs/panel.md.
"""

from tests.gallery.help import HELP
from tests.gallery.kept import WORDS, keep, keep_words, known_words, words_of
from tests.gallery.pages import PAGES
from tests.gallery.world import PROFILE, Picture, show, world

PICTURES = (*HELP, *PAGES)

__all__ = ["PICTURES", "PROFILE", "WORDS", "Picture", "keep", "keep_words", "known_words", "show", "words_of", "world"]
