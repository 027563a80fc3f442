"""Stories about what becomes of the money, and about what the bank answers."""

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.demo.story import Group, Story
from widget.stalls import StallKind

_NOT_TAKEN = PaymentStatus.REQUIRES_PAYMENT_METHOD


def _hangs(label: str, explanation: str, reaches: PaymentStatus | None, **more: object) -> Story:
    return Story(
        Group.MONEY,
        label,
        explanation,
        StallKind.NO_ANSWER,
        Stage.SUBMITTED,
        reaches,
        hangs=True,
        **more,  # type: ignore[arg-type]
    )


def _declined(label: str, explanation: str, code: str, **told: str) -> Story:
    told = {"code": code} | told
    return Story(Group.BANK, label, explanation, StallKind.DECLINED, Stage.SUBMITTED, _NOT_TAKEN, told=told)


DECLINES = {
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
MONEY = {
    "hang_held": _hangs(
        "Hangs, and the money is only reserved",
        "The bank holds it; the shop takes it later.",
        PaymentStatus.REQUIRES_CAPTURE,
    ),
    "hang_reversed": _hangs(
        "Approved, then reversed",
        "Nothing was taken, but the statement may show it for some days.",
        PaymentStatus.CANCELED,
        told={"is_reversed": True},
    ),
    "too_little": _hangs(
        "Too little was taken", "The difference can be paid by a link.", PaymentStatus.SUCCEEDED, excess=-20_000
    ),
    "too_much": _hangs(
        "Too much was taken", "A ticket tells what to give back.", PaymentStatus.SUCCEEDED, excess=5_000
    ),
    "paid_twice": _hangs(
        "Paid twice",
        "Two payments of one order: a ticket with the refund step.",
        PaymentStatus.SUCCEEDED,
        is_twice=True,
    ),
    "outage": _hangs(
        "The provider has an outage", "Its status page says so; Unjam looks there every two minutes.", None
    ),
}
