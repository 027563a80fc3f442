"""The tallies: what became of the offers that were shown, one row for each place, and how outcomes get into them."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from widget.attempts import Attempt, Stage
from widget.database import Base, Id, Instant, Key, insert_once, to
from widget.offers import Offer, OfferKind
from widget.ranking.beliefs import (
    ANY,
    Beta,
    Book,
    Candidate,
    Memory,
    Outcome,
    Place,
    learn,
    order,
    places,
    read_share,
    tally_of,
)

# Nobody who chose a way out and has not paid by then is still at it.
FAILED_AFTER = timedelta(minutes=30)
# These take their time: a bank, a person, or the customer's own wish. A late payment corrects the count of any kind.
SLOW_FAILED_AFTER = timedelta(days=1)
SLOW = [OfferKind.TRANSFER, OfferKind.ONE_METHOD, OfferKind.PERSON, OfferKind.CALL_BACK, OfferKind.LATER]
# More in one transaction would hold up the beacons.
_BATCH = 200


class Tally(Base):
    """What became of one kind of offer for one cause and device class; older outcomes weigh less.

    "" as cause or device class is the row of all of them. `fall` and `rise` are Page's test for a change, and `usual`
    is the share that worked before one, as long as it lasts.
    """

    __tablename__ = "tallies"

    id: Mapped[Id]
    shop_id: Mapped[int] = to("shops", index=False)
    cause: Mapped[Key]
    device_class: Mapped[Key]
    # An offer's kind, or kind:method.
    offer: Mapped[Key]
    worked: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    failed: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    # Read, and not taken.
    passed: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    # Paid after they had been counted as failed.
    late: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    fall: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    rise: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    usual: Mapped[float | None] = mapped_column(sa.Double())
    changed_at: Mapped[Instant]

    __table_args__ = (sa.UniqueConstraint("shop_id", "cause", "device_class", "offer"),)

    @property
    def place(self) -> Place:
        return self.cause, self.device_class

    @property
    def memory(self) -> Memory:
        counts = self.worked, self.failed, self.passed, self.late
        return Memory(*counts, self.fall, self.rise, self.changed_at, self.usual)


@dataclass(frozen=True, slots=True, order=True)
class _Lesson:
    """One outcome to count. Sorted, so that two workers take the rows in the same order."""

    shop_id: int
    offer: str
    at: datetime
    place: Place
    outcome: Outcome
    share: float


def ranked(
    session: Session,
    shop_id: int,
    cause: str,
    device_class: str,
    priors: Mapping[str, Beta],
    chance: random.Random,
    now: datetime,
    *,
    works_now: Mapping[str, float] | None = None,
) -> list[str]:
    """These offers (a kind, or kind:choice), the one that is expected to recover most first.

    `priors` says what the rules expect of each, in their order. The same `chance` gives the same list until more is
    learned. One statement.
    """
    place, health = (cause, device_class), works_now or {}
    books = _books(session, shop_id, place, list(priors))
    return order(
        [
            Candidate(offer, prior, tally_of(books.get(offer, {}), place, now), health.get(offer))
            for offer, prior in priors.items()
        ],
        chance,
    )


def count_due(session: Session, now: datetime) -> int:
    """Count what became of the offers that nobody is still at, each once. Returns how many were looked at.

    Safe to run in several workers: who holds an offer counts it.
    """
    lessons: list[_Lesson] = []
    due = _due(session, now)
    for offer, shop_id, stage, last_taken in due:
        taught = outcome_of(offer, stage, last_taken)
        if taught is not None:
            place = (offer.cause or ANY, offer.device_class or ANY)
            lessons.append(_Lesson(shop_id, _name(offer), offer.chosen_at or offer.shown_at, place, *taught))
        # Not before what it counts, whatever the clocks of the servers say: then it would be counted again.
        offer.counted_at = max(each for each in (now, offer.worked_at, offer.chosen_at) if each is not None)
    for (shop_id, name), group in groupby(sorted(lessons), key=lambda each: (each.shop_id, each.offer)):
        _learn(session, shop_id, name, list(group), now)
    return len(due)


def _books(session: Session, shop_id: int, place: Place, names: list[str]) -> dict[str, Book]:
    cause, device = place
    query = sa.select(Tally).where(
        Tally.shop_id == shop_id,
        Tally.cause.in_([cause, ANY]),
        Tally.device_class.in_([device, ANY]),
        Tally.offer.in_(names),
    )
    found: dict[str, dict[Place, Memory]] = {}
    for row in session.scalars(query):
        found.setdefault(row.offer, {})[row.place] = row.memory
    return dict(found)


def _due(session: Session, now: datetime) -> list[sa.Row[Offer, int, str, int | None]]:
    """Offers whose outcome is known now, held: with their shop, the stage, and the lowest place taken there."""
    due = list(session.execute(_held(_was_never_counted(now))))
    # Their number cannot be guessed by the planner, which would read every attempt; as a rule there are none.
    early = session.scalars(sa.select(Offer.id).where(_was_counted_early(now)).limit(_BATCH)).all()
    if early:
        due += session.execute(_held(sa.and_(Offer.id.in_(early), _was_counted_early(now))))
    return due


def _held(is_due: sa.ColumnElement[bool]) -> sa.Select[Offer, int, str, int | None]:
    taken = aliased(Offer)
    last_taken = sa.select(sa.func.max(taken.place)).where(
        taken.attempt_id == Offer.attempt_id, taken.chosen_at.is_not(None)
    )
    return (
        sa.select(Offer, Attempt.shop_id, Attempt.stage, last_taken.scalar_subquery())
        .join(Attempt, Attempt.id == Offer.attempt_id)
        .where(is_due)
        .order_by(Offer.shown_at, Offer.id)
        .limit(_BATCH)
        .with_for_update(of=Offer, skip_locked=True)
    )


def _was_never_counted(now: datetime) -> sa.ColumnElement[bool]:
    is_untouched = sa.and_(Offer.chosen_at.is_(None), Offer.shown_at <= now - FAILED_AFTER)
    is_lost = sa.and_(Offer.chosen_at.is_not(None), sa.or_(_is_over(now), _is_left()))
    return sa.and_(Offer.counted_at.is_(None), sa.or_(Offer.worked_at.is_not(None), is_untouched, is_lost))


def _was_counted_early(now: datetime) -> sa.ColumnElement[bool]:
    """Something happened since: it was paid after all, or chosen after all."""
    is_paid, is_taken = Offer.counted_at < Offer.worked_at, Offer.counted_at < Offer.chosen_at
    return sa.and_(sa.or_(is_paid, is_taken), sa.or_(is_paid, _is_over(now)))


def _is_over(now: datetime) -> sa.ColumnElement[bool]:
    return sa.case(
        (Offer.kind.in_([kind.value for kind in SLOW]), Offer.chosen_at <= now - SLOW_FAILED_AFTER),
        else_=Offer.chosen_at <= now - FAILED_AFTER,
    )


def _is_left() -> sa.ColumnElement[bool]:
    """Whether the customer has gone on to another offer, in this attempt or another one at the order."""
    later, elsewhere, other = aliased(Offer), aliased(Offer), aliased(Attempt)
    here = sa.exists().where(later.attempt_id == Offer.attempt_id, later.chosen_at > Offer.chosen_at)
    there = sa.exists().where(
        other.order_id == Attempt.order_id,
        elsewhere.attempt_id == other.id,
        elsewhere.chosen_at > Offer.chosen_at,
    )
    return sa.or_(here, there)


def outcome_of(offer: Offer, stage: str, last_taken: int | None) -> tuple[Outcome, float] | None:
    """What a shown offer teaches once it is due, and how surely. `last_taken` is the lowest place that was taken.

    None where nothing can be learned: the payment went through before anybody read so far.
    """
    if offer.worked_at is not None:
        was_failed = (
            offer.counted_at is not None and offer.chosen_at is not None and offer.counted_at >= offer.chosen_at
        )
        return (Outcome.LATE if was_failed else Outcome.WORKED), 1.0
    if offer.chosen_at is not None:
        return Outcome.FAILED, 1.0
    if offer.place is None:
        return None
    read = read_share(offer.place, last_taken, is_paid=stage == Stage.PAID)
    return (Outcome.PASSED, read) if read else None


def _name(offer: Offer) -> str:
    return f"{offer.kind}:{offer.choice}" if offer.choice else offer.kind


def _learn(session: Session, shop_id: int, name: str, lessons: list[_Lesson], now: datetime) -> None:
    """Count the outcomes of one offer of one shop, with its rows held."""
    for cause, device in sorted({each for lesson in lessons for each in places(lesson.place)}):
        unique = {"shop_id": shop_id, "cause": cause, "device_class": device, "offer": name}
        empty = {key: value for key, value in asdict(Memory()).items() if key != "changed_at"}
        insert_once(session, Tally, unique | empty | {"changed_at": now}, unique=list(unique))
    held = sa.select(Tally).filter_by(shop_id=shop_id, offer=name).order_by(Tally.id).with_for_update()
    rows = {row.place: row for row in session.scalars(held.execution_options(populate_existing=True))}
    book: Book = {place: row.memory for place, row in rows.items()}
    for lesson in lessons:
        book = learn(book, lesson.place, lesson.outcome, now, lesson.share)
    for place, memory in book.items():
        if memory != rows[place].memory and memory.changed_at is not None:
            for field, value in asdict(memory).items():
                setattr(rows[place], field, value)
