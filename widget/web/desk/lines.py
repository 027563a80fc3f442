"""Lines: what the queue shows of a ticket. Everything is read in three statements, however long the queue is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget.attempts import Attempt
from widget.orders import Order
from widget.shops import Shop
from widget.stalls import Stall, by_weight
from widget.tickets import Status, Ticket
from widget.web.desk import words
from widget.web.desk.words import Badge, Clockface

Row = TypeVar("Row", Attempt, Order)


@dataclass(frozen=True, slots=True)
class Line:
    ticket: Ticket
    order: str | None
    due: str | None
    is_paid: bool
    stuck: str
    topic: str | None
    badge: Badge
    clock: Clockface
    # Named only for agents of several shops.
    shop: str | None

    @property
    def awaits_answer(self) -> bool:
        return self.ticket.answered_at is None and not Status(self.ticket.status).is_done

    @property
    def is_overdue(self) -> bool:
        return self.awaits_answer and self.ticket.answer_due_at <= self.clock.now


def lines_of(session: Session, shops: dict[int, Shop], found: list[Ticket], now: datetime) -> list[Line]:
    attempts = _by_id(session, Attempt, (ticket.attempt_id for ticket in found))
    orders = _by_id(session, Order, (ticket.order_id for ticket in found if ticket.order_id))
    stalls = _stalls_of(session, list(attempts))
    profiles = {shop.id: shop.settled for shop in shops.values()}
    lines = []
    for ticket in found:
        profile, attempt = profiles[ticket.shop_id], attempts[ticket.attempt_id]
        order = orders.get(ticket.order_id or 0)
        lines.append(
            Line(
                ticket=ticket,
                order=order.reference if order else None,
                due=order.due.shown(profile.locale) if order else None,
                is_paid=bool(order and order.paid_at),
                stuck=words.stuck(stalls.get(attempt.id), profile.method_label(attempt.method)),
                topic=words.topic_label(ticket.topic) if ticket.topic else None,
                badge=words.status_badge(ticket.status),
                clock=Clockface(now, ZoneInfo(profile.time_zone)),
                shop=shops[ticket.shop_id].name if len(shops) > 1 else None,
            )
        )
    return lines


def _by_id(session: Session, model: type[Row], ids: Iterable[int]) -> dict[int, Row]:
    return {row.id: row for row in session.scalars(sa.select(model).where(model.id.in_(set(ids))))}


def _stalls_of(session: Session, attempt_ids: list[int]) -> dict[int, Stall]:
    """The stall of each attempt that weighs most, as its pane names it."""
    query = sa.select(Stall).where(Stall.attempt_id.in_(attempt_ids), Stall.withdrawn_at.is_(None))
    # From the lightest, so that the heaviest of an attempt is the one that stays.
    return {stall.attempt_id: stall for stall in reversed(by_weight(session.scalars(query)))}
