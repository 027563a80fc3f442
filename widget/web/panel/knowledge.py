"""What is known about a case at this moment, gathered once for one screen, and which ways out that leaves open."""

import random
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy.orm import Session

from widget import (
    cashier,
    certainty,
    clock,
    findings,
    guard,
    holds,
    ledger,
    links,
    methods,
    offers,
    orders,
    playbooks,
    ranking,
    tickets,
    transfers,
)
from widget.advice import Again
from widget.attempts import Attempt, Stage
from widget.certainty import Truth
from widget.charges import Charge, provider_of
from widget.diagnosis import Case as Facts
from widget.diagnosis import Diagnosis, diagnose
from widget.feeds import FeedView
from widget.holds import Hold
from widget.language import Said
from widget.links import PaymentLink
from widget.money import Money
from widget.offers import Choice, OfferKind, Situation
from widget.playbooks import Rate, Scene
from widget.providers import ChargeState, Retry
from widget.shops import Profile
from widget.tickets import Ticket
from widget.transfers import Transfer
from widget.tries import Tries
from widget.web import caller, reader, waiting
from widget.web.panel import hours
from widget.web.panel.case import Case
from widget.web.panel.headline import Told


@dataclass(frozen=True, slots=True)
class MethodView:
    """Another method that works now. `why` says how well, where that is known."""

    id: str
    label: str
    rate: Rate


@dataclass(frozen=True)
class Knowledge:
    """Everything that a screen of this case may show or be decided by. Each part is looked up when it is needed."""

    session: Session
    case: Case
    now: datetime

    @property
    def profile(self) -> Profile:
        return self.case.shop.settled

    @cached_property
    def tries(self) -> Tries:
        return Tries(self.session, self.case.attempt, self.case.order, self.now)

    @cached_property
    def truth(self) -> Truth:
        return certainty.truth_among(self.tries)

    @property
    def charge(self) -> Charge | None:
        return self.tries.charge

    @cached_property
    def facts(self) -> Facts:
        return findings.case_of(self.session, self.case.attempt, self.charge, self.now)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        return diagnose(self.facts)

    @cached_property
    def is_suspect(self) -> bool:
        return guard.is_suspect(self.session, self.case.attempt, self.now)

    @property
    def legs(self) -> list[Attempt]:
        return self.tries.paid_legs

    @cached_property
    def hold(self) -> Hold | None:
        return holds.seen_by(self.session, self.case.attempt, self.case.order)

    @property
    def asks_shop_to_keep(self) -> bool:
        """Whether the shop hears that the customer wants to pay later."""
        order = self.case.order
        return order is not None and holds.is_told_to_shop(self.case.shop, order)

    @property
    def shown_hold(self) -> Hold | None:
        """The hold of which something is still to come, and which it does no harm to let go."""
        if self.hold is None or self.told.is_transfer_announced:
            # Who has sent the money must not let go what it is for.
            return None
        return self.hold if self.asks_shop_to_keep or self.hold.remind_at > self.now else None

    @cached_property
    def ticket(self) -> Ticket | None:
        return tickets.of_attempt(self.session, self.case.attempt.id)

    @cached_property
    def transfer(self) -> Transfer | None:
        """The transfer that the customer says is on its way."""
        case = self.case
        return transfers.announced(self.session, case.order, case.attempt) if case.order else None

    @cached_property
    def open_page(self) -> PaymentLink | None:
        """The link that this customer began to pay by and has not finished, while nothing but that is in the way."""
        case = self.case
        if case.order is None or not orders.is_being_paid(case.order, self.now) or self.is_suspect:
            return None
        link = links.to_go_on_with(self.session, case.attempt, case.order, self.now)
        is_free = link is not None and cashier.is_unmoved(self.session, case.attempt, link, case.order, self.now)
        return link if is_free else None

    @property
    def outage(self) -> FeedView | None:
        """What the provider's status page says, when it tells of a serious fault."""
        return self.facts.feed if self.facts.feed is not None and self.facts.feed.tells_outage else None

    @property
    def trouble(self) -> FeedView | None:
        """The same, when it tells of trouble with a part, and that is why this payment is probably stuck."""
        return self.facts.feed if self.diagnosis.cause == "provider_trouble" else None

    @cached_property
    def part(self) -> Money | None:
        """What the paid legs of an order took, as far as that is proven."""
        order = self.case.order
        taken = ledger.balance(self.session, order).total if order is not None and self.legs else 0
        return Money(taken, order.currency) if order is not None and 0 < taken < order.amount else None

    @property
    def rest(self) -> Money | None:
        """What is left of the order after that."""
        order, part = self.case.order, self.part
        return Money(order.amount - part.minor, order.currency) if order is not None and part is not None else None

    @property
    def device_class(self) -> str:
        return self.facts.device_class

    @cached_property
    def other_methods(self) -> list[MethodView]:
        """The shop's other methods that this device can have and that work now on its kind, the best known first."""
        avoided = {methods.bare(each) for each in (*self.diagnosis.avoid, self.case.attempt.method or "")}
        views = [
            MethodView(each.id, self.label_of(each.id), self._rate_of(each.id))
            for each in self.profile.methods
            if methods.bare(each.id) not in avoided and not self._is_out_of_reach(each.id)
        ]
        return sorted(views, key=lambda view: -view.rate.worked / view.rate.tried if view.rate.is_telling else 0)

    def _is_out_of_reach(self, method: str) -> bool:
        """Whether neither the browser that got stuck nor the one that this is read in can have the method.

        Who opens the help of a phone on a laptop goes on there, or goes back to the phone.
        """
        attempt, here = self.case.attempt, caller.agent()
        agents = {attempt.user_agent or here, here}
        facts = {each: attempt.facts if each == attempt.user_agent else {} for each in agents}
        return all(methods.is_out_of_reach(method, each, facts[each]) for each in agents)

    def label_of(self, method: str) -> str:
        label = next((each.label for each in self.profile.methods if each.id == method), None)
        return methods.name_of(method, label, self.profile.locale, reader.locale())

    def _rate_of(self, method: str) -> Rate:
        here = self.facts.rates.get(method)
        return Rate(here.answered, here.tries) if here is not None else Rate(0, 0)

    @cached_property
    def told(self) -> Told:
        """What the headline says. To whom tries cards, it says no more about why than about any decline."""
        case, order = self.case, self.case.order
        why = self.diagnosis.said
        return Told(
            truth=self.truth,
            order=order.reference if order else None,
            due=order.due if order else None,
            why=why if str(why) and not self.is_suspect else None,
            paid_legs=tuple(self.label_of(each.method) if each.method else "" for each in self.legs),
            is_leg_paid=case.attempt.stage == Stage.PAID,
            is_leg_refused=self.tries.is_refused(case.attempt),
            is_leg_over=case.attempt.stage == Stage.FAILED,
            part=self.part,
            rest=self.rest,
            is_of_page=self.charge is not None and self.charge.is_of_page,
            is_busy=orders.is_being_paid(order, self.now),
            has_open_page=self.open_page is not None,
            is_transfer_announced=self.transfer is not None,
            warning=self.warning,
            is_at_bank=waiting.window_of(self.truth.waits) is None,
            writes=bool(case.known_email) or self.ticket is not None,
        )

    @property
    def may_seem_free(self) -> bool:
        """Whether the provider's word alone would open the ways to pay."""
        return self.truth.state is ChargeState.NOT_CHARGED and self.transfer is None and not self.legs

    @property
    def warning(self) -> Said | None:
        """What whoever pays otherwise now has to leave alone."""
        return waiting.warning(self.truth)

    @cached_property
    def situation(self) -> Situation:
        case, profile, order = self.case, self.profile, self.case.order
        return Situation(
            charge=self.truth.state,
            is_paid=case.is_paid,
            has_amount=order is not None,
            can_return=profile.checkout_url is not None,
            other_methods=tuple(each.id for each in self.other_methods),
            takes_link_payments=links.takes_links(profile, provider_of(case.shop, case.attempt)),
            takes_transfers=order is not None and transfers.can_take(profile, order.currency),
            has_contacts=bool(profile.contacts),
            calls_back=profile.calls_back,
            can_hold=profile.hold_hours is not None,
            can_ask_shop=self.asks_shop_to_keep,
            is_part_paid=bool(self.legs),
            has_rest=self.rest is not None,
            is_leg_refused=case.attempt.stage == Stage.FAILED,
            is_short=self.truth.missing is not None,
            declined_for_good=self._never_again,
            is_transfer_announced=self.transfer is not None,
            is_suspect=self.is_suspect,
        )

    def offers(self, kind: OfferKind) -> bool:
        """Whether this way out is open now."""
        return offers.is_open(kind, self.situation)

    @property
    def _never_again(self) -> bool:
        advice = self.diagnosis.advice
        return self.truth.retry is Retry.NEVER or (advice is not None and advice.retry == Again.NEVER)

    @cached_property
    def scene(self) -> Scene:
        advice, views = self.diagnosis.advice, self.other_methods
        return Scene(
            kind=self.facts.kind,
            method=self.case.attempt.method,
            labels={view.id: view.label for view in views},
            rates={view.id: view.rate for view in views},
            retry=str(advice.retry) if advice else None,
            prefers=advice.prefers if advice else (),
            is_split=bool(self.legs),
            rest=self.rest,
            missing=self.truth.missing,
            is_staffed=self.profile.is_open(self.now),
            staffed_until=self._hour(hours.closes_at(self.profile, self.now)),
            staffed_from=self._day(hours.opens_at(self.profile, self.now)),
        )

    def _hour(self, at: datetime | None) -> str | None:
        return hours.hour_of(at, self.profile.time_zone, reader.locale()) if at else None

    def _day(self, at: datetime | None) -> str | None:
        return hours.weekday_and_hour(at, self.profile.time_zone, reader.locale()) if at else None

    @cached_property
    def choices(self) -> list[Choice]:
        """The ways out that are open: by the playbook, then by what has worked for this cause on such devices."""
        arranged = playbooks.arranged(offers.offers_for(self.situation), self.scene)
        priors = playbooks.priors(arranged)
        if len(priors) < 2:
            return arranged
        works = {choice.key: self._share(choice) for choice in arranged if choice.key in priors}
        keys = ranking.ranked(
            self.session,
            self.case.shop.id,
            self.cause,
            self.device_class,
            priors,
            random.Random(self.case.attempt.id),  # noqa: S311 (it explores, and keeps no secret)
            self.now,
            works_now={key: share for key, share in works.items() if share is not None},
        )
        return playbooks.ranked(arranged, keys)

    @property
    def cause(self) -> str:
        return self.diagnosis.cause[:64]

    def _share(self, choice: Choice) -> float | None:
        """Which share of the payments goes through, of the method that this way out leads to."""
        view = next((view for view in self.other_methods if view.id == choice.choice), None)
        return view.rate.worked / view.rate.tried if view is not None and view.rate.is_telling else None


def of(session: Session, case: Case) -> Knowledge:
    return Knowledge(session, case, clock.now())
