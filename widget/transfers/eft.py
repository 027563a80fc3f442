"""Plain transfers by bank, branch and number have no code; a South African shop may have SnapScan's."""

from urllib.parse import urlencode

from widget.accounts import EftAccount
from widget.money import Money


def payload(account: EftAccount, due: Money, reference: str) -> str:
    """SnapScan's link with this amount and reference, which is also the text in the code.

    Raises ValueError where the account has no such code.
    """
    if account.snapscan is None or due.currency != "ZAR" or due.minor < 1:
        raise ValueError("this account has no code to scan")
    # Strict: the amount cannot be changed, and the same id is paid once.
    said = urlencode({"id": reference, "amount": due.minor, "strict": "true"})
    return f"https://pos.snapscan.io/qr/{account.snapscan}?{said}"
