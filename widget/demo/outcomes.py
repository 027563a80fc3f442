"""What a scenario does at the provider, and what the page is told of it."""

from dataclasses import dataclass

from widget.demo import provider
from widget.demo.provider import Charge
from widget.demo.scenarios import Scenario
from widget.demo.store import Order, Payment, PaymentStatus, Store
from widget.demo.stories import Group

# Of the whole, from the customer's store account; the card pays the rest.
ACCOUNT_PART = 40_000
# The book allows one success for each leg; this is none of an honest order.
SECOND_TIME = 99


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP status, a code and words for the page."""

    status: int
    code: str
    words: str


_FAULT = Failure(502, "provider_error", "The payment service answered with an error. You have not been charged.")
_DECLINED = Failure(402, "card_declined", "Your bank declined this payment. You have not been charged.")
_REST_DECLINED = Failure(402, "card_declined", "Your card was declined. The part from your store account is paid.")
_NO_ANSWER = Failure(
    504, "no_answer", "The payment service has not answered. Press Pay again: you cannot be charged twice."
)
# The hanging ones come to no answer only when the wait is over.
_FAILURES = {
    Scenario.DECLINE: _DECLINED,
    Scenario.DECLINE_AGAIN: _DECLINED,
    Scenario.DECLINE_FUNDS: _DECLINED,
    Scenario.DECLINE_CODE: _DECLINED,
    Scenario.DECLINE_STOLEN: _DECLINED,
    Scenario.DECLINE_NEVER: _DECLINED,
    Scenario.SPLIT: _REST_DECLINED,
    Scenario.ERROR: _FAULT,
    Scenario.ERROR_SHOWN: _FAULT,
    Scenario.PLAIN_ERROR: _FAULT,
}


def play(store: Store, payment: Payment, method: str, scenario: Scenario) -> None:
    """Bring the payment as far as the scenario says. Raises `provider.Refused` when money may have been taken."""
    story = scenario.story
    if story.reaches is None:
        return
    if story.excess:
        store.change_amount(payment, payment.amount + story.excess)
    provider.confirm(store, payment, method, story.reaches)
    if story.told:
        store.tell(payment, dict(story.told))
    if story.is_twice:
        _pay_once_more(store, payment)


def _pay_once_more(store: Store, payment: Payment) -> None:
    """A second payment slips through, as it does where a shop sends a retry without an idempotency key."""
    store.add_payment(
        order=payment.order,
        amount=payment.amount,
        currency=payment.currency,
        status=PaymentStatus.SUCCEEDED,
        leg=SECOND_TIME,
    )


def legs_of(store: Store, order: Order) -> tuple[Payment, Payment]:
    charge = Charge(order=order.reference, amount=order.amount, currency=order.currency)
    return provider.open_legs(store, charge, ACCOUNT_PART)


def is_split(scenario: Scenario) -> bool:
    return scenario.story.group is Group.SPLIT or scenario is Scenario.SPLIT_OK


def pay_from_account(store: Store, leg: Payment) -> None:
    """The first leg goes through in every scenario; once it has, it is not taken again."""
    if leg.status is not PaymentStatus.SUCCEEDED:
        provider.confirm(store, leg, "store_account", PaymentStatus.SUCCEEDED)


def failure_of(scenario: Scenario) -> Failure | None:
    """The unhappy end; None when the payment went through."""
    return _NO_ANSWER if scenario.hangs else _FAILURES.get(scenario)
