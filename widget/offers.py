"""Offers: the ways out shown to a stuck shopper. Each is shown, perhaps chosen, and worked or did not."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Minor, insert_once, to
from widget.orders import Order
from widget.providers import ChargeState


class OfferKind(StrEnum):
    RETRY = "retry"
    METHOD = "method"
    DEVICE = "device"
    PAYMENT_LINK = "payment_link"
    PERSON = "person"
    REPORT = "report"

    @property
    def pays(self) -> bool:
        """Whether taking this offer can move money; such an offer needs the word that none has moved."""
        return self not in {OfferKind.PERSON, OfferKind.REPORT}


class Offer(Base):
    __tablename__ = "offers"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts", index=False)
    kind: Mapped[Key]
    shown_at: Mapped[Instant]
    chosen_at: Mapped[Instant | None]
    worked_at: Mapped[Instant | None]
    # What the order was worth that was paid after this offer was chosen.
    recovered: Mapped[Minor | None]

    __table_args__ = (sa.UniqueConstraint("attempt_id", "kind"),)


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything the choice of offers depends on."""

    charge: ChargeState
    is_paid: bool
    has_amount: bool
    can_return: bool  # the shop told us where its checkout is
    other_methods: int
    takes_link_payments: bool
    has_contacts: bool
    # One leg of the order went through; what pays would take the whole amount once more.
    is_part_paid: bool = False
    declined_for_good: bool = False


def offers_for(situation: Situation) -> list[OfferKind]:
    """The ways out, best first. None that pays unless it is certain that nothing was charged."""
    return [kind for kind in OfferKind if _is_open(kind, situation)]


def _is_open(kind: OfferKind, now: Situation) -> bool:
    if kind.pays and (now.is_paid or now.is_part_paid or now.charge is not ChargeState.NOT_CHARGED):
        return False
    match kind:
        case OfferKind.RETRY:
            return not now.declined_for_good
        case OfferKind.METHOD:
            return now.other_methods > 0
        case OfferKind.DEVICE:
            return now.can_return and now.has_amount
        case OfferKind.PAYMENT_LINK:
            return now.takes_link_payments and now.has_amount
        case OfferKind.PERSON:
            return now.has_contacts
        case OfferKind.REPORT:
            return True


def show(session: Session, attempt: Attempt, kinds: Iterable[OfferKind], now: datetime) -> None:
    for kind in kinds:
        insert_once(
            session,
            Offer,
            {"attempt_id": attempt.id, "kind": kind.value, "shown_at": now},
            unique=["attempt_id", "kind"],
        )


def choose(session: Session, attempt: Attempt, kind: OfferKind, now: datetime) -> None:
    """The shopper took this way out; the latest time counts."""
    show(session, attempt, [kind], now)
    session.execute(sa.update(Offer).filter_by(attempt_id=attempt.id, kind=kind.value).values(chosen_at=now))


def of(session: Session, attempt_id: int) -> list[Offer]:
    return list(session.scalars(sa.select(Offer).filter_by(attempt_id=attempt_id).order_by(Offer.id)))


def credit(session: Session, order: Order, now: datetime) -> None:
    """The order was paid: the offer chosen last, on any attempt at it, is the one that worked."""
    query = (
        sa.select(Offer)
        .join(Attempt, Attempt.id == Offer.attempt_id)
        .where(Attempt.order_id == order.id, Offer.chosen_at.is_not(None))
        .order_by(Offer.chosen_at.desc())
        .limit(1)
    )
    offer = session.scalars(query).first()
    if offer is not None and offer.worked_at is None:
        offer.worked_at, offer.recovered = now, order.amount
