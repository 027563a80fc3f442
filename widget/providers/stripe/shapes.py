"""What Stripe's objects mean for the money: pure rules over plain dicts in Stripe's shape."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from babel.numbers import get_currency_precision

from widget.money import Money
from widget.providers import Answer, Bill, ChargeState, GivenUp, ProviderDown, Retry, answers

Thing = dict[str, Any]

STATES = {
    "succeeded": ChargeState.CHARGED,
    "processing": ChargeState.UNKNOWN,
    "requires_capture": ChargeState.HELD,
    "requires_action": ChargeState.NOT_CHARGED,
    "requires_confirmation": ChargeState.NOT_CHARGED,
    "requires_payment_method": ChargeState.NOT_CHARGED,
    "canceled": ChargeState.NOT_CHARGED,
}
# The customer or the shop's server can go on with these without anybody pressing Pay again.
UNFINISHED = {"requires_action", "requires_confirmation"}
# With this one only the customer can.
_WITH_CUSTOMER = "requires_action"
# Of a Checkout Session that takes no other payment than the one that was begun on it.
_COMPLETE = "complete"
# What the customer does at once, in the page or after a redirect. Any other next action shows them where to pay: at a
# till, at their bank, in an app. Stripe hears of that later, and until then says just that an action is required.
_DONE_AT_ONCE = {
    "alipay_handle_redirect",
    "blik_authorize",
    "redirect_to_url",
    "use_stripe_sdk",
    "verify_with_microdeposits",
    "wechat_pay_redirect_to_android_app",
    "wechat_pay_redirect_to_ios_app",
}
# Of a payment in one of these, a part may have been captured already.
_PARTLY_CAPTURED = {"requires_capture", "canceled"}
# In the metadata of what our own payment pages make.
MARK = {"by": "unjam"}
# https://docs.stripe.com/declines: what the network advises.
_RETRY = {
    "do_not_try_again": Retry.NEVER,
    "try_again_later": Retry.LATER,
    "confirm_card_data": Retry.AFTER_CHANGE,
}
# Where shops write the order's number into a payment's metadata.
_ORDER_KEYS = ("order", "order_id")
# https://docs.stripe.com/currencies: Stripe's smallest unit is not everywhere that of the currency.
_NO_DECIMALS = set("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())  # noqa: SIM905 -- a table
_THREE_DECIMALS = {"BHD", "JOD", "KWD", "OMR", "TND"}
# A Checkout Session lives for 30 minutes to 24 hours; the request takes a moment.
_SHORTEST, _LONGEST = timedelta(minutes=30, seconds=20), timedelta(hours=23, minutes=59)
# Of the languages that we speak, those of Stripe's pages; otherwise the browser's.
_LOCALES = {"en", "de", "fr", "es", "pt", "nl"}


@dataclass(frozen=True, slots=True)
class OrderKeys:
    """The keys of metadata that may hold the order's number: the one that the shop has told us, then customary ones."""

    own: str | None

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*([self.own] if self.own else ()), *_ORDER_KEYS)))


def order_of(thing: Thing, keys: OrderKeys) -> str | None:
    metadata = thing.get("metadata") or {}
    return next((str(metadata[key]) for key in keys.all if metadata.get(key)), None)


def own_mark(thing: Thing, keys: OrderKeys) -> str | None:
    """What stands where the shop has told us that it writes the order's number."""
    return _word((thing.get("metadata") or {}).get(keys.own)) if keys.own is not None else None


def whose(thing: Thing, order: str, keys: OrderKeys) -> tuple[bool | None, str | None]:
    """Whether it is of this order, and what else it names, as `answers.whose` says it."""
    metadata = thing.get("metadata") or {}
    customary = [*(_word(metadata.get(key)) for key in _ORDER_KEYS), _word(thing.get("client_reference_id"))]
    return answers.whose(order, [own_mark(thing, keys)], customary)


def is_of(thing: Thing, order: str, keys: OrderKeys) -> bool:
    """Whether it names this order itself."""
    return whose(thing, order, keys)[0] is True


def marked(intent: Thing, session: Thing) -> Thing:
    """The payment of a Checkout Session, with the order that the session names."""
    metadata = (session.get("metadata") or {}) | (intent.get("metadata") or {})
    return intent | {"metadata": metadata, "client_reference_id": session.get("client_reference_id")}


def query_for(order: str, keys: OrderKeys) -> str:
    quoted = order.replace("\\", "\\\\").replace("'", "\\'")
    return " OR ".join(f"metadata['{key}']:'{quoted}'" for key in keys.all)


def checked(intent: Thing) -> Thing:
    """A PaymentIntent. Raises ProviderDown for anything else."""
    is_intent = isinstance(intent.get("id"), str) and isinstance(intent.get("status"), str)
    has_money = isinstance(intent.get("amount"), int) and isinstance(intent.get("currency"), str)
    if not is_intent or not has_money:
        raise ProviderDown("Stripe's answer has an unknown shape.")
    return intent


def is_before(intent: Thing, moment: datetime) -> bool:
    """Whether it was made before then, as far as it says when."""
    made = _moment(intent.get("created"))
    return made is not None and made < moment


def may_be_completed(intent: Thing) -> bool:
    """Whether it waits for somebody to go on with it, at the bank for instance; of our own pages we know otherwise."""
    return intent["status"] in UNFINISHED and not is_ours(intent) and not is_promised(intent)


def is_promised(intent: Thing) -> bool:
    """Whether its customer may have paid already, or will, without Stripe knowing it yet: a voucher, a bank transfer.

    What a Checkout Session that is complete still waits for is of that kind too: its page is done.
    """
    if intent["status"] not in UNFINISHED:
        return False
    action = _dict(intent.get("next_action")).get("type")
    return intent.get("checkout") == _COMPLETE or (action is not None and action not in _DONE_AT_ONCE)


def is_ours(intent: Thing) -> bool:
    """Whether a payment page of ours made it, and not the shop."""
    return (intent.get("metadata") or {}).get("by") == MARK["by"]


def left_of(intent: Thing) -> GivenUp:
    """What is left of a payment that could not be closed."""
    if not may_be_completed(intent):
        return answers.left_of(of_intent(intent))
    return GivenUp.CUSTOMER if intent["status"] == _WITH_CUSTOMER else GivenUp.MOVING


def state_of(intent: Thing) -> ChargeState:
    return of_intent(intent).state


def of_intent(intent: Thing) -> Answer:
    """What a PaymentIntent says, with its latest charge where that was asked for too."""
    charge = _dict(intent.get("latest_charge"))
    outcome, trouble = _dict(charge.get("outcome")), _dict(intent.get("last_payment_error"))
    state, status = _state(intent), str(intent["status"])
    is_reversed = outcome.get("network_status") == "reversed_after_approval"
    if state is ChargeState.CHARGED and charge.get("refunded") is True:
        # The whole amount went back, so the order is not paid by this.
        state, status, is_reversed = ChargeState.NOT_CHARGED, "refunded", True
    advice = trouble.get("advice_code") or outcome.get("advice_code")
    has_failed = state is ChargeState.NOT_CHARGED
    return Answer(
        state,
        money_of(_taken(intent, state), intent["currency"]),
        payment=str(intent["id"]),
        detail=_detail(intent, status, charge, outcome),
        status=status,
        code=_word(trouble.get("decline_code") or trouble.get("code") or charge.get("failure_code"))
        if has_failed
        else None,
        network_code=_word(trouble.get("network_decline_code") or outcome.get("network_decline_code")),
        retry=_RETRY.get(str(advice)) if has_failed else None,
        is_reversed=is_reversed,
        waits=may_be_completed(intent),
        taken_at=_moment(charge.get("created")) or _moment(intent.get("created")),
    )


def furthest(intents: Collection[Thing], order: str, keys: OrderKeys) -> Answer:
    """The answer about the order: the payment that has come closest to the money, and all that were charged."""
    return answers.furthest(_of_order(each, order, keys) for each in intents) or Answer(ChargeState.UNKNOWN)


def _of_order(intent: Thing, order: str, keys: OrderKeys) -> Answer:
    is_of_order, names = whose(intent, order, keys)
    return replace(of_intent(intent), is_proven=is_of_order is True, names=names)


def of_session(session: Thing) -> Answer:
    return of_intent(intent_of(session))


def intent_of(session: Thing) -> Thing:
    """The PaymentIntent of a Checkout Session; before anybody has tried to pay there is none, and one is made up."""
    intent = session.get("payment_intent")
    if isinstance(intent, dict):
        return checked(intent) | {"checkout": session.get("status")}
    is_paid = session.get("payment_status") == "paid"
    status = {"open": "requires_payment_method", "expired": "canceled"}.get(str(session.get("status")), "processing")
    made_up = {
        "id": str(intent or session.get("id")),
        "status": "succeeded" if is_paid else status,
        "amount": session.get("amount_total"),
        "amount_received": session.get("amount_total") if is_paid else 0,
        "currency": session.get("currency"),
    }
    return checked(made_up)


def is_closed(session: Thing) -> bool:
    """Whether its page takes nothing any more: it has expired, or what was begun on it has come to an end."""
    return session.get("status") != "open" and of_session(session).state is not ChargeState.UNKNOWN


def session_for(bill: Bill, now: datetime) -> Thing:
    """The parameters of a Checkout Session that takes this bill once."""
    until = min(max(bill.expires_at, now + _SHORTEST), now + _LONGEST)
    wanted: Thing = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": bill.money.currency.lower(),
                    "unit_amount": amount_for(bill.money),
                    "product_data": {"name": f"{bill.shop_name} {bill.order}"[:250]},
                },
            }
        ],
        "client_reference_id": bill.order[:200],
        "metadata": {"order": bill.order},
        "payment_intent_data": {"metadata": {"order": bill.order} | MARK},
        "success_url": bill.return_url,
        "cancel_url": bill.cancel_url,
        "expires_at": int(until.timestamp()),
        "locale": bill.locale[:2] if bill.locale[:2] in _LOCALES else "auto",
    }
    return wanted | ({"customer_email": bill.email} if bill.email else {})


def money_of(amount: int, currency: str) -> Money:
    """Our money from Stripe's amount."""
    code = currency.upper()
    return Money(_shifted(amount, get_currency_precision(code) - _decimals(code)), code)


def amount_for(money: Money) -> int:
    """Stripe's amount from our money."""
    return _shifted(money.minor, _decimals(money.currency) - get_currency_precision(money.currency))


def _shifted(amount: int, places: int) -> int:
    shifted: int = amount * 10**places if places >= 0 else amount // 10**-places
    return shifted


def _decimals(currency: str) -> int:
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def _state(intent: Thing) -> ChargeState:
    state = STATES.get(intent["status"], ChargeState.UNKNOWN)
    if is_promised(intent):
        return ChargeState.UNKNOWN
    # With multicapture the rest can be captured later, or is let go; what was received stays taken.
    is_begun = _amount(intent, "amount_received") > 0 and not _dict(intent.get("latest_charge")).get("refunded")
    return ChargeState.CHARGED if is_begun and intent["status"] in _PARTLY_CAPTURED else state


def _taken(intent: Thing, state: ChargeState) -> int:
    """What was taken or is held, else what it is for. A part that was given back does not make it paid too little.

    What can still be captured beside a part that was taken is not missing.
    """
    if state is ChargeState.CHARGED and _amount(intent, "amount_received"):
        return _amount(intent, "amount_received") + _amount(intent, "amount_capturable")
    held = intent.get("amount_capturable") if state is ChargeState.HELD else None
    return held if isinstance(held, int) else int(intent["amount"])


def _amount(intent: Thing, name: str) -> int:
    found = intent.get(name)
    return found if isinstance(found, int) else 0


def _detail(intent: Thing, status: str, charge: Thing, outcome: Thing) -> str:
    words = [f"The PaymentIntent is {status}."]
    if outcome.get("network_status") == "reversed_after_approval":
        words.append("The bank approved it, then it was reversed.")
    if outcome.get("seller_message") and intent["status"] != "succeeded":
        words.append(str(outcome["seller_message"]))
    if charge.get("amount_refunded") and not charge.get("refunded"):
        words.append("A part of it was refunded.")
    if charge.get("disputed"):
        words.append("It is disputed.")
    return " ".join(words)


def _dict(found: object) -> Thing:
    return found if isinstance(found, dict) else {}


def _moment(found: object) -> datetime | None:
    return datetime.fromtimestamp(found, UTC) if isinstance(found, int) and 0 < found < 2**33 else None


def _word(found: object) -> str | None:
    return str(found) if found else None
