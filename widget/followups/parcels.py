"""Parcels: follow-ups as people see them, with the case they are about and why the last try failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from widget.attempts import Attempt
from widget.errors import NotFound
from widget.followups.promise import Delivery, FollowUp, Kind, is_open
from widget.followups.sending import revive
from widget.handovers import HandOver
from widget.holds import Hold
from widget.orders import Order
from widget.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Parcel:
    """A follow-up with what a person must know to recognise it. `error` is why the last try failed, or empty."""

    follow_up: FollowUp
    ticket: Ticket | None
    order: Order | None
    shop_id: int
    error: str
    email: str

    @property
    def about(self) -> str:
        """What people call the case: the ticket's reference, or the order's number."""
        return self.ticket.reference if self.ticket else f"order {self.order.reference}" if self.order else ""


def dead_letters(session: Session, shop_ids: list[int]) -> list[Parcel]:
    """Mails that could not be delivered, the newest first."""
    query = _parcels().where(FollowUp.dead_at.is_not(None), Attempt.shop_id.in_(shop_ids))
    return _unpacked(session, query.order_by(FollowUp.dead_at.desc()).limit(200))


def waiting(session: Session, limit: int = 100) -> list[Parcel]:
    """What is still to be sent, soonest first."""
    return _unpacked(session, _parcels().where(is_open()).order_by(FollowUp.next_try_at).limit(limit))


def retry(session: Session, follow_up_id: int, shop_ids: list[int], now: datetime) -> Parcel:
    """Revive a dead letter of one of these shops; one that lives again already stays as it is. Raises NotFound."""
    session.scalar(sa.select(FollowUp.id).filter_by(id=follow_up_id).with_for_update())
    found = _unpacked(session, _parcels().where(FollowUp.id == follow_up_id, Attempt.shop_id.in_(shop_ids)))
    if not found:
        raise NotFound("There is no such e-mail in your shops.")
    if found[0].follow_up.dead_at is not None:
        revive(found[0].follow_up, now)
    return found[0]


def count_dead(session: Session, shop_ids: list[int]) -> int:
    theirs = _parcels().where(FollowUp.dead_at.is_not(None), Attempt.shop_id.in_(shop_ids))
    return session.scalar(theirs.with_only_columns(sa.func.count(), maintain_column_froms=True)) or 0


def _parcels() -> Any:
    last_error = (
        sa.select(Delivery.detail)
        .where(Delivery.follow_up_id == FollowUp.id)
        .order_by(Delivery.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    # What `recipient_of` finds for one: each of these is joined to one row at most.
    is_handed = sa.and_(HandOver.attempt_id == Attempt.id, FollowUp.subject_key == sa.literal("device:") + HandOver.key)
    is_kept = sa.and_(Hold.order_id == Order.id, sa.or_(Order.is_verified, Hold.attempt_id == Attempt.id))
    reported = aliased(Ticket)
    recipient = sa.case(
        (FollowUp.ticket_id.is_not(None), Ticket.email),
        (FollowUp.kind == Kind.DEVICE.value, HandOver.email),
        (FollowUp.kind == Kind.LATER.value, Hold.email),
        (sa.and_(Order.is_verified, Order.customer_email != ""), Order.customer_email),
        else_=reported.email,
    )
    return (
        sa.select(
            FollowUp,
            Ticket,
            Order,
            Attempt.shop_id,
            sa.func.coalesce(last_error, ""),
            sa.func.coalesce(recipient, ""),
        )
        .outerjoin(Ticket, Ticket.id == FollowUp.ticket_id)
        .join(Attempt, Attempt.id == sa.func.coalesce(FollowUp.attempt_id, Ticket.attempt_id))
        .outerjoin(Order, Order.id == Attempt.order_id)
        .outerjoin(reported, reported.attempt_id == FollowUp.attempt_id)
        .outerjoin(HandOver, sa.and_(FollowUp.kind == Kind.DEVICE.value, is_handed))
        .outerjoin(Hold, sa.and_(FollowUp.kind == Kind.LATER.value, is_kept, Hold.released_at.is_(None)))
    )


def _unpacked(session: Session, query: Any) -> list[Parcel]:
    rows = session.execute(query.execution_options(populate_existing=True))
    return [Parcel(*row) for row in rows.all()]
