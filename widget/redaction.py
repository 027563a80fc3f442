"""Card numbers are never stored: every text typed or captured passes through here first.

The same rule runs in the browser (static/embed/redact.js); the cases in tests/data/card_numbers.json bind both.
"""

import re
from typing import Any

MASK = "[card number removed]"
MIN_DIGITS, MAX_DIGITS = 13, 19

# Digits with at most two separators between neighbours: how people and error messages write card numbers.
_RUN = re.compile(r"\d(?:[ \t\u00a0\u2009\u202f._/\-\u2010-\u2015]{0,2}\d){12,}")


def has_card_number(text: str) -> bool:
    return mask_card_numbers(text) != text


def mask_card_numbers(text: str) -> str:
    """The text with every run of 13 to 19 digits that passes Luhn replaced by a mark."""
    return _RUN.sub(lambda match: _mask_run(match[0]), text)


def mask_all(value: Any) -> Any:
    """`mask_card_numbers` for every text inside JSON-like data, keys included.

    A whole number that looks like a card number is masked too. NUL characters go, as PostgreSQL cannot hold them.
    """
    if isinstance(value, str):
        return mask_card_numbers(value.replace("\x00", ""))
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and has_card_number(str(value)):
        return MASK
    if isinstance(value, dict):
        return {mask_card_numbers(str(key)): mask_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_all(item) for item in value]
    return value


def _mask_run(run: str) -> str:
    """Mask each card number inside a run, which may be longer than one (a card number glued to its expiry)."""
    places = [index for index, char in enumerate(run) if char.isdecimal()]
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
