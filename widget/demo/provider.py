"""The demo shop's payment provider: the rules of a real one over pretend money, and its HTTP face.

The wire format is described where it is spoken, in `widget.providers.demo`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from widget.demo import hosted, status
from widget.demo.store import Payment, PaymentStatus, Store
from widget.money import MAX_MINOR

_PROGRESS = list(PaymentStatus)


class Refused(Exception):
    """The provider does not take this payment; the text says why."""


class Charge(BaseModel):
    """The body of POST /provider/payments."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    order: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0, le=MAX_MINOR, strict=True)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


def furthest(store: Store, order: str) -> Payment | None:
    """The payment of this order that has come closest to the money; the newest of equals."""
    payments = store.payments_of(order)
    return max(reversed(payments), key=lambda payment: _PROGRESS.index(payment.status), default=None)


def open_payment(store: Store, charge: Charge) -> Payment:
    """A payment that waits for the customer to choose how to pay, as a checkout page begins with one."""
    status = PaymentStatus.REQUIRES_PAYMENT_METHOD
    return store.add_payment(order=charge.order, amount=charge.amount, currency=charge.currency, status=status)


def open_legs(store: Store, charge: Charge, first: int) -> tuple[Payment, Payment]:
    """Two payments of one order that make up its amount; those of an earlier try go on. The first takes `first`."""
    known = {payment.leg: payment for payment in store.payments_of(charge.order)}
    amounts = {1: first, 2: charge.amount - first}
    legs = [known.get(leg) or _open_leg(store, charge, leg, amount) for leg, amount in amounts.items()]
    return legs[0], legs[1]


def confirm(store: Store, payment: Payment, method: str, status: PaymentStatus) -> Payment:
    """Take the customer's method; the payment comes as far as `status`. Raises Refused, never pays twice."""
    with store.exclusive():
        _check_nothing_taken(store, payment.order, payment.leg)
        return store.move(payment, status, method)


def finish(store: Store, order: str, status: PaymentStatus) -> Payment:
    """The bank decides about the payment of this order that is processing. Raises Refused when there is none."""
    return _decide(store, order, PaymentStatus.PROCESSING, status)


def answer(store: Store, order: str, status: PaymentStatus) -> Payment:
    """The customer approves or refuses at the bank. Raises Refused when no payment of this order waits for that."""
    return _decide(store, order, PaymentStatus.REQUIRES_ACTION, status)


def cancel(store: Store, payment_id: str) -> Payment:
    """End a payment that waits for the customer. Raises Refused when it does not wait."""
    with store.exclusive():
        payment = store.payment(payment_id)
        if payment is None or payment.status is not PaymentStatus.REQUIRES_ACTION:
            raise Refused("This payment does not wait for anybody.")
        return store.move(payment, PaymentStatus.CANCELED)


def take(store: Store, charge: Charge, key: str) -> tuple[Payment, bool]:
    """Take a payment at once; True when it was made now. The same key answers with the same payment.

    Raises Refused when the key was used for another payment, or when money may have been taken already.
    """
    with store.exclusive():
        known = store.payment_of_key(key)
        if known is not None:
            if (known.order, known.amount, known.currency) != (charge.order, charge.amount, charge.currency):
                raise Refused("This idempotency key was used for another payment.")
            return known, False
        _check_nothing_taken(store, charge.order)
        made = store.add_payment(
            order=charge.order,
            amount=charge.amount,
            currency=charge.currency,
            status=PaymentStatus.SUCCEEDED,
            key=key,
        )
        return made, True


def create_provider(store: Store, on_paid: Callable[[Payment], None], path: Path | str = ":memory:") -> Blueprint:
    """The HTTP face. `on_paid` is how the provider tells the shop of a payment that the shop did not make itself.

    `path` is where it keeps its payment pages.
    """
    provider = Blueprint("provider", __name__, url_prefix="/provider")
    counter = hosted.Counter(store, hosted.Links(path), on_paid, lambda each: _described(store, each))
    provider.register_blueprint(counter.blueprint())
    provider.register_blueprint(status.blueprint)

    @provider.get("/payments")
    def ask() -> tuple[Response, int]:
        payment = furthest(store, request.args.get("order", ""))
        return _shown(store, payment, 200) if payment else _problem("There is no payment of this order.", 404)

    @provider.post("/payments")
    def pay() -> tuple[Response, int]:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return _problem("Send an Idempotency-Key.", 400)
        try:
            payment, is_new = take(store, Charge.model_validate_json(request.get_data()), key)
        except ValidationError:
            return _problem("Send order, amount in minor units and currency.", 422)
        except Refused as refusal:
            return _problem(str(refusal), 409)
        on_paid(payment)
        return _shown(store, payment, 201 if is_new else 200)

    @provider.post("/payments/<payment_id>/cancel")
    def give_up(payment_id: str) -> tuple[Response, int]:
        try:
            return _shown(store, cancel(store, payment_id), 200)
        except Refused as refusal:
            return _problem(str(refusal), 409)

    return provider


def _open_leg(store: Store, charge: Charge, leg: int, amount: int) -> Payment:
    status = PaymentStatus.REQUIRES_PAYMENT_METHOD
    return store.add_payment(order=charge.order, amount=amount, currency=charge.currency, status=status, leg=leg)


def _decide(store: Store, order: str, waiting: PaymentStatus, status: PaymentStatus) -> Payment:
    with store.exclusive():
        payment = furthest(store, order)
        if payment is None or payment.status is not waiting:
            raise Refused(f"No payment of this order is {waiting}.")
        return store.move(payment, status)


def _check_nothing_taken(store: Store, order: str, leg: int = 0) -> None:
    """Of the same money, that is: two legs of an order are not the same."""
    for payment in store.payments_of(order):
        is_another_leg = leg > 0 and payment.leg > 0 and payment.leg != leg
        if payment.status.may_have_taken_money and not is_another_leg:
            raise Refused(f"A payment of this order is {payment.status}.")


def _shown(store: Store, payment: Payment, status: int) -> tuple[Response, int]:
    """As the furthest of its order: the amount is what was taken in all, once any was."""
    body = _described(store, payment) | {"amount": store.taken(payment.order) or payment.amount}
    return jsonify(body), status


def _described(store: Store, payment: Payment) -> dict[str, Any]:
    """A payment as the provider writes it, with those of its order that wait, or were taken if several were."""
    payments = store.payments_of(payment.order)
    taken = [each for each in payments if each.status is PaymentStatus.SUCCEEDED]
    body = {
        "id": payment.id,
        "order": payment.order,
        "status": payment.status.value,
        "amount": payment.amount,
        "currency": payment.currency,
        "method": payment.method,
        "charged": [{"id": each.id, "amount": each.amount} for each in taken] if len(taken) > 1 else [],
        "waiting": [each.id for each in payments if each.status is PaymentStatus.REQUIRES_ACTION],
    }
    more = {name: getattr(payment, name, None) for name in ("code", "network_code", "advice", "is_reversed")}
    return body | {name: value for name, value in more.items() if value is not None}


def _problem(words: str, status: int) -> tuple[Response, int]:
    return jsonify(error={"message": words}), status
