"""The till: what the demo shop's pages share, and how they find what was asked for."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import abort, current_app, request

from widget import clock
from widget.demo import provider
from widget.demo.catalogue import METHODS
from widget.demo.notices import Notices
from widget.demo.provider import Charge
from widget.demo.scenarios import Scenario
from widget.demo.store import Order, Payment, PaymentStatus, Store
from widget.shops import signature_for

_METHOD_IDS = {method.id for method in METHODS}


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """Where the shop and Unjam are, and the keys that prove to Unjam that it is this shop."""

    shop_url: str
    unjam_url: str
    site: str
    signing_secret: str
    api_key: str
    store_path: Path | str

    @property
    def provider_origin(self) -> str:
        """The same server by its other name: another site to a browser, as a provider is."""
        shop = urlsplit(self.shop_url)
        return f"http://localhost:{shop.port}" if shop.hostname == "127.0.0.1" else self.shop_url


@dataclass(frozen=True, slots=True)
class Till:
    config: DemoConfig
    store: Store
    notices: Notices
    is_closing: threading.Event

    def reconciled(self, order: Order) -> Order:
        """The order, marked as paid and told to Unjam when the provider has the money, however it was paid."""
        payment = provider.furthest(self.store, order.reference)
        if payment is not None and self._covers(payment, order) and self.store.mark_paid(order, payment):
            self.notices.wake()
        return self.store.order(order.reference) or order

    def learn(self, payment: Payment) -> None:
        """The provider says that a payment was made outside of the checkout page."""
        order = self.store.order(payment.order)
        if order is not None:
            self.reconciled(order)

    def open_payment(self, order: Order) -> Payment:
        """The payment that the checkout page began; one is made again when the book of payments was lost."""
        for payment in self.store.payments_of(order.reference):
            if payment.status is PaymentStatus.REQUIRES_PAYMENT_METHOD and payment.leg == 0:
                return payment
        charge = Charge(order=order.reference, amount=order.amount, currency=order.currency)
        return provider.furthest(self.store, order.reference) or provider.open_payment(self.store, charge)

    def tag(self, order: Order) -> dict[str, Any]:
        """The order context of Unjam's tag, signed on the server so that the page cannot change it."""
        context: dict[str, Any] = {
            "order": order.reference,
            "amount": order.amount,
            "currency": order.currency,
            "email": order.email,
            "issued_at": int(clock.now().timestamp()),
        }
        return context | {"signature": signature_for(self.config.signing_secret, **context)}

    def close(self) -> None:
        """Let go of every payment that hangs, and stop telling."""
        self.is_closing.set()
        self.notices.close()

    def _covers(self, payment: Payment, order: Order) -> bool:
        is_enough = payment.currency == order.currency and self.store.taken(order.reference) >= order.amount
        return payment.status is PaymentStatus.SUCCEEDED and is_enough


def the_till() -> Till:
    """That of the shop which is asked."""
    till: Till = current_app.extensions["till"]
    return till


def order_of(reference: str) -> Order:
    return the_till().store.order(reference) or abort(404)


def asked() -> dict[str, Any]:
    """The JSON object that was sent, empty when there is none."""
    sent = request.get_json(silent=True)
    return sent if isinstance(sent, dict) else {}


def method_named(method: Any) -> str:
    return method if method in _METHOD_IDS else METHODS[0].id


def scenario_named(name: Any) -> Scenario | None:
    return Scenario(name) if name in set(Scenario) else None


def chosen_scenario(default: Scenario) -> Scenario:
    return scenario_named(request.values.get("scenario")) or default
