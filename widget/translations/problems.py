"""What is wrong with a catalogue: what is missing, out of step, or would fail when it is put into words."""

import re
from collections.abc import Iterator
from string import Formatter

from babel.messages.catalog import Catalog, Message

_PERCENT = re.compile(r"%\((\w+)\)[sd]|%%|(%)")
_LONE_PERCENT = re.compile(r"(?<!%)(?:%%)*%(?![%(])")
_TAG = re.compile(r"</?[a-z][^<>]*>")


def problems_of(catalogue: Catalog, texts: Catalog) -> Iterator[str]:
    """One line for each problem of this catalogue, measured by the texts that are in use."""
    for message in texts:
        if message.id:
            kept = catalogue.get(message.id, message.context)
            yield from _problems(message, kept)
    for message in catalogue:
        if message.id and message.id not in texts:
            yield f"obsolete: {_first(message)!r}"
    for old in catalogue.obsolete:
        yield f"obsolete: {old!r}"


def _problems(text: Message, kept: Message | None) -> Iterator[str]:
    if kept is None or not all(_forms(kept)):
        yield f"untranslated: {_first(text)!r}"
        return
    if kept.fuzzy:
        yield f"fuzzy: {_first(text)!r}"
    wanted = _places(text)
    for words in _forms(kept):
        found = places_of(words)
        # "One day" needs no number: a form of a plural may leave the count out.
        if found - wanted or wanted - found - _may_miss(text):
            yield f"places {sorted(found)} instead of {sorted(wanted)}: {words!r}"
        if sorted(_TAG.findall(words)) != sorted(_TAG.findall(_first(text))):
            yield f"other tags than {_first(text)!r}: {words!r}"
        if _is_filled_in_by_percent(text) and _LONE_PERCENT.search(words):
            yield f"write %% for a percent sign: {words!r}"
        if words.strip() != words and _first(text).strip() == _first(text):
            yield f"space at an end: {words!r}"


def _may_miss(text: Message) -> set[str]:
    """What a form of a plural may leave out: the count, and whatever one of the two English forms does without."""
    if not text.pluralizable:
        return set()
    one, several = (places_of(each) for each in text.id)
    return {"count", "num"} | (one ^ several)


def _is_filled_in_by_percent(text: Message) -> bool:
    """Templates fill in every text, also one without places."""
    return any(place.startswith("templates/") for place, _ in text.locations)


def places_of(words: str) -> set[str]:
    """The names in `{name}` and `%(name)s`; "broken" among them for a place that could not be filled in."""
    percent = {match[1] or "broken" for match in _PERCENT.finditer(words) if match[0] != "%%"}
    try:
        braces = {name for _, name, _, _ in Formatter().parse(words) if name is not None}
    except ValueError:
        braces = {"broken"}
    # A lone "100 %" is broken only where the text is filled in by %, which it is if a place of that kind is there.
    return braces | (percent if percent != {"broken"} else set())


def _places(text: Message) -> set[str]:
    ids = text.id if isinstance(text.id, tuple | list) else (text.id,)
    return set().union(*(places_of(each) for each in ids))


def _forms(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, tuple | list) else (message.string or "",)


def _first(message: Message) -> str:
    return message.id[0] if isinstance(message.id, tuple | list) else str(message.id)
