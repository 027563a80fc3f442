"""The API for the shop's server: it tells us that an order was paid."""

from typing import Self

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy.orm import Session

from widget import attempts, clock, payments, shops, tellings, transfers
from widget.errors import Malformed, NotFound, Unauthorised, misshapen
from widget.money import MAX_MINOR, Money, currency_code
from widget.orders import Order
from widget.payments import Source, Told
from widget.shops import Shop
from widget.transfers import Transfer
from widget.web.context import services
from widget.web.limits import limiter

blueprint = Blueprint("api", __name__)

MAX_KEY_CHARS = 90


class PaymentIn(BaseModel):
    """Amounts in minor units. `payment` is the provider's id of it, or the bank's of what a transfer brought."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    order: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    # Of a bank transfer instead of the order: the reference as the bank has written it.
    reference: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    amount: int = Field(gt=0, le=MAX_MINOR, strict=True)
    currency: str
    method: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    payment: str | None = Field(default=None, pattern=r"^[!-~]{1,100}$")

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        return currency_code(value.upper())

    @model_validator(mode="after")
    def _is_of_one_order(self) -> Self:
        if (self.order is None) == (self.reference is None):
            raise ValueError("send either the order or the reference of a bank transfer")
        return self


@blueprint.post("/api/v1/payments")
@limiter.limit("6000/minute")
def told_of_payment() -> tuple[Response, int]:
    """Idempotent by the Idempotency-Key header: 201 the first time, 200 with the same answer after that."""
    now = clock.now()
    with services().database.write() as session:
        shop = shops.by_api_key(session, _bearer(), now)
        key, paid = _idempotency_key(), _payment()
        money = Money(paid.amount, paid.currency)
        transfer = _transfer(session, shop, paid)
        order = _order(session, shop, paid, transfer, money)
        is_first = payments.record(session, shop, order, _told(paid, transfer, key, money), services().pace, now)
        if transfer is not None:
            transfers.receive(transfer, now)
        body = {
            "order": order.reference,
            "paid": order.paid_at is not None,
            "amount": paid.amount,
            "currency": paid.currency,
        }
    return jsonify(body), 201 if is_first else 200


def _transfer(session: Session, shop: Shop, paid: PaymentIn) -> Transfer | None:
    if paid.reference is None:
        return None
    transfer = transfers.by_reference(session, shop.id, paid.reference)
    if transfer is None:
        raise NotFound("There is no bank transfer with this reference in this shop.")
    return transfer


def _told(paid: PaymentIn, transfer: Transfer | None, key: str, money: Money) -> Told:
    """A transfer has a reference of its own, by which it is told apart from every other payment of the order.

    The bank's id of the booking stays behind it: half of the money may come on one day and half on another.
    """
    payment, provider, method = paid.payment, paid.provider, paid.method
    if transfer is not None:
        payment = tellings.transfer_name(transfer.reference, paid.payment)
        provider = provider or "bank_transfer"
        method = method or "bank_transfer"
    return Told(f"shop:{key}", Source.SHOP, money, method, payment, provider)


def _order(session: Session, shop: Shop, paid: PaymentIn, transfer: Transfer | None, money: Money) -> Order:
    """The order that the shop vouches for; one we never heard of is kept too, so that a late beacon finds it paid."""
    if transfer is not None:
        return session.get_one(Order, transfer.order_id)
    return attempts.told_by_shop(session, shop, paid.order or "", money, paid.payment, clock.now())


def _bearer() -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthorised("Send the header `Authorization: Bearer uk_…` with a key from `unjam rotate-key SITE api`.")
    return key.strip()


def _idempotency_key() -> str:
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or len(key) > MAX_KEY_CHARS or not key.isprintable():
        raise Malformed(
            f"Send an Idempotency-Key header of up to {MAX_KEY_CHARS} characters, such as the provider's payment id."
        )
    return key


def _payment() -> PaymentIn:
    try:
        return PaymentIn.model_validate_json(request.get_data())
    except ValidationError as error:
        raise Malformed(misshapen(error, "body")) from None
