"""Tries: what one try at an order may rely on while there are others. Read at one moment, each part once.

One of which it is not known that nothing was charged keeps everything closed that would take the money again.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import advice, attempts, charges, ledger, orders, siblings
from widget.attempts import Attempt, Stage
from widget.charges import FRESH_FOR, Charge, provider_of, state_of
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop

# For so long "not charged" of another try may be relied on: its customer may still complete it in another window.
RELIED_ON_FOR = timedelta(seconds=60)
# With more than these somebody tries without end, and nothing is known for certain.
_MOST_LOOKED_THROUGH = 50
# How many other tries are asked about together with one.
_MAX_ELSEWHERE = 3
# No provider keeps what waits for its customer for longer.
_WAITS_AT_MOST = timedelta(hours=72)
# What a page calls it when the answer to a request was lost, which may have been carried out all the same. The name of
# an error, as of any exception, and the statuses of HTTP that say nothing about what became of the request.
_LOST = re.compile(
    r"5\d\d|408|409|425|429|\w*(error|exception)|\w*(time_?d?_?out|network|connection|unknown)\w*", re.IGNORECASE
)
_MAY_BE_OPEN = [*siblings.PAST_PAY, Stage.LEFT.value, Stage.FAILED.value]


@dataclass(frozen=True)
class Tries:
    """An attempt among the tries at its order. Valid within one transaction, until something is recorded in it."""

    session: Session
    attempt: Attempt
    order: Order | None
    now: datetime

    @cached_property
    def charge(self) -> Charge | None:
        """The provider's last word about this very attempt."""
        return charges.latest(self.session, self.attempt.id)

    @cached_property
    def is_split(self) -> bool:
        return self.order is not None and attempts.is_split(self.session, self.order)

    @cached_property
    def paid_legs(self) -> list[Attempt]:
        """As `attempts.paid_legs`."""
        return attempts.paid_legs(self.session, self.order) if self.is_split else []

    @cached_property
    def other_baskets(self) -> list[Order]:
        """The other rows of this attempt's order: an unsigned one has one for each amount that its pages claim."""
        order = self.order
        if order is None or order.is_verified:
            return []
        rows = sa.select(Attempt.order_id).where(attempts.kin(self.session, self.attempt))
        others = sa.select(Order).filter_by(shop_id=order.shop_id, reference=order.reference)
        # A verified row of a shop that signs nothing is what its server has told of.
        mine = others.where(Order.id != order.id, sa.or_(Order.id.in_(rows), Order.is_verified))
        return list(self.session.scalars(mine))

    @property
    def last_word(self) -> ChargeState:
        """The provider's last word, UNKNOWN where a payment may be going on, here or in another try.

        So for a payment link, too, which may be the very one that takes the money.
        """
        state = state_of(self.charge)
        if state is ChargeState.CHARGED and self.order is not None and self.order.paid_at is None:
            return ChargeState.UNKNOWN if self.unheard is not None else state
        if state is not ChargeState.NOT_CHARGED:
            return state
        is_later_leg = self.attempt.is_part and self.attempt.leg != 1 and not self.paid_legs
        if is_later_leg or self._may_run_on:
            return ChargeState.UNKNOWN
        return ChargeState.UNKNOWN if self.open_elsewhere is not None else state

    @cached_property
    def is_being_paid(self) -> bool:
        """Whether a payment link is taking the money of this order now: also one made for another basket."""
        if self.order is None or orders.is_being_paid(self.order, self.now):
            return self.order is not None
        return any(orders.is_being_paid(each, self.now) for each in self.other_baskets)

    @cached_property
    def open_elsewhere(self) -> Attempt | None:
        """Another try at the same order, past Pay, of which it is not known that nothing was charged."""
        tries = self._elsewhere
        if len(tries) >= _MOST_LOOKED_THROUGH:
            return tries[-1]
        return next((each for each in tries if not self._is_known(each, RELIED_ON_FOR)), None)

    @cached_property
    def unheard(self) -> Attempt | None:
        """A try past Pay, this one or another, that may take money beside what was taken for a part of the order.

        A payment that no try has named accounts for one try that has named none, whichever that is.
        """
        if len(self._past_pay) >= _MOST_LOOKED_THROUGH:
            return self._past_pay[-1]
        everyone = [self.attempt, *self._others]
        taken = {each.payment for each in ledger.balance(self.session, self.order).taken} if self.order else set()
        unnamed = len(taken - {each.payment for each in everyone})
        unnamed -= sum(each.stage == Stage.PAID and each.payment is None for each in everyone)
        for each in (self.attempt, *self._past_pay):
            if each.payment not in taken and self._may_run(each):
                unnamed -= 1
                if each.payment is not None or unnamed < 0:
                    return each
        return None

    @property
    def unsure_elsewhere(self) -> list[Attempt]:
        """Other tries to be asked about together with this one, because its own answer says nothing of them.

        The payments that they have named at the same provider are part of its own question.
        """
        found: dict[tuple[str | None, str | None], Attempt] = {}
        if not self._elsewhere:
            return []
        own, mine = siblings.named_by_others(self.session, self.attempt), provider_of(self._shop, self.attempt)
        # The longest unasked first, so that each gets its turn.
        for each in sorted(self._elsewhere, key=self._asked_at):
            its = provider_of(self._shop, each)
            if not (its == mine and each.payment in own) and not self._is_known(each, FRESH_FOR):
                found.setdefault((its, each.payment), each)
        return list(found.values())[:_MAX_ELSEWHERE]

    @property
    def waits(self) -> str | None:
        """The provider of the latest payment of this order that its customer may still complete."""
        if self._is_waiting(self.charge):
            return (self.charge.provider if self.charge else None) or ""
        said = (self._charges.get(each.id) for each in self._others[: siblings.MAX_TRIES])
        return next((each.provider or "" for each in said if each is not None and self._is_waiting(each)), None)

    @property
    def _may_run_on(self) -> bool:
        """Whether the customer came back to a payment that may be going on without us."""
        session, attempt = self.session, self.attempt
        return siblings.came_back(session, attempt) and siblings.may_still_run(session, attempt, self.now)

    @cached_property
    def _shop(self) -> Shop:
        return self.session.get_one(Shop, self.attempt.shop_id)

    @cached_property
    def _others(self) -> list[Attempt]:
        """The latest first, as they are now; one more than are looked through where there are more."""
        theirs = attempts.others(self.session, self.attempt).limit(_MOST_LOOKED_THROUGH + 1)
        return list(self.session.scalars(theirs.execution_options(populate_existing=True)))

    @cached_property
    def _past_pay(self) -> list[Attempt]:
        if len(self._others) <= _MOST_LOOKED_THROUGH:
            return [each for each in self._others if each.stage in _MAY_BE_OPEN]
        theirs = attempts.others(self.session, self.attempt).where(Attempt.stage.in_(_MAY_BE_OPEN))
        return list(self.session.scalars(theirs.limit(_MOST_LOOKED_THROUGH)))

    @cached_property
    def _charges(self) -> dict[int, Charge]:
        """The last word about each of the others of which there is one."""
        ids = {each.id for each in (*self._past_pay, *self._others[: siblings.MAX_TRIES])}
        return charges.latest_of(self.session, ids)

    @cached_property
    def _elsewhere(self) -> list[Attempt]:
        """The other tries at the same order, past Pay, for which the answer about this one does not speak.

        A provider that has looked at every payment of the order speaks for its other tries, but not for another
        provider; and nobody knows for whom one speaks that was not named. Of one that is asked about single payments
        each try has to be known, also one of which its page has said that it failed: unless that was a refusal, word
        for word.
        """
        if not self._past_pay:
            return []
        mine = provider_of(self._shop, self.attempt)
        is_of_order = self.charge is not None and self.charge.is_of_order
        found = []
        for each in self._past_pay:
            is_of_mine = mine is not None and provider_of(self._shop, each) == mine
            if is_of_mine and (is_of_order or self._was_refused_before(each, mine)):
                continue
            # Elsewhere one that failed before it had a payment is over: a window, for instance, closed at once.
            may_have_begun = is_of_mine or each.payment is not None or _is_lost(each)
            if (each.stage == Stage.FAILED and may_have_begun) or siblings.open_stage(self.session, each):
                found.append(each)
        return found

    def is_refused(self, tried: Attempt) -> bool:
        """Whether the page of this try has told of a refusal, by a code: one of the provider's, or its own word for it.

        A lost connection or a server that failed says nothing about the money.
        """
        if tried.stage != Stage.FAILED or not tried.error_code:
            return False
        provider = provider_of(self._shop, tried)
        is_word_of_shop = provider not in advice.TABLES and not _is_lost(tried)
        return is_word_of_shop or advice.is_decline(provider, tried.error_code)

    def _may_run(self, tried: Attempt) -> bool:
        """Whether this try may have a payment that the answer about this attempt does not speak for."""
        provider = provider_of(self._shop, tried)
        is_of_mine = provider is not None and provider == provider_of(self._shop, self.attempt)
        if is_of_mine and self._speaks_for(tried):
            return False
        if self._is_known(tried, RELIED_ON_FOR) or self.is_refused(tried):
            return False
        if tried.stage == Stage.FAILED:
            return is_of_mine or tried.payment is not None or _is_lost(tried)
        return siblings.open_stage(self.session, tried) is not None

    def _speaks_for(self, tried: Attempt) -> bool:
        """Whether the provider's last word was about this try, too: what was named there was part of the question."""
        charge = self.charge
        is_about_it = charge is not None and (charge.is_of_order or tried.payment is not None)
        return charge is not None and is_about_it and charge.is_within(RELIED_ON_FOR, self.now)

    def _was_refused_before(self, tried: Attempt, provider: str | None) -> bool:
        """Whether a try's page told of a decline by its code and of no payment, before this one named its own.

        A lost connection or a server that failed says nothing about the money, a code of the provider's tables does.
        """
        is_over = tried.stage == Stage.FAILED and tried.payment is None
        if not is_over or self.attempt.payment is None or tried.id > self.attempt.id:
            return False
        return advice.is_decline(provider, tried.error_code)

    def _asked_at(self, tried: Attempt) -> datetime:
        charge = self._charges.get(tried.id)
        return charge.answered_at if charge is not None else self.attempt.started_at

    def _is_known(self, tried: Attempt, lasting: timedelta) -> bool:
        """Whether it was said a moment ago that nothing was charged."""
        charge = self._charges.get(tried.id)
        if charge is None or charge.state != ChargeState.NOT_CHARGED:
            return False
        return charge.is_within(lasting, self.now)

    def _is_waiting(self, charge: Charge | None) -> bool:
        is_open = charge is not None and charge.waits and charge.state == ChargeState.NOT_CHARGED
        return charge is not None and is_open and self.now - charge.answered_at < _WAITS_AT_MOST


def _is_lost(tried: Attempt) -> bool:
    return bool(_LOST.fullmatch(tried.error_code or ""))
