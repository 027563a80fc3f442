"""Ledger: every payment of an order that anybody told us of, and which of these tellings are one and the same payment.

Two payments are told apart by the provider's id alone: the shop, the page, the provider and our own link all tell of
the same one. A telling without an id never proves a second payment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import tellings
from widget.money import Money
from widget.orders import Order
from widget.tellings import Payment, Source, Told, elsewhere, of

__all__ = [
    "Balance",
    "Payment",
    "Source",
    "Taken",
    "Told",
    "balance",
    "elsewhere",
    "is_begun",
    "is_covered",
    "of",
    "taken",
    "taken_since",
    "told_beside_links",
]


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
    told = tellings.counted(of(session, order), order.due)
    ours = {each.payment for each in told if each.source == Source.LINK and each.payment}
    beside = [each for each in told if each.source not in {Source.LINK, Source.PAGE} and each.payment not in ours]
    return _most_told(beside, order.due)


def taken(told: Sequence[Payment]) -> tuple[Taken, ...]:
    """The payments that these tellings prove, the first one first."""
    named: dict[str, list[Payment]] = {}
    for each in told:
        if each.payment is not None and Source(each.source).is_proof:
            named.setdefault(tellings.name_of(each.payment), []).append(each)
    return tuple(_one(payment, rows) for payment, rows in named.items())


def is_covered(told: Sequence[Payment], due: Money) -> bool:
    """Whether the order is paid. One channel must report the whole, because several tell of the same payment.

    What our own links took comes on top of what another channel tells of other payments: a rest, or a difference.
    """
    return _most_told(tellings.counted(told, due), due) >= due.minor


def taken_since(told: Sequence[Payment], due: Money, since: datetime) -> int:
    """What came in for the order since then, in minor units: no more than was left of it. The last telling is news."""
    news = {each.id for each in (*(each for each in told if each.at >= since), *told[-1:])}
    counted = tellings.counted(told, due)
    before = _most_told([each for each in counted if each.id not in news], due)
    return max(0, min(_most_told([each for each in counted if each.id in news], due), due.minor - before))


def _balanced(due: Money, told: Sequence[Payment]) -> Balance:
    proof = [each for each in tellings.counted(told, due) if Source(each.source).is_proof]
    return Balance(due, taken(proof), _most_told(proof, due))


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
    perhaps several times; what is left of a transfer's tellings are its parts.
    """
    named: dict[str, set[int]] = {}
    unnamed = 0
    for each in told:
        if each.payment is None or tellings.is_of_transfer(each):
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
