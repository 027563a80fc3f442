"""Certainty: what may be said about the money of an attempt and its order. Truth before any offer."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from widget import attempts, ledger, watches
from widget.attempts import Attempt
from widget.charges import Charge
from widget.ledger import Balance
from widget.methods import known_as
from widget.money import Money
from widget.orders import Order
from widget.providers import ChargeState, Paid, Retry
from widget.tries import Tries

# For how many days an amount that was reserved or reversed may still show on a statement: (from, to). Issuers release
# it by rules of their own, most within a week; there is no public figure for each method, so these are cautious.
STATEMENT_DAYS = {"card": (3, 10), "apple_pay": (3, 10), "google_pay": (3, 10), "samsung_pay": (3, 10)} | {
    "paypal": (1, 7),
    "eft": (1, 3),
    "store_account": (0, 2),
}
_STATEMENT_DAYS_OF_OTHERS = (3, 10)


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything that may be said about the money of an attempt and its order.

    `state` is what may be relied on, so UNKNOWN wherever there is a doubt. `money` was taken, or is held; `part` was
    taken in any case, where nothing is known of the rest. `missing` and `excess` are differences to the order's amount:
    of an order that is paid in legs there are none. `statement_days` (from, to) say how long an amount that is held or
    was reversed may show. `twice` are all payments of an order of which more was taken than one payment, where that is
    proven. `waits` is the provider at which the customer may still complete an earlier payment by themselves, None when
    there is none.
    """

    state: ChargeState
    was_asked: bool
    answered_at: datetime | None
    receipt: str | None
    money: Money | None
    part: Money | None
    missing: Money | None
    excess: Money | None
    is_reversed: bool
    statement_days: tuple[int, int] | None
    code: str | None
    network_code: str | None
    retry: Retry | None
    status: str | None
    is_watched: bool
    twice: tuple[Paid, ...]
    waits: str | None = None


def truth_of(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> Truth:
    """The last word of the provider, with what else is known of the order's payments. Asks nobody."""
    return truth_among(Tries(session, attempt, order, now))


def truth_among(tries: Tries) -> Truth:
    """The same, for who has more to read of these tries."""
    session, attempt, order, charge = tries.session, tries.attempt, tries.order, tries.charge
    is_paid = order is not None and order.paid_at is not None
    balance = ledger.balance(session, order) if order is not None else None
    state = ChargeState.CHARGED if is_paid else _state_with(tries, balance)
    first = balance.taken[0] if balance is not None and balance.taken else None
    is_whole = not attempt.is_part and not tries.is_split
    is_reversed = charge is not None and charge.is_reversed and state is not ChargeState.CHARGED
    shows = is_reversed or state is ChargeState.HELD
    # Nobody vouches for the amount of an unsigned page, so nothing can be too much for it.
    is_vouched = order is not None and order.is_verified
    return Truth(
        state=state,
        was_asked=charge is not None and charge.provider is not None,
        answered_at=charge.answered_at if charge else None,
        receipt=_receipt(attempt, order, _quoted(state, charge) or (first.payment if first else None)),
        money=_money(state, charge, balance),
        part=_part(balance) if is_whole and is_vouched and state is ChargeState.UNKNOWN else None,
        missing=_missing(charge, order, balance) if is_whole and state is ChargeState.CHARGED and not is_paid else None,
        excess=balance.excess if balance and is_vouched and is_whole and not balance.superfluous else None,
        is_reversed=is_reversed,
        statement_days=statement_days(attempt.method) if shows else None,
        code=charge.code if charge else None,
        network_code=charge.network_code if charge else None,
        retry=charge.retry if charge else None,
        status=charge.status if charge else None,
        is_watched=watches.is_open(session, attempt.id),
        twice=_twice(balance),
        waits=None if is_paid else tries.waits,
    )


def certain_state(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> ChargeState:
    """The provider's last word, as far as one may rely on it. Only "not charged" lets anything be paid.

    That is not the whole truth while a payment link takes the money, while the payment may still go on in another
    tab or with another provider, of a later leg, even while nobody has told of the first one, and where something
    else was taken for the order.
    """
    return _certain(Tries(session, attempt, order, now))


def last_word(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> ChargeState:
    """The same for a payment link, which may be the very one that takes the money, whatever else was taken."""
    return Tries(session, attempt, order, now).last_word


def state_of_try(tries: Tries) -> ChargeState:
    """The same as `certain_state`, whatever else was taken for the order: by a transfer, for instance."""
    return ChargeState.UNKNOWN if tries.is_being_paid else tries.last_word


def may_pay_whole(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> bool:
    """Whether the customer may be asked for the whole amount: nothing of it was taken, nor is on its way."""
    if order is None or order.paid_at is not None or attempts.paid_legs(session, order):
        return False
    return certain_state(session, attempt, order, now) is ChargeState.NOT_CHARGED


def waits(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> str | None:
    """The provider at which the customer may still complete an earlier payment by themselves, as `Truth.waits`."""
    return None if order is not None and order.paid_at is not None else Tries(session, attempt, order, now).waits


def is_part_paid(session: Session, order: Order | None) -> bool:
    """Whether a part of the order was taken: a leg of it, or a payment that came short."""
    if order is None or order.paid_at is not None:
        return False
    return bool(attempts.paid_legs(session, order)) or ledger.is_begun(session, order)


def is_begun_by_kin(session: Session, attempt: Attempt, order: Order | None, now: datetime) -> bool:
    """Whether something was taken for another basket of this order."""
    return _is_begun_by_kin(Tries(session, attempt, order, now))


def statement_days(method: str | None) -> tuple[int, int]:
    return STATEMENT_DAYS.get(known_as(method), _STATEMENT_DAYS_OF_OTHERS)


def _quoted(state: ChargeState, charge: Charge | None) -> str | None:
    """The payment of the last answer, unless the order was charged by another one than that."""
    is_another = state is ChargeState.CHARGED and charge is not None and charge.state != ChargeState.CHARGED
    return charge.payment if charge is not None and not is_another else None


def _receipt(attempt: Attempt, order: Order | None, payment: str | None) -> str | None:
    """The payment's id. Of an unsigned order only the page that named it is told: another one may be a stranger's."""
    is_theirs = order is None or order.is_verified or payment == attempt.payment
    return payment if is_theirs else None


def _certain(tries: Tries, balance: Balance | None = None) -> ChargeState:
    state = state_of_try(tries)
    if state is ChargeState.NOT_CHARGED and (_is_begun(tries, balance) or _is_begun_by_kin(tries)):
        return ChargeState.UNKNOWN
    return state


def _state_with(tries: Tries, balance: Balance | None) -> ChargeState:
    """What may be said of the whole order: it was charged where something was taken and it is known what is missing."""
    state = _certain(tries, balance)
    if state is not ChargeState.UNKNOWN or balance is None or balance.missing is None:
        return state
    is_only_short = state_of_try(tries) is ChargeState.NOT_CHARGED
    is_whole = not tries.attempt.is_part and not tries.is_split
    return ChargeState.CHARGED if is_only_short and is_whole else state


def _money(state: ChargeState, charge: Charge | None, balance: Balance | None) -> Money | None:
    if state is ChargeState.HELD or balance is None or not balance.is_begun:
        return charge.money if charge and state in {ChargeState.HELD, ChargeState.CHARGED} else None
    if state is not ChargeState.CHARGED:
        return None
    return Money(balance.amount, balance.due.currency) if balance.amount else balance.taken[0].money


def _part(balance: Balance | None) -> Money | None:
    is_short = balance is not None and balance.missing is not None
    return Money(balance.amount, balance.due.currency) if balance is not None and is_short else None


def _missing(charge: Charge | None, order: Order | None, balance: Balance | None) -> Money | None:
    if balance is not None and balance.is_begun:
        return balance.missing
    if charge is None or order is None or charge.amount is None or charge.currency != order.currency:
        return None
    return Money(order.amount - charge.amount, order.currency) if charge.amount < order.amount else None


def _twice(balance: Balance | None) -> tuple[Paid, ...]:
    if balance is None or not balance.superfluous or not balance.is_proven_twice:
        return ()
    return tuple(Paid(each.payment, each.money) for each in balance.taken)


def _is_begun(tries: Tries, balance: Balance | None) -> bool:
    """Whether something was taken for this order that no leg accounts for, though it is not paid."""
    order = tries.order
    if order is None or order.paid_at is not None or tries.paid_legs:
        return False
    return ledger.is_begun(tries.session, order, balance)


def _is_begun_by_kin(tries: Tries) -> bool:
    session = tries.session
    return any(
        each.paid_at is not None or attempts.paid_legs(session, each) or ledger.is_begun(session, each)
        for each in tries.other_baskets
    )
