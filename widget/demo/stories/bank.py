"""Stories about what the bank asks, and what it answers."""

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.demo.stories.story import Group, Mode, Story
from widget.stalls import StallKind


def _declined(label: str, explanation: str, code: str, **told: str) -> Story:
    told = {"code": code} | told
    return Story(
        Group.BANK,
        label,
        explanation,
        StallKind.DECLINED,
        Stage.SUBMITTED,
        PaymentStatus.REQUIRES_PAYMENT_METHOD,
        told=told,
    )


BANK = {
    "decline": Story(
        Group.BANK,
        "Card is declined",
        "The bank says no.",
        StallKind.DECLINED,
        Stage.SUBMITTED,
        PaymentStatus.REQUIRES_PAYMENT_METHOD,
    ),
    "decline_again": Story(
        Group.BANK,
        "Card is declined again and again",
        "The bank says no each time. Press Pay twice.",
        StallKind.DECLINED_AGAIN,
        Stage.SUBMITTED,
        PaymentStatus.REQUIRES_PAYMENT_METHOD,
    ),
    "challenge": Story(
        Group.BANK,
        "3-D Secure never ends",
        "The bank’s frame waits for a phone that never rings.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        PaymentStatus.REQUIRES_ACTION,
    ),
    "challenge_denied": Story(
        Group.BANK,
        "3-D Secure refuses the frame",
        "The bank’s page does not let itself be framed.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        PaymentStatus.REQUIRES_ACTION,
    ),
    "challenge_blocked": Story(
        Group.BANK,
        "3-D Secure is forbidden",
        "The shop’s content policy forbids the bank’s frame.",
        StallKind.CHALLENGE,
        Stage.AUTHENTICATING,
        PaymentStatus.REQUIRES_ACTION,
        mode=Mode.NO_FRAMES,
    ),
    "decline_funds": _declined("Declined: not enough money", "Later, or another way.", "insufficient_funds"),
    "decline_code": _declined(
        "Declined: wrong security code", "Type it again.", "incorrect_cvc", advice="after_change"
    ),
    "decline_stolen": _declined(
        "Declined: stolen card", "The customer reads no more than of any decline; the agent does.", "stolen_card"
    ),
    "decline_never": _declined(
        "Declined for good", "The network forbids another try, so none is offered.", "do_not_honor", advice="never"
    ),
}
