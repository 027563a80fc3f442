"""The case that a letter is about: what is true of it now, and the sentences that say so in its reader's language."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from widget import attempts, certainty, charges, followups, holds, language, tickets, transfers
from widget.agents import Agent
from widget.attempts import Attempt, Stage
from widget.certainty import Truth
from widget.charges import Charge
from widget.followups import FollowUp, Kind
from widget.handovers import HandOver
from widget.holds import Hold
from widget.language import N_, Said, counted, say
from widget.moments import moment
from widget.money import Money
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Profile, Shop
from widget.tickets import Message, Ticket
from widget.tokens import LIFETIMES, Purpose

# An unsigned order number is whatever somebody typed; only what looks like one is sent to a stranger's address.
_ORDER_NUMBER = re.compile(r"[\w#-][\w#/-]{0,39}\Z", re.ASCII)

# The first words of a mail are about the money: a title, and what follows from it, of an order with a number and of one
# without. Only what the provider has said.
_CHARGE_WORDS = {
    ChargeState.NOT_CHARGED: (
        N_("You have not been charged"),
        N_("No money was taken for order {order}, as of {at}."),
        N_("No money was taken for this order, as of {at}."),
    ),
    ChargeState.CHARGED: (
        N_("You have been charged"),
        N_("The payment arrived. Please do not pay again."),
        N_("The payment arrived. Please do not pay again."),
    ),
    ChargeState.HELD: (
        N_("The money is reserved, not taken"),
        N_("Your bank holds the amount for order {order}. Please do not pay again; the shop completes or releases it."),
        N_("Your bank holds the amount for this order. Please do not pay again; the shop completes or releases it."),
    ),
    ChargeState.UNKNOWN: (
        N_("We do not know yet if you were charged"),
        N_("The payment provider has not given a final answer. Please do not pay again until it has."),
        N_("The payment provider has not given a final answer. Please do not pay again until it has."),
    ),
}
_CHARGED_AN_AMOUNT = N_("You have been charged {amount}")
_PAID_WORDS = (N_("Your order is paid"), N_("There is nothing left to pay."))
_TOO_MUCH = N_("You have paid {amount} too much")
_YOU_HAVE_PAID = N_("You have paid")
_OUTCOME = N_("{outcome}: your payment at {shop}")
_OUTCOME_OF_NUMBER = N_("{outcome}: your payment at {shop}, order {order}")
_PART_PAID_WORDS = (
    N_("Part of your order is paid"),
    N_("The other part is not paid, as far as we know. Please do not pay the whole amount."),
)
_MISSING_WORDS = N_("{paid} of {due} was taken. {missing} is still to be paid. Please do not pay the whole amount.")
_BECAUSE_REPORTED = N_(
    "{shop} sends you this e-mail because a payment problem was reported with your address. "
    "If that was not you, you need not do anything."
)
_BECAUSE = {
    Kind.INTERRUPTED: N_(
        "{shop} sends you this e-mail because a payment for your order was interrupted. "
        "If that was not you, you need not do anything."
    ),
    Kind.OUTCOME: N_(
        "{shop} sends you this e-mail because it was not clear whether a payment for your order went through. "
        "If that was not you, you need not do anything."
    ),
    Kind.PAID_TWICE: N_("{shop} sends you this e-mail because your order was paid."),
    Kind.PAID_TOO_MUCH: N_("{shop} sends you this e-mail because your order was paid."),
    Kind.LATER: N_(
        "{shop} sends you this e-mail because a reminder of an order was asked for with your address. "
        "If that was not you, you need not do anything."
    ),
    Kind.DEVICE: N_(
        "{shop} sends you this e-mail because somebody who pays an order there asked for it with your address. "
        "If that was not you, you need not do anything."
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """What the templates may know of what the mail follows."""

    shop: Shop
    profile: Profile
    ticket: Ticket | None
    attempt: Attempt
    email: str
    locale: str
    order: Order | None
    due: Money | None
    charge: Charge | None
    truth: Truth
    message: Message | None
    agent: Agent | None
    hold: Hold | None
    hand_over: HandOver | None
    is_part_paid: bool
    # The customer says that a bank transfer is on its way.
    is_on_its_way: bool
    now: datetime

    @property
    def is_paid(self) -> bool:
        return self.order is not None and self.order.paid_at is not None

    @property
    def is_good_news(self) -> bool:
        if self.is_part_paid:
            return False
        return self.is_paid or self.truth.state in {ChargeState.CHARGED, ChargeState.NOT_CHARGED}

    @property
    def charge_title(self) -> str:
        if self.is_paid or self.is_part_paid:
            return self.say(_PAID_WORDS[0] if self.is_paid else _PART_PAID_WORDS[0])
        charged = self.truth.money
        if self.truth.state is ChargeState.CHARGED and charged is not None:
            return self.say(Said(_CHARGED_AN_AMOUNT, {"amount": charged}))
        return self.say(_CHARGE_WORDS[self.truth.state][0])

    @property
    def charge_text(self) -> str:
        return " ".join(self.say(each) for each in self._charge_sentences())

    @property
    def may_try_again(self) -> bool:
        """Nobody is led to pay twice: only an unpaid order of which nothing was charged may be tried again."""
        is_unpaid = self.order is not None and not self.is_paid and not self.is_part_paid and not self.is_on_its_way
        return is_unpaid and self.truth.state is ChargeState.NOT_CHARGED

    @property
    def order_number(self) -> str | None:
        if self.order is None or not (self.order.is_verified or _ORDER_NUMBER.match(self.order.reference)):
            return None
        return self.order.reference

    @property
    def answer_by(self) -> datetime | None:
        due = self.ticket.answer_due_at if self.ticket else None
        return due if due is not None and due > self.now else None

    @property
    def has_left(self) -> bool:
        """Whether the page said goodbye: it was closed, or its customer went to the bank."""
        return self.attempt.stage == Stage.LEFT

    @property
    def help_until(self) -> datetime:
        return self.now + LIFETIMES[Purpose.HELP]

    @property
    def again_until(self) -> datetime:
        return self.now + LIFETIMES[Purpose.AGAIN]

    def shown(self, money: Money) -> str:
        return money.shown(self.locale)

    def at(self, instant: datetime) -> str:
        return moment(instant, self.profile.time_zone, self.locale, str(self.attempt.facts.get("time_zone") or ""))

    @property
    def call_at(self) -> datetime | None:
        """When the customer is called, if they asked for that and it is still to come."""
        at = self.ticket.call_at if self.ticket else None
        return at if at is not None and at > self.now else None

    @property
    def excess_title(self) -> str:
        excess = self.truth.excess
        return self.say(Said(_TOO_MUCH, {"amount": excess})) if excess is not None else self.charge_title

    @property
    def is_kept(self) -> bool:
        """Whether the shop was asked to keep the order."""
        return self.hold is not None and self.order is not None and holds.is_told_to_shop(self.shop, self.order)

    @property
    def outcome_title(self) -> str:
        return self.say(_YOU_HAVE_PAID) if self.is_paid else self.charge_title

    @property
    def outcome_subject(self) -> str:
        """The first words of the outcome, with what it is about."""
        values = {"outcome": self.outcome_title, "shop": self.shop.name, "order": self.order_number}
        return self.say(Said(_OUTCOME_OF_NUMBER if self.order_number else _OUTCOME, values))

    def has_facts(self, kind: Kind) -> bool:
        """Whether the mail names the order: not in one that goes to an address that anybody may have typed."""
        return kind is not Kind.DEVICE

    def say(self, said: Said | str) -> str:
        return say(said, self.locale)

    def because(self, kind: Kind) -> str:
        """Why this mail comes to this address."""
        return self.say(Said(_BECAUSE.get(kind, _BECAUSE_REPORTED), {"shop": self.shop.name}))

    def _charge_sentences(self) -> list[Said]:
        if self.is_paid:
            return [Said(_PAID_WORDS[1])]
        if self.truth.missing is not None and self.truth.money is not None and self.due is not None:
            figures = {"paid": self.truth.money, "due": self.due, "missing": self.truth.missing}
            return [Said(_MISSING_WORDS, figures)]
        if self.is_part_paid:
            return [Said(_PART_PAID_WORDS[1])]
        _, of_number, without = _CHARGE_WORDS[self.truth.state]
        values = {"order": self.order_number, "at": self.at(self.charge.answered_at) if self.charge else ""}
        said = [Said(of_number if self.order_number else without, values)]
        if self.truth.statement_days is not None:
            said.append(_about_statement(*self.truth.statement_days, is_reversed=self.truth.is_reversed))
        return said


def case_of(session: Session, follow_up: FollowUp, now: datetime) -> Case:
    """What is true now of what this follow-up is about."""
    ticket = followups.ticket_of(session, follow_up) if follow_up.ticket_id is not None else None
    attempt = attempts.by_id(session, followups.attempt_id_of(session, follow_up))
    shop, order = session.get_one(Shop, attempt.shop_id), followups.order_of(session, follow_up)
    charge = charges.latest(session, attempt.id)
    message = session.get_one(Message, follow_up.message_id) if follow_up.message_id else None
    if message is None and ticket is not None and follow_up.kind == Kind.RESOLVED:
        message = tickets.last_reply(session, ticket)
    spoken = language.locale_for(str(attempt.facts.get("language") or ""), home=shop.settled.locale)
    truth = certainty.truth_of(session, attempt, order, now)
    return Case(
        shop=shop,
        profile=shop.settled,
        ticket=ticket,
        attempt=attempt,
        email=followups.recipient_of(session, follow_up),
        locale=ticket.locale if ticket else spoken,
        order=order,
        due=order.due if order else attempt.due,
        charge=charge,
        truth=truth,
        message=message,
        agent=session.get(Agent, message.agent_id) if message and message.agent_id else None,
        hold=followups.hold_of(session, follow_up) if follow_up.kind == Kind.LATER else None,
        hand_over=followups.hand_over_of(session, follow_up) if follow_up.kind == Kind.DEVICE else None,
        is_part_paid=certainty.is_part_paid(session, order) or bool(charge and charge.is_part_of(order)),
        is_on_its_way=order is not None and transfers.is_announced(session, order, attempt),
        now=now,
    )


def _about_statement(first: int, last: int, *, is_reversed: bool) -> Said:
    """How many days the money may stand on the statement."""
    if is_reversed:
        return counted(
            "Your statement may still show it for {count} day; then it disappears.",
            "Your statement may still show it for {first} to {count} days; then it disappears.",
            last,
            first=first,
        )
    return counted(
        "Your statement may show it for {count} day.",
        "Your statement may show it for {first} to {count} days.",
        last,
        first=first,
    )
