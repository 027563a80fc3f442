"""Offers: the ways out shown to a stuck shopper. Each is shown, perhaps chosen, and worked or did not.

What is open is decided here, by safety alone; nothing that orders, words or learns may open what this closes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from widget import ledger
from widget.attempts import Attempt
from widget.database import Base, Id, Instant, Key, Minor, Text, insert_new, to
from widget.language import N_, Said
from widget.ledger import Payment
from widget.orders import Order
from widget.providers import ChargeState


class OfferKind(StrEnum):
    RETRY = "retry"
    METHOD = "method"
    DEVICE = "device"
    PAYMENT_LINK = "payment_link"
    TRANSFER = "transfer"
    REST = "rest"  # what is left of a split payment
    DIFFERENCE = "difference"  # what is missing of a payment of the wrong amount
    ONE_METHOD = "one_method"  # all of a split payment anew, once the shop has given back what the first part took
    PERSON = "person"
    CALL_BACK = "call_back"
    LATER = "later"
    REPORT = "report"

    @property
    def pays(self) -> bool:
        """Whether taking this offer can move money; such an offer needs the word that none has moved."""
        return self not in _TALKS and self is not OfferKind.LATER


_TALKS = frozenset({OfferKind.ONE_METHOD, OfferKind.PERSON, OfferKind.CALL_BACK, OfferKind.REPORT})


_UNCOUNTED = sa.text("counted_at IS NULL")
_COUNTED_EARLY = sa.text("counted_at < worked_at OR counted_at < chosen_at")


class Offer(Base):
    __tablename__ = "offers"

    id: Mapped[Id]
    attempt_id: Mapped[int] = to("attempts", index=False)
    kind: Mapped[Key]
    shown_at: Mapped[Instant]
    # Its place in the list (0 is first), the reason shown with it, and what ranking learns by.
    place: Mapped[int | None]
    why: Mapped[Text | None]
    cause: Mapped[Key | None]
    device_class: Mapped[Key | None]
    # What was chosen within it: a method, for instance.
    choice: Mapped[Key | None]
    chosen_at: Mapped[Instant | None]
    worked_at: Mapped[Instant | None]
    # What was taken for the order after this offer was chosen, in minor units of its currency.
    recovered: Mapped[Minor | None]
    # When ranking has counted it, as worked or not.
    counted_at: Mapped[Instant | None]

    __table_args__ = (
        sa.UniqueConstraint("attempt_id", "kind"),
        # What ranking still has to count, and what it counted before more happened.
        sa.Index("ix_offers_uncounted", "shown_at", sqlite_where=_UNCOUNTED, postgresql_where=_UNCOUNTED),
        sa.Index("ix_offers_counted_early", "id", sqlite_where=_COUNTED_EARLY, postgresql_where=_COUNTED_EARLY),
    )


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides which offers are open."""

    charge: ChargeState
    is_paid: bool = False
    has_amount: bool = False
    can_return: bool = False  # the shop told us where its checkout is
    # Ids of the methods that the shop has, that work now on this device, and that this attempt did not use.
    other_methods: tuple[str, ...] = ()
    takes_link_payments: bool = False
    takes_transfers: bool = False  # the shop has an account for this currency
    has_contacts: bool = False
    calls_back: bool = False
    can_hold: bool = False
    # The shop's server can be told to keep the order; else paying later is no more than a reminder.
    can_ask_shop: bool = False
    # One leg of the order went through; what pays would take the whole amount once more.
    is_part_paid: bool = False
    # What is left of the order after those legs is known.
    has_rest: bool = False
    # This leg has failed, and the provider has told of all it may have begun: what was charged is the legs before it.
    is_leg_refused: bool = False
    # One payment took less than the order is worth, and by how much is known.
    is_short: bool = False
    # The bank or the card network forbids another try with the same card.
    declined_for_good: bool = False
    # The customer says that a transfer is on its way.
    is_transfer_announced: bool = False
    # Somebody is trying cards or order numbers one after another from there.
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One way out as it is shown. `choice` is what is recommended within it: a method, for instance."""

    kind: OfferKind
    choice: str | None = None
    name: Said = field(default_factory=lambda: Said(""))
    why: Said = field(default_factory=lambda: Said(""))

    @property
    def key(self) -> str:
        """What ranking counts by."""
        return f"{self.kind.value}:{self.choice}" if self.choice else self.kind.value


# Together they have 16 words at most, in every language (tests/test_playbooks.py counts them).
NAMES: dict[OfferKind, str] = {
    OfferKind.RETRY: N_("Try again"),
    OfferKind.METHOD: N_("Pay another way"),
    OfferKind.DEVICE: N_("Go on with another device"),
    OfferKind.PAYMENT_LINK: N_("Pay on a separate page"),
    OfferKind.TRANSFER: N_("Pay by bank transfer"),
    OfferKind.REST: N_("Pay the rest"),
    OfferKind.DIFFERENCE: N_("Pay what is missing"),
    OfferKind.ONE_METHOD: N_("One method for all of it"),
    OfferKind.PERSON: N_("Talk to a person"),
    OfferKind.CALL_BACK: N_("Ask us to call you"),
    OfferKind.LATER: N_("Pay later"),
    OfferKind.REPORT: N_("Report it"),
}
WHYS: dict[OfferKind, str] = {
    OfferKind.RETRY: N_("Nothing was charged, so one more try is safe."),
    OfferKind.METHOD: N_("Choose one of the shop’s other ways to pay."),
    OfferKind.DEVICE: N_("Your order comes with you by a link or a code."),
    OfferKind.PAYMENT_LINK: N_("The same order and amount, without this checkout."),
    OfferKind.TRANSFER: N_("From your banking app. It takes longer."),
    OfferKind.REST: N_("The part that you paid is kept."),
    OfferKind.DIFFERENCE: N_("Then your order is paid in full."),
    OfferKind.ONE_METHOD: N_("Ask the shop to give the first part back."),
    OfferKind.PERSON: N_("They can see what happened."),
    OfferKind.CALL_BACK: N_("At a time that suits you."),
    OfferKind.LATER: N_("We keep your order and remind you by e-mail."),
    OfferKind.REPORT: N_("A person looks into it and writes to you."),
}
_ONLY_REMINDED = N_("We remind you by e-mail.")


def offers_for(situation: Situation) -> list[Choice]:
    """The ways out that are open, in the order that holds where nothing better is known. The report is the last."""
    return [_choice(kind, situation) for kind in OfferKind if is_open(kind, situation)]


def is_open(kind: OfferKind, now: Situation) -> bool:
    """Whether this may be offered at all. None that pays unless it is certain that nothing more was charged."""
    if kind in _TALKS:
        return _answers(kind, now)
    if now.is_paid or now.is_suspect or now.is_transfer_announced:
        # A transfer that is on its way can still be looked up and taken back.
        return kind is OfferKind.TRANSFER and now.is_transfer_announced and not now.is_paid
    if kind is OfferKind.DIFFERENCE:
        return now.is_short and now.charge is ChargeState.CHARGED and not now.is_part_paid and now.takes_link_payments
    if kind is OfferKind.REST:
        return now.is_part_paid and now.has_rest and now.takes_link_payments and _is_rest_open(now)
    return now.charge is ChargeState.NOT_CHARGED and not now.is_part_paid and _takes_whole(kind, now)


def _is_rest_open(now: Situation) -> bool:
    """A provider that is asked by order answers with the leg that was paid: of this one, the refusal must be known."""
    return now.charge is ChargeState.NOT_CHARGED or (now.charge is ChargeState.CHARGED and now.is_leg_refused)


def _answers(kind: OfferKind, now: Situation) -> bool:
    match kind:
        case OfferKind.ONE_METHOD:
            return now.is_part_paid and not now.is_paid and not now.is_suspect and _is_rest_open(now)
        case OfferKind.PERSON:
            return now.has_contacts
        case OfferKind.CALL_BACK:
            return now.calls_back and not now.is_paid and not now.is_suspect
        case _:
            return True


def _takes_whole(kind: OfferKind, now: Situation) -> bool:
    match kind:
        case OfferKind.RETRY:
            return not now.declined_for_good
        case OfferKind.METHOD:
            return bool(now.other_methods)
        case OfferKind.DEVICE:
            return now.can_return and now.has_amount
        case OfferKind.PAYMENT_LINK:
            return now.takes_link_payments and now.has_amount
        case OfferKind.TRANSFER:
            return now.takes_transfers and now.has_amount
        case OfferKind.LATER:
            return now.can_hold and now.has_amount
        case _:
            return False


def _choice(kind: OfferKind, situation: Situation) -> Choice:
    if kind is OfferKind.TRANSFER and situation.is_transfer_announced:
        return Choice(kind, None, Said(N_("Show the transfer")), Said(N_("Its details, or take it back.")))
    if kind is OfferKind.LATER and not situation.can_ask_shop:
        return Choice(kind, None, Said(NAMES[kind]), Said(_ONLY_REMINDED))
    method = situation.other_methods[0] if kind is OfferKind.METHOD else None
    return Choice(kind, method, Said(NAMES[kind]), Said(WHYS[kind]))


def show(
    session: Session,
    attempt: Attempt,
    shown: Sequence[Choice | OfferKind],
    now: datetime,
    *,
    cause: str | None = None,
    device_class: str | None = None,
) -> None:
    """Keep that these were shown, in this order and with this reason; the first time counts. One statement."""
    choices = (each if isinstance(each, Choice) else Choice(each) for each in shown)
    rows = [
        {
            "attempt_id": attempt.id,
            "kind": choice.kind.value,
            "shown_at": now,
            "place": place,
            "why": str(choice.why) or None,
            "cause": cause,
            "device_class": device_class,
            "choice": choice.choice,
        }
        for place, choice in enumerate(choices)
    ]
    if rows:
        session.execute(insert_new(session.get_bind().dialect.name, Offer, ("attempt_id", "kind")), rows)


def choose(session: Session, attempt: Attempt, kind: OfferKind, now: datetime, *, choice: str | None = None) -> None:
    """The shopper took this way out; the latest time counts."""
    show(session, attempt, [kind], now)
    values: dict[str, object] = {"chosen_at": now} | ({"choice": choice} if choice else {})
    session.execute(sa.update(Offer).filter_by(attempt_id=attempt.id, kind=kind.value).values(**values))


def of(session: Session, attempt_id: int) -> list[Offer]:
    return list(session.scalars(sa.select(Offer).filter_by(attempt_id=attempt_id).order_by(Offer.id)))


def credit(session: Session, order: Order, told: Sequence[Payment], now: datetime) -> None:
    """The order was paid, as these have told: the offer chosen last, on any attempt at it, is the one that worked."""
    query = (
        sa.select(Offer)
        .join(Attempt, Attempt.id == Offer.attempt_id)
        .where(Attempt.order_id == order.id, Offer.chosen_at.is_not(None))
        .order_by(Offer.chosen_at.desc())
        .limit(1)
    )
    offer = session.scalars(query).first()
    if offer is not None and offer.chosen_at is not None and offer.worked_at is None:
        offer.worked_at, offer.recovered = now, ledger.taken_since(told, order.due, offer.chosen_at)
