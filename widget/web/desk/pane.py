"""The reading pane: everything an agent would otherwise have to ask for, gathered in one place."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from widget import certainty, evidence, findings, followups, holds, payments, ratings, tickets
from widget.agents import Agent
from widget.attempts import Attempt
from widget.diagnosis import Diagnosis
from widget.evidence import Evidence
from widget.followups import FollowUp
from widget.holds import Hold
from widget.money import Money
from widget.offers import Offer
from widget.orders import Order
from widget.ratings import SCORES, Rating
from widget.shops import Shop
from widget.tickets import Author, Message, Status, StatusChange, Ticket
from widget.web.desk import payment_pages, transfers, words
from widget.web.desk.words import Badge, ChargeSaid, Clockface


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of the conversation. `kind` is customer, agent, note, unjam or change."""

    kind: str
    who: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Mail:
    follow_up: FollowUp
    label: str
    badge: Badge
    error: str


@dataclass(frozen=True, slots=True)
class Pane:
    ticket: Ticket
    shop: Shop
    attempt: Attempt
    order: Order | None
    evidence: Evidence
    why: Diagnosis
    charge: ChargeSaid
    paid: tuple[str, ...]
    transfers: tuple[transfers.Shown, ...]
    # The payment page that keeps the order although its provider does not say what became of it.
    page: payment_pages.Shown | None
    # The customer wants to pay later.
    hold: Hold | None
    conversation: tuple[Said, ...]
    # The last message this pane shows: a reply written under it may be overtaken by another.
    seen: int
    mails: tuple[Mail, ...]
    rating: Rating | None
    clock: Clockface

    @property
    def badge(self) -> Badge:
        return words.status_badge(self.ticket.status)

    @property
    def is_done(self) -> bool:
        return Status(self.ticket.status).is_done

    @property
    def awaits_answer(self) -> bool:
        return self.ticket.answered_at is None and not self.is_done

    @property
    def stuck(self) -> str:
        stalls = self.evidence.stalls
        return words.stuck(stalls[0] if stalls else None, self.shop.settled.method_label(self.attempt.method))

    @property
    def failing_methods(self) -> str:
        """The methods that do not work now on a device like this one."""
        return ", ".join(self.shop.settled.method_label(each) or each for each in sorted(self.why.avoid))

    @property
    def provider(self) -> str:
        """Who gave the last word about the charge."""
        asked = self.evidence.charge.provider if self.evidence.charge else None
        return words.spelled(asked) if asked else "The provider"

    @property
    def other_address(self) -> str | None:
        """The address the shop signed, where the ticket was reported with another one."""
        signed = self.order.customer_email if self.order and self.order.is_verified else None
        return signed if signed and signed.lower() != self.ticket.email else None

    @property
    def is_kept(self) -> bool:
        """Whether the shop's server was told to keep the order."""
        return self.hold is not None and self.order is not None and holds.is_told_to_shop(self.shop, self.order)

    @property
    def score(self) -> str | None:
        return SCORES[self.rating.score] if self.rating else None

    def recovered_by(self, offer: Offer) -> str | None:
        """What was taken for the order after this was chosen, where something was."""
        if self.order is None or not offer.recovered:
            return None
        return Money(offer.recovered, self.order.currency).shown(self.shop.settled.locale)


def open_pane(session: Session, shop: Shop, ticket: Ticket, now: datetime) -> Pane:
    profile, face = shop.settled, Clockface(now, ZoneInfo(shop.settled.time_zone))
    attempt, order = tickets.attempt_of(session, ticket), tickets.order_of(session, ticket)
    found = evidence.gather(session, shop, attempt, profile.locale, is_for_agent=True)
    said = tickets.messages_of(session, ticket, notes=True)
    is_part_charged = found.charge is not None and found.charge.is_part_of(order)
    is_part_paid = is_part_charged or certainty.is_part_paid(session, order)
    return Pane(
        ticket=ticket,
        shop=shop,
        attempt=attempt,
        order=order,
        evidence=found,
        why=findings.of(session, attempt, now),
        charge=words.charge_said(found.charge, order, profile.locale, now, is_part_paid=is_part_paid),
        paid=tuple(_paid(session, order, profile.locale)) if order else (),
        transfers=transfers.of_order(session, shop, order),
        page=payment_pages.of_ticket(session, ticket, profile.locale),
        hold=holds.seen_by(session, attempt, order),
        conversation=_conversation(session, ticket, said),
        seen=max((message.id for message in said), default=0),
        mails=tuple(_mail(session, each) for each in followups.of(session, ticket)),
        rating=ratings.of(session, ticket),
        clock=face,
    )


def _paid(session: Session, order: Order, locale: str) -> list[str]:
    return [
        f"{Money(each.amount, each.currency).shown(locale)}, told by the {each.source}"
        for each in payments.of(session, order)
    ]


def _conversation(session: Session, ticket: Ticket, said: list[Message]) -> tuple[Said, ...]:
    changes = tickets.changes_of(session, ticket)
    entries = [_entry_of_message(session, each) for each in said] + [
        _entry_of_change(session, each) for each in changes
    ]
    return tuple(sorted(entries, key=lambda entry: entry.at))


def _entry_of_message(session: Session, message: Message) -> Said:
    if message.author == Author.CUSTOMER:
        return Said("customer", "Customer", message.body, message.said_at)
    if message.author == Author.UNJAM:
        return Said("unjam" if message.is_note else "agent", "Unjam", message.body, message.said_at)
    return Said("note" if message.is_note else "agent", _name(session, message.agent_id), message.body, message.said_at)


def _entry_of_change(session: Session, change: StatusChange) -> Said:
    who = _name(session, change.agent_id) if change.agent_id else "Unjam"
    because = "" if change.agent_id else f": {change.because}"
    return Said("change", who, f"{words.STATUSES[Status(change.status)]}{because}", change.at)


def _name(session: Session, agent_id: int | None) -> str:
    # By the row, not agents.by_id: what a disabled agent said keeps its name.
    agent = session.get(Agent, agent_id) if agent_id else None
    return agent.name if agent else "A former agent"


def _mail(session: Session, follow_up: FollowUp) -> Mail:
    badge = words.mail_badge(follow_up)
    error = followups.last_error(session, follow_up) if follow_up.tries and not follow_up.sent_at else ""
    return Mail(follow_up, words.mail_label(follow_up.kind), badge, error)
