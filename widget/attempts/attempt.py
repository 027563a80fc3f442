"""An attempt: one try to pay one order, and the stage it has reached."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Currency, Id, Instant, JsonObject, Key, Line, Minor, Text, Word, to
from widget.money import Money
from widget.orders import Order
from widget.shops import Shop


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


def by_id(session: Session, attempt_id: int) -> Attempt:
    return session.get_one(Attempt, attempt_id)


def with_shop_and_order(session: Session, attempt_id: int) -> tuple[Attempt, Shop, Order | None]:
    """An attempt with what every screen about it shows, in one statement."""
    row = session.execute(_WITH_SHOP_AND_ORDER, {"attempt_id": attempt_id}).one()
    return row[0], row[1], row[2]


def order_of(session: Session, attempt: Attempt) -> Order | None:
    return session.get(Order, attempt.order_id) if attempt.order_id else None


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
