"""What PayPal's orders, captures and webhooks say about the money. Pure; raises ProviderDown for unknown shapes."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from widget.money import Money
from widget.providers import Answer, ChargeState, GivenUp, Happened, ProviderDown, Retry
from widget.providers.amounts import read
from widget.providers.answers import moment, part, parts, whose, word

# Before it, the shop's server may still be about to capture what the customer approved.
CAPTURED_WITHIN = timedelta(minutes=15)
# How long PayPal lets an approved order be captured, unless the shop has asked for more.
CAPTURABLE_FOR = timedelta(hours=3)
# After the longest time that a shop can have set, nobody approves or captures its order any more.
ORDER_EXPIRES = timedelta(hours=72)
# Stands before the reference of an order that we closed.
CLOSED = "unjam-closed:"
# Where shops keep their reference; PayPal's own word stands there for none.
_FIELDS, _NO_REFERENCE = ("custom_id", "invoice_id", "reference_id"), "default"

# Of a capture and of an authorisation; the two share no word with two meanings.
_STATES = {
    "COMPLETED": ChargeState.CHARGED,
    "PARTIALLY_REFUNDED": ChargeState.CHARGED,
    "CAPTURED": ChargeState.CHARGED,
    "PARTIALLY_CAPTURED": ChargeState.CHARGED,
    "CREATED": ChargeState.HELD,
    "REFUNDED": ChargeState.NOT_CHARGED,
    "DECLINED": ChargeState.NOT_CHARGED,
    "DENIED": ChargeState.NOT_CHARGED,
    "FAILED": ChargeState.NOT_CHARGED,
    "VOIDED": ChargeState.NOT_CHARGED,
    "EXPIRED": ChargeState.NOT_CHARGED,
}
# Of a capture that has taken money, or may have; and of an authorisation of which something can still be captured.
_CAPTURED = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED", "PENDING"}
_CAPTURABLE = {"CREATED", "PARTIALLY_CAPTURED"}
_UNAPPROVED = {"CREATED", "SAVED", "PAYER_ACTION_REQUIRED"}
_ADVICE = {"01": Retry.AFTER_CHANGE, "02": Retry.LATER, "03": Retry.NEVER, "21": Retry.NEVER}


def answer_of_order(order: dict[str, Any], now: datetime | None) -> Answer:
    """`now` where the shop's own server may be about to capture what was approved; None where only we can."""
    order_id, status = word(order, "id"), word(order, "status")
    if order_id is None or status is None:
        raise ProviderDown("PayPal's order has an unknown shape.")
    waits = now is not None and left_of_order(order, now) is GivenUp.CUSTOMER
    if payments := _payments_of(order):
        return replace(_with_rest(_together(payments), order), waits=waits)
    state = ChargeState.NOT_CHARGED if status in {*_UNAPPROVED, "VOIDED"} else ChargeState.UNKNOWN
    detail = f"PayPal's order is {status}."
    if status == "APPROVED":
        is_moving = now is not None and left_of_order(order, now) is GivenUp.MOVING
        state = ChargeState.UNKNOWN if is_moving else ChargeState.NOT_CHARGED
        detail = "The customer approved, and nothing was captured."
    return Answer(state, payment=order_id, detail=detail, status=status, waits=waits)


def left_of_order(order: dict[str, Any], now: datetime) -> GivenUp | None:
    """What is left of an order of the shop's that nothing was taken of; None where its payments say that.

    While the customer may approve it, or go on with it in the shop, the shop would capture it.
    """
    status, made_at = word(order, "status"), moment(order, "create_time")
    payments = _payments_of(order)
    is_taken = any(each.state is not ChargeState.NOT_CHARGED for each in payments)
    if status not in {*_UNAPPROVED, "APPROVED"} or is_closed(order) or is_taken:
        return None
    if made_at is not None and made_at < now - ORDER_EXPIRES:
        return GivenUp.GONE
    # While it is only approved PayPal may not say since when; by default it can be captured for three hours after that.
    changed = moment(order, "update_time")
    since = now - CAPTURED_WITHIN if changed is not None else now - CAPTURED_WITHIN - CAPTURABLE_FOR
    changed = changed or made_at
    # Once a capture was declined, the customer has to choose another way to pay first.
    is_moving = status == "APPROVED" and not payments and (changed is None or changed > since)
    return GivenUp.MOVING if is_moving else GivenUp.CUSTOMER


def answer_of_capture(payment: dict[str, Any]) -> Answer:
    """What a capture or an authorisation says."""
    payment_id, status = word(payment, "id"), word(payment, "status")
    if payment_id is None or status is None:
        raise ProviderDown("PayPal's payment has an unknown shape.")
    state, code, retry = _STATES.get(status, ChargeState.UNKNOWN), None, None
    why = word(part(payment, "status_details"), "reason")
    if state is ChargeState.NOT_CHARGED and status != "REFUNDED":
        processor = part(payment, "processor_response")
        code = word(processor, "response_code") or why
        retry = _ADVICE.get(word(processor, "payment_advice_code") or "")
    detail = f"PayPal says {status}{f' ({why})' if why else ''}."
    gone_back = status in {"REFUNDED", "VOIDED"}
    answer = Answer(state, _money(payment), payment_id, detail, status, code, retry=retry, is_reversed=gone_back)
    return replace(answer, taken_at=moment(payment, "create_time"))


def order_behind(payment: dict[str, Any]) -> str | None:
    """The order of PayPal's that tells what else was authorised, where this payment need not be all of it."""
    is_all = payment.get("final_capture") is True
    return None if is_all else word(part(payment, "supplementary_data", "related_ids"), "order_id")


def happened_of(event: dict[str, Any], field: str | None, now: datetime) -> Happened | None:
    """A webhook that was verified, None where it concerns no payment. `field` names where the shop's reference is."""
    kind, resource = str(event["event_type"]), part(event, "resource")
    at = moment(event, "create_time") or now
    happened = Happened(str(event["id"]), "payment", at, _reference(resource, field), status=kind)
    if kind.startswith(("CUSTOMER.DISPUTE.", "RISK.DISPUTE.")):
        about = (parts(resource, "disputed_transactions") or [{}])[0]
        order = _reference(about, field) or word(about, "invoice_number") or word(about, "custom")
        happened = replace(happened, kind="dispute", order=order, payment=word(about, "seller_transaction_id"))
        due = moment(resource, "seller_response_due_date")
        detail = f"Answer by {due:%Y-%m-%d %H:%M} UTC." if due else ""
        money = _money(resource, "dispute_amount") if part(resource, "dispute_amount") else None
        return replace(happened, code=word(resource, "reason"), money=money, detail=detail)
    if kind in {"PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"} or kind.startswith("PAYMENT.REFUND."):
        captured = next((word(each, "href") for each in parts(resource, "links") if each.get("rel") == "up"), None)
        payment = captured.rstrip("/").rsplit("/", 1)[-1] if captured else None
        # A refund that waits or has failed has given nothing back.
        money = _money(resource) if kind.startswith("PAYMENT.CAPTURE.") else None
        return replace(happened, kind="refund", payment=payment, money=money)
    if kind in {"CHECKOUT.ORDER.APPROVED", "CHECKOUT.PAYMENT-APPROVAL.REVERSED"}:
        payment = word(resource, "order_id") or word(resource, "id")
        return replace(happened, kind="link", order=order_of(resource, field), payment=payment)
    if kind == "CHECKOUT.ORDER.COMPLETED":
        happened, answer = replace(happened, order=order_of(resource, field)), answer_of_order(resource, None)
    elif kind.startswith(("PAYMENT.CAPTURE.", "PAYMENT.AUTHORIZATION.")):
        answer = answer_of_capture(resource)
    else:
        return None
    return replace(
        happened,
        payment=answer.payment,
        state=answer.state,
        code=answer.code,
        money=answer.money,
        detail=answer.detail,
    )


def order_of(order: dict[str, Any], field: str | None = None) -> str | None:
    """The shop's reference of an order of PayPal."""
    return next((found for unit in parts(order, "purchase_units") if (found := _reference(unit, field))), None)


def whose_is(found: dict[str, Any], order: str, field: str | None) -> tuple[bool | None, str | None]:
    """Whether an order of PayPal, or a payment of one, is of this order of the shop, as `answers.whose` says it."""
    units = parts(found, "purchase_units") or [found]
    told = [_text(unit, field) for unit in units] if field else []
    return whose(order, told, [_text(unit, name) for unit in units for name in _FIELDS])


def _text(unit: dict[str, Any], name: str) -> str | None:
    text = (word(unit, name) or "").removeprefix(CLOSED)
    return text if text not in {"", _NO_REFERENCE} else None


def is_closed(order: dict[str, Any]) -> bool:
    """Whether we marked it as never to be captured."""
    return any((word(unit, "custom_id") or "").startswith(CLOSED) for unit in parts(order, "purchase_units"))


def _reference(found: dict[str, Any], field: str | None) -> str | None:
    named = word(found, field) if field else word(found, "custom_id") or word(found, "invoice_id")
    return named.removeprefix(CLOSED) if named else None


def _payments_of(order: dict[str, Any]) -> list[Answer]:
    """The captures of an order, else its authorisations."""
    made = _made_for(order)
    payments = [each for some in made for each in parts(some, "captures")]
    payments = payments or [each for some in made for each in parts(some, "authorizations")]
    return [answer_of_capture(each) for each in payments]


def _together(answers: list[Answer]) -> Answer:
    """One answer of an order: its parts are taken together, never twice."""
    for state in (ChargeState.UNKNOWN, ChargeState.CHARGED, ChargeState.HELD):
        best = next((each for each in answers if each.state is state), None)
        if best is not None:
            counted = [each for each in answers if each.state is state or each.is_reversed]
            return _with_money(best, counted)
    back = [each for each in answers if each.is_reversed]
    return _with_money(back[0], back) if back else answers[-1]


def _with_rest(taken: Answer, order: dict[str, Any]) -> Answer:
    """The answer of the captures with what is authorised beside them: that is not missing, the shop takes it later.

    Where the captures took nothing, the authorisation still holds the money.
    """
    made = _made_for(order)
    held = [rest for some in made if (rest := _rest_of(some)) is not None]
    if not held or not any(parts(some, "captures") for some in made):
        return taken
    if taken.state is ChargeState.CHARGED:
        return _with_money(taken, [taken, *held])
    return _with_money(held[0], held) if taken.state is ChargeState.NOT_CHARGED else taken


def _rest_of(made: dict[str, Any]) -> Answer | None:
    """What is authorised beside the captures of one unit, and can still be captured."""
    captured = [each for each in parts(made, "captures") if word(each, "status") in _CAPTURED]
    held = [each for each in parts(made, "authorizations") if word(each, "status") in _CAPTURABLE]
    if not held or any(each.get("final_capture") is True for each in captured):
        return None
    rest = sum(_money(each).minor for each in held) - sum(_money(each).minor for each in captured)
    answer = answer_of_capture(held[0])
    money = Money(rest, _money(held[0]).currency)
    return replace(answer, state=ChargeState.HELD, money=money) if rest > 0 else None


def _made_for(order: dict[str, Any]) -> list[dict[str, Any]]:
    """The captures and authorisations of each unit of an order."""
    return [part(unit, "payments") for unit in parts(order, "purchase_units")]


def _with_money(best: Answer, counted: list[Answer]) -> Answer:
    amounts = [
        each.money for each in counted if each.money and best.money and each.money.currency == best.money.currency
    ]
    money = Money(sum(each.minor for each in amounts), amounts[0].currency) if amounts else None
    return replace(best, money=money)


def _money(found: dict[str, Any], name: str = "amount") -> Money:
    amount = part(found, name)
    return read(amount.get("value"), amount.get("currency_code"))
