"""One ticket on the desk: read it, answer it, move it on."""

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import casework, cashier, clock, enquiry, followups, tickets, transfers
from widget.attempts import Attempt
from widget.errors import Malformed, NotFound, Refused
from widget.shops import Shop
from widget.tickets import Status, Ticket
from widget.web.context import services
from widget.web.desk import payment_pages, signin, words
from widget.web.desk.blueprint import blueprint, shops_of_agent, wants_pane, whole_desk
from widget.web.desk.pane import open_pane
from widget.web.desk.places import place_of
from widget.web.desk.transfers import arrive

_WIDEST_ID = 2**62


@blueprint.get("/tickets/<reference>")
def ticket(reference: str) -> Response:
    return _show(reference)


@blueprint.post("/attempts/<int:attempt_id>/ticket")
def take_up(attempt_id: int) -> Redirect:
    """Open the ticket of this attempt, for a customer who calls. Pressed twice, it is the same ticket."""
    with services().database.write() as session:
        shops = shops_of_agent(session)
        attempt = session.get(Attempt, min(attempt_id, _WIDEST_ID))
        if attempt is None or attempt.shop_id not in shops:
            raise NotFound("There is no such payment.")
        reference = casework.take_up(session, shops[attempt.shop_id], attempt, clock.now()).reference
    flash("Ticket opened. Nobody’s e-mail address is known, so a reply reaches nobody yet.")
    return redirect(url_for("desk.ticket", reference=reference), 303)


@blueprint.post("/tickets/<reference>/messages")
def say(reference: str) -> Response | Redirect:
    """`mode` is reply, resolve (reply, then resolve) or note; `seen` the last message the agent had before them."""
    mode, typed = request.form.get("mode", "reply"), request.form.get("words", "")
    seen = min(request.form.get("seen", 0, type=int), _WIDEST_ID)
    try:
        with services().database.write() as session:
            shop, found = _held(session, reference)
            _say(session, found, typed, is_note=mode == "note", seen=seen)
            if mode == "resolve":
                _move(session, shop, found, Status.RESOLVED)
    except (Malformed, Refused) as error:
        return _show(reference, error=error.detail, typed=typed, status_code=error.status)
    done = {"note": "Note added. Only agents see it.", "resolve": "Reply on its way. Ticket resolved."}
    return _done(reference, done.get(mode, "Reply on its way by e-mail."))


@blueprint.post("/tickets/<reference>/status")
def move(reference: str) -> Response | Redirect:
    wanted = request.form.get("status", "")
    if wanted not in set(Status):
        return _show(reference, error="Choose one of the statuses.", status_code=422)
    with services().database.write() as session:
        shop, found = _held(session, reference)
        _move(session, shop, found, Status(wanted))
    return _done(reference, f"Status: {words.STATUSES[Status(wanted)]}.")


@blueprint.post("/tickets/<reference>/charge")
def ask(reference: str) -> Response | Redirect:
    """Ask the provider again whether the customer was charged. An order that turns out paid is settled by it."""
    with services().database.read() as session:
        found = tickets.by_reference(session, reference, list(shops_of_agent(session)))
    # What an agent reads here, the customer has not been told.
    enquiry.ask(services().database, services().pace, found.attempt_id, is_looked_at=False)
    return _done(reference, "The provider was asked again.")


@blueprint.post("/tickets/<reference>/emails/<int:follow_up_id>/retry")
def retry(reference: str, follow_up_id: int) -> Response | Redirect:
    with services().database.write() as session:
        followups.retry(session, min(follow_up_id, _WIDEST_ID), list(shops_of_agent(session)), clock.now())
    return _done(reference, "The e-mail will be tried again now.")


@blueprint.post("/tickets/<reference>/transfers/<int:transfer_id>/received")
def received_for(reference: str, transfer_id: int) -> Response | Redirect:
    """The money of a transfer of this ticket's order has arrived. Pressed twice, it is recorded once."""
    with services().database.write() as session:
        shops = shops_of_agent(session)
        found = tickets.by_reference(session, reference, list(shops))
        transfer = transfers.by_id(session, min(transfer_id, _WIDEST_ID), [found.shop_id])
        if transfer.order_id != found.order_id:
            raise NotFound("This bank transfer belongs to another order.")
        said = arrive(session, shops[found.shop_id], transfer)
    return _done(reference, said)


@blueprint.post("/tickets/<reference>/payment-page/let-go")
def let_page_go(reference: str) -> Response | Redirect:
    """Nothing was taken on the payment page (`hosted_id`) that keeps the order of this ticket."""
    with services().database.read() as session:
        found = tickets.by_reference(session, reference, list(shops_of_agent(session)))
        key = payment_pages.key_of(session, found)
    # It may have been paid, or reserved, a moment ago.
    looked = cashier.look(services().database, services().pace, key) if key is not None else None
    try:
        with services().database.write() as session:
            _shop, found = _held(session, reference)
            said = payment_pages.let_go(session, found, request.form.get("hosted_id", ""), key, looked)
    except Refused as error:
        return _show(reference, error=error.detail, status_code=error.status)
    return _done(reference, said)


def _held(session: Session, reference: str) -> tuple[Shop, Ticket]:
    shops = shops_of_agent(session)
    found = tickets.by_reference(session, reference, list(shops))
    tickets.hold(session, found)
    return shops[found.shop_id], found


def _say(session: Session, found: Ticket, typed: str, *, is_note: bool, seen: int) -> None:
    agent = signin.agent()
    if tickets.was_sent(session, found, agent, typed, is_note=is_note, since=seen):
        return
    if is_note:
        tickets.add_note(session, found, agent, typed, clock.now())
        return
    tickets.check_read(session, found, seen)
    casework.reply(session, found, agent, typed, clock.now())


def _move(session: Session, shop: Shop, found: Ticket, status: Status) -> None:
    casework.change_status(session, shop, found, status, agent=signin.agent(), pace=services().pace, now=clock.now())


def _done(reference: str, said: str) -> Response | Redirect:
    """After a change: the pane as it is now and a list that refreshes itself, or without htmx the whole page again."""
    if not wants_pane():
        flash(said)
        return redirect(url_for("desk.ticket", reference=reference, **place_of(request).query), 303)
    response = _show(reference, said=said)
    response.headers["HX-Trigger"] = "tickets-changed"
    return response


def _show(
    reference: str, *, said: str | None = None, error: str | None = None, typed: str = "", status_code: int = 200
) -> Response:
    with services().database.read() as session:
        shops = shops_of_agent(session)
        found = tickets.by_reference(session, reference, list(shops))
        parts = {
            "open": open_pane(session, shops[found.shop_id], found, clock.now()),
            "said": said,
            "error": error,
            "typed": typed,
            "statuses": words.STATUSES,
            "words": words,
        }
        if not wants_pane():
            return whole_desk(session, shops, "desk/pane.html", status_code, selected=reference, **parts)
        return make_response(
            render_template("desk/pane.html", is_fragment=True, place=place_of(request), **parts), status_code
        )
