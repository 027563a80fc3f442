"""Stories about what the page needs of others: the provider's script and window, wallets, a second leg."""

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.demo.stories.story import Group, Mode, Story
from widget.stalls import StallKind

PROVIDER = {
    "sdk_missing": Story(
        Group.PROVIDER,
        "Provider’s script is not found",
        "It answers 404, so the card form never appears.",
        StallKind.SDK,
        Stage.SDK,
        mode=Mode.SDK,
    ),
    "sdk_blocked": Story(
        Group.PROVIDER,
        "Provider’s script is forbidden",
        "The page’s content policy blocks it.",
        StallKind.SDK,
        Stage.SDK,
        mode=Mode.SDK,
    ),
    "sdk_hangs": Story(
        Group.PROVIDER,
        "Provider’s script never arrives",
        "The request for it hangs.",
        StallKind.SDK,
        Stage.SDK,
        mode=Mode.SDK,
    ),
    "sdk_empty": Story(
        Group.PROVIDER,
        "Provider’s script is a stand-in",
        "A blocker answers with an empty script.",
        StallKind.SDK,
        Stage.SDK,
        mode=Mode.SDK,
    ),
    "popup": Story(
        Group.PROVIDER,
        "Provider’s window is blocked",
        "It is opened six seconds after the click, too late.",
        StallKind.POPUP,
        Stage.AUTHENTICATING,
        PaymentStatus.REQUIRES_ACTION,
        method="eft",
    ),
    "no_return": Story(
        Group.PROVIDER,
        "Left for the bank, no way back",
        "The bank’s page turns for ever. Wait there.",
        StallKind.NO_RETURN,
        Stage.AUTHENTICATING,
        PaymentStatus.REQUIRES_ACTION,
        method="eft",
    ),
}
WALLET = {
    "wallet_fails": Story(
        Group.WALLET,
        "Wallet fails",
        "Confirm on the sheet: the wallet reports a fault.",
        StallKind.WALLET,
        Stage.AUTHENTICATING,
        method="apple_pay",
    ),
    "wallet_unavailable": Story(
        Group.WALLET,
        "Wallet is not set up",
        "The device has no card in this wallet.",
        StallKind.WALLET,
        Stage.AUTHENTICATING,
        method="google_pay",
    ),
    "wallet_hangs": Story(
        Group.WALLET,
        "Wallet sheet never ends",
        "The sheet shows and nothing more happens.",
        StallKind.WALLET,
        Stage.AUTHENTICATING,
        method="samsung_pay",
    ),
}
SPLIT = {
    "split": Story(
        Group.SPLIT,
        "Store account paid, card declined",
        "A part is paid; the bank declines the rest.",
        StallKind.SPLIT,
        Stage.SUBMITTED,
        PaymentStatus.REQUIRES_PAYMENT_METHOD,
        method="store_account",
    ),
    "split_hangs": Story(
        Group.SPLIT,
        "Store account paid, card hangs",
        "A part is paid; the card never answers.",
        StallKind.SPLIT,
        Stage.SUBMITTED,
        hangs=True,
        method="store_account",
    ),
}
