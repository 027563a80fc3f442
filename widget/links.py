"""Payment links: a signed, expiring, single-use way to pay one order's amount outside the checkout page."""

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts
from widget.attempts import Attempt
from widget.database import Base, Currency, Id, Instant, Key, Minor, Word, to
from widget.errors import LinkExpired, LinkInvalid, Refused
from widget.money import Money
from widget.orders import Order
from widget.shops import Shop

PAYING_LASTS = timedelta(minutes=1)
# A link that stays valid for longer than this is handed out again instead of a second one.
REUSED_WHILE_VALID_FOR = timedelta(minutes=30)
_PAID = "This order is already paid. There is nothing more to pay."


class PaymentLink(Base):
    __tablename__ = "payment_links"

    id: Mapped[Id]
    key: Mapped[Key] = mapped_column(unique=True)
    order_id: Mapped[int] = to("orders")
    attempt_id: Mapped[int] = to("attempts")
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    paid_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
    payment: Mapped[Word | None]

    @property
    def due(self) -> Money:
        return Money(self.amount, self.currency)


def link_for(session: Session, shop: Shop, attempt: Attempt, order: Order, now: datetime) -> PaymentLink:
    """A link that pays this order; a live one of the same attempt and amount is used again."""
    _check_unpaid(session, order)
    live = session.scalars(
        sa.select(PaymentLink)
        .filter_by(attempt_id=attempt.id, amount=order.amount, currency=order.currency, paid_at=None, revoked_at=None)
        .where(PaymentLink.expires_at > now + REUSED_WHILE_VALID_FOR)
        .limit(1)
    ).first()
    if live is not None:
        return live
    link = PaymentLink(
        key=secrets.token_urlsafe(16),
        order_id=order.id,
        attempt_id=attempt.id,
        amount=order.amount,
        currency=order.currency,
        created_at=now,
        expires_at=now + timedelta(hours=shop.settled.payment_link_hours),
    )
    session.add(link)
    session.flush()
    return link


def by_key(session: Session, key: str) -> PaymentLink:
    link = session.scalar(sa.select(PaymentLink).filter_by(key=key))
    if link is None:
        raise LinkInvalid("Copy the whole link from your e-mail, or open it there again.")
    return link


def check_payable(session: Session, link: PaymentLink, order: Order, now: datetime) -> None:
    """Raise Refused or LinkExpired unless this link may take the money now."""
    _check_unpaid(session, order)
    if link.paid_at is not None:
        raise Refused(_PAID)
    if link.revoked_at is not None:
        raise LinkExpired("The shop has withdrawn this link.")
    if link.expires_at <= now:
        raise LinkExpired("This payment link has expired. Nothing was taken.")
    if link.due != order.due:
        raise LinkExpired("The order has changed since this link was made. Nothing was taken.")


def start_paying(session: Session, link: PaymentLink, order: Order, now: datetime) -> None:
    """Reserve the order for this link while the provider takes the money. `order` must be locked.

    The same link may start again (a double click, a reload): the provider knows its idempotency key.
    """
    check_payable(session, link, order, now)
    if order.paying_link not in {None, link.key} and order.paying_until is not None and order.paying_until > now:
        raise Refused("This order is being paid with another link at this moment. Look again in a minute.")
    order.paying_link, order.paying_until = link.key, now + PAYING_LASTS


def finish_paying(link: PaymentLink, order: Order, payment: str, now: datetime) -> None:
    link.paid_at, link.payment = link.paid_at or now, payment
    order.paying_link = order.paying_until = None


def _check_unpaid(session: Session, order: Order) -> None:
    if order.paid_at is not None:
        raise Refused(_PAID)
    if attempts.paid_legs(session, order):
        raise Refused("Part of this order is paid already, and this link is for the whole. Nothing was taken by it.")
