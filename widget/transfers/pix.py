"""The code of a PIX payment: EMV merchant-presented, tag-length-value, ended by a CRC-16 in tag 63 (BR Code manual)."""

import binascii
import unicodedata

from widget.accounts import PixAccount
from widget.money import Money

MAX_NAME_CHARS, MAX_CITY_CHARS = 25, 15
# Tag 54 holds thirteen characters.
HIGHEST_CENTS = 9_999_999_999_99


def payload(account: PixAccount, due: Money, reference: str) -> str:
    """The text in the code, which people can also paste into their banking app. Raises ValueError for its amount."""
    if due.currency != "BRL" or not 1 <= due.minor <= HIGHEST_CENTS:
        raise ValueError("a PIX code holds 0.01 to 9999999999.99 reais")
    fields = (
        _field(0, "01"),
        _field(26, _field(0, "br.gov.bcb.pix") + _field(1, account.key)),
        _field(52, "0000"),
        _field(53, "986"),
        _field(54, f"{due.major:.2f}"),
        _field(58, "BR"),
        _field(59, _plain(account.holder)[:MAX_NAME_CHARS].strip()),
        _field(60, _plain(account.city)[:MAX_CITY_CHARS].strip()),
        _field(62, _field(5, reference)),
        "6304",
    )
    text = "".join(fields)
    return text + crc(text)


def crc(text: str) -> str:
    """CRC-16/CCITT-FALSE in four capital hex digits."""
    return f"{binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def _field(tag: int, value: str) -> str:
    if not 1 <= len(value) <= 99:
        raise ValueError(f"the value of tag {tag} must have 1 to 99 characters")
    return f"{tag:02d}{len(value):02d}{value}"


def _plain(name: str) -> str:
    """Without accents, as lengths are counted in ASCII characters."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip() or "PIX"
