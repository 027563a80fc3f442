"""The stories of the demo, by what they are about."""

from widget.attempts import Stage
from widget.demo.money_stories import DECLINES, MONEY
from widget.demo.store import PaymentStatus
from widget.demo.story import Group, Mode, Story
from widget.stalls import StallKind

__all__ = ["STORIES", "Group", "Mode", "Story"]

_NOT_TAKEN = PaymentStatus.REQUIRES_PAYMENT_METHOD
_TAKEN = PaymentStatus.SUCCEEDED
_AT_BANK = PaymentStatus.PROCESSING
_TO_APPROVE = PaymentStatus.REQUIRES_ACTION

_WELL = {
    "ok": Story(Group.WELL, "Payment goes through", "The order is paid within a second.", reaches=_TAKEN),
    "slow": Story(Group.WELL, "Slow network, then paid", "The answer takes three seconds and comes.", reaches=_TAKEN),
    "sdk_slow": Story(
        Group.WELL,
        "Slow provider script, then paid",
        "The card form needs two seconds to appear.",
        reaches=_TAKEN,
        mode=Mode.SDK,
    ),
    "challenge_ok": Story(
        Group.WELL,
        "The bank asks, you approve",
        "Take your time, then approve in the bank’s frame.",
        reaches=_TO_APPROVE,
    ),
    "redirect_ok": Story(
        Group.WELL,
        "Bank’s page and back",
        "You approve on the bank’s page and return paid.",
        reaches=_TO_APPROVE,
        method="eft",
    ),
    "popup_ok": Story(
        Group.WELL,
        "Bank’s window and back",
        "A window opens at once; approve there.",
        reaches=_TO_APPROVE,
        method="eft",
    ),
    "wallet_ok": Story(
        Group.WELL,
        "Wallet sheet, then paid",
        "Choose any wallet and confirm on its sheet.",
        reaches=_TAKEN,
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
        reaches=_TAKEN,
        method="store_account",
    ),
}
_CONNECTION = {
    "hang": Story(
        Group.CONNECTION,
        "Hangs behind a spinner (not charged)",
        "The payment request never answers.",
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "hang_charged": Story(
        Group.CONNECTION,
        "Hangs, but the money was taken",
        "The provider has the money, the page never hears.",
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        _TAKEN,
        hangs=True,
    ),
    "hang_processing": Story(
        Group.CONNECTION,
        "Hangs, provider still processing",
        "Nobody knows yet whether the bank takes it.",
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        _AT_BANK,
        hangs=True,
    ),
    "offline": Story(
        Group.CONNECTION,
        "The connection is lost",
        "Press Pay, then switch your network off for some seconds.",
        StallKind.OFFLINE,
        Stage.SUBMITTED,
        hangs=True,
    ),
}
_PAGE = {
    "frozen": Story(
        Group.PAGE,
        "The page freezes (not charged)",
        "A script blocks the page for 15 seconds after Pay.",
        StallKind.FROZEN,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "frozen_charged": Story(
        Group.PAGE,
        "The page freezes, but it is paid",
        "As before; after the thaw you see the receipt.",
        StallKind.FROZEN,
        Stage.SUBMITTED,
        _TAKEN,
    ),
    "unsettled": Story(
        Group.PAGE,
        "Answers come, the page waits on",
        "The status is asked, answered and never understood.",
        StallKind.UNSETTLED,
        Stage.SUBMITTED,
    ),
    "dead_button": Story(
        Group.PAGE, "Pay does nothing", "The shop’s script breaks on the click.", StallKind.DEAD_BUTTON, Stage.STARTED
    ),
    "rage": Story(
        Group.PAGE,
        "Pay shows no sign of life",
        "Nothing says that it waits. Press Pay five times, quickly.",
        StallKind.RAGE,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "double": Story(
        Group.PAGE,
        "Paid twice at once",
        "The shop’s own guard is off. Press Pay twice, quickly.",
        StallKind.DOUBLE,
        Stage.SUBMITTED,
        _AT_BANK,
        hangs=True,
    ),
    "error": Story(
        Group.PAGE,
        "Page reports an error",
        "The provider answers with a fault, which the shop shows.",
        StallKind.ERROR,
        Stage.SUBMITTED,
    ),
    "error_shown": Story(
        Group.PAGE,
        "Page only shows an error",
        "The shop’s script tells nobody; its message is seen.",
        StallKind.ERROR,
        Stage.SUBMITTED,
    ),
}
_PROVIDER = {
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
        _TO_APPROVE,
        method="eft",
    ),
    "no_return": Story(
        Group.PROVIDER,
        "Left for the bank, no way back",
        "The bank’s page turns for ever. Wait there.",
        StallKind.NO_RETURN,
        Stage.AUTHENTICATING,
        _TO_APPROVE,
        method="eft",
    ),
}
_BANK = {
    "decline": Story(
        Group.BANK, "Card is declined", "The bank says no.", StallKind.DECLINED, Stage.SUBMITTED, _NOT_TAKEN
    ),
    "decline_again": Story(
        Group.BANK,
        "Card is declined again and again",
        "The bank says no each time. Press Pay twice.",
        StallKind.DECLINED_AGAIN,
        Stage.SUBMITTED,
        _NOT_TAKEN,
    ),
    "challenge": Story(
        Group.BANK,
        "3-D Secure never ends",
        "The bank’s frame waits for a phone that never rings.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        _TO_APPROVE,
    ),
    "challenge_denied": Story(
        Group.BANK,
        "3-D Secure refuses the frame",
        "The bank’s page does not let itself be framed.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        _TO_APPROVE,
    ),
    "challenge_blocked": Story(
        Group.BANK,
        "3-D Secure is forbidden",
        "The shop’s content policy forbids the bank’s frame.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        _TO_APPROVE,
        mode=Mode.NO_FRAMES,
    ),
}
_WALLET = {
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
_SPLIT = {
    "split": Story(
        Group.SPLIT,
        "Store account paid, card declined",
        "A part is paid; the bank declines the rest.",
        StallKind.SPLIT,
        Stage.SUBMITTED,
        _NOT_TAKEN,
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
_BROWSER = {
    "storage": Story(
        Group.BROWSER,
        "Storage is blocked",
        "Block cookies and site data for this page, reload, press Pay.",
        StallKind.STORAGE,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "in_app": Story(
        Group.BROWSER,
        "Inside another app",
        "Open this address from a chat or social app, then press Pay.",
        StallKind.IN_APP,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "clock": Story(
        Group.BROWSER,
        "Clock is wrong",
        "Set your device’s clock ten minutes ahead, reload, press Pay.",
        StallKind.CLOCK,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "closed": Story(
        Group.BROWSER,
        "Tab is closed",
        "Press Pay, then close the tab and look at the desk a minute later.",
        StallKind.CLOSED,
        Stage.SUBMITTED,
        hangs=True,
    ),
    "killed": Story(
        Group.BROWSER,
        "Browser is killed",
        "Press Pay, then end the browser in the task manager.",
        StallKind.SILENT,
        Stage.SUBMITTED,
        hangs=True,
    ),
}
_PLAIN = {
    "plain_ok": Story(
        Group.PLAIN, "Plain form goes through", "A form, a redirect, a receipt.", reaches=_TAKEN, mode=Mode.PLAIN
    ),
    "plain_hang": Story(
        Group.PLAIN,
        "Plain form hangs",
        "The shop’s server never answers the form.",
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        hangs=True,
        mode=Mode.PLAIN,
    ),
    "plain_error": Story(
        Group.PLAIN,
        "Plain form comes back with an error",
        "The page shows an error in the place it marks.",
        StallKind.ERROR,
        Stage.SUBMITTED,
        mode=Mode.PLAIN,
    ),
}

STORIES: dict[str, Story] = {
    **_WELL,
    **_CONNECTION,
    **_PAGE,
    **_PROVIDER,
    **_BANK,
    **DECLINES,
    **_WALLET,
    **_SPLIT,
    **MONEY,
    **_BROWSER,
    **_PLAIN,
}
