"""Paper: puts a letter's words into its templates, as text and as the HTML that mail clients can show."""

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from typing import Any

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.utils import urlize
from markupsafe import Markup

from widget import language
from widget.look import ink_on, readable_on
from widget.paths import STATIC, TEMPLATES

TEXT_COLUMNS = 72
# The surfaces that mail.css paints, for the shop's colour to contrast with.
_LIGHT_SURFACE, _DARK_SURFACE = "#ffffff", "#181c22"
# Rules for dark mode and phones cannot be inlined, so they stay in the head.
_INLINER = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Sheet:
    subject: str
    text: str
    html: str


def written(folder: str, locale: str, colour: str, context: dict[str, Any]) -> Sheet:
    """The three templates of this folder with the context, in the language of the locale and the shop's colour."""
    templates = _templates(language.language_of(locale))
    whole = context | {"lang": language.tag_of(locale), "dir": language.direction(locale), "colours": _colours(colour)}
    subject, text, html = (
        templates.get_template(f"{folder}/{name}").render(whole) for name in ("subject.txt", "body.txt", "body.html")
    )
    return Sheet(subject.strip(), _wrapped(text), _INLINER.inline(html))


def paragraphs(words: str) -> Markup:
    """What a person typed, as HTML: escaped, with its paragraphs, line breaks and links."""
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", words.strip())]
    lines = [
        [Markup(urlize(line, rel="noopener")) for line in block.splitlines()]  # noqa: S704 -- urlize escapes
        for block in blocks
    ]
    return Markup("").join(Markup("<p>{}</p>").format(Markup("<br>").join(each)) for each in lines)


def _colours(colour: str) -> dict[str, str]:
    light, dark = readable_on(colour, _LIGHT_SURFACE), readable_on(colour, _DARK_SURFACE)
    return {"light": light, "on_light": ink_on(light), "dark": dark, "on_dark": ink_on(dark)}


def _wrapped(text: str) -> str:
    """Plain text in 72 columns. Links stay whole, and at most one empty line separates paragraphs."""
    lines = [piece for line in text.strip().splitlines() for piece in _wrap_line(line.rstrip())]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _wrap_line(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        TEXT_COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _indented(words: str) -> str:
    return textwrap.indent(words.strip(), "  ")


@cache
def _templates(tongue: str) -> Environment:
    """The templates as they speak one language of ours."""
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES / "mail", STATIC]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    is_rtl = language.direction(tongue) == "rtl"
    environment.filters |= {"paragraphs": paragraphs, "indented": _indented}
    # A name or a number stays together in a sentence that runs the other way; `say` does the same with its values.
    environment.filters["apart"] = lambda value: f"\u2068{value}\u2069" if is_rtl else value
    language.teach(environment, tongue)
    return environment
