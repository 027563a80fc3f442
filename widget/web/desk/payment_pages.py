"""A payment page of which its provider says nothing, on the desk: an agent looks it up there and lets the order go."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from widget import audit, clock, links, orders, tickets
from widget.cashier import Step
from widget.errors import Refused
from widget.links import PaymentLink
from widget.orders import Order
from widget.tickets import Ticket
from widget.web.desk import signin, words
from widget.web.desk.words import Clockface


@dataclass(frozen=True, slots=True)
class Shown:
    """The page as an agent reads it."""

    link: PaymentLink
    order: Order
    amount: str
    clock: Clockface

    @property
    def provider(self) -> str:
        return words.spelled(self.link.provider) if self.link.provider else "The provider"


def of_order(session: Session, order: Order | None, locale: str, face: Clockface) -> Shown | None:
    """The page that keeps this order although its time is long over, for its ticket's pane."""
    link = links.unanswered(session, order, face.now) if order is not None and order.paid_at is None else None
    return Shown(link, order, link.due.shown(locale), face) if link is not None and order is not None else None


def key_of(session: Session, ticket: Ticket) -> str | None:
    """The key of the link whose page keeps the order of this ticket without an end."""
    order = tickets.order_of(session, ticket)
    link = links.unanswered(session, order, clock.now()) if order is not None else None
    return link.key if link is not None else None


def let_go(session: Session, ticket: Ticket, page: str, step: Step | None) -> str:
    """The agent has seen at the provider that this page took nothing: other ways to pay are open again.

    `step` is how the page stands at this moment. Raises Refused when it is not this page that keeps the order, or the
    provider knows better.
    """
    if step is Step.HELD:
        raise Refused("The provider says that the amount is reserved on this page. Take it or release it there.")
    now, agent = clock.now(), signin.agent()
    known = tickets.order_of(session, ticket)
    order = orders.locked_by_reference(session, known) if known is not None else None
    link = links.unanswered(session, order, now) if order is not None and order.paid_at is None else None
    if order is None or link is None or link.hosted_id != page:
        raise Refused("This payment page does not keep the order any more. Read what the ticket says now.")
    links.release(link, order, now)
    about = {"agent": agent.id, "page": page}
    audit.note(session, "payment_page_released", order.reference, shop_id=order.shop_id, address=None, now=now, **about)
    said = f"{agent.name} looked up payment page {page}: nothing was taken there. The customer can pay again."
    tickets.note_once(session, ticket, said, now)
    return "The order is let go. The customer can pay again."
