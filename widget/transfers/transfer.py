"""The table of transfers, and what becomes of one: given out, announced, taken back, received."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import orders
from widget.attempts import Attempt
from widget.database import Base, Currency, Id, Instant, Key, Minor, add_once, to
from widget.errors import NotFound, Refused
from widget.language import N_
from widget.money import Money
from widget.orders import Order
from widget.transfers import references

# How long the instructions are shown as good. Money that comes later is still recognised.
TRANSFER_LIVES = timedelta(days=7)
# How long one that the customer says they have sent keeps the order from being paid in another way.
AWAITED_FOR = timedelta(days=14)
_MAX_CANDIDATES = 50


class Transfer(Base):
    """Instructions that a customer was given. The reference is what the money is recognised by."""

    __tablename__ = "transfers"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    order_id: Mapped[int] = to("orders")
    attempt_id: Mapped[int] = to("attempts")
    # Its ten figures, without what a scheme writes around them.
    reference: Mapped[Key]
    scheme: Mapped[Key]
    amount: Mapped[Minor]
    currency: Mapped[Currency]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    # The customer said "I have sent it"; until it arrives or they take it back, nothing else that pays is offered.
    announced_at: Mapped[Instant | None]
    received_at: Mapped[Instant | None]
    cancelled_at: Mapped[Instant | None]

    __table_args__ = (sa.UniqueConstraint("shop_id", "reference"),)

    @property
    def due(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_open(self) -> bool:
        return self.received_at is None and self.cancelled_at is None


_IS_AWAITED = sa.and_(
    Transfer.announced_at.is_not(None), Transfer.received_at.is_(None), Transfer.cancelled_at.is_(None)
)


def open_for(session: Session, attempt: Attempt, order: Order, scheme: str, due: Money, now: datetime) -> Transfer:
    """The transfer of this order by this scheme and of this amount: the one that is open already, or a new one.

    One that was announced stays the order's transfer, whatever its amount.
    """
    found = announced(session, order, attempt) or _open(session, attempt, order, scheme, due, now)
    while found is None:
        values = {
            "shop_id": order.shop_id,
            "order_id": order.id,
            "attempt_id": attempt.id,
            "reference": references.draw(),
            "scheme": scheme,
            "amount": due.minor,
            "currency": due.currency,
            "created_at": now,
            "expires_at": now + TRANSFER_LIVES,
        }
        found = add_once(session, Transfer, values, unique=["shop_id", "reference"])
    return found


def _open(session: Session, attempt: Attempt, order: Order, scheme: str, due: Money, now: datetime) -> Transfer | None:
    query = (
        sa.select(Transfer)
        .filter_by(order_id=order.id, scheme=scheme, amount=due.minor, currency=due.currency)
        .where(_is_theirs(order, attempt))
        .where(Transfer.received_at.is_(None), Transfer.cancelled_at.is_(None), Transfer.expires_at > now)
    )
    return session.scalars(query.order_by(Transfer.id.desc()).limit(1)).first()


def announced(session: Session, order: Order, attempt: Attempt | None = None) -> Transfer | None:
    """The transfer that the customer says they have sent, and that has neither arrived nor been taken back.

    Of an order that nobody vouches for, `attempt` is bound by its own word only, not by a stranger's.
    """
    query = sa.select(Transfer).where(_is_theirs(order, attempt), _IS_AWAITED)
    return session.scalars(query.order_by(Transfer.announced_at).limit(1)).first()


def is_announced(session: Session, order: Order, attempt: Attempt | None = None) -> bool:
    """Whether money may be on its way to the shop, so that nothing else that pays may be offered to this attempt.

    Without an attempt: whether anybody says so of the order.
    """
    return announced(session, order, attempt) is not None


def is_coming(order_id: sa.SQLColumnExpression[int], now: datetime) -> sa.ColumnElement[bool]:
    """Whether a transfer of the order of this id was announced so lately that it may still arrive. For a query."""
    theirs = sa.exists().where(Transfer.order_id == order_id, _IS_AWAITED)
    return theirs.where(Transfer.announced_at > now - AWAITED_FOR)


def announce(
    session: Session, order: Order, transfer_id: int, now: datetime, attempt: Attempt | None = None
) -> Transfer:
    """The customer says that they have sent it. Said twice, the first time counts.

    Raises Refused when it is over, or not a transfer of this order and `attempt`.
    """
    transfer = _of(session, order, transfer_id, attempt)
    if not transfer.is_open:
        raise Refused(N_("This transfer is closed. Load the page again to see how the order stands."))
    transfer.announced_at = transfer.announced_at or now
    return transfer


def take_back(session: Session, order: Order, transfer_id: int, now: datetime, attempt: Attempt | None = None) -> None:
    """It was not sent after all. The reference is given up, so that nobody pays by it later without being asked."""
    transfer = _of(session, order, transfer_id, attempt)
    if transfer.received_at is not None:
        raise Refused(N_("The money has arrived, so this cannot be taken back."))
    transfer.cancelled_at = transfer.cancelled_at or now


def by_id(session: Session, transfer_id: int, shop_ids: Sequence[int]) -> Transfer:
    """A transfer of one of these shops. Raises NotFound, also for one of any other shop."""
    transfer = session.scalar(sa.select(Transfer).where(Transfer.id == transfer_id, Transfer.shop_id.in_(shop_ids)))
    if transfer is None:
        raise NotFound("There is no such bank transfer in your shops.")
    return transfer


def by_reference(session: Session, shop_id: int, text: str) -> Transfer | None:
    """The transfer whose reference a bank wrote, in whatever words and spaces; also one that is over.

    None when no reference of this shop is in it, and when there are several.
    """
    found = named_in(session, [shop_id], text)
    return found[0] if len(found) == 1 else None


def named_in(session: Session, shop_ids: Sequence[int], text: str) -> list[Transfer]:
    """Every transfer of these shops whose reference can be read in what a bank wrote; also those that are over."""
    candidates = references.reference_in(text)[:_MAX_CANDIDATES]
    query = sa.select(Transfer).where(Transfer.shop_id.in_(shop_ids), Transfer.reference.in_(candidates))
    return list(session.scalars(query.order_by(Transfer.id)))


def of(session: Session, order: Order, limit: int = 10) -> list[Transfer]:
    """The transfers of this order, the latest first."""
    query = sa.select(Transfer).filter_by(order_id=order.id).order_by(Transfer.id.desc())
    return list(session.scalars(query.limit(limit)))


def awaited(session: Session, shop_ids: Sequence[int], limit: int) -> list[Transfer]:
    """What customers of these shops say they have sent and has not arrived, the earliest first."""
    query = sa.select(Transfer).where(Transfer.shop_id.in_(shop_ids), _IS_AWAITED)
    return list(session.scalars(query.order_by(Transfer.announced_at, Transfer.id).limit(limit)))


def count_awaited(session: Session, shop_ids: Sequence[int]) -> int:
    query = sa.select(sa.func.count()).select_from(Transfer).where(Transfer.shop_id.in_(shop_ids), _IS_AWAITED)
    return session.scalar(query) or 0


def overdue(session: Session, now: datetime, limit: int) -> list[int]:
    """The ids of transfers that were announced so long ago that nobody waits for them any more."""
    query = sa.select(Transfer.id).where(_IS_AWAITED, Transfer.announced_at <= now - AWAITED_FOR)
    return list(session.scalars(query.order_by(Transfer.announced_at).limit(limit)))


def give_up(session: Session, transfer: Transfer, now: datetime) -> bool:
    """Wait no longer for this one; money that comes later is still recognised. False when it is not overdue any more.

    The order must be locked.
    """
    session.refresh(transfer, with_for_update=True)
    if not transfer.is_open or transfer.announced_at is None or transfer.announced_at > now - AWAITED_FOR:
        return False
    transfer.cancelled_at = now
    return True


def receive(transfer: Transfer, now: datetime) -> None:
    """The money of this transfer is on the shop's account. Whether it pays the order is for `payments` to say."""
    transfer.received_at = transfer.received_at or now


def cancel_open(session: Session, order: Order, now: datetime) -> int:
    """The order was paid in another way: what is open is given up, but not what is said to be on its way."""
    changed = session.execute(
        sa.update(Transfer)
        .where(Transfer.order_id == order.id, Transfer.announced_at.is_(None))
        .where(Transfer.received_at.is_(None), Transfer.cancelled_at.is_(None))
        .values(cancelled_at=now)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def _is_theirs(order: Order, attempt: Attempt | None, *, is_closing: bool = True) -> sa.ColumnElement[bool]:
    """Which transfers of the order are this attempt's: at a shop that signs nothing, those of the same visitor.

    There the number alone opens the help, so what one visitor says must not close the ways of another. The visitor's
    basket may have changed meanwhile, and with it the amount that the number goes by.
    """
    if attempt is None or order.is_verified:
        return Transfer.order_id == order.id
    marks = [(Attempt.address, attempt.address)]
    if is_closing:
        # Many people have the same device, so it may close what pays, and neither change nor open anything.
        marks.append((Attempt.device, attempt.device))
    is_same = [column == mark for column, mark in marks if mark is not None]
    theirs = sa.select(Attempt.id).where(Attempt.order_id.in_(orders.akin(order)))
    return Transfer.attempt_id.in_(theirs.where(sa.or_(Attempt.id == attempt.id, *is_same)))


def _of(session: Session, order: Order, transfer_id: int, attempt: Attempt | None) -> Transfer:
    query = sa.select(Transfer).where(Transfer.id == transfer_id, _is_theirs(order, attempt, is_closing=False))
    transfer = session.scalars(query.with_for_update()).one_or_none()
    if transfer is None:
        raise Refused(N_("This transfer belongs to another order. Load the page again."))
    return transfer
