"""The known cast: a shop, its shopper and agent, and a stranger from another shop."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import agents, attempts, casework, charges, clock, shops
from widget.agents import Agent
from widget.attempts import Attempt, AttemptContext
from widget.casework import Pace
from widget.orders import Order, OrderContext
from widget.providers import Answer, ChargeState
from widget.shops import KeyKind, Profile, Shop, signature_for
from widget.tickets import Ticket

ORIGIN = "http://127.0.0.1:8001"
PACE = Pace(reminder=timedelta(hours=24), rating=timedelta(hours=1))
PASSWORD = "correct horse battery"


def key() -> str:
    return secrets.token_hex(16)


@dataclass
class Cast:
    """One shop with its people, written into a session that the caller ends."""

    session: Session
    site: str = "demo"
    origin: str = ORIGIN
    profile: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {
            "allowed_origins": (self.origin,),
            "checkout_url": self.origin + "/checkout/{order}?method={method}",
            "methods": [{"id": "card", "label": "Card"}, {"id": "eft", "label": "Instant EFT"}],
            "contacts": [{"kind": "phone", "label": "Call us", "value": "+27 21 555 0100"}],
            "providers": {"demo": {"url": self.origin + "/provider"}},
        }
        made = Profile.model_validate(known | self.profile)
        self.shop: Shop = shops.add(self.session, site=self.site, name="Karoo", profile=made, now=clock.now())
        self.secret = shops.rotate_key(self.session, self.shop, KeyKind.SIGNING, clock.now())
        self.api_key = shops.rotate_key(self.session, self.shop, KeyKind.API, clock.now())

    def agent(self, email: str = "agent@example.com") -> Agent:
        return agents.add(self.session, email=email, name="Ada", password=PASSWORD, shops=[self.shop], now=clock.now())

    def context(self, order: str = "D-1001", *, is_signed: bool = True, amount: int = 124900) -> OrderContext:
        said: dict[str, Any] = {"order": order, "amount": amount, "currency": "ZAR", "email": "sam@example.com"}
        signature = signature_for(self.secret, **said) if is_signed else ""
        return OrderContext(**said, signature=signature)

    def attempt(self, order: str = "D-1001", *, is_signed: bool = True, charge: ChargeState | None = None) -> Attempt:
        """A shopper's card attempt; with `charge`, the provider has said so."""
        context = AttemptContext(
            key=key(), order=self.context(order, is_signed=is_signed), method="card", provider="demo"
        )
        attempt = attempts.open_for(self.session, self.shop, context, clock.now())
        self.session.flush()
        if charge is not None:
            charges.record(self.session, attempt, Answer(charge, is_of_order=True), clock.now())
        return attempt

    def ticket(
        self, attempt: Attempt | None = None, words: str = "It froze.", email: str = "sam@example.com"
    ) -> Ticket:
        return casework.report(
            self.session,
            self.shop,
            attempt or self.attempt(),
            email=email,
            words=words,
            locale="en",
            pace=PACE,
            now=clock.now(),
        )

    def order_of(self, attempt: Attempt) -> Order:
        order = attempts.order_of(self.session, attempt)
        assert order is not None
        return order

    def order(self, reference: str = "D-1001") -> Order:
        """The order of this number, the verified one where there is one."""
        query = sa.select(Order).filter_by(shop_id=self.shop.id, reference=reference)
        return self.session.scalars(query.order_by(Order.is_verified.desc()).limit(1)).one()
