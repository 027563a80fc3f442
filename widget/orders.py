"""Orders: what is to be paid. Paid is the ground truth that ends everything else."""

import hmac
from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.orm import Mapped, Session

from widget.database import Base, Currency, Id, Instant, Key, Line, Minor, Word, insert_once, to
from widget.money import MAX_MINOR, Money, is_currency
from widget.redaction import has_card_number
from widget.shops import Shop, signature_for, signing_secrets


class Order(Base):
    """One order of one shop.

    A verified order (its context was signed by the shop's server) and an unverified one of the same reference are
    two rows, so that nobody can change or read a real order by knowing its number.
    """

    __tablename__ = "orders"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    reference: Mapped[Word]
    is_verified: Mapped[bool]
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    customer_email: Mapped[Line | None]
    created_at: Mapped[Instant]
    paid_at: Mapped[Instant | None]
    # The payment link that is taking the money right now, and until when it alone may.
    paying_link: Mapped[Key | None]
    paying_until: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "reference", "is_verified"),
        sa.CheckConstraint("amount > 0", name="amount_is_positive"),
    )

    @property
    def due(self) -> Money:
        return Money(self.amount, self.currency)


_LOCKED = (
    sa.select(Order)
    .where(Order.id == sa.bindparam("order_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


class OrderContext(BaseModel):
    """What the shop's tag says about the order. Amounts in minor units; the signature is hex HMAC-SHA256."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    order: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0, le=MAX_MINOR)
    currency: str
    email: str = Field(default="", max_length=254)
    signature: str = Field(default="", max_length=64)

    @field_validator("order", "email")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be one line of printable text")
        return value.strip()

    @field_validator("email")
    @classmethod
    def _holds_no_card(cls, value: str) -> str:
        if has_card_number(value):
            raise ValueError("must not hold a card number")
        return value

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        if not is_currency(value.upper()):
            raise ValueError("must be an ISO 4217 code such as EUR")
        return value.upper()

    def is_signed_by(self, secrets: list[str]) -> bool:
        expected = (
            signature_for(secret, order=self.order, amount=self.amount, currency=self.currency, email=self.email)
            for secret in secrets
        )
        return bool(self.signature) and any(hmac.compare_digest(self.signature, each) for each in expected)


def open_for(session: Session, shop: Shop, context: OrderContext, now: datetime) -> Order:
    """The order that this context speaks of; made on first sight, brought up to date by a later signed context."""
    is_verified = context.is_signed_by(signing_secrets(session, shop.id, now))
    identity = {"shop_id": shop.id, "reference": context.order, "is_verified": is_verified}
    insert_once(
        session,
        Order,
        identity
        | {
            "amount": context.amount,
            "currency": context.currency,
            "customer_email": context.email if is_verified else None,
            "created_at": now,
        },
        unique=list(identity),
    )
    # Held first, before the attempt is touched, as a payment does: whoever takes both takes them in this order.
    order = session.scalars(sa.select(Order).filter_by(**identity).with_for_update()).one()
    if order.paid_at is None and not is_verified:
        signed = (each for each in _twins(session, order) if each.is_verified)
        order.paid_at = max((each.paid_at for each in signed if each.paid_at), default=None)
    if is_verified and order.paid_at is None:
        # The customer changed the basket: the shop signed a new amount for the same order.
        order.amount, order.currency, order.customer_email = context.amount, context.currency, context.email
    return order


def id_of(session: Session, shop: Shop, context: OrderContext, now: datetime) -> int | None:
    """The row that this context speaks of, if it is known."""
    is_verified = context.is_signed_by(signing_secrets(session, shop.id, now))
    known = sa.select(Order.id).filter_by(shop_id=shop.id, reference=context.order, is_verified=is_verified)
    return session.scalar(known)


def told_by_shop(session: Session, shop: Shop, reference: str, due: Money, now: datetime) -> Order:
    """The verified order that the shop's own server speaks of, made on first sight."""
    identity = {"shop_id": shop.id, "reference": reference, "is_verified": True}
    values = identity | {"amount": due.minor, "currency": due.currency, "created_at": now}
    insert_once(session, Order, values, unique=list(identity))
    return session.scalars(sa.select(Order).filter_by(**identity)).one()


def locked(session: Session, order_id: int) -> Order:
    """The order, held until the transaction ends, so that a payment and a decision about it come one after another."""
    return session.scalars(_LOCKED, {"order_id": order_id}).one()


def is_being_paid(order: Order | None, now: datetime) -> bool:
    """Whether a payment link is taking the money of this order at this moment, so that nothing else may."""
    return order is not None and order.paying_until is not None and order.paying_until > now


def is_shadowed(session: Session, order: Order) -> bool:
    """Whether this unsigned order has the number of one that the shop has signed."""
    signed = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=order.reference, is_verified=True)
    return not order.is_verified and session.scalar(signed) is not None


def locked_by_reference(session: Session, order: Order) -> Order:
    """The order, held with every other row of its number, in the same order by everybody."""
    rows = session.scalars(
        sa.select(Order)
        .filter_by(shop_id=order.shop_id, reference=order.reference)
        .order_by(Order.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return next(each for each in rows.all() if each.id == order.id)


def settle(session: Session, order: Order, now: datetime) -> list[Order]:
    """Mark the order paid; if it is verified, its unverified twins of the same amount too. Returns all of these.

    Never the other way round: who is not vouched for by the shop cannot settle what is.
    """
    settled = [order, *(_twins(session, order) if order.is_verified else [])]
    for each in settled:
        each.paid_at = each.paid_at or now
    return settled


def _twins(session: Session, order: Order) -> list[Order]:
    """Rows of the same reference that ask for the same money.

    Knowing the number alone is not enough to learn from an unverified context that a verified order was paid.
    """
    return list(
        session.scalars(
            sa.select(Order)
            .filter_by(shop_id=order.shop_id, reference=order.reference)
            .filter_by(amount=order.amount, currency=order.currency)
            .where(Order.id != order.id)
        )
    )
