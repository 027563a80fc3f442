"""The attempts at one order: which of them count as its own, which pay a part of it, and how its customer reads."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import orders
from widget.attempts.attempt import Attempt, Stage, order_of
from widget.language import locale_for
from widget.orders import Order
from widget.shops import Shop
from widget.tellings import Payment


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


def locale_of(session: Session, shop: Shop, order: Order) -> str:
    """How the customer of this order reads, by their latest try that says so."""
    tries = sa.select(Attempt.facts).filter_by(order_id=order.id).order_by(Attempt.id.desc()).limit(20)
    spoken = (str(facts.get("language") or "") for facts in session.scalars(tries))
    return locale_for(next(filter(None, spoken), ""), home=shop.settled.locale)
