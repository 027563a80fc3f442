"""Stories about the shop's page, and the browser and connection that it is open in."""

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.demo.stories.story import Group, Mode, Story
from widget.stalls import StallKind

CONNECTION = {
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
        PaymentStatus.SUCCEEDED,
        hangs=True,
    ),
    "hang_processing": Story(
        Group.CONNECTION,
        "Hangs, provider still processing",
        "Nobody knows yet whether the bank takes it.",
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        PaymentStatus.PROCESSING,
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
PAGE = {
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
        PaymentStatus.SUCCEEDED,
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
        PaymentStatus.PROCESSING,
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
BROWSER = {
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
PLAIN = {
    "plain_ok": Story(
        Group.PLAIN,
        "Plain form goes through",
        "A form, a redirect, a receipt.",
        reaches=PaymentStatus.SUCCEEDED,
        mode=Mode.PLAIN,
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
