"""Orders: what is to be paid. Paid is the ground truth that ends everything else."""

import hmac
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session

from widget.database import Base, Currency, Id, Instant, Key, Line, Minor, Word, to
from widget.money import MAX_MINOR, Money, currency_code
from widget.redaction import has_card_number
from widget.shops import KeyKind, Shop, live_secrets, signature_for

# How far the clock of a shop's server may be ahead of ours.
CLOCK_MAY_BE_AHEAD = timedelta(minutes=10)


class Order(Base):
    """One order of one shop.

    A verified order (its context was signed by the shop's server) and an unverified one of the same reference are
    two rows, so that nobody can change or read a real order by knowing its number. Unverified ones are told apart by
    what their pages claim: whoever names another amount has a row of their own, and neither changes nor reads this.
    """

    __tablename__ = "orders"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    reference: Mapped[Word]
    is_verified: Mapped[bool]
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    # Set, if only to "", when the shop's server signed it: an unsigned address proves nothing.
    customer_email: Mapped[Line | None]
    created_at: Mapped[Instant]
    paid_at: Mapped[Instant | None]
    # The payment link that is taking the money right now, and until when it alone may.
    paying_link: Mapped[Key | None]
    paying_until: Mapped[Instant | None]
    # When the shop signed what this row says; an older signature changes nothing.
    signed_at: Mapped[Instant | None]

    __table_args__ = (
        sa.CheckConstraint("amount > 0", name="amount_is_positive"),
        sa.Index(
            "ix_orders_verified",
            "shop_id",
            "reference",
            unique=True,
            sqlite_where=sa.text("is_verified"),
            postgresql_where=sa.text("is_verified"),
        ),
        sa.Index(
            "ix_orders_claimed",
            "shop_id",
            "reference",
            "amount",
            "currency",
            unique=True,
            sqlite_where=sa.text("NOT is_verified"),
            postgresql_where=sa.text("NOT is_verified"),
        ),
        sa.Index("ix_orders_number", "shop_id", "reference"),
        sa.Index(
            "ix_orders_signed",
            "shop_id",
            sqlite_where=sa.text("customer_email IS NOT NULL"),
            postgresql_where=sa.text("customer_email IS NOT NULL"),
        ),
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
    """What the shop's tag says about the order. Amounts in minor units; the signature is hex HMAC-SHA256.

    `issued_at` is when the shop's server signed it, in Unix seconds. It is part of a version 2 signature.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    order: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0, le=MAX_MINOR)
    currency: str
    email: str = Field(default="", max_length=254)
    signature: str = Field(default="", max_length=64)
    issued_at: int | None = None

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
        return currency_code(value.upper())

    @field_validator("issued_at", mode="before")
    @classmethod
    def _if_a_time(cls, value: Any) -> int | None:
        """What is no time is as good as none: the signature over it does not verify then."""
        text = str(value).strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 11 else None

    @property
    def signed_at(self) -> datetime | None:
        return None if self.issued_at is None else datetime.fromtimestamp(self.issued_at, UTC)

    def is_signed_by(self, secrets: list[str]) -> bool:
        return bool(self.signature) and any(hmac.compare_digest(self.signature, self._signed(each)) for each in secrets)

    def _signed(self, secret: str) -> str:
        return signature_for(
            secret,
            order=self.order,
            amount=self.amount,
            currency=self.currency,
            email=self.email,
            issued_at=self.issued_at,
        )


def is_vouched_for(session: Session, shop: Shop, context: OrderContext, now: datetime) -> bool:
    """Whether the shop's server has signed this, and lately enough where the shop asks for that."""
    if not context.is_signed_by(live_secrets(session, shop.id, KeyKind.SIGNING, now)):
        return False
    hours = shop.settled.signature_hours
    if hours is None:
        return True
    signed_at = context.signed_at
    return signed_at is not None and now - timedelta(hours=hours) <= signed_at <= now + CLOCK_MAY_BE_AHEAD


def open_for(session: Session, shop: Shop, context: OrderContext, now: datetime) -> Order:
    """The order that this context speaks of; made on first sight, brought up to date by a later signed context.

    It is held with every other row of its number, before the attempt is touched, as a payment does: whoever takes
    several of them takes them in this order.
    """
    is_verified = is_vouched_for(session, shop, context, now)
    identity = _identity(shop, context, is_verified=is_verified)
    order = _held(session, identity)
    if order is None:
        signed = {"customer_email": context.email, "signed_at": _signed_at(context, now)} if is_verified else {}
        amount = {"amount": context.amount, "currency": context.currency}
        _insert(session, identity | amount | signed | {"created_at": now})
        order = _held(session, identity)
    assert order is not None  # noqa: S101 (it was made or found above)
    if order.paid_at is None and not is_verified:
        twins = (each for each in _twins(session, order) if each.is_verified)
        order.paid_at = max((each.paid_at for each in twins if each.paid_at), default=None)
    # Until a page has brought a signature, the amount may be that of a payment which the shop has told of.
    is_guess = order.customer_email is None and order.currency == context.currency
    if is_verified and (order.paid_at is None or is_guess) and not _is_outdated(order, context, now):
        # The customer changed the basket: the shop signed a new amount for the same order.
        order.amount, order.currency, order.customer_email = context.amount, context.currency, context.email
        order.signed_at = _signed_at(context, now) or order.signed_at
    return order


def speaks_of(session: Session, shop: Shop, context: OrderContext, order_id: int | None, now: datetime) -> bool:
    """Whether this context is about that row. An old signature tells which one as well as a new one.

    An unsigned page whose basket changed meanwhile still speaks of the order that it began with.
    """
    order = session.get(Order, order_id) if order_id is not None else None
    is_signed = context.is_signed_by(live_secrets(session, shop.id, KeyKind.SIGNING, now))
    return order is not None and (order.reference, order.is_verified) == (context.order, is_signed)


def told_by_shop(session: Session, shop: Shop, reference: str, due: Money, now: datetime) -> Order:
    """The verified order that the shop's own server speaks of, made on first sight."""
    identity = {"shop_id": shop.id, "reference": reference, "is_verified": True}
    _insert(session, identity | {"amount": due.minor, "currency": due.currency, "created_at": now})
    return session.scalars(sa.select(Order).filter_by(**identity)).one()


def locked(session: Session, order_id: int) -> Order:
    """The order, held until the transaction ends, so that a payment and a decision about it come one after another."""
    return session.scalars(_LOCKED, {"order_id": order_id}).one()


def is_being_paid(order: Order | None, now: datetime) -> bool:
    """Whether a payment link is taking the money of this order at this moment, so that nothing else may."""
    return order is not None and order.paying_until is not None and order.paying_until > now


def is_shadowed(session: Session, order: Order) -> bool:
    """Whether this order is unsigned at a shop that signs its orders, so that whoever asks may be a stranger to it.

    It makes no difference whether the shop has signed this very number: an answer that depended on it would tell
    strangers which orders exist.
    """
    return not order.is_verified and signs(session, order.shop_id)


def signs(session: Session, shop_id: int) -> bool:
    """Whether this shop's server has ever signed an order context. What it told by the API is not signed."""
    signed = sa.select(Order.id).where(Order.shop_id == shop_id, Order.customer_email.is_not(None))
    return session.scalar(signed.limit(1)) is not None


def locked_by_reference(session: Session, order: Order) -> Order:
    """The order, held with every other row of its number, in the same order by everybody."""
    rows = lock_numbers(session, order.shop_id, [order.reference])
    return next(each for each in rows if each.id == order.id)


def lock_numbers(session: Session, shop_id: int, references: Collection[str]) -> list[Order]:
    """Every row of these numbers, held until the transaction ends; by everybody in the same order."""
    rows = sa.select(Order).where(Order.shop_id == shop_id, Order.reference.in_(references)).order_by(Order.id)
    return list(session.scalars(rows.with_for_update().execution_options(populate_existing=True)))


def akin(order: Order) -> sa.Select[int]:
    """The ids of all rows that may be this very order: of an unsigned number, whatever amount its pages claim."""
    rows = sa.select(Order.id).where(Order.shop_id == order.shop_id, Order.reference == order.reference)
    return rows.where(Order.is_verified == order.is_verified)


def settle(session: Session, order: Order, now: datetime) -> list[Order]:
    """Mark the order paid; if it is verified, its unverified twins of the same amount too. Returns all of these.

    Never the other way round: who is not vouched for by the shop cannot settle what is.
    """
    settled = [order, *(_twins(session, order) if order.is_verified else [])]
    for each in settled:
        each.paid_at = each.paid_at or now
    return settled


def _identity(shop: Shop, context: OrderContext, *, is_verified: bool) -> dict[str, Any]:
    """The columns by which a context finds its row."""
    number = {"shop_id": shop.id, "reference": context.order, "is_verified": is_verified}
    return number if is_verified else number | {"amount": context.amount, "currency": context.currency}


def _held(session: Session, identity: dict[str, Any]) -> Order | None:
    rows = lock_numbers(session, identity["shop_id"], [identity["reference"]])
    return next((each for each in rows if all(getattr(each, name) == is_ for name, is_ in identity.items())), None)


def _insert(session: Session, values: dict[str, Any]) -> None:
    """Make the row, unless it is there."""
    session.execute(_insert_new(session.get_bind().dialect.name), values)


@cache
def _insert_new(dialect: str) -> Any:
    # Whichever of the two partial indexes it meets.
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(Order.__table__).on_conflict_do_nothing()


def _is_outdated(order: Order, context: OrderContext, now: datetime) -> bool:
    """Whether the shop has signed something later: an old tab, or a link that somebody kept, changes nothing back."""
    signed_at = _signed_at(context, now)
    return order.signed_at is not None and (signed_at is None or signed_at < order.signed_at)


def _signed_at(context: OrderContext, now: datetime) -> datetime | None:
    """When the shop signed this; never in the future, or a server whose clock is ahead could not correct itself."""
    return None if context.signed_at is None else min(context.signed_at, now)


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
