"""The screens that say what became of the money: the first one, the one with the ways out, and the end of it all."""

import json

from flask import Response, request
from sqlalchemy.orm import Session

from widget import clock, offers, returns
from widget.certainty import Truth
from widget.offers import Choice, OfferKind
from widget.providers import ChargeState
from widget.web.context import services
from widget.web.panel import headline, knowledge
from widget.web.panel.case import Case, show
from widget.web.panel.headline import Headline, Tone
from widget.web.panel.knowledge import Knowledge

# The charge is asked again by itself this many times, each pause longer, then only when the shopper says so.
CHECK_PAUSES_SECONDS = (3, 5, 8, 13, 20, 30, 30, 60, 60)
# More ways out at once are no help to somebody in a hurry; the others are one press away.
SHOWN_AT_ONCE = 3


def first(case: Case, said: str | None = None) -> Response:
    """Shown before anybody was asked."""
    return show("checking", case, greeting=said)


def greeting(session: Session, case: Case) -> str | None:
    """What happened while the customer was away, if they were."""
    return None if case.is_paid else returns.greeting(session, case.attempt, clock.now())


def choices(
    session: Session, case: Case, *, checks: int, greeting: str | None = None, is_busy: bool = False
) -> Response:
    """The charge in plain words, then the ways out.

    `is_busy`: a payment that may still take the money could not be closed, so only people are left, and it is said why.
    """
    if case.is_paid:
        return paid(session, case)
    known = knowledge.of(session, case)
    is_busy = is_busy and known.may_seem_free
    shown = [each for each in known.choices if not is_busy or _is_talk(each)]
    if request.method == "POST":
        cause, device_class = known.cause, known.device_class
        offers.show(session, case.attempt, shown, known.now, cause=cause, device_class=device_class)
    pays, folded, talks = _split(shown)
    is_asked_about = known.truth.state is ChargeState.UNKNOWN
    pause = CHECK_PAUSES_SECONDS[checks] if is_asked_about and checks < len(CHECK_PAUSES_SECONDS) else None
    return show(
        "choices",
        case,
        head=headline.busy(known.told) if is_busy else headline.headline(known.told),
        greeting=greeting,
        # Why nothing is offered stays to be read; who has done something about it looks again by hand.
        is_open=is_asked_about or is_busy,
        open_page=services().addresses.pay(known.open_page) if known.open_page else None,
        outage=known.outage,
        trouble=known.trouble,
        hold=known.shown_hold,
        is_kept=known.asks_shop_to_keep,
        ticket=known.ticket,
        pause=pause,
        checks=checks + 1,
        pays=pays,
        folded=folded,
        talks=talks,
    )


def paid(session: Session, case: Case) -> Response:
    """The frame is told, too, so that the checkout goes on to its thanks: where more was taken, once that was read."""
    return _paid(knowledge.of(session, case))


def paid_news(session: Session, case: Case, shown: str | None) -> Response | None:
    """The same for a panel that is open: None where it is `shown` there and to be read without being disturbed.

    Otherwise it is said again and again: the shop's own script may listen only later.
    """
    known = knowledge.of(session, case)
    is_shown = shown == _mark(known.truth) and _head_of_paid(known).tone is not Tone.GOOD
    return None if is_shown else _paid(known)


def _paid(known: Knowledge) -> Response:
    head = _head_of_paid(known)
    is_to_be_read = head.tone is not Tone.GOOD
    response = show("paid", known.case, head=head, is_to_be_read=is_to_be_read, mark=_mark(known.truth))
    response.headers["HX-Retarget"] = "#screen"
    response.headers["HX-Reswap"] = "outerHTML"
    order = known.case.order
    told = {"order": order.reference if order else None} | ({"once_read": True} if is_to_be_read else {})
    response.headers["HX-Trigger"] = json.dumps({"unjam:paid": told})
    return response


def _head_of_paid(known: Knowledge) -> Headline:
    order = known.case.order
    return headline.paid(known.truth, order.reference if order else None, order.due if order else None)


def _mark(truth: Truth) -> str:
    """What tells one screen of a paid order from another: it changes when a further payment becomes known."""
    return f"{len(truth.twice)}-{truth.excess.minor if truth.excess else 0}"


def _is_talk(choice: Choice) -> bool:
    """Whether it leads to people, who are always there."""
    return not choice.kind.pays and choice.kind is not OfferKind.LATER


def _split(shown: list[Choice]) -> tuple[list[Choice], list[Choice], list[Choice]]:
    """The ways that pay and are shown at once, those that are folded away, and the people, who never are."""
    talks = [each for each in shown if _is_talk(each)]
    others = [each for each in shown if each not in talks]
    # One more is not worth a fold.
    cut = len(others) if len(others) <= SHOWN_AT_ONCE + 1 else SHOWN_AT_ONCE
    return others[:cut], others[cut:], talks
