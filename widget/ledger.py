"""Ledger: every payment of an order that anybody told us of, and which of these tellings are one and the same payment.

Two payments are told apart by the provider's id alone: the shop, the page, the provider and our own link all tell of
the same one. A telling without an id never proves a second payment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Currency, Id, Instant, Key, Minor, Word, to
from widget.money import Money
from widget.orders import Order


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


@dataclass(frozen=True, slots=True)
class Taken:
    """One payment, whoever told of it; `sources` are all who did."""

    payment: str
    money: Money
    provider: str | None
    sources: frozenset[Source]
    is_proven: bool = True


@dataclass(frozen=True, slots=True)
class Balance:
    """What was taken for an order, as far as it is proven; the payment that was told of first comes first."""

    due: Money
    taken: tuple[Taken, ...]
    # What the best informed channel tells, which names no payment perhaps: a bank transfer, for instance.
    told: int = 0

    @property
    def is_begun(self) -> bool:
        """Whether something was taken, so that nobody may be asked for the whole amount."""
        return bool(self.taken) or self.told > 0

    @property
    def total(self) -> int:
        """In the order's currency and minor units."""
        return sum(each.money.minor for each in self.taken if each.money.currency == self.due.currency)

    @property
    def amount(self) -> int:
        """What is known to have been taken, by all payments that were named or by the channel that tells of most."""
        return max(self.total, self.told)

    @property
    def superfluous(self) -> tuple[Taken, ...]:
        """The payments without which the order would still be paid, the latest first; these are to be refunded."""
        left, spare = self.total, []
        for each in reversed(self.taken):
            worth = each.money.minor if each.money.currency == self.due.currency else 0
            if len(self.taken) > 1 and left - worth >= self.due.minor:
                left -= worth
                spare.append(each)
        return tuple(spare)

    @property
    def is_proven_twice(self) -> bool:
        """Whether somebody who names payments has named two, so that one id cannot be another word for the other."""
        spare = self.superfluous
        kept = [each for each in self.taken if each not in spare]
        return any(_are_two(one, other) for one in spare for other in kept)

    @property
    def excess(self) -> Money | None:
        """What a single payment took beyond the order's amount."""
        most = max((each.money.minor for each in self.taken if each.money.currency == self.due.currency), default=0)
        return Money(most - self.due.minor, self.due.currency) if most > self.due.minor else None

    @property
    def missing(self) -> Money | None:
        """What is still to be paid after something was. None when nothing was, or in another currency only."""
        missing = self.due.minor - self.amount
        return Money(missing, self.due.currency) if 0 < missing < self.due.minor else None


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


def balance(session: Session, order: Order) -> Balance:
    """What is proven to have been taken for this order.

    Of a verified one that includes what was told of unsigned rows of the same number and amount, never the other way:
    an unsigned context knows of its own row only.
    """
    if not order.is_verified:
        return _balanced(order.due, of(session, order))
    number = {"shop_id": order.shop_id, "reference": order.reference}
    # Its own row is among these. An OR beside the sub-select would read the payments of everybody.
    rows = sa.select(Order.id).filter_by(**number, amount=order.amount, currency=order.currency)
    told = sa.select(Payment).where(Payment.order_id.in_(rows))
    return _balanced(order.due, session.scalars(told.order_by(Payment.id)).all())


def is_begun(session: Session, order: Order, known: Balance | None = None) -> bool:
    """Whether something was taken for this order, also when only the signed row of its number and amount knows it.

    `known` is its balance, where that was read already.
    """
    if (known or balance(session, order)).is_begun:
        return True
    if order.is_verified:
        return False
    same = {"shop_id": order.shop_id, "reference": order.reference, "amount": order.amount, "currency": order.currency}
    signed = session.scalars(sa.select(Order).filter_by(**same, is_verified=True).where(Order.id != order.id)).first()
    return signed is not None and balance(session, signed).is_begun


def told_beside_links(session: Session, order: Order) -> int:
    """What was taken otherwise than by our own links, as far as it is proven, in the order's currency."""
    told = of(session, order)
    ours = {each.payment for each in told if each.source == Source.LINK and each.payment}
    beside = [each for each in told if each.source not in {Source.LINK, Source.PAGE} and each.payment not in ours]
    return _most_told(beside, order.due)


def taken(told: Sequence[Payment]) -> tuple[Taken, ...]:
    """The payments that these tellings prove, the first one first."""
    named: dict[str, list[Payment]] = {}
    for each in told:
        if each.payment is not None and Source(each.source).is_proof:
            named.setdefault(each.payment, []).append(each)
    return tuple(_one(payment, rows) for payment, rows in named.items())


def is_covered(told: Sequence[Payment], due: Money) -> bool:
    """Whether the order is paid. One channel must report the whole, because several tell of the same payment.

    What our own links took comes on top of what another channel tells of other payments: a rest, or a difference.
    """
    return _most_told(told, due) >= due.minor


def _balanced(due: Money, told: Sequence[Payment]) -> Balance:
    proof = [each for each in told if Source(each.source).is_proof]
    return Balance(due, taken(told), _most_told(proof, due))


def _most_told(told: Sequence[Payment], due: Money) -> int:
    """What the channel that knows of most tells was taken, in minor units of the order's currency."""
    ours = [each for each in told if each.currency == due.currency]
    totals = {source: _total(source, (each for each in ours if each.source == source)) for source in Source}
    others = max(
        total + _total(Source.LINK, _links_beside(ours, source))
        for source, total in totals.items()
        if source is not Source.LINK
    )
    return max(others, totals[Source.LINK])


def _links_beside(told: Sequence[Payment], source: Source) -> Iterable[Payment]:
    """Payments by link that this channel has not told of itself. A link without an id may be any of them."""
    known = {each.payment for each in told if each.source == source and each.payment}
    if source is Source.PAGE or any(each.payment is None for each in told if each.source == source):
        return []
    return [each for each in told if each.source == Source.LINK and each.payment and each.payment not in known]


def _total(source: Source, told: Iterable[Payment]) -> int:
    """The sum of one channel.

    The provider repeats a payment with what it amounts to by then. Others tell of parts, and of one amount of a payment
    perhaps several times.
    """
    named: dict[str, set[int]] = {}
    unnamed = 0
    for each in told:
        if each.payment is None:
            unnamed += each.amount
        else:
            named.setdefault(each.payment, set()).add(each.amount)
    return unnamed + sum(max(amounts) if source is Source.PROVIDER else sum(amounts) for amounts in named.values())


def _one(payment: str, told: Sequence[Payment]) -> Taken:
    currency = told[-1].currency
    by_source = [
        _total(source, [each for each in told if each.source == source and each.currency == currency])
        for source in Source
    ]
    return Taken(
        payment=payment,
        money=Money(max(by_source), currency),
        provider=next((each.provider for each in told if each.provider), None),
        sources=frozenset(Source(each.source) for each in told),
        is_proven=any(each.is_proven for each in told),
    )


def _are_two(one: Taken, other: Taken) -> bool:
    """One channel named both, or they are of different providers. Two channels may name one payment differently.

    What only a page ties to the order may be of another one.
    """
    if not (one.is_proven and other.is_proven):
        return False
    is_of_two = one.provider is not None and other.provider is not None and one.provider != other.provider
    return is_of_two or bool(one.sources & other.sources)
