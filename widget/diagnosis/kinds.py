"""What each kind of stall means by itself, when nothing more exact is known. Every kind has its row."""

from widget.diagnosis.case import Side
from widget.diagnosis.rule import LIKELY, NOTHING, SEEN, SYMPTOM, Rule, Sentence, figure, whole
from widget.language import N_, counted
from widget.stalls import StallKind

_FAILURE = ("It said {code}.", "It said: {message}")
_WAITED: Sentence = (
    counted("The page waited {count} second for an answer.", "The page waited {count} seconds for an answer.", 0),
    whole("seconds"),
)
_SILENT: Sentence = (
    counted(
        "Nothing was heard of the page for {count} second.", "Nothing was heard of the page for {count} seconds.", 0
    ),
    whole("silent_seconds"),
)
_SAID: Sentence = (N_("The error was: {message}"), figure("message"))


def _row(
    kind: StallKind,
    side: Side,
    said: str,
    noted: str,
    confidence: float = SYMPTOM,
    *,
    evidence: tuple[Sentence, ...] = (),
    measured: tuple[str, ...] = (),
) -> Rule:
    return Rule(
        kind.value, lambda case: case.kind is kind, side, said, noted, confidence, evidence=evidence, measured=measured
    )


# What is said about the cause follows the sentence about the charge, so none of these speaks of money that moved.
KINDS: tuple[Rule, ...] = (
    _row(
        StallKind.FROZEN,
        Side.SHOP,
        N_("The payment page stopped responding."),
        "The main thread of the shop’s page was blocked.",
        SEEN,
        evidence=(
            (
                counted(
                    "The page did not respond for {count} second.", "The page did not respond for {count} seconds.", 0
                ),
                whole("frozen_ms", per=1000),
            ),
        ),
        measured=(
            "The page was silent for {silent_ms} ms when this was noticed.",
            "It lasted {frozen_ms} ms.",
            "A script of {busy_script} ran for {busy_ms} ms.",
        ),
    ),
    _row(
        StallKind.NO_ANSWER,
        Side.PROVIDER,
        N_("The payment was started, but no answer came."),
        "Nothing that the page asked for since Pay was answered within the deadline.",
        evidence=(_WAITED,),
        measured=("It waited {seconds} s.", "Failing: {failing}."),
    ),
    _row(
        StallKind.UNSETTLED,
        Side.SHOP,
        N_("The payment was started, but the page did not finish it."),
        "Answers came, but the payment promise of the shop’s page did not settle within its deadline.",
        LIKELY,
        evidence=(_WAITED,),
        measured=("It waited {seconds} s.", "Answers since Pay: {answered}.", "Failing: {failing}."),
    ),
    _row(
        StallKind.SDK,
        Side.PROVIDER,
        N_("The payment form did not load."),
        "The provider’s script is blocked, missing, hanging or without its global.",
        evidence=((N_("A part of the payment form comes from {host}, and it is not there."), figure("host")),),
        measured=("Host: {host}.", "Why: {why}.", "Status: {status}."),
    ),
    _row(
        StallKind.WALLET,
        Side.PROVIDER,
        N_("The wallet did not complete the payment."),
        "The wallet failed or did not answer, and not by a decline.",
        evidence=(_SAID,),
        measured=("Wallet: {wallet}.", "It waited {seconds} s.", *_FAILURE),
    ),
    _row(
        StallKind.CHALLENGE,
        Side.BANK,
        N_("Your bank’s security check was not completed."),
        "The bank’s check hung, failed, or its frame was refused.",
        LIKELY,
        evidence=(_WAITED,),
        measured=("It waited {seconds} s.", *_FAILURE),
    ),
    _row(
        StallKind.NO_RETURN,
        Side.PROVIDER,
        N_("You left the shop to pay, and the payment page has heard nothing since."),
        "The customer left for the bank or the provider, and the page never came back.",
        evidence=(_SILENT,),
        measured=("Nothing was heard for {silent_seconds} s.",),
    ),
    _row(
        StallKind.POPUP,
        Side.CUSTOMER,
        N_("Your browser did not open the window in which you pay."),
        "The browser blocked the provider’s window. It does so when the window opens more than a few seconds after the "
        "click: open it in the click itself.",
        SEEN,
    ),
    _row(
        StallKind.SPLIT,
        Side.PROVIDER,
        N_("The other part did not go through."),
        "An earlier leg of the order was paid, and a later one is stuck. Never ask for the whole amount.",
        SEEN,
        evidence=((N_("Part {leg} of {legs} is stuck."), lambda case: _both(case.evidence, "leg", "legs")),),
        measured=("Leg {leg} of {legs} is stuck.", "Paid before: {first[method]}.", *_FAILURE),
    ),
    _row(
        StallKind.DECLINED,
        Side.BANK,
        N_("Your bank did not approve this payment."),
        "The provider reported a decline.",
        SEEN,
        measured=_FAILURE,
    ),
    _row(
        StallKind.DECLINED_AGAIN,
        Side.BANK,
        N_("Your bank did not approve this payment, and not the one before. Ask your bank, or pay another way."),
        "The provider reported a decline of this order more than once.",
        SEEN,
        measured=("Declines so far: {declines}.", *_FAILURE),
    ),
    _row(
        StallKind.ERROR,
        Side.SHOP,
        N_("The payment page reported an error."),
        "The shop’s page reported a failure that is not a decline.",
        LIKELY,
        evidence=(_SAID,),
        measured=_FAILURE,
    ),
    _row(
        StallKind.DEAD_BUTTON,
        Side.SHOP,
        N_("The Pay button did not respond."),
        "Pay was pressed and nothing followed: no attempt, no request, no change of the form. Look for a script error "
        "in the timeline.",
        LIKELY,
    ),
    _row(
        StallKind.RAGE,
        Side.SHOP,
        N_("Pay was pressed, but the payment did not go on."),
        "Pay was pressed again and again without progress.",
        evidence=((counted("Pay was pressed {count} time.", "Pay was pressed {count} times.", 0), whole("clicks")),),
        measured=("Times: {clicks}.",),
    ),
    _row(
        StallKind.OFFLINE,
        Side.NETWORK,
        N_("The internet connection was lost during the payment."),
        "The browser was offline, or lost its connection several times, after Pay.",
        SEEN,
        measured=("Connection: {connection}.",),
    ),
    _row(
        StallKind.STORAGE,
        Side.CUSTOMER,
        N_("Your browser blocks cookies or storage, which this payment needs."),
        "The browser lets the page keep nothing, so what comes back from a bank may not be matched.",
        LIKELY,
    ),
    _row(
        StallKind.IN_APP,
        Side.CUSTOMER,
        N_("This page is open inside another app, where some payments do not work. Open it in your browser."),
        "The page runs in the built-in browser of another app.",
        LIKELY,
        evidence=((N_("The page is open inside {app}."), figure("app")),),
        measured=("App: {app}.",),
    ),
    _row(
        StallKind.CLOCK,
        Side.CUSTOMER,
        N_("The clock of your device is wrong, and banks can refuse a payment because of that."),
        "The clock of the device is off, so signatures and certificates may count as invalid.",
        LIKELY,
        evidence=((N_("The clock is off by {clock_skew} seconds."), figure("clock_skew")),),
        measured=("Off by {clock_skew} s.",),
    ),
    _row(
        StallKind.DOUBLE,
        Side.SHOP,
        N_("Two payments for this order were started at the same time. Leave the other one alone."),
        "Pay was pressed while another attempt at the same order was under way. Disable the button while one runs.",
        SEEN,
        evidence=(
            (
                counted(
                    "The second one came {count} second after the first.",
                    "The second one came {count} seconds after the first.",
                    0,
                ),
                whole("seconds_after"),
            ),
        ),
        measured=("It came {seconds_after} s after the other one.",),
    ),
    _row(
        StallKind.CLOSED,
        Side.CUSTOMER,
        N_("The payment page was closed before the payment ended."),
        "The page said goodbye in the middle of a payment and did not come back.",
        SEEN,
        evidence=(_SILENT,),
        measured=("Nothing was heard for {silent_seconds} s.",),
    ),
    _row(
        StallKind.SILENT,
        Side.UNKNOWN,
        N_("We lost contact with the payment page before the payment ended."),
        "The page fell silent without goodbye: crashed, killed or cut off.",
        evidence=(_SILENT,),
        measured=("Nothing was heard for {silent_seconds} s; it was last {presence}.",),
    ),
    _row(
        StallKind.ASKED,
        Side.UNKNOWN,
        "",
        "Nothing was detected; the customer asked for help.",
        NOTHING,
    ),
)


def _both(evidence: object, *names: str) -> dict[str, object] | None:
    found = {name: evidence[name] for name in names if isinstance(evidence, dict) and evidence.get(name)}
    return found if len(found) == len(names) else None
