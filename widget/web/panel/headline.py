"""The first words of the panel: what became of the money, and why the payment got stuck. Truth before any offer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from widget.certainty import Truth
from widget.language import N_, Said, counted
from widget.money import Money
from widget.providers import ChargeState


class Tone(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Headline:
    tone: Tone
    title: Said
    lines: tuple[Said, ...] = ()
    # What to quote or to compare: label and value.
    figures: tuple[tuple[Said, str | Money], ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What the headline is made from. `why` is the probable cause in one sentence, empty where nothing may be said."""

    truth: Truth
    order: str | None = None
    due: Money | None = None
    why: Said | None = None
    # Which methods paid the legs that went through, and whether the leg of this attempt is one of them.
    paid_legs: tuple[str, ...] = ()
    is_leg_paid: bool = False
    is_leg_refused: bool = False
    # It has failed, and the provider has looked at all that it may have begun.
    is_leg_over: bool = False
    # What those took, and what is left.
    part: Money | None = None
    rest: Money | None = None
    # The page said that Pay was never pressed.
    is_of_page: bool = False
    # Another payment of this order may be under way: by a link, or in another tab.
    is_busy: bool = False
    # That is the page of the customer's own link, which they can go on with or leave.
    has_open_page: bool = False
    is_transfer_announced: bool = False
    # What the customer has to leave alone, because a payment can still be completed there.
    warning: Said | None = None
    is_at_bank: bool = False
    # We write to the customer when the outcome is known.
    writes: bool = False


_CONFIRM = Said(N_("Confirm it or cancel it there. Until then we take nothing, so that you do not pay twice."))
_ABOUT_PAGE = (
    Said(N_("As far as we know, your payment on the separate page is not finished yet.")),
    Said(N_("Finish it or cancel it there. Until then we take nothing, so that you do not pay twice.")),
)
_CAME_SHORT = Said(N_("A payment came in that was less than the order. Do not pay the whole amount again."))
_ABOUT_TRANSFER = (
    Said(N_("You told us that you have sent it. Please do not pay in another way.")),
    Said(N_("It can take some days to arrive. This page tells you when it has.")),
)


def headline(told: Told) -> Headline:
    truth = told.truth
    if told.paid_legs:
        return _part_paid(told)
    if told.is_transfer_announced and truth.state is not ChargeState.CHARGED:
        return Headline(Tone.WARN, Said(N_("Your transfer is on its way")), _ABOUT_TRANSFER)
    match truth.state:
        case ChargeState.CHARGED if truth.missing:
            return _too_little(told, truth.missing)
        case ChargeState.CHARGED:
            return Headline(
                Tone.GOOD,
                Said(N_("You have paid")),
                (Said(N_("The payment provider has your payment. Do not pay again.")),),
                _receipt(truth),
            )
        case ChargeState.HELD:
            return Headline(Tone.WARN, Said(N_("The money is reserved, not taken")), tuple(_about_hold(truth)))
        case ChargeState.NOT_CHARGED:
            return Headline(Tone.GOOD, Said(N_("You have not been charged")), tuple(_about_nothing(told)))
        case _ if truth.part:
            return _only_part(told, truth.part)
        case _:
            return Headline(Tone.WARN, Said(N_("We do not know yet if you were charged")), tuple(_about_doubt(told)))


def busy(told: Told) -> Headline:
    """Nothing was charged as far as is known, but a payment that could not be closed may still take the money."""
    if told.truth.waits is not None and told.is_at_bank:
        return Headline(Tone.WARN, Said(N_("Your bank still asks you to confirm a payment")), (_CONFIRM,))
    doubt = replace(told, is_busy=True, truth=replace(told.truth, state=ChargeState.UNKNOWN))
    lines = (*_about_doubt(doubt), *([told.warning] if told.warning else []))
    return Headline(Tone.WARN, Said(N_("Please do not pay yet")), lines)


def paid(truth: Truth, order: str | None, due: Money | None) -> Headline:
    """The order is paid: the end of it for the customer, unless too much was taken."""
    if len(truth.twice) > 1:
        return _paid_twice(truth)
    if truth.excess and truth.money:
        return _too_much(truth, truth.money, truth.excess, due)
    named = Said(N_("Order {order} is paid: {amount}."), {"order": order, "amount": due})
    lines = (named if order and due else Said(N_("Your order is paid.")), Said(N_("Please do not pay again.")))
    return Headline(Tone.GOOD, Said(N_("You have paid. There is nothing left to do")), lines, _receipt(truth))


def _about_nothing(told: Told) -> Iterator[Said]:
    if told.is_of_page:
        yield Said(N_("Pay was not pressed on this page."))
    elif told.order:
        words = N_("The payment provider confirms that no money was taken for order {order}.")
        yield Said(words, {"order": told.order})
    else:
        yield Said(N_("The payment provider confirms that no money was taken for this order."))
    if told.truth.is_reversed:
        yield from _days(told.truth)
    if told.why:
        yield told.why
    if told.warning:
        yield told.warning


def _days(truth: Truth) -> Iterator[Said]:
    yield Said(N_("Your bank had reserved the amount and has let it go."))
    if truth.statement_days:
        first, last = truth.statement_days
        yield counted(
            "It may stay on your statement for {count} day.",
            "It may stay on your statement for {first} to {count} days.",
            last,
            first=first,
        )


def _about_hold(truth: Truth) -> Iterator[Said]:
    yield Said(N_("Your bank holds the amount for this order. Please do not pay again."))
    yield Said(N_("The shop completes the payment or lets the money go."))
    if truth.statement_days:
        first, last = truth.statement_days
        yield counted(
            "If it is let go, it may stay on your statement for {count} day.",
            "If it is let go, it may stay on your statement for {first} to {count} days.",
            last,
            first=first,
        )


def _about_doubt(told: Told) -> Iterator[Said]:
    if told.has_open_page:
        yield from _ABOUT_PAGE
        return
    if told.is_busy:
        yield Said(N_("Another payment for this order may be going on, in another window or by a link."))
    elif not told.truth.was_asked:
        yield Said(N_("Nobody could be asked yet. Look whether your bank has sent a message about this payment."))
    else:
        yield Said(N_("The payment provider has not given a final answer."))
    yield from _until_then(told)


def _until_then(told: Told) -> Iterator[Said]:
    if told.has_open_page:
        yield from _ABOUT_PAGE
        return
    yield Said(N_("Please do not pay again until we know."))
    if told.writes and told.truth.is_watched:
        yield Said(N_("You can close this page: we write to you when we know."))


def _only_part(told: Told, part: Money) -> Headline:
    return Headline(
        Tone.WARN,
        Said(N_("Part of this order is paid")),
        (_CAME_SHORT, Said(N_("We do not know yet about the rest.")), *_until_then(told)),
        _compared(told, part),
    )


def _part_paid(told: Told) -> Headline:
    about_page = _ABOUT_PAGE if told.has_open_page else ()
    lines = [_about_part(told), *_about_rest(told), *about_page, Said(N_("Do not pay the whole amount again."))]
    return Headline(Tone.WARN, Said(N_("Part of this order is paid")), tuple(lines))


def _about_part(told: Told) -> Said:
    count, method = len(told.paid_legs), told.paid_legs[0]
    if count == 1 and method and told.part:
        return Said(N_("This part went through: {method}, {amount}."), {"method": method, "amount": told.part})
    if count == 1 and method:
        return Said(N_("This part went through: {method}."), {"method": method})
    return counted("{count} part of this order went through.", "{count} parts of this order went through.", count)


def _about_rest(told: Told) -> Iterator[Said]:
    if told.is_leg_paid:
        yield Said(N_("The rest is not paid yet."))
    elif told.truth.state is ChargeState.NOT_CHARGED:
        if told.why:
            yield told.why
        yield Said(N_("No money was taken for the rest."))
    elif told.truth.state is ChargeState.HELD:
        yield Said(N_("Your bank holds the rest of the amount."))
    elif told.truth.state is ChargeState.CHARGED and told.is_leg_refused:
        yield told.why or Said(N_("The payment of the rest was refused."))
    elif told.truth.state is ChargeState.CHARGED and told.is_leg_over:
        yield told.why or Said(N_("No money was taken for the rest."))
    else:
        yield Said(N_("We do not know yet about the rest."))
    if told.rest:
        yield Said(N_("Still to pay: {amount}."), {"amount": told.rest})


def _too_little(told: Told, missing: Money) -> Headline:
    return Headline(
        Tone.WARN,
        Said(N_("{amount} of your order is not paid yet"), {"amount": missing}),
        (_CAME_SHORT,),
        (*_compared(told, told.truth.money), (Said(N_("Missing")), missing)),
    )


def _compared(told: Told, taken: Money | None) -> tuple[tuple[Said, Money], ...]:
    return ((Said(N_("Order")), told.due), (Said(N_("Paid")), taken)) if told.due and taken else ()


def _too_much(truth: Truth, taken: Money, excess: Money, due: Money | None) -> Headline:
    figures: list[tuple[Said, str | Money]] = [(Said(N_("Order")), due)] if due else []
    return Headline(
        Tone.WARN,
        Said(N_("You have paid {amount} too much"), {"amount": excess}),
        (
            Said(N_("Your order is paid. Please do not pay again.")),
            Said(N_("We have told the shop what to give back. A person looks into it.")),
        ),
        (*figures, (Said(N_("Paid")), taken), (Said(N_("Too much")), excess), *_receipt(truth)),
    )


def _paid_twice(truth: Truth) -> Headline:
    figures = tuple((Said(N_("Payment {payment}"), {"payment": each.payment}), each.money) for each in truth.twice)
    return Headline(
        Tone.WARN,
        Said(N_("Your order was paid more than once")),
        (
            Said(N_("Please do not pay again.")),
            Said(N_("We have told the shop which payment to give back. A person looks into it.")),
        ),
        figures,
    )


def _receipt(truth: Truth) -> tuple[tuple[Said, str | Money], ...]:
    return ((Said(N_("Payment reference")), truth.receipt),) if truth.receipt else ()
