"""Bank transfers on the desk: the money of a reference on the bank's statement is recorded, once, for its order."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import audit, clock, orders, payments, tellings, tickets, transfers
from widget.orders import Order
from widget.payments import Source, Told
from widget.shops import Shop
from widget.tickets import Ticket
from widget.transfers import Transfer
from widget.web.context import services
from widget.web.desk import signin, words
from widget.web.desk.blueprint import blueprint, rail_parts, shops_of_agent
from widget.web.desk.words import Badge, Clockface

MAX_SHOWN = 100
MAX_SEARCH_CHARS = 200
WIDEST_ID = 2**62
_SCHEMES = {"epc": "SEPA transfer", "swiss": "Swiss QR-bill", "pix": "PIX", "upi": "UPI", "eft": "EFT"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A transfer as an agent reads it, beside its order."""

    transfer: Transfer
    shop: Shop
    order: Order
    ticket: Ticket | None
    clock: Clockface

    @property
    def scheme(self) -> str:
        return _SCHEMES.get(self.transfer.scheme, words.spelled(self.transfer.scheme))

    @property
    def reference(self) -> str:
        return transfers.shown_reference(self.transfer.reference)

    @property
    def amount(self) -> str:
        return self.transfer.due.shown(self.shop.settled.locale)

    @property
    def badge(self) -> Badge:
        if self.transfer.received_at:
            return Badge("Arrived", "good")
        if self.transfer.cancelled_at:
            return Badge("Not awaited")
        if self.transfer.announced_at:
            return Badge("Announced", "info")
        return Badge("Shown") if self.transfer.expires_at > self.clock.now else Badge("Expired")


@blueprint.get("/transfers")
def transfers_page() -> str:
    """What customers say is on its way, or what a reference on a statement belongs to."""
    search = request.args.get("q", "").strip()[:MAX_SEARCH_CHARS]
    with services().database.read() as session:
        shops, ids = shops_of_agent(session), list(shops_of_agent(session))
        found = transfers.named_in(session, ids, search) if search else transfers.awaited(session, ids, MAX_SHOWN)
        parts = {"found": [shown(session, shops[each.shop_id], each) for each in found], "search": search}
        rail = rail_parts(session, shops, None)
    return render_template("desk/transfers.html", here="transfers", max_shown=MAX_SHOWN, **parts, **rail)


@blueprint.post("/transfers/<int:transfer_id>/received")
def received(transfer_id: int) -> Redirect:
    with services().database.write() as session:
        shops = shops_of_agent(session)
        found = transfers.by_id(session, min(transfer_id, WIDEST_ID), list(shops))
        said = arrive(session, shops[found.shop_id], found)
    flash(said)
    return redirect(url_for("desk.transfers_page", q=found.reference), 303)


def of_order(session: Session, shop: Shop, order: Order | None) -> tuple[Shown, ...]:
    """The transfers of this order for its ticket's pane."""
    return tuple(shown(session, shop, each) for each in transfers.of(session, order)) if order else ()


def shown(session: Session, shop: Shop, transfer: Transfer) -> Shown:
    of_it = sa.select(Ticket).filter_by(order_id=transfer.order_id).order_by(Ticket.id.desc()).limit(1)
    face = Clockface(clock.now(), ZoneInfo(shop.settled.time_zone))
    return Shown(transfer, shop, session.get_one(Order, transfer.order_id), session.scalars(of_it).first(), face)


def arrive(session: Session, shop: Shop, transfer: Transfer) -> str:
    """The money of this transfer is on the shop's account: record it once, and say what came of it."""
    order = orders.locked_by_reference(session, session.get_one(Order, transfer.order_id))
    # Whoever was faster, another agent or the shop's server, has let go of the order by now.
    session.refresh(transfer, with_for_update=True)
    if transfer.received_at is not None:
        return "This transfer was recorded before. Nothing has changed."
    was_paid, now, agent = order.paid_at is not None, clock.now(), signin.agent()
    name = tellings.transfer_name(transfer.reference)
    told = Told(name, Source.SHOP, transfer.due, "transfer", name, "bank_transfer")
    payments.record(session, shop, order, told, services().pace, now)
    transfers.receive(transfer, now)
    audit.note(session, "transfer_received", order.reference, shop_id=shop.id, address=None, now=now, agent=agent.id)
    amount, reference = transfer.due.shown("en"), transfers.shown_reference(transfer.reference)
    words_said = f"{agent.name} recorded that the bank transfer {reference} of {amount} has arrived."
    for ticket in session.scalars(sa.select(Ticket).filter_by(order_id=order.id)):
        tickets.note_once(session, ticket, words_said, now)
    if was_paid:
        return f"Recorded. Order {order.reference} was paid already, so check whether to give {amount} back."
    if order.paid_at is None:
        return f"Recorded. Order {order.reference} is not paid in full yet."
    return f"Recorded. Order {order.reference} is paid."
