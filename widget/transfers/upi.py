"""The code and the link of a UPI payment (NPCI linking specification): upi://pay?…"""

from urllib.parse import quote

from widget.accounts import UpiAccount
from widget.money import Money

# Most banks take no more than one lakh at a time.
HIGHEST_PAISE = 100_000_00


def payload(account: UpiAccount, due: Money, reference: str) -> str:
    """The link, which is also the text in the code. Raises ValueError for an amount that banks refuse."""
    if due.currency != "INR" or not 1 <= due.minor <= HIGHEST_PAISE:
        raise ValueError("a UPI code holds 0.01 to 100000.00 rupees")
    said = {
        "pa": account.address,
        "pn": account.holder,
        "mc": account.merchant_code or "",
        "tr": reference,
        "tn": reference,
        "am": f"{due.major:.2f}",
        "cu": "INR",
    }
    # Apps read %20 but not every one reads "+" for a space, and "@" stands as it is.
    return "upi://pay?" + "&".join(f"{name}={quote(value, safe='@.')}" for name, value in said.items() if value)
