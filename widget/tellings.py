"""Tellings: what anybody told us of a payment, row by row, and which of these rows count."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Currency, Id, Instant, Key, Minor, Word, to
from widget.money import Money
from widget.orders import Order

# What a transfer is called: by its reference, and behind that by the bank's own id of a booking, where one was told.
_OF_TRANSFER = re.compile(r"(transfer:[0-9]{10})(:.*)?", re.DOTALL)
_LONGEST_BOOKING_CHARS = 80


class Source(StrEnum):
    SHOP = "shop"  # the shop's server told us
    PAGE = "page"  # the shop's page saw its own payment succeed
    LINK = "link"  # our manual payment link
    PROVIDER = "provider"  # the provider said so, when asked or by a webhook

    @property
    def is_proof(self) -> bool:
        """Whether a refund may rest on it. A page runs at the customer's, who could make it say anything."""
        return self is not Source.PAGE


class Payment(Base):
    """One telling of a payment."""

    __tablename__ = "payments"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    order_id: Mapped[int] = to("orders")
    # The caller's idempotency key; the same payment told twice is one row.
    key: Mapped[Word]
    source: Mapped[Key]
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    method: Mapped[Key | None]
    provider: Mapped[Key | None]
    payment: Mapped[Word | None]
    # Whether whoever told of it has it from more than a page that named this payment.
    is_proven: Mapped[bool] = mapped_column(default=True, server_default=sa.text("(true)"))
    at: Mapped[Instant]
    # When its provider said that the whole of this payment was given back.
    reversed_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("shop_id", "key"),
        sa.Index("ix_payments_payment", "shop_id", "payment"),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody told us about a payment. `payment` is the provider's id, `provider` its name."""

    key: str
    source: Source
    money: Money
    method: str | None = None
    payment: str | None = None
    provider: str | None = None
    # Whether whoever tells has it from more than a page that named this payment.
    is_proven: bool = True


def of(session: Session, order: Order) -> list[Payment]:
    return list(session.scalars(sa.select(Payment).filter_by(order_id=order.id).order_by(Payment.id)))


def elsewhere(session: Session, order: Order, told: Told) -> Payment | None:
    """A telling of the same payment for another order of this shop, so that it cannot be of this one as well.

    A page may name any payment: what it alone has told takes nothing from an order that the provider itself names.
    """
    if told.payment is None:
        return None
    is_same = sa.and_(Payment.shop_id == order.shop_id, Payment.payment == told.payment)
    is_others = sa.and_(Order.shop_id == order.shop_id, Order.reference != order.reference)
    known = sa.select(Payment).join(Order, Order.id == Payment.order_id).where(is_same, is_others).order_by(Payment.id)
    if told.is_proven:
        known = known.where(Payment.source != Source.PAGE.value, Payment.is_proven)
    if told.provider is not None:
        known = known.where(sa.or_(Payment.provider == told.provider, Payment.provider.is_(None)))
    return session.scalars(known.limit(1)).first()


def by_provider(session: Session, order: Order, provider: str) -> list[Payment]:
    """The tellings of this order's number that name a payment of this provider, and are more than a page's word."""
    number = sa.select(Order.id).filter_by(shop_id=order.shop_id, reference=order.reference)
    theirs = sa.select(Payment).where(Payment.order_id.in_(number), Payment.payment.is_not(None))
    theirs = theirs.where(Payment.provider == provider, Payment.source != Source.PAGE.value)
    return list(session.scalars(theirs.order_by(Payment.id)))


def transfer_name(reference: str, booking: str | None = None) -> str:
    """What a bank transfer is called as a payment; `booking` is the bank's own id of one arrival of money by it."""
    name = f"transfer:{reference}"
    if booking is None:
        return name
    is_long = len(booking) > _LONGEST_BOOKING_CHARS
    return f"{name}:{hashlib.sha256(booking.encode()).hexdigest() if is_long else booking}"


def name_of(payment: str) -> str:
    """What a payment is called in the ledger: everything that arrives by one transfer's reference is one payment."""
    found = _OF_TRANSFER.fullmatch(payment)
    return found[1] if found else payment


def is_of_transfer(telling: Payment) -> bool:
    """Whether the shop told of money by a transfer's reference, so that each telling that counts is a part of it."""
    is_named = telling.payment is not None and _OF_TRANSFER.fullmatch(telling.payment) is not None
    return is_named and telling.source == Source.SHOP


@dataclass
class _Bookings:
    """The bookings of transfers that were told of so far, for an order that comes to `due`."""

    due: Money
    told: set[tuple[object, ...]] = field(default_factory=set)
    sums: Counter[str] = field(default_factory=Counter)
    # How many of a transfer's bookings of one amount were told with the bank's id, or without, in one way only.
    alone: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def add(self, telling: Payment) -> bool:
        """Whether this is another booking than those before it."""
        name = name_of(telling.payment or "")
        has_id, figure = telling.payment != name, (name, telling.amount, telling.currency)
        booking, is_beyond = (telling.payment, *figure), self.sums[name] + telling.amount > self.due.minor
        is_again = booking in self.told and (has_id or is_beyond)
        self.told.add(booking)
        if is_again:
            return False
        if is_beyond and self.alone[(*figure, not has_id)] > 0:
            self.alone[(*figure, not has_id)] -= 1
            return False
        self.alone[(*figure, has_id)] += 1
        self.sums[name] += telling.amount
        return True


def counted(told: Sequence[Payment], due: Money) -> list[Payment]:
    """The tellings that count, in their order: none of a payment that was given back in full, whoever tells of it.

    Of a transfer, what an agent typed stands until the shop's server tells what the bank has booked. One booking counts
    once, however often it is told. Equal amounts without the bank's id are parts as long as the order is worth them
    together; beyond that they are one that was told again, and so are two of which one bears the bank's id.
    """
    by_bank = {name_of(each.payment or "") for each in told if is_of_transfer(each) and not is_typed(each)}
    gone = {each.payment for each in told if each.reversed_at is not None}
    found, bookings = list[Payment](), _Bookings(due)
    for each in (row for row in told if row.payment not in gone):
        if is_of_transfer(each):
            is_replaced = is_typed(each) and name_of(each.payment or "") in by_bank
            if is_replaced or not bookings.add(each):
                continue
        found.append(each)
    return found


def is_typed(telling: Payment) -> bool:
    """Whether an agent recorded this transfer by hand, of the amount that was asked for."""
    return is_of_transfer(telling) and telling.key == telling.payment
