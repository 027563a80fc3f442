"""References of transfers: ten figures, of which the last two check the others.

People type them into banking apps, so there are no letters to mistake, and one wrong figure or two that changed places
never make another valid one (ISO 7064 MOD 97-10). Money is found again by them however a bank writes them: alone, in a
sentence, as a creditor reference (ISO 11649) or as a Swiss QR reference.
"""

import re
import secrets
from collections.abc import Iterator

from stdnum import iso11649
from stdnum.ch import esr
from stdnum.iso7064 import mod_97_10

FREE_FIGURES = 8
FIGURES = FREE_FIGURES + 2
_QR_REFERENCE_FIGURES = 27
# A bank may put spaces or hyphens where it likes.
_RUN = re.compile(r"[0-9](?:[ .-]?[0-9])*")
_CREDITOR_REFERENCE = re.compile(r"RF\d\d(?: ?[0-9A-Z]){1,21}")


def draw() -> str:
    """A reference at random, so that it tells nothing and two neighbours look nothing alike."""
    # It begins with no zero: spreadsheets and some banks would drop it.
    free = str(secrets.randbelow(9 * 10 ** (FREE_FIGURES - 1)) + 10 ** (FREE_FIGURES - 1))
    return free + str(mod_97_10.calc_check_digits(free))


def is_valid(reference: str) -> bool:
    return re.fullmatch(rf"[1-9][0-9]{{{FIGURES - 1}}}", reference) is not None and bool(mod_97_10.is_valid(reference))


def shown_reference(reference: str) -> str:
    """In two groups, to be read and compared: 48217 30516."""
    return f"{reference[:5]} {reference[5:]}"


def as_creditor_reference(reference: str) -> str:
    """As ISO 11649 writes it, without spaces: RF…"""
    return f"RF{mod_97_10.calc_check_digits(reference + 'RF')}{reference}"


def as_qr_reference(reference: str) -> str:
    """As a Swiss QR reference: 27 figures, the last one a check digit."""
    free = reference.rjust(_QR_REFERENCE_FIGURES - 1, "0")
    return free + str(esr.calc_check_digit(free))


def reference_in(text: str) -> list[str]:
    """Every reference of ours that can be read in what a bank or a person wrote, the likeliest first."""
    return list(dict.fromkeys(each for each in _candidates(text.upper()) if is_valid(each)))


def _candidates(text: str) -> Iterator[str]:
    for found in _CREDITOR_REFERENCE.findall(text):
        whole = re.sub(r"\s", "", found)
        for end in range(len(whole), FIGURES + 3, -1):
            if iso11649.is_valid(whole[:end]):
                yield whole[4:end]
    runs = [re.sub(r"\D", "", run) for run in _RUN.findall(text)]
    yield from (run[-FIGURES - 1 : -1] for run in runs if len(run) == _QR_REFERENCE_FIGURES and esr.is_valid(run))
    for run in runs:
        yield from (run[start : start + FIGURES] for start in range(len(run) - FIGURES + 1))
