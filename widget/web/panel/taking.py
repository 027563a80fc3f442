"""The shopper takes a way out. One that pays is shown only after the provider was asked again."""

import json

from flask import Response, request
from sqlalchemy.orm import Session

from widget import cashier, clock, codes, enquiry, links, offers, orders, playbooks, signals
from widget.errors import NotFound, Refused
from widget.language import N_, Said
from widget.links import Purpose
from widget.money import Money
from widget.offers import OfferKind
from widget.web import reader, waiting
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import calling, elsewhere, hours, knowledge, later, report, screen, transferring
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show
from widget.web.panel.knowledge import Knowledge

# These have a page of their own that takes the money, and look after one another.
_GIVE_BACK = N_("Please give the first part back. I would like to pay the whole order by one method.")
_BY_LINK = {OfferKind.PAYMENT_LINK, OfferKind.REST, OfferKind.DIFFERENCE}


@blueprint.post("/help/<token>/choose/<kind>")
@limiter.limit("60/minute", key_func=by_link)
def choose(token: str, kind: str) -> Response:
    if kind not in set(OfferKind):
        raise NotFound(N_("There is no such way out."))
    offer, attempt_id = OfferKind(kind), attempt_id_of(token)
    is_clear = not offer.pays or _is_clear(offer, attempt_id)
    is_renewed = None
    while (taken := _take(offer, attempt_id, token, is_clear=is_clear, is_renewed=is_renewed)) is None:
        # Between the transactions, since its provider is asked.
        is_renewed = waiting.let_go(attempt_id)
    return taken


def _take(offer: OfferKind, attempt_id: int, token: str, *, is_clear: bool, is_renewed: bool | None) -> Response | None:
    """The way's screen; None, once, where a payment that waits for the customer is to be closed before.

    `is_renewed` says whether that was done, None when it was not tried.
    """
    with services().database.write() as session:
        case = case_of(session, attempt_id, token)
        if case.order is not None:
            # Held before the offer is touched, as a payment does.
            orders.locked(session, case.order.id)
        known = knowledge.of(session, case)
        if not is_clear or not known.offers(offer):
            return screen.choices(session, case, checks=0, is_busy=not is_clear)
        method = _method_of(known) if offer is OfferKind.METHOD else None
        if is_renewed is None and method is not None and _is_to_be_renewed(known, method):
            return None
        offers.choose(session, case.attempt, offer, known.now, choice=method)
        signals.note(
            session, case.attempt, "offer", known.now, kind=offer.value, **({"method": method} if method else {})
        )
        return _SCREENS[offer](session, known) if not is_renewed else _method(session, known, is_renewed=True)


def _is_clear(offer: OfferKind, attempt_id: int) -> bool:
    """Ask the provider, and close a page of its own that could still take the money. False: money may be moving."""
    database, pace = services().database, services().pace
    enquiry.ask(database, pace, attempt_id, fresh=True)
    return offer in _BY_LINK or cashier.clear(database, pace, attempt_id, gives_up=offer is OfferKind.TRANSFER)


def _is_to_be_renewed(known: Knowledge, method: str) -> bool:
    """Whether to close what still waits for the customer before they pay by this method.

    The page that is open in the shop cannot go on then, so only where its checkout can be opened anew.
    """
    return known.truth.waits is not None and _checkout(known.case, method) is not None


def _retry(_session: Session, known: Knowledge) -> Response:
    checkout = _checkout(known.case, known.case.attempt.method)
    response = show("retry", known.case, checkout=checkout, warning=known.warning)
    response.headers["HX-Trigger"] = "unjam:retry"
    return response


def _method(_session: Session, known: Knowledge, *, is_renewed: bool = False) -> Response:
    """First the list of methods; with one chosen, how to go on with it.

    `is_renewed`: what the open page of the shop had begun is closed, so the checkout has to be opened anew.
    `is_selected`: the checkout's address names the method. Whether the open page heeds our event, nobody knows.
    """
    chosen = next((each for each in known.other_methods if each.id == _method_of(known)), None)
    checkout = _checkout(known.case, chosen.id if chosen else None)
    response = show(
        "method",
        known.case,
        methods=known.other_methods,
        chosen=chosen,
        checkout=checkout,
        is_selected=checkout is not None and "{method}" in (known.profile.checkout_url or ""),
        is_renewed=is_renewed,
        warning=known.warning,
    )
    if chosen is not None and not is_renewed:
        response.headers["HX-Trigger"] = json.dumps({"unjam:method": {"method": chosen.id}})
    return response


def _method_of(known: Knowledge) -> str | None:
    """The method that the shopper picked; where there is but one, that one."""
    ids = [each.id for each in known.other_methods]
    picked = request.form.get("method")
    return picked if picked in ids else ids[0] if len(ids) == 1 else None


def _payment_link(session: Session, known: Knowledge) -> Response:
    return _link(session, known, Purpose.WHOLE, None)


def _rest(session: Session, known: Knowledge) -> Response:
    return _link(session, known, Purpose.REST, known.rest)


def _difference(session: Session, known: Knowledge) -> Response:
    return _link(session, known, Purpose.DIFFERENCE, known.truth.missing)


def _link(session: Session, known: Knowledge, purpose: Purpose, due: Money | None) -> Response:
    case = known.case
    if case.order is None:
        raise Refused(N_("The amount of this order is not known. Report it, and a person will help."))
    # Held since `choose` began.
    link = links.link_for(session, case.shop, case.attempt, case.order, clock.now(), purpose, due)
    paid = [known.label_of(each.method) for each in known.legs if each.method]
    address = services().addresses.pay(link)
    return show("payment_link", case, link=link, address=address, purpose=purpose.value, paid=paid)


def _person(_session: Session, known: Knowledge) -> Response:
    profile, is_open = known.profile, known.profile.is_open(known.now)
    return show(
        "person",
        known.case,
        is_open=is_open,
        closed=None if is_open else playbooks.presence(known.scene),
        closes_at=hours.closes_at(profile, known.now),
        opens_at=hours.opens_at(profile, known.now),
        ticket=known.ticket,
        code=codes.code_of(known.case.attempt),
        calls_back=known.offers(OfferKind.CALL_BACK),
    )


def _report(session: Session, known: Knowledge) -> Response:
    return report.form(session, known.case)


def _one_method(session: Session, known: Knowledge) -> Response:
    """Only the shop can give the first part back, so this asks it to: by a report that says so already."""
    return report.form(session, known.case, words=reader.say(Said(_GIVE_BACK)))


def _checkout(case: Case, method: str | None) -> str | None:
    return case.shop.settled.checkout_for(case.order.reference, method or "") if case.order else None


_SCREENS = {
    OfferKind.RETRY: _retry,
    OfferKind.METHOD: _method,
    OfferKind.DEVICE: elsewhere.offered,
    OfferKind.PAYMENT_LINK: _payment_link,
    OfferKind.TRANSFER: transferring.offered,
    OfferKind.REST: _rest,
    OfferKind.DIFFERENCE: _difference,
    OfferKind.ONE_METHOD: _one_method,
    OfferKind.PERSON: _person,
    OfferKind.CALL_BACK: calling.offered,
    OfferKind.LATER: later.offered,
    OfferKind.REPORT: _report,
}
