"""Languages: which ones Unjam speaks, and sentences that are put into words only when the reader is known.

The catalogues are `translations/<language>/LC_MESSAGES/messages.po`. They are read as they are, so there is nothing to
compile that could be out of step with them; `python -m widget.translations` keeps them in step with the texts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from jinja2 import Environment

LANGUAGES = ("en", "de", "fr", "es", "pt", "nl", "af", "ar")
# How each language calls itself, for people who look for theirs.
NAMES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "nl": "Nederlands",
    "af": "Afrikaans",
    "ar": "العربية",
}
DEFAULT_LOCALE = "en"
CATALOGUES = Path(__file__).parent / "translations"
# They keep a value, such as an order number, together where the sentence around it runs from right to left.
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


def N_(text: str) -> str:  # noqa: N802 (the name that message extraction knows)
    """Mark a text for translation where it is written, without translating it there."""
    return text


@runtime_checkable
class Shown(Protocol):
    """A value that knows how a reader writes it, such as Money."""

    def shown(self, locale: str | None) -> str: ...


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in English with its values, as a rule makes it; `say` puts it into the reader's language.

    The text is a message id with `{name}` places; write it inside of N_() so that it is found. A value may be Money or
    another Said, which are put into words with the sentence. For a sentence with a number in it, use `counted`.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    # The text for several of what the text speaks of, and how many it is about.
    several: str | None = None
    count: int = 1

    def __str__(self) -> str:
        return say(self, DEFAULT_LOCALE)


def counted(one: str, several: str, count: int, **values: Any) -> Said:
    """A sentence about a number of things, with `{count}` among its places: counted("{count} day", "{count} days", 2).

    Write both texts as plain literals, so that they are found; other languages have more forms than two.
    """
    return Said(one, {"count": count, **values}, several, count)


def say(said: Said | str, locale: str | None) -> str:
    """The sentence in this language; English where there is no translation."""
    words = catalogue(locale)
    if isinstance(said, str):
        return words.gettext(said) if said else said
    text = words.ngettext(said.text, said.several, said.count) if said.several else words.gettext(said.text)
    return text.format_map({name: _worded(value, locale) for name, value in said.values.items()})


def _worded(value: Any, locale: str | None) -> Any:
    if isinstance(value, Said):
        return say(value, locale)
    written = value.shown(locale) if isinstance(value, Shown) else value
    return isolated(written, locale) if isinstance(written, str) else written


def isolated(value: str, locale: str | None) -> str:
    """A value that keeps its own direction inside of a sentence that runs from right to left."""
    return f"{_ISOLATE}{value}{_END_OF_ISOLATE}" if direction(locale) == "rtl" else value


def known_locale(tag: str | None) -> str:
    """The locale in Babel's spelling, or the default when Babel does not know it."""
    return _known(tag) or DEFAULT_LOCALE


def locale_for(*wishes: str | None, home: str) -> str:
    """The first of the reader's wishes that is in a language of ours; else the shop's (`home`) if it is; else English.

    The shop's locale where both write the same language, so that amounts look as at the checkout.
    """
    at_home = _spoken(home)
    theirs = next((locale for wish in wishes if (locale := _spoken(wish))), None)
    if theirs is None:
        return at_home or DEFAULT_LOCALE
    return at_home if at_home and language_of(at_home) == language_of(theirs) else theirs


def language_of(locale: str | None) -> str:
    """The language of ours in which texts for this locale are written."""
    language = known_locale(locale).split("_")[0]
    return language if language in LANGUAGES else DEFAULT_LOCALE


def tag_of(locale: str | None) -> str:
    """The locale as HTML and mail headers write it, e.g. "de-AT"."""
    return known_locale(locale).replace("_", "-")


def direction(locale: str | None) -> str:
    """ "ltr" or "rtl", of the texts for this locale."""
    return Locale(language_of(locale)).text_direction


def catalogue(locale: str | None) -> NullTranslations:
    """The translations into the language of this locale; those into English say what they are given."""
    return _catalogue(language_of(locale))


def teach(environment: Environment, locale: str | None) -> None:
    """Let the templates of this environment speak one language: `_`, `ngettext`, `{% trans %}` and the filter `say`."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(catalogue(locale), newstyle=True)  # type: ignore[attr-defined]
    environment.filters["say"] = lambda said: say(said, locale)


# Browsers name locales, so anybody may name any number of them.
@lru_cache(maxsize=1000)
def _known(tag: str | None) -> str | None:
    if not tag:
        return None
    for candidate in (tag, tag.replace("_", "-").split("-")[0]):
        try:
            return str(Locale.parse(candidate.replace("_", "-"), sep="-"))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return None


def _spoken(tag: str | None) -> str | None:
    known = _known(tag)
    return known if known and known.split("_")[0] in LANGUAGES else None


@cache
def _catalogue(language: str) -> NullTranslations:
    path = CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def accepted(header: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    """The languages of an Accept-Language header, best first, without those that are refused or "*"."""
    return tuple(tag for tag, quality in header if quality > 0 and tag != "*")
