"""The demo shop: a storefront checkout that embeds Unjam with one tag, as any shop would."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import (
    Flask,
    Response,
    abort,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from widget.demo import provider, scenarios
from widget.demo.notices import Notices
from widget.demo.provider import Charge
from widget.demo.scenarios import Scenario
from widget.demo.store import Order, Payment, PaymentStatus, Store
from widget.money import Money
from widget.paths import STATIC, TEMPLATES
from widget.shops import Method, origin_of, signature_for

NAME = "Karoo Coffee Co."
LOCALE = "en-ZA"
CURRENCY = "ZAR"
SHIPPING = 8_000
DEFAULT_EMAIL = "sam@example.com"
# A browser holds six connections to a host; a payment that hangs for longer is let go of.
LONGEST_HANG_SECONDS = 120

METHODS = (
    Method(id="card", label="Card"),
    Method(id="eft", label="Instant EFT"),
    Method(id="apple_pay", label="Apple Pay"),
    Method(id="google_pay", label="Google Pay"),
    Method(id="samsung_pay", label="Samsung Pay"),
    Method(id="store_account", label="Store account"),
)
_METHOD_IDS = {method.id for method in METHODS}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the basket; `price` is that of one, in cents."""

    picture: str
    name: str
    detail: str
    quantity: int
    price: int


BASKET = (
    Line("beans", "Swartberg Sunrise", "Whole beans, 1 kg", 2, 28_900),
    Line("dripper", "Hand-thrown dripper", "Stoneware, 2 cups", 1, 49_600),
    Line("filters", "Paper filters", "Unbleached, box of 100", 1, 9_500),
)
TOTAL = sum(line.quantity * line.price for line in BASKET) + SHIPPING


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """Where the shop and Unjam are, and the keys that prove to Unjam that it is this shop."""

    shop_url: str
    unjam_url: str
    site: str
    signing_secret: str
    api_key: str
    store_path: Path | str


@dataclass(frozen=True, slots=True)
class Till:
    """What the shop's routes share."""

    config: DemoConfig
    store: Store
    notices: Notices
    is_closing: threading.Event

    def reconciled(self, order: Order) -> Order:
        """The order, marked as paid and told to Unjam when the provider has the money, however it was paid."""
        payment = provider.furthest(self.store, order.reference)
        if payment is not None and _covers(payment, order) and self.store.mark_paid(order, payment):
            self.notices.wake()
        return self.store.order(order.reference) or order

    def learn(self, payment: Payment) -> None:
        """The provider says that a payment was made outside of the checkout page."""
        order = self.store.order(payment.order)
        if order is not None:
            self.reconciled(order)

    def tag(self, order: Order) -> dict[str, Any]:
        """The order context of Unjam's tag, signed on the server so that the page cannot change it."""
        context: dict[str, Any] = {
            "order": order.reference,
            "amount": order.amount,
            "currency": order.currency,
            "email": order.email,
        }
        return context | {"signature": signature_for(self.config.signing_secret, **context)}

    def close(self) -> None:
        """Let go of every payment that hangs, and stop telling."""
        self.is_closing.set()
        self.notices.close()


def create_shop(config: DemoConfig) -> Flask:
    """The shop with its provider under /provider. `app.extensions["till"].close()` ends its threads."""
    shop = Flask("demo", static_folder=STATIC / "demo", static_url_path="/static/demo", template_folder=TEMPLATES)
    store = Store(config.store_path)
    till = Till(config, store, Notices(store, config.unjam_url, config.api_key), threading.Event())
    shop.extensions["till"] = till
    shop.jinja_env.globals.update(asset=_asset, shop_name=NAME, methods=METHODS, Scenario=Scenario)
    shop.jinja_env.globals.update(unjam_url=config.unjam_url, site=config.site, basket=BASKET, shipping=SHIPPING)
    shop.jinja_env.filters["money"] = _money
    shop.jinja_env.trim_blocks = shop.jinja_env.lstrip_blocks = True
    shop.register_blueprint(provider.create_provider(store, on_paid=till.learn))
    _route(shop)
    shop.register_error_handler(NotFound, _not_found)
    policy = _policy(origin_of(config.unjam_url))
    shop.after_request(lambda response: _protect(response, policy))
    if store.untold():
        till.notices.wake()
    return shop


def _route(shop: Flask) -> None:
    shop.add_url_rule("/", view_func=basket)
    shop.add_url_rule("/checkout", view_func=check_out, methods=["POST"])
    shop.add_url_rule("/checkout/<reference>", view_func=checkout)
    shop.add_url_rule("/checkout/<reference>/contact", view_func=change_contact, methods=["POST"])
    shop.add_url_rule("/checkout/<reference>/pay", view_func=pay, methods=["POST"])
    shop.add_url_rule("/checkout/<reference>/bank", view_func=let_bank_decide, methods=["POST"])
    shop.add_url_rule("/thanks/<reference>", view_func=thanks)
    shop.add_url_rule("/talk/<any(chat, messenger):kind>", view_func=talk)
    shop.add_url_rule("/unjam-stub.js", view_func=stub)
    shop.add_url_rule("/health", view_func=health)


def basket() -> str:
    # The demo is about payments that get stuck, so a fresh visitor meets one.
    return render_template("demo/basket.html", total=TOTAL, scenario=_scenario(Scenario.HANG))


def check_out() -> AnyResponse:
    """Make an order of the basket, with the payment that its checkout page begins."""
    order = _till().store.add_order(amount=TOTAL, currency=CURRENCY, email=DEFAULT_EMAIL)
    charge = Charge(order=order.reference, amount=order.amount, currency=order.currency)
    provider.open_payment(_till().store, charge)
    return redirect(url_for("checkout", reference=order.reference, scenario=_scenario(Scenario.OK).value), 303)


def checkout(reference: str) -> str:
    order = _till().reconciled(_order(reference))
    if order.paid_by is not None:
        return _thanks(order)
    return render_template(
        "demo/checkout.html",
        order=order,
        tag=_till().tag(order),
        payment=_open_payment(order),
        method=_method(request.args.get("method")),
        scenario=_scenario(Scenario.OK),
    )


def change_contact(reference: str) -> tuple[Response, int]:
    """Another e-mail address for the order; answers with the newly signed order context."""
    order = _order(reference)
    try:
        checked = validate_email(str(_asked().get("email", "")), check_deliverability=False)
    except EmailNotValidError:
        return _failed(422, "email_invalid", "Enter an e-mail address like sam@example.com.")
    _till().store.change_email(order, checked.normalized)
    return jsonify(_till().tag(_order(reference))), 200


def pay(reference: str) -> tuple[Response, int]:
    """What the Pay button asks for. Hangs when the visitor chose so, until the shop closes or two minutes pass."""
    till, order = _till(), _till().reconciled(_order(reference))
    if order.paid_by is not None:
        return _succeeded(order)
    scenario = _known_scenario(_asked().get("scenario")) or Scenario.OK
    try:
        scenarios.play(till.store, _open_payment(order), _method(_asked().get("method")), scenario)
    except provider.Refused:
        words = "Your bank is still working on your first payment. You do not need to pay again."
        return _failed(409, "payment_processing", words)
    if scenario.hangs:
        till.is_closing.wait(LONGEST_HANG_SECONDS)
    failure = scenarios.failure_of(scenario)
    return _failed(*failure) if failure else _succeeded(till.reconciled(order))


def let_bank_decide(reference: str) -> tuple[Response, int]:
    """A demo control: the payment that is processing is taken after all, or is not."""
    order = _order(reference)
    is_taken = _asked().get("taken") is True
    status = PaymentStatus.SUCCEEDED if is_taken else PaymentStatus.REQUIRES_PAYMENT_METHOD
    try:
        payment = provider.finish(_till().store, order.reference, status)
    except provider.Refused as refusal:
        return _failed(409, "nothing_to_decide", str(refusal))
    _till().learn(payment)
    return jsonify(status=payment.status.value), 200


def thanks(reference: str) -> str:
    return _thanks(_till().reconciled(_order(reference)))


def talk(kind: str) -> str:
    return render_template("demo/talk.html", kind=kind)


def stub() -> Response:
    return send_from_directory(STATIC / "embed", "stub.js")


def health() -> dict[str, str]:
    return {"status": "ok"}


def _till() -> Till:
    till: Till = current_app.extensions["till"]
    return till


def _order(reference: str) -> Order:
    return _till().store.order(reference) or abort(404)


def _open_payment(order: Order) -> Payment:
    """The payment that the checkout page began; one is made again when the book of payments was lost."""
    for payment in _till().store.payments_of(order.reference):
        if payment.status is PaymentStatus.REQUIRES_PAYMENT_METHOD:
            return payment
    charge = Charge(order=order.reference, amount=order.amount, currency=order.currency)
    return provider.furthest(_till().store, order.reference) or provider.open_payment(_till().store, charge)


def _covers(payment: Payment, order: Order) -> bool:
    is_enough = payment.currency == order.currency and payment.amount >= order.amount
    return payment.status is PaymentStatus.SUCCEEDED and is_enough


def _thanks(order: Order) -> str:
    payment = _till().store.payment(order.paid_by) if order.paid_by else None
    label = next((each.label for each in METHODS if payment and each.id == payment.method), None)
    return render_template("demo/thanks.html", order=order, payment=payment, method_label=label)


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    return asked if isinstance(asked, dict) else {}


def _method(method: Any) -> str:
    return method if method in _METHOD_IDS else METHODS[0].id


def _scenario(default: Scenario) -> Scenario:
    return _known_scenario(request.values.get("scenario")) or default


def _known_scenario(name: Any) -> Scenario | None:
    return Scenario(name) if name in set(Scenario) else None


def _succeeded(order: Order) -> tuple[Response, int]:
    return jsonify(status="succeeded", next=url_for("thanks", reference=order.reference)), 200


def _failed(status: int, code: str, words: str) -> tuple[Response, int]:
    return jsonify(error={"code": code, "message": words}), status


def _not_found(_error: NotFound) -> tuple[str, int]:
    return render_template("demo/not_found.html"), 404


def _asset(name: str) -> str:
    return url_for("static", filename=name.removeprefix("demo/"))


def _money(minor: int) -> str:
    return Money(minor, CURRENCY).shown(LOCALE)


def _policy(unjam: str) -> str:
    """What a shop has to allow for Unjam, and nothing besides its own."""
    rules: Iterable[str] = (
        "default-src 'self'",
        f"script-src 'self' {unjam}",
        f"frame-src {unjam}",
        f"connect-src 'self' {unjam}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
    return "; ".join(rules)


def _protect(response: Response, policy: str) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cache-Control"] = "no-store"
    return response
