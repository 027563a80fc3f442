"""What Adyen's webhooks told about an order, folded into one answer for each payment. Pure.

The status of an event is Adyen's event code, with _REFUSED behind it when a change of a payment did not succeed.

Events may come twice, late and in any order, so nothing here depends on their order, except that a capture which failed
is unknown until a later one succeeds.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from widget.money import Money
from widget.providers import Answer, ChargeState, Happened

# Every event code that concerns a payment, with the kind that we keep it as.
_PAYMENTS = (
    "AUTHORISATION AUTHORISATION_ADJUSTMENT CAPTURE CAPTURE_FAILED CANCELLATION TECHNICAL_CANCEL PENDING OFFER_CLOSED "
    "ORDER_OPENED ORDER_CLOSED"
)
_REFUNDS = (
    "REFUND REFUND_FAILED REFUNDED_REVERSED REFUND_WITH_DATA CANCEL_OR_REFUND VOID_PENDING_REFUND POSTPONED_REFUND"
)
_DISPUTES = (
    "CHARGEBACK CHARGEBACK_REVERSED SECOND_CHARGEBACK NOTIFICATION_OF_CHARGEBACK NOTIFICATION_OF_FRAUD "
    "REQUEST_FOR_INFORMATION PREARBITRATION_WON PREARBITRATION_LOST DISPUTE_DEFENSE_PERIOD_ENDED "
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED"
)
KIND_OF = (
    dict.fromkeys(_PAYMENTS.split(), "payment")
    | dict.fromkeys(_REFUNDS.split(), "refund")
    | dict.fromkeys(_DISPUTES.split(), "dispute")
)
# Behind the event code of a change that did not succeed.
REFUSED = "_REFUSED"
# A void lets go of what is authorised, so it undoes no capture; the others give back what was captured, too.
_VOIDS = {"CANCELLATION", "TECHNICAL_CANCEL"}
_REVERSALS = {"VOID_PENDING_REFUND", "CANCEL_OR_REFUND"}
_GIVEN_BACK = {"REFUND", "REFUND_WITH_DATA"}
# The money is with the shop again.
_RETURNED = {"REFUND_FAILED", "REFUNDED_REVERSED"}
# How an event's detail names the payment link that it came through, and the network's own code.
_LINK = re.compile(r"\blink (PL[A-Za-z0-9_-]+)")
_NETWORK_CODE = re.compile(r"\braw ([A-Z0-9]{2}) ?:")


def answers_from(heard: Iterable[Happened], order: str) -> list[tuple[frozenset[str], Answer]]:
    """One answer for each payment of this order, with every name that it goes by: its id, and its link's.

    A change may have a reference of its own; what is told of another order only is left out.

    A payment through a link is called by the link's id, which is all that the link itself can tell.
    """
    by_payment: dict[str, list[Happened]] = {}
    for event in heard:
        # A shop with several providers may have heard of the order from another one too.
        is_ours = (event.status or "").removesuffix(REFUSED) in KIND_OF
        if event.payment and is_ours and event.kind != "dispute":
            by_payment.setdefault(event.payment, []).append(event)
    found = []
    for payment, events in by_payment.items():
        links = [link for event in events for link in _LINK.findall(event.detail)]
        answer, orders = _folded(events), {event.order for event in events if event.order}
        if answer is not None and (order in orders or not orders):
            answer = replace(answer, is_proven=order in orders)
            found.append((frozenset({payment, *links}), replace(answer, payment=links[0] if links else payment)))
    return found


def _folded(events: list[Happened]) -> Answer | None:
    """What became of one payment, None while nothing was told about its money."""
    told = [event for event in events if event.state is not None and event.kind == "payment"]
    taken = _first(told, ChargeState.CHARGED, "AUTHORISATION") or _first(told, ChargeState.CHARGED, "CAPTURE")
    held = _first(told, ChargeState.HELD, "AUTHORISATION")
    back = next((event for event in events if event.status in _VOIDS | _REVERSALS and event.state is not None), None)
    if back is not None:
        return _after_going_back(back, taken or held, events)
    if taken is not None:
        # Of a payment that is captured in parts, the rest is held: it is not missing.
        captured = _sum([each for each in told if each.status == "CAPTURE"])
        return _after_refunds(taken, held.money if held else taken.money or captured, events, _has_failed(told))
    if held is not None:
        state = ChargeState.UNKNOWN if _has_failed(told) else ChargeState.HELD
        return _answer(held, state, held.money)
    if not told:
        return None
    # Of one payment, a refusal is the last word; before it, the payment was on its way.
    over = _first(told, ChargeState.NOT_CHARGED)
    return _answer(over, ChargeState.NOT_CHARGED, over.money) if over else _answer(told[-1], ChargeState.UNKNOWN, None)


def _after_going_back(back: Happened, source: Happened | None, events: list[Happened]) -> Answer:
    """What became of a payment after `back`, the word that it was cancelled or given back. `source` took or held it."""
    captures = [each for each in events if each.status == "CAPTURE" and each.state is not None]
    failed = [each for each in events if each.status == "CAPTURE_FAILED"]
    reversals = [each for each in events if each.status in _REVERSALS and each.state is not None]
    captured = _minor(captures) - _minor(failed)
    if captured > 0 and not reversals:
        # Only the rest was let go.
        money = replace(captures[0].money, minor=captured) if captures[0].money else None
        return _after_refunds(captures[0], money, events, _has_failed(events))
    first = source or back
    returned = _minor([each for each in events if each.status in _RETURNED])
    if not returned:
        return _answer(back, ChargeState.NOT_CHARGED, first.money, is_reversed=source is not None)
    given_back = _minor([each for each in events if each.status in _GIVEN_BACK] + reversals)
    is_kept = bool(reversals) and given_back - returned < _minor([first])
    # Where it was given back more than once, nobody says which of these came back.
    return _answer(first, ChargeState.CHARGED if is_kept else ChargeState.UNKNOWN, first.money)


def _after_refunds(taken: Happened, money: Money | None, events: list[Happened], has_failed: bool) -> Answer:
    if has_failed:
        return _answer(taken, ChargeState.UNKNOWN, money)
    given_back = [each for each in events if each.status in _GIVEN_BACK]
    returned = [each for each in events if each.status in _RETURNED]
    refunded = _minor(given_back) - _minor(returned)
    if money is not None and given_back and refunded >= money.minor:
        return _answer(given_back[-1], ChargeState.NOT_CHARGED, money, is_reversed=True)
    return _answer(taken, ChargeState.CHARGED, money)


def _has_failed(told: list[Happened]) -> bool:
    """Whether the last that was told of capturing is that it failed."""
    captures = [each for each in told if each.status in {"CAPTURE", "CAPTURE_FAILED"}]
    return bool(captures) and captures[-1].status == "CAPTURE_FAILED"


def _first(told: list[Happened], state: ChargeState, status: str | None = None) -> Happened | None:
    return next((each for each in told if each.state is state and status in {None, each.status}), None)


def _sum(events: list[Happened]) -> Money | None:
    currency = next((each.money.currency for each in events if each.money), None)
    return None if currency is None else Money(_minor(events), currency)


def _minor(events: list[Happened]) -> int:
    return sum(each.money.minor for each in events if each.money)


def _answer(event: Happened, state: ChargeState, money: Money | None, is_reversed: bool = False) -> Answer:
    raw = _NETWORK_CODE.search(event.detail)
    return Answer(
        state,
        money,
        detail=f"Adyen told {event.status}{f' ({event.code})' if event.code else ''}.",
        status=event.status,
        code=event.code,
        network_code=raw[1] if raw else None,
        is_reversed=is_reversed,
    )
