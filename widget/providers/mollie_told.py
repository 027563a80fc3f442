"""What Mollie's payments say about the money, and whose they are. Pure; raises ProviderDown for unknown shapes."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from widget.money import Money
from widget.providers import Answer, ChargeState, Happened, ProviderDown
from widget.providers.amounts import read
from widget.providers.answers import moment, part, whose, word

_STATES = {
    "open": ChargeState.NOT_CHARGED,
    "canceled": ChargeState.NOT_CHARGED,
    "expired": ChargeState.NOT_CHARGED,
    "failed": ChargeState.NOT_CHARGED,
    "pending": ChargeState.UNKNOWN,
    "authorized": ChargeState.HELD,
    "paid": ChargeState.CHARGED,
}
# The customer is shown where to send the money, and does so at their bank or at a till, perhaps days later. Until it
# has arrived, Mollie says just that the payment is open.
_SENT_LATER = {"banktransfer", "multibanco"}
# Of these Mollie takes one capture and lets go of the rest; of the others, a shop captures more with each parcel.
_CAPTURED_ONCE = {"creditcard"}
# Where shops write their reference into a payment's metadata, by custom.
_CUSTOMARY = ("order", "order_reference", "order_number")


@dataclass(frozen=True, slots=True)
class OrderField:
    """Where a payment's metadata holds the shop's reference: as the shop has told us, or where shops do by custom."""

    own: str | None

    @property
    def name(self) -> str:
        return self.own or _CUSTOMARY[0]

    def mark_of(self, payment: dict[str, Any]) -> str | None:
        """What stands where the shop has told us that it writes its reference."""
        return _text(payment, self.own) if self.own is not None else None

    def whose(self, payment: dict[str, Any], order: str) -> tuple[bool | None, str | None]:
        """As `answers.whose` says it. A description may be any text, so only the reference itself means something."""
        described = word(payment, "description")
        customary = [_text(payment, name) for name in _CUSTOMARY] if self.own is None else []
        return whose(order, [self.mark_of(payment)], [*customary, described if described == order else None])

    def order_of(self, payment: dict[str, Any]) -> str | None:
        names = (self.own,) if self.own is not None else _CUSTOMARY
        return next((text for name in names if (text := _text(payment, name))), None) or word(payment, "description")


def is_ours(payment: dict[str, Any]) -> bool:
    """Whether the page of a link of ours made it, and not the shop."""
    return part(payment, "metadata").get("by") == "unjam"


def is_with_customer(payment: dict[str, Any]) -> bool:
    """Whether it is open in its customer's hands, so that no money is on its way before they go on with it."""
    return word(payment, "status") == "open" and not is_promised(payment)


def is_promised(payment: dict[str, Any]) -> bool:
    """Whether its customer may have sent the money already, or will, without Mollie knowing it yet."""
    return word(payment, "status") == "open" and word(payment, "method") in _SENT_LATER


def happened_of(payment: dict[str, Any], order: str | None, now: datetime) -> Happened:
    """What a payment has come to, as an event."""
    answer = answer_of(payment)
    refunded, charged_back = _sum(payment, "amountRefunded"), _sum(payment, "amountChargedBack")
    moved = (answer.status, refunded, charged_back, _sum(payment, "amountCaptured"))
    at = (moment(payment, f"{name}At") for name in ("paid", "failed", "canceled", "expired", "authorized", "created"))
    return Happened(
        key=":".join(map(str, (answer.payment, *moved))),
        kind="dispute" if charged_back else "refund" if refunded else "payment",
        happened_at=next((each for each in at if each), now),
        order=order,
        payment=answer.payment,
        state=answer.state,
        status=answer.status,
        code=answer.code,
        # Of a refund, what was given back.
        money=Money(refunded, answer.money.currency)
        if refunded and answer.money and not charged_back
        else answer.money,
        detail=answer.detail,
    )


def answer_of(payment: dict[str, Any]) -> Answer:
    """Raises ProviderDown when a field that money depends on has an unknown shape."""
    status, payment_id = word(payment, "status"), word(payment, "id")
    if status is None or payment_id is None:
        raise ProviderDown("Mollie's answer has an unknown shape.")
    code = word(part(payment, "details"), "failureReason") or word(part(payment, "statusReason"), "code")
    money, captured = _counted(payment), _sum(payment, "amountCaptured")
    detail = f"Mollie says {status}."
    refunded, charged_back = _sum(payment, "amountRefunded"), _sum(payment, "amountChargedBack")
    if charged_back:
        detail = f"Mollie says {status}; the bank took {charged_back} minor units back."
    if refunded:
        detail = f"Mollie says {status}; {refunded} minor units were refunded."
    gone_back = bool(refunded) and refunded >= (captured or money.minor)
    state = _state(payment, gone_back=gone_back)
    answer = Answer(state, money, payment_id, detail, status, code, is_reversed=gone_back)
    moments = (moment(payment, name) for name in ("paidAt", "authorizedAt", "createdAt"))
    taken_at = next((each for each in moments if each is not None), None)
    return replace(answer, waits=is_with_customer(payment) and not is_ours(payment), taken_at=taken_at)


def _state(payment: dict[str, Any], *, gone_back: bool) -> ChargeState:
    state = _STATES.get(str(payment["status"]), ChargeState.UNKNOWN)
    if is_promised(payment):
        return ChargeState.UNKNOWN
    if state is ChargeState.CHARGED and gone_back:
        return ChargeState.NOT_CHARGED
    # It stays authorized while more can be captured, so a part of it may have been taken.
    is_begun = state is ChargeState.HELD and _sum(payment, "amountCaptured") > 0 and not gone_back
    return ChargeState.CHARGED if is_begun else state


def _counted(payment: dict[str, Any]) -> Money:
    """What was taken, with what is still held beside it: that is not missing, the shop captures it later."""
    amount, captured = _money(payment, "amount"), _sum(payment, "amountCaptured")
    is_all = word(payment, "status") == "paid" and word(payment, "method") in _CAPTURED_ONCE
    return Money(captured if captured and is_all else max(amount.minor, captured), amount.currency)


def _money(payment: dict[str, Any], name: str) -> Money:
    amount = part(payment, name)
    return read(amount.get("value"), amount.get("currency"))


def _sum(payment: dict[str, Any], name: str) -> int:
    return _money(payment, name).minor if part(payment, name) else 0


def _text(payment: dict[str, Any], name: str) -> str | None:
    found = part(payment, "metadata").get(name)
    return str(found) if isinstance(found, str | int) and found else None
