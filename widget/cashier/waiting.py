"""Waiting: what the worker does about bank transfers that a customer announced and that never arrive."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import clock, orders, tickets, transfers
from widget.database import Database
from widget.orders import Order
from widget.tickets import Status, Ticket
from widget.transfers import Transfer

TRANSFERS_PER_ROUND = 20


def end_waiting(database: Database) -> bool:
    """Wait no longer for what did not come in time, so that the order can be paid another way. Returns whether any.

    Each is a transaction of its own. Of several workers one ends it; the others find it ended.
    """
    with database.read() as session:
        overdue = transfers.overdue(session, clock.now(), TRANSFERS_PER_ROUND)
    for transfer_id in overdue:
        with database.write() as session:
            _end(session, session.get_one(Transfer, transfer_id), clock.now())
    return bool(overdue)


def _end(session: Session, transfer: Transfer, now: datetime) -> None:
    # A payment that comes in at this moment is recorded before this or after it.
    order = orders.locked_by_reference(session, session.get_one(Order, transfer.order_id))
    if not transfers.give_up(session, transfer, now):
        return
    for ticket in _told(session, order):
        tickets.note_once(session, ticket, _words(transfer, order), now)


def _told(session: Session, order: Order) -> list[Ticket]:
    """The order's tickets that somebody works on, else the latest."""
    theirs = list(session.scalars(sa.select(Ticket).filter_by(order_id=order.id).order_by(Ticket.id)))
    return [each for each in theirs if not Status(each.status).is_done] or theirs[-1:]


def _words(transfer: Transfer, order: Order) -> str:
    announced_at = transfer.announced_at or transfer.created_at
    reference, amount = transfers.shown_reference(transfer.reference), transfer.due.shown("en")
    never_came = (
        f"The bank transfer {reference} of {amount}, announced on "
        f"{announced_at:%Y-%m-%d}, has not arrived in {transfers.AWAITED_FOR.days} days. We wait for it no longer."
    )
    if order.paid_at is not None:
        return f"{never_came} The order is paid. If the money comes after all, record it, then give it back."
    return f"{never_came} The customer can pay another way again. If the money comes after all, record it here."
