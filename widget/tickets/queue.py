"""The queue of tickets, as agents take and search it."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import codes
from widget.attempts import Attempt
from widget.orders import Order
from widget.tickets.ticket import Status, Ticket


def queue(
    session: Session, shop_ids: list[int], *, statuses: list[Status], search: str = "", limit: int = 100
) -> list[Ticket]:
    """Tickets in the order an agent should take them: what waits for us first, soonest promise first."""
    waiting_for_us = sa.case((Ticket.status.in_([Status.NEW.value, Status.OPEN.value]), 0), else_=1)
    query = sa.select(Ticket).where(Ticket.shop_id.in_(shop_ids))
    if statuses:
        query = query.where(Ticket.status.in_([status.value for status in statuses]))
    if search.strip():
        query = query.outerjoin(Order, Order.id == Ticket.order_id).where(_matches(search.strip(), shop_ids))
    return list(session.scalars(query.order_by(waiting_for_us, Ticket.answer_due_at, Ticket.id).limit(limit)))


def counts(session: Session, shop_ids: list[int]) -> dict[str, int]:
    query = sa.select(Ticket.status, sa.func.count()).where(Ticket.shop_id.in_(shop_ids)).group_by(Ticket.status)
    return {row[0]: row[1] for row in session.execute(query)}


def _matches(search: str, shop_ids: list[int]) -> sa.ColumnElement[bool]:
    is_meant = codes.meant_by(search)
    by_code = (
        ()
        if is_meant is None
        else (Ticket.attempt_id.in_(sa.select(Attempt.id).where(Attempt.shop_id.in_(shop_ids), is_meant)),)
    )
    return sa.or_(
        Ticket.reference.icontains(search, autoescape=True),
        Ticket.email.icontains(search, autoescape=True),
        Order.reference.icontains(search, autoescape=True),
        *by_code,
    )
