"""A payment link: made for one order's amount, withdrawn when that changes, paid once."""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget import attempts, ledger, transfers
from widget.attempts import Attempt
from widget.database import Base, Currency, Id, Instant, Key, Minor, Text, Word, to
from widget.errors import LinkExpired, Refused
from widget.language import N_
from widget.money import Money
from widget.orders import Order
from widget.shops import Shop

# A link that stays valid for longer than this is handed out again instead of a second one.
REUSED_WHILE_VALID_FOR = timedelta(minutes=30)
_TRANSFER = N_("You have told us that a transfer for this order is on its way, so nothing else is taken for it now.")
WITHDRAWN = N_("The shop has withdrawn this link.")
_PAID = N_("This order is already paid. There is nothing more to pay.")


class Purpose(StrEnum):
    WHOLE = "whole"
    REST = "rest"  # what the first part of a split payment left
    DIFFERENCE = "difference"  # what a payment of too small an amount left

    @property
    def completes(self) -> bool:
        """Whether this much is paid already, and the link takes only what is missing."""
        return self is not Purpose.WHOLE


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
    # What it is for: whole, rest (of a split payment) or difference (to a wrong amount).
    purpose: Mapped[Key] = mapped_column(default="whole", server_default="whole")
    # What the order came to when the link was made, in the link's currency.
    of_amount: Mapped[Minor | None]
    # The provider's own page that takes the money, once it has been made.
    provider: Mapped[Key | None]
    hosted_id: Mapped[Word | None]
    hosted_url: Mapped[Text | None]
    # Until when that page takes money. Once we have closed it, it has no address any more.
    hosted_until: Mapped[Instant | None]
    # When the worker looks next what became of the page, and how often it has; None when there is nothing to see: the
    # page was paid, or it was closed and the provider has said afterwards that nothing was taken.
    look_at: Mapped[Instant | None]
    looks: Mapped[int] = mapped_column(default=0, server_default="0")
    # For what one of us has its page, and until when: to take the money that was approved there, or to close it.
    held_for: Mapped[Key | None]
    held_until: Mapped[Instant | None]
    # When an agent has said, from what the provider shows them, that this page took nothing and never will.
    released_at: Mapped[Instant | None]

    __table_args__ = (
        sa.Index("ix_payment_links_look_at", "look_at"),
        sa.Index(
            "ix_payment_links_hosted_id",
            "hosted_id",
            sqlite_where=sa.text("hosted_id IS NOT NULL"),
            postgresql_where=sa.text("hosted_id IS NOT NULL"),
        ),
    )

    @property
    def due(self) -> Money:
        return Money(self.amount, self.currency)

    def is_open_at_provider(self, now: datetime) -> bool:
        """Whether the provider's page may still take money."""
        return self.hosted_url is not None and self.hosted_until is not None and self.hosted_until > now

    @property
    def may_have_taken(self) -> bool:
        """Whether the provider has made a page of which it is not certain that it took nothing and never will."""
        return self.hosted_id is not None and self.paid_at is None and self.look_at is not None


def link_for(
    session: Session,
    shop: Shop,
    attempt: Attempt,
    order: Order,
    now: datetime,
    purpose: Purpose | str = Purpose.WHOLE,
    due: Money | None = None,
) -> PaymentLink:
    """A link that pays this order, or of the order what is `due` of it; a live one of the same is used again.

    Raises Refused when there is nothing to pay, or not this much.
    """
    purpose, due = Purpose(purpose), due or order.due
    _check_purpose(session, attempt, order, purpose, due)
    live = session.scalars(
        sa.select(PaymentLink)
        .filter_by(attempt_id=attempt.id, amount=due.minor, currency=due.currency, purpose=purpose.value)
        .filter_by(paid_at=None, revoked_at=None)
        .where(PaymentLink.expires_at > now + REUSED_WHILE_VALID_FOR)
        .limit(1)
    ).first()
    if live is not None:
        return live
    link = PaymentLink(
        key=secrets.token_urlsafe(16),
        order_id=order.id,
        attempt_id=attempt.id,
        amount=due.minor,
        currency=due.currency,
        purpose=purpose.value,
        of_amount=order.amount,
        created_at=now,
        expires_at=now + timedelta(hours=shop.settled.payment_link_hours),
    )
    session.add(link)
    session.flush()
    return link


def by_key(session: Session, key: str) -> PaymentLink:
    """Raises LinkExpired for one that was deleted with its order: the link itself was well signed."""
    link = session.scalar(sa.select(PaymentLink).filter_by(key=key))
    if link is None:
        raise LinkExpired(WITHDRAWN)
    return link


def check_payable(session: Session, link: PaymentLink, order: Order, now: datetime) -> None:
    """Raise Refused or LinkExpired unless this link may take the money now."""
    if order.paid_at is not None or link.paid_at is not None:
        raise Refused(_PAID)
    if link.revoked_at is not None:
        raise LinkExpired(WITHDRAWN)
    if link.expires_at <= now:
        raise LinkExpired(N_("This payment link has expired. Nothing was taken."))
    try:
        attempt = session.get_one(Attempt, link.attempt_id)
        _check_purpose(session, attempt, order, Purpose(link.purpose), link.due)
    except _Changed as error:
        raise LinkExpired(N_("The order has changed since this link was made. Nothing was taken.")) from error


def has_completed(session: Session, order: Order) -> bool:
    """Whether links took what was missing, so that the order is paid by several payments together.

    What a first leg took is not known everywhere, so a rest is believed; unless the order has come to another amount
    since, or something was given back of it. A difference is added to what others have told of.
    """
    paid = sa.select(PaymentLink).filter_by(order_id=order.id, currency=order.currency)
    done = session.scalars(paid.where(PaymentLink.paid_at.is_not(None))).all()
    is_rest_paid = any(each.purpose == Purpose.REST and each.of_amount in {order.amount, None} for each in done)
    if is_rest_paid and not any(each.reversed_at for each in ledger.of(session, order)):
        return True
    differences = [each.amount for each in done if each.purpose == Purpose.DIFFERENCE]
    return bool(differences) and ledger.told_beside_links(session, order) + sum(differences) >= order.amount


def revoke(link: PaymentLink, now: datetime) -> None:
    """Withdraw a link for good; its page is closed by the worker."""
    if link.paid_at is None:
        link.revoked_at = link.revoked_at or now
        look_again(link, now)


def revoke_all(session: Session, order: Order, now: datetime, attempt: Attempt | None = None) -> None:
    """Withdraw every link of this order that has not been paid, for instance because the order was paid otherwise.

    With an attempt, only links that its own visitor may have made.
    """
    theirs = PaymentLink.order_id == order.id
    if attempt is not None:
        theirs = PaymentLink.attempt_id.in_(sa.select(Attempt.id).where(attempts.kin(session, attempt)))
    session.execute(
        sa.update(PaymentLink)
        .where(theirs, PaymentLink.paid_at.is_(None), PaymentLink.revoked_at.is_(None))
        # Its page may still be open at the provider: the worker closes it.
        .values(revoked_at=now, look_at=sa.case((PaymentLink.hosted_id.is_not(None), now), else_=None), looks=0)
    )


def revoke_outdated(session: Session, attempt: Attempt, now: datetime) -> None:
    """Withdraw the links of this attempt's order that ask for what it came to before the shop signed a new amount."""
    order = attempts.order_of(session, attempt)
    if order is None or not order.is_verified or order.paid_at is not None:
        return
    for link in session.scalars(sa.select(PaymentLink).filter_by(order_id=order.id, paid_at=None, revoked_at=None)):
        if _is_outdated(link, order, ledger.balance(session, order).missing):
            link.revoked_at = now
            if link.hosted_id is not None:
                look_again(link, now)


def open_pages(session: Session, attempt: Attempt) -> list[PaymentLink]:
    """The links for this attempt's order whose page may still take money, or may have taken some: also a closed one."""
    mine = _of_kin(session, attempt).where(PaymentLink.paid_at.is_(None))
    is_open = sa.and_(PaymentLink.hosted_id.is_not(None), PaymentLink.look_at.is_not(None))
    is_open = sa.and_(is_open, PaymentLink.released_at.is_(None))
    return list(session.scalars(mine.where(is_open).order_by(PaymentLink.id)))


def is_other_paying(session: Session, attempt: Attempt, link: PaymentLink, now: datetime) -> bool:
    """Whether a link for another basket of the same order is taking its money at this moment."""
    theirs = _of_kin(session, attempt).join(Order, Order.id == PaymentLink.order_id)
    is_paying = sa.and_(Order.paying_link == PaymentLink.key, Order.paying_until > now)
    return session.scalar(theirs.where(Order.id != link.order_id, is_paying).limit(1)) is not None


def _of_kin(session: Session, attempt: Attempt) -> sa.Select[PaymentLink]:
    made_for = sa.select(PaymentLink).join(Attempt, Attempt.id == PaymentLink.attempt_id)
    return made_for.where(attempts.kin(session, attempt))


def look_again(link: PaymentLink, now: datetime) -> None:
    """Let the worker look at the page afresh: something may have happened there."""
    link.look_at, link.looks = now, 0


def _is_outdated(link: PaymentLink, order: Order, missing: Money | None) -> bool:
    """Whether its sum is not the one it was made for. Of a rest, what the first leg took is not known everywhere."""
    sums = {Purpose.WHOLE: order.due, Purpose.DIFFERENCE: missing}
    return link.due != sums.get(Purpose(link.purpose), link.due)


class _Changed(Refused):
    """What the link is for does not fit the order any more."""


def _check_purpose(session: Session, attempt: Attempt, order: Order, purpose: Purpose, due: Money) -> None:
    """Raise Refused or _Changed unless the order is unpaid and this is a sum that it may ask for."""
    if order.paid_at is not None or has_completed(session, order):
        raise Refused(_PAID)
    if transfers.is_announced(session, order, attempt):
        raise Refused(_TRANSFER)
    legs, balance = attempts.paid_legs(session, order), ledger.balance(session, order)
    missing = balance.missing
    if not purpose.completes and (legs or missing is not None or ledger.is_begun(session, order, balance)):
        raise Refused(
            N_("Part of this order is paid already, and this link is for the whole. Nothing was taken by it.")
        )
    if not _is_sum(order, purpose, due, missing) or (purpose is Purpose.REST and not legs and missing is None):
        raise _Changed(N_("The order has changed since this link was made. Nothing was taken."))


def _is_sum(order: Order, purpose: Purpose, due: Money, missing: Money | None) -> bool:
    """Whether this is what the order may ask for. What a first leg took is not known to us everywhere."""
    if not purpose.completes:
        return due == order.due
    if missing is not None or purpose is Purpose.DIFFERENCE:
        return due == missing
    return due.currency == order.currency and 0 < due.minor < order.amount
