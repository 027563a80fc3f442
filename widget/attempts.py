"""Attempts: one try to pay one order, and the stage it has reached."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import ledger, orders
from widget.database import Base, Currency, Id, Instant, JsonObject, Key, Line, Minor, Text, Word, insert_once, to
from widget.language import locale_for
from widget.money import Money
from widget.orders import Order, OrderContext
from widget.redaction import has_card_number
from widget.shops import Shop
from widget.tellings import Payment

KEY_PATTERN = r"^[0-9a-f]{32}$"
MAX_WORD_CHARS = 40
_NO_WORD = re.compile(r"[^a-z0-9_]")


class Stage(StrEnum):
    STARTED = "started"  # the payment page is open
    SDK = "sdk"  # the provider's script is loading
    SUBMITTED = "submitted"  # Pay was pressed
    AUTHENTICATING = "authenticating"  # 3-D Secure, wallet sheet, redirect or pop-up
    CONFIRMING = "confirming"  # the provider is asked to take the money
    PAID = "paid"
    FAILED = "failed"
    LEFT = "left"

    @property
    def is_over(self) -> bool:
        return self in {Stage.PAID, Stage.FAILED, Stage.LEFT}

    @property
    def is_past_pay(self) -> bool:
        """Whether Pay was pressed and the outcome is open."""
        return self in {Stage.SUBMITTED, Stage.AUTHENTICATING, Stage.CONFIRMING}


# Seconds in a stage without progress before the attempt counts as stalled. Guesses with room for a slow bank;
# a shop's profile overrides them. No public per-method figures exist.
DEADLINES: dict[Stage, float] = {
    Stage.SDK: 10,
    Stage.SUBMITTED: 10,
    Stage.AUTHENTICATING: 120,
    Stage.CONFIRMING: 15,
}


class AttemptContext(BaseModel):
    """What the page says about an attempt. `key` is a random, opaque id made in the browser.

    Everything else is optional, and what is not usable is dropped: a page that names its method oddly must not lose
    the help for the payment. The script on the page is small because this is forgiving.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    key: str = Field(pattern=KEY_PATTERN)
    order: OrderContext | None = None
    method: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    # The provider's own id of this payment, which the shop's page knows (a PaymentIntent id, for instance).
    payment: str | None = Field(default=None, pattern=r"^[!-~]{1,100}$")
    # Of a payment in several legs (part by store account, the rest by card): which one this is, of how many.
    leg: int | None = Field(default=None, ge=1, le=9)
    legs: int | None = Field(default=None, ge=1, le=9)

    @field_validator("method", "provider", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> str | None:
        word = _NO_WORD.sub("_", value.lower())[:MAX_WORD_CHARS] if isinstance(value, str) else ""
        return None if not word or has_card_number(word) else word

    @field_validator("order", "payment", "leg", "legs", mode="wrap")
    @classmethod
    def _if_usable(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            return None

    @field_validator("legs")
    @classmethod
    def _holds_the_leg(cls, legs: int | None, others: ValidationInfo) -> int | None:
        leg = others.data.get("leg")
        return legs if leg is not None and legs is not None and leg <= legs else None


class Attempt(Base):
    __tablename__ = "attempts"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    key: Mapped[Key]
    order_id: Mapped[int | None] = to("orders")
    # As this attempt claimed them; the order may say otherwise by now.
    amount: Mapped[Minor | None]
    currency: Mapped[Currency | None]
    email: Mapped[Line | None]
    method: Mapped[Key | None]
    provider: Mapped[Key | None]
    payment: Mapped[Word | None]
    leg: Mapped[int | None]
    legs: Mapped[int | None]
    stage: Mapped[Key]
    # The sequence number of the signal that set the stage: a beacon that arrives late never turns it back.
    stage_seq: Mapped[int] = mapped_column(default=-1)
    error_code: Mapped[Word | None]
    error_message: Mapped[Text | None]
    facts: Mapped[JsonObject] = mapped_column(default=dict)
    user_agent: Mapped[Text | None]
    # Keyed hashes of where it came from (see `guard`); never the address itself.
    address: Mapped[Key | None]
    device: Mapped[Key | None]
    # How live health has counted it: worked, failed or declined.
    counted: Mapped[Key | None]
    started_at: Mapped[Instant]
    last_seen_at: Mapped[Instant]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        # For webhooks that name a payment and no order.
        sa.Index(
            "ix_attempts_payment",
            "shop_id",
            "payment",
            sqlite_where=sa.text("payment IS NOT NULL"),
            postgresql_where=sa.text("payment IS NOT NULL"),
        ),
    )

    @property
    def due(self) -> Money | None:
        return Money(self.amount, self.currency) if self.amount and self.currency else None

    @property
    def is_part(self) -> bool:
        """Whether this pays one leg of its order and not the whole."""
        return self.legs is not None and self.legs > 1


# Built once: to build it takes longer than to run it.
_WITH_SHOP_AND_ORDER = (
    sa.select(Attempt, Shop, Order)
    .join(Shop, Shop.id == Attempt.shop_id)
    .outerjoin(Order, Order.id == Attempt.order_id)
    .where(Attempt.id == sa.bindparam("attempt_id"))
)


def open_for(session: Session, shop: Shop, context: AttemptContext, now: datetime) -> Attempt:
    """The attempt with this key, made on first sight; later contexts fill in what was not known yet."""
    order = _order_for(session, shop, context.order, now) if context.order else None
    insert_once(
        session,
        Attempt,
        {
            "shop_id": shop.id,
            "key": context.key,
            "stage": Stage.STARTED.value,
            "stage_seq": -1,
            "facts": {},
            "started_at": now,
            "last_seen_at": now,
        },
        unique=["shop_id", "key"],
    )
    attempt = session.scalars(sa.select(Attempt).filter_by(shop_id=shop.id, key=context.key)).one()
    if order is None and attempt.order_id is not None:
        # With every row of its number, as a payment does: this page's last word may be one.
        orders.locked_by_reference(session, session.get_one(Order, attempt.order_id))
    if order is not None and context.order is not None and attempt.order_id is None:
        attempt.order_id = order.id
        attempt.amount, attempt.currency = context.order.amount, context.order.currency
        attempt.email = context.order.email or None
    attempt.method = context.method or attempt.method
    attempt.provider = context.provider or attempt.provider
    attempt.payment = context.payment or attempt.payment
    if context.legs is not None:
        attempt.leg, attempt.legs = context.leg, context.legs
    attempt.last_seen_at = max(attempt.last_seen_at, now)
    return attempt


def _order_for(session: Session, shop: Shop, context: OrderContext, now: datetime) -> Order:
    """The order, unpaid again where the shop's first signature says that what was told of was a part of it."""
    order = orders.open_for(session, shop, context, now)
    if order.paid_at is not None and sa.inspect(order).attrs.amount.history.has_changes():
        told = ledger.of(session, order)
        if told and not ledger.is_covered(told, order.due):
            order.paid_at = None
    return order


def told_by_shop(session: Session, shop: Shop, reference: str, due: Money, payment: str | None, now: datetime) -> Order:
    """The order that the shop's own server tells a payment of: the verified one, made on first sight.

    At a shop that signs nothing it is the unsigned row of which this is a part: of which a page saw a leg paid, or has
    named this payment. Anybody may claim an amount, so that alone makes no row the shop's.
    """
    number = {"shop_id": shop.id, "reference": reference}
    if orders.signs(session, shop.id) or _is_asked_for(session, number, due):
        return orders.told_by_shop(session, shop, reference, due, now)
    is_part = sa.and_(Attempt.legs > 1, Attempt.stage == Stage.PAID.value)
    if payment is not None:
        is_part = sa.or_(is_part, Attempt.payment == payment)
    larger = sa.select(Order).filter_by(**number, currency=due.currency).where(Order.amount > due.minor)
    found = list(session.scalars(larger.where(sa.exists().where(Attempt.order_id == Order.id, is_part)).limit(2)))
    return found[0] if len(found) == 1 else orders.told_by_shop(session, shop, reference, due, now)


def _is_asked_for(session: Session, number: dict[str, Any], due: Money) -> bool:
    """Whether there is a row for just this amount, or one that the shop vouches for."""
    is_exact = sa.and_(Order.amount == due.minor, Order.currency == due.currency)
    rows = sa.select(Order.id).filter_by(**number).where(sa.or_(Order.is_verified, is_exact))
    return session.scalar(rows.limit(1)) is not None


def by_id(session: Session, attempt_id: int) -> Attempt:
    return session.get_one(Attempt, attempt_id)


def with_shop_and_order(session: Session, attempt_id: int) -> tuple[Attempt, Shop, Order | None]:
    """An attempt with what every screen about it shows, in one statement."""
    row = session.execute(_WITH_SHOP_AND_ORDER, {"attempt_id": attempt_id}).one()
    return row[0], row[1], row[2]


def order_of(session: Session, attempt: Attempt) -> Order | None:
    return session.get(Order, attempt.order_id) if attempt.order_id else None


def locale_of(session: Session, shop: Shop, order: Order) -> str:
    """How the customer of this order reads, by their latest try that says so."""
    tries = sa.select(Attempt.facts).filter_by(order_id=order.id).order_by(Attempt.id.desc()).limit(20)
    spoken = (str(facts.get("language") or "") for facts in session.scalars(tries))
    return locale_for(next(filter(None, spoken), ""), home=shop.settled.locale)


def kin(session: Session, attempt: Attempt) -> sa.ColumnElement[bool]:
    """This attempt and every other at its order, of which each may have moved the money.

    An unsigned order is told apart by the amount that its pages claim; with the basket the amount changes. So there a
    try at another amount of the same number counts as well, unless it came from somebody else.
    """
    order = order_of(session, attempt)
    if order is None:
        return Attempt.id == attempt.id
    own = Attempt.order_id == order.id
    if order.is_verified:
        return own
    rows = list(session.scalars(orders.akin(order)))
    marks = [(Attempt.address, attempt.address), (Attempt.device, attempt.device)]
    known = [column == mark for column, mark in marks if mark is not None]
    unmarked = sa.and_(*(column.is_(None) for column, _ in marks))
    return sa.and_(Attempt.order_id.in_(rows), sa.or_(own, unmarked, *known) if known else sa.true())


def others(session: Session, attempt: Attempt) -> sa.Select[Attempt]:
    """The other tries at this attempt's order, the latest first."""
    theirs = sa.select(Attempt).where(kin(session, attempt), Attempt.id != attempt.id)
    return theirs.order_by(Attempt.id.desc())


def is_split(session: Session, order: Order) -> bool:
    """Whether the order is paid in legs, so that a payment of less than the whole is no mistake."""
    legs = sa.select(Attempt.id).where(Attempt.order_id == order.id, Attempt.legs > 1)
    return session.scalar(legs.limit(1)) is not None


def paid_legs(session: Session, order: Order | None) -> list[Attempt]:
    """The legs that were paid of an order that is not, the first leg first; none whose money was given back.

    While there are any, nobody may be asked for the whole amount.
    """
    if order is None or order.paid_at is not None:
        return []
    paid = sa.select(Attempt).filter_by(order_id=order.id, stage=Stage.PAID.value).where(Attempt.legs > 1)
    is_same = sa.and_(Payment.order_id == Attempt.order_id, Payment.payment == Attempt.payment)
    paid = paid.where(~sa.exists().where(is_same, Payment.reversed_at.is_not(None)))
    return list(session.scalars(paid.order_by(Attempt.leg, Attempt.id)))


def reach(attempt: Attempt, stage: Stage, seq: int) -> bool:
    """Move to this stage unless a later signal has spoken, or the attempt is paid. Returns whether it moved.

    Paid is the ground truth, however late its word comes.
    """
    if attempt.stage == Stage.PAID or (seq <= attempt.stage_seq and stage is not Stage.PAID):
        return False
    attempt.stage, attempt.stage_seq = stage.value, max(seq, attempt.stage_seq)
    return True


def hear_of(attempt: Attempt, stage: Stage) -> bool:
    """Somebody else than the page says that Pay was pressed: that moves an attempt on, never back.

    The page's own numbering is not touched, so what it tells itself still counts. Returns whether it moved.
    """
    if not stage.is_past_pay or attempt.stage not in {Stage.STARTED, Stage.SDK}:
        return False
    attempt.stage = stage.value
    return True


def learn_facts(attempt: Attempt, facts: dict[str, Any]) -> None:
    attempt.facts = {**attempt.facts, **facts}


def settle(attempt: Attempt) -> None:
    """The order is paid, by whatever way; nothing this attempt still reports changes that."""
    attempt.stage = Stage.PAID.value
