"""Stories in which nothing gets stuck, so that Unjam has to keep silent."""

from widget.demo.store import PaymentStatus
from widget.demo.stories.story import Group, Mode, Story

WELL = {
    "ok": Story(
        Group.WELL, "Payment goes through", "The order is paid within a second.", reaches=PaymentStatus.SUCCEEDED
    ),
    "slow": Story(
        Group.WELL,
        "Slow network, then paid",
        "The answer takes three seconds and comes.",
        reaches=PaymentStatus.SUCCEEDED,
    ),
    "sdk_slow": Story(
        Group.WELL,
        "Slow provider script, then paid",
        "The card form needs two seconds to appear.",
        reaches=PaymentStatus.SUCCEEDED,
        mode=Mode.SDK,
    ),
    "challenge_ok": Story(
        Group.WELL,
        "The bank asks, you approve",
        "Take your time, then approve in the bank’s frame.",
        reaches=PaymentStatus.REQUIRES_ACTION,
    ),
    "redirect_ok": Story(
        Group.WELL,
        "Bank’s page and back",
        "You approve on the bank’s page and return paid.",
        reaches=PaymentStatus.REQUIRES_ACTION,
        method="eft",
    ),
    "popup_ok": Story(
        Group.WELL,
        "Bank’s window and back",
        "A window opens at once; approve there.",
        reaches=PaymentStatus.REQUIRES_ACTION,
        method="eft",
    ),
    "wallet_ok": Story(
        Group.WELL,
        "Wallet sheet, then paid",
        "Choose any wallet and confirm on its sheet.",
        reaches=PaymentStatus.SUCCEEDED,
        method="apple_pay",
    ),
    "wallet_cancelled": Story(
        Group.WELL,
        "You close the wallet",
        "Press Cancel on the sheet: a change of mind is no fault.",
        method="google_pay",
    ),
    "split_ok": Story(
        Group.WELL,
        "Store account and card, both paid",
        "A part from the account, the rest from the card.",
        reaches=PaymentStatus.SUCCEEDED,
        method="store_account",
    ),
}
