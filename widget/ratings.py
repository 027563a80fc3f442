"""Ratings: the customer's answer about the help. The first human answer stands."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import tickets
from widget.database import Base, Id, Instant, Text, insert_once, to
from widget.errors import Malformed
from widget.language import N_
from widget.tickets import Ticket

SCORES = {5: N_("Very good"), 4: N_("Good"), 3: N_("It was OK"), 2: N_("Poor"), 1: N_("Very poor")}


class Rating(Base):
    __tablename__ = "ratings"

    id: Mapped[Id]
    ticket_id: Mapped[int] = to("tickets", unique=True, index=False)
    score: Mapped[int]
    comment: Mapped[Text]
    answered_at: Mapped[Instant]

    __table_args__ = (sa.CheckConstraint("score BETWEEN 1 AND 5", name="score_is_1_to_5"),)


def answer(session: Session, ticket: Ticket, score: int, comment: str, now: datetime) -> Rating:
    """Record the customer's answer; later ones become notes on the ticket. Raises Malformed for an unknown score."""
    if score not in SCORES:
        raise Malformed("Choose one of the five answers.")
    words = tickets.words_of(comment)
    values = {"ticket_id": ticket.id, "score": score, "comment": words, "answered_at": now}
    is_first = insert_once(session, Rating, values, unique=["ticket_id"]) is not None
    rating = session.scalars(sa.select(Rating).filter_by(ticket_id=ticket.id)).one()
    if not is_first and (rating.score, rating.comment) != (score, words):
        later = f"The customer answered the rating again: {SCORES[score]}. {words}".strip()
        tickets.add_system_note(session, ticket, later, now)
    return rating


def of(session: Session, ticket: Ticket) -> Rating | None:
    return session.scalar(sa.select(Rating).filter_by(ticket_id=ticket.id))
