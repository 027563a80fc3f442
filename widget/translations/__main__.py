"""python -m widget.translations: bring the catalogues in step with the texts, and say what is left to translate.

    python -m widget.translations            update every catalogue, then list what is wrong or missing
    python -m widget.translations check de   change nothing, and list for one language

It runs in a checkout, where the templates are beside the package.
"""

import sys
from io import BytesIO
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from widget.language import CATALOGUES, LANGUAGES
from widget.paths import TEMPLATES
from widget.translations.problems import problems_of

ROOT = Path(__file__).parents[2]
# English is written in the texts themselves.
TRANSLATED = tuple(language for language in LANGUAGES if language != "en")
LINE_COLUMNS = 100

_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "counted": (1, 2)}
_PYTHON = [("**.py", "python")]
_TEMPLATES = [("public/**.html", "jinja2"), ("mail/**", "jinja2")]
_OF_TEMPLATES = {
    "public/**.html": {"trimmed": "true", "silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"},
    "mail/**": {"trimmed": "true", "silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"},
}


def path_of(language: str) -> Path:
    return CATALOGUES / language / "LC_MESSAGES" / "messages.po"


def extracted() -> Catalog:
    """Every text that is marked for translation, with the files it stands in."""
    found = Catalog(project="Unjam", charset="utf-8", fuzzy=False)
    for folder, method_map, options in (
        (ROOT / "widget", _PYTHON, {}),
        (TEMPLATES, _TEMPLATES, _OF_TEMPLATES),
    ):
        for name, line, text, comments, context in extract_from_dir(
            folder, method_map, options, _KEYWORDS, comment_tags=("For translators:",), strip_comment_tags=True
        ):
            place = (folder / name).relative_to(ROOT).as_posix()
            found.add(text, None, [(place, line)], auto_comments=comments, context=context)
    return found


def catalogue_of(language: str) -> Catalog:
    """As it is stored; an empty one for a language that has none yet."""
    path = path_of(language)
    if not path.exists():
        return Catalog(locale=language, project="Unjam", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(language: str, texts: Catalog) -> None:
    """Take new texts in, and old ones out; a text that is nearly the same keeps its words, marked fuzzy."""
    kept = catalogue_of(language)
    kept.update(texts)
    kept.obsolete.clear()
    entries = BytesIO()
    write_po(entries, kept, width=LINE_COLUMNS, include_lineno=False, sort_by_file=True, omit_header=True)
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    path_of(language).write_bytes(_header(kept, language).encode() + entries.getvalue())


def _header(catalogue: Catalog, language: str) -> str:
    """What editors of catalogues need to know. No dates and no names: the history has them."""
    lines = (
        f"Language: {language}",
        f"Plural-Forms: {catalogue.plural_forms}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    return "\n".join(['msgid ""', 'msgstr ""', *(f'"{line}\\n"' for line in lines), "", ""])


def main(words: list[str]) -> int:
    is_check, languages = words[:1] == ["check"], [word for word in words if word != "check"] or list(TRANSLATED)
    texts = extracted()
    count = 0
    for language in languages:
        if not is_check:
            update(language, texts)
        for problem in problems_of(catalogue_of(language), texts):
            count += 1
            click.echo(f"{language}: {problem}")
    click.echo(f"{len(texts)} texts, {count} problems in {', '.join(languages)}")
    return 1 if is_check and count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
