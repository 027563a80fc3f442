"""A payment page of which its provider says nothing, on the desk: an agent looks it up there and lets the order go."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from widget import audit, clock, links, tickets
from widget.cashier import Step, Taking
from widget.errors import Refused
from widget.links import PaymentLink
from widget.orders import Order
from widget.tickets import Ticket
from widget.tries import Tries
from widget.web.desk import signin, words


@dataclass(frozen=True, slots=True)
class Shown:
    """The page as an agent reads it."""

    link: PaymentLink
    amount: str

    @property
    def provider(self) -> str:
        return words.spelled(self.link.provider) if self.link.provider else "The provider"


def of_ticket(session: Session, ticket: Ticket, locale: str) -> Shown | None:
    """The page that keeps the order although its time is long over, for its ticket's pane."""
    link, _order = _unanswered(session, ticket)
    return Shown(link, link.due.shown(locale)) if link is not None else None


def key_of(session: Session, ticket: Ticket) -> str | None:
    """The key of the link whose page keeps the order of this ticket without an end."""
    link, _order = _unanswered(session, ticket)
    return link.key if link is not None else None


def let_go(session: Session, ticket: Ticket, page: str, key: str | None, looked: Taking | None) -> str:
    """The agent has seen at the provider that this page took nothing: other ways to pay are open again.

    `looked` is how the page of link `key` stands at this moment. Raises Refused when that page does not keep the order,
    or the provider knows better. The ticket must be held.
    """
    now, agent = clock.now(), signin.agent()
    if looked is not None and (looked.step is Step.HELD or looked.status is not None):
        said = "that the amount is reserved" if looked.step is Step.HELD else f"“{looked.status}”"
        raise Refused(f"The provider says {said} on this page. Let it end there first: take the money or cancel it.")
    link, order = _unanswered(session, ticket)
    if order is None or link is None or link.key != key or link.hosted_id != page:
        raise Refused("This payment page does not keep the order any more. Read what the ticket says now.")
    links.release(link, order, now)
    about = {"agent": agent.id, "page": page}
    audit.note(session, "payment_page_released", order.reference, shop_id=order.shop_id, address=None, now=now, **about)
    noted = f"{agent.name} looked up payment page {page}: nothing was taken there. It does not keep the order any more."
    tickets.note_once(session, ticket, noted, now)
    return "The payment page does not keep the order any more."


def _unanswered(session: Session, ticket: Ticket) -> tuple[PaymentLink | None, Order | None]:
    """The link, and the order that it keeps: the ticket's, or another basket of the same number."""
    order, now = tickets.order_of(session, ticket), clock.now()
    if order is None or order.paid_at is not None:
        return None, None
    baskets = Tries(session, tickets.attempt_of(session, ticket), order, now).other_baskets
    found = ((links.unanswered(session, each, now), each) for each in (order, *baskets))
    return next(((link, each) for link, each in found if link is not None), (None, None))
