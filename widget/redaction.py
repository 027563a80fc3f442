"""Card numbers are never stored: every text typed or captured passes through here first.

The same rule runs in the browser (static/embed/redact.js); the cases in tests/data/card_numbers.json bind both.
"""

import math
import re
from typing import Any

MASK = "[card number removed]"
MIN_DIGITS, MAX_DIGITS = 13, 19
# A longer run is no text of a person; searching it number by number would only cost time.
MAX_RUN_DIGITS = 100
_FEWER_DIGITS = 10 ** (MIN_DIGITS - 1)

# Digits with at most three separators between neighbours: how people, tables and error messages write card numbers.
_RUN = re.compile(r"\d(?:[ \t\r\n\u00a0\u00ad\u2000-\u200d\u202f\u2060\ufeff.,:;|_/\-\u2010-\u2015]{0,3}\d){12,}")


def has_card_number(text: str) -> bool:
    return mask_card_numbers(text) != text


def mask_card_numbers(text: str) -> str:
    """The text with every run of 13 to 19 digits that passes Luhn replaced by a mark."""
    return _RUN.sub(lambda match: _mask_run(match[0]), text)


def mask_all(value: Any) -> Any:
    """`mask_card_numbers` for every text inside JSON-like data, keys included.

    A number that looks like a card number is masked too. What PostgreSQL cannot hold goes: NUL characters, infinities.
    """
    if isinstance(value, str):
        return (
            value if len(value) < MIN_DIGITS and "\x00" not in value else mask_card_numbers(value.replace("\x00", ""))
        )
    if isinstance(value, dict):
        return {mask_all(str(key)): mask_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_all(item) for item in value]
    return (
        _mask_number(value) if isinstance(value, int | float) and not -_FEWER_DIGITS < value < _FEWER_DIGITS else value
    )


def _mask_number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return MASK if has_card_number(str(value) if isinstance(value, int) else f"{value:.0f}") else value


def _mask_run(run: str) -> str:
    """Mask each card number inside a run, which may be longer than one (a card number glued to its expiry)."""
    places = [index for index, char in enumerate(run) if char.isdecimal()]
    if len(places) > MAX_RUN_DIGITS:
        return MASK
    digits = [int(run[index]) for index in places]
    pieces: list[str] = []
    copied_to = start = 0
    while start + MIN_DIGITS <= len(digits):
        length = _card_length(digits, start)
        if length == 0:
            start += 1
            continue
        pieces += [run[copied_to : places[start]], MASK]
        copied_to = places[start + length - 1] + 1
        start += length
    return "".join(pieces) + run[copied_to:]


def _card_length(digits: list[int], start: int) -> int:
    for length in range(min(MAX_DIGITS, len(digits) - start), MIN_DIGITS - 1, -1):
        if passes_luhn(digits[start : start + length]):
            return length
    return 0


def passes_luhn(digits: list[int]) -> bool:
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    # A run of zeros passes Luhn and is no card number.
    return any(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
