"""Addresses: every signed link to a page of ours, for pages and e-mails alike."""

from dataclasses import dataclass

from widget.attempts import Attempt
from widget.handovers import HandOver
from widget.links import PaymentLink
from widget.shops import Shop
from widget.tickets import Ticket
from widget.tokens import Purpose, Tokens


@dataclass(frozen=True, slots=True)
class Addresses:
    """Absolute links under `public_url`. Whoever holds one may do what its page does, so they are never logged."""

    public_url: str
    tokens: Tokens

    def help(self, attempt: Attempt) -> str:
        return self._signed("help", Purpose.HELP, attempt.id)

    def status(self, ticket: Ticket) -> str:
        return self._signed("status", Purpose.STATUS, ticket.id)

    def pay(self, link: PaymentLink) -> str:
        return self._signed("pay", Purpose.PAY, link.key)

    def continue_on(self, hand_over: HandOver) -> str:
        """The order on another device; the first one to open it keeps it."""
        return self._signed("continue", Purpose.CONTINUE, hand_over.key)

    def again(self, ticket: Ticket) -> str:
        """Try to pay again, out of an e-mail; the page first looks whether there is anything left to pay."""
        return self._signed("again", Purpose.AGAIN, ticket.id)

    def rate(self, ticket: Ticket) -> str:
        return self._signed("rate", Purpose.RATE, ticket.id)

    def look(self, shop: Shop) -> str:
        return f"{self.public_url}/look/{shop.site}.css"

    def _signed(self, page: str, purpose: Purpose, subject: object) -> str:
        return f"{self.public_url}/{page}/{self.tokens.sign(purpose, subject)}"
