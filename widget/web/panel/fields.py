"""What people type into the panel's forms, read with care. Each raises Malformed with a sentence for them."""

import re
from datetime import UTC, datetime

from widget import agents
from widget.errors import Malformed
from widget.language import N_
from widget.redaction import has_card_number

MAX_PHONE_CHARS = 40
# E.164 numbers have 15 digits at most; the shortest that anybody can be called back on have about 6.
PHONE_DIGITS = range(6, 16)
_PHONE = re.compile(r"\+?[\d\s().\-/]+")


def email(typed: str) -> str:
    """An e-mail address as it may be written to."""
    try:
        return agents.address_of(typed.strip())
    except Malformed as error:
        raise Malformed(N_("Check the e-mail address. It should look like name@example.com.")) from error


def phone(typed: str) -> str:
    """A phone number as it was written, without what cannot be dialled."""
    number = " ".join(typed.split())
    digits = re.sub(r"\D", "", number)
    if has_card_number(number):
        raise Malformed(N_("This looks like a card number. Type a phone number."))
    if len(number) > MAX_PHONE_CHARS or not _PHONE.fullmatch(number) or len(digits) not in PHONE_DIGITS:
        raise Malformed(N_("Check the phone number. It should look like +27 21 555 0100."))
    return number


def moment(picked: str) -> datetime | None:
    """A moment as our forms name it, in Unix seconds; None for anything else."""
    return datetime.fromtimestamp(int(picked), UTC) if re.fullmatch(r"[0-9]{9,11}", picked) else None
