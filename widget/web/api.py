"""The API for the shop's server: it tells us that an order was paid."""

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.orm import Session

from widget import clock, orders, payments, shops
from widget.errors import Malformed, Unauthorised
from widget.money import MAX_MINOR, Money, is_currency
from widget.orders import Order
from widget.payments import Source, Told
from widget.shops import Shop
from widget.web.context import services
from widget.web.limits import limiter

blueprint = Blueprint("api", __name__)

MAX_KEY_CHARS = 90


class PaymentIn(BaseModel):
    """Amounts in minor units. `payment` is the provider's id of the payment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    order: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    amount: int = Field(gt=0, le=MAX_MINOR, strict=True)
    currency: str
    method: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    payment: str | None = Field(default=None, pattern=r"^[!-~]{1,100}$")

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        if not is_currency(value.upper()):
            raise ValueError("must be an ISO 4217 code such as EUR")
        return value.upper()


@blueprint.post("/api/v1/payments")
@limiter.limit("6000/minute")
def told_of_payment() -> tuple[Response, int]:
    """Idempotent by the Idempotency-Key header: 201 the first time, 200 with the same answer after that."""
    now = clock.now()
    with services().database.write() as session:
        shop = shops.by_api_key(session, _bearer(), now)
        key, paid = _idempotency_key(), _payment()
        money = Money(paid.amount, paid.currency)
        order = _order(session, shop, paid, money)
        told = Told(f"shop:{key}", Source.SHOP, money, paid.method, paid.payment)
        is_first = payments.record(session, shop, order, told, services().pace, now)
        body = {
            "order": order.reference,
            "paid": order.paid_at is not None,
            "amount": paid.amount,
            "currency": paid.currency,
        }
    return jsonify(body), 201 if is_first else 200


def _order(session: Session, shop: Shop, paid: PaymentIn, money: Money) -> Order:
    """The order that the shop vouches for; one we never heard of is kept too, so that a late beacon finds it paid."""
    return orders.told_by_shop(session, shop, paid.order, money, clock.now())


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
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Malformed(f"{place}: {first['msg']}") from None
