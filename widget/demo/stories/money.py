"""Stories about what becomes of the money."""

from widget.attempts import Stage
from widget.demo.store import PaymentStatus
from widget.demo.stories.story import Group, Story
from widget.stalls import StallKind


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
