"""The demo shop: a storefront checkout that embeds Unjam with one tag, as any shop would."""

import threading
from collections.abc import Iterable
from pathlib import Path

from flask import Flask, Response, make_response, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from widget.demo import bank, checkout, provider, scenarios
from widget.demo.catalogue import BASKET, CURRENCY, DEFAULT_EMAIL, LOCALE, METHODS, NAME, SHIPPING, TOTAL
from widget.demo.notices import Notices
from widget.demo.provider import Charge
from widget.demo.scenarios import Scenario
from widget.demo.store import Order, Store
from widget.demo.stories import Mode
from widget.demo.till import DemoConfig, Till, chosen_scenario, method_named, order_of, the_till
from widget.money import Money
from widget.paths import STATIC, TEMPLATES
from widget.shops import origin_of

__all__ = ["METHODS", "NAME", "DemoConfig", "create_shop"]

# What the checkout says when the customer is sent back to it.
_PROBLEMS = {
    "not_approved": "The payment was not approved at your bank. You have not been charged.",
    "provider_error": "The payment service answered with an error. You have not been charged.",
    "card_declined": "Your bank declined this payment. You have not been charged.",
    "no_answer": "The payment service has not answered. Press Pay again: you cannot be charged twice.",
    "payment_processing": "Your bank is still working on your first payment. You do not need to pay again.",
}


def create_shop(config: DemoConfig) -> Flask:
    """The shop with its provider under /provider. `app.extensions["till"].close()` ends its threads."""
    shop = Flask("demo", static_folder=STATIC / "demo", static_url_path="/static/demo", template_folder=TEMPLATES)
    store = Store(config.store_path)
    till = Till(config, store, Notices(store, config.unjam_url, config.api_key), threading.Event())
    shop.extensions["till"] = till
    shop.jinja_env.globals.update(asset=_asset, shop_name=NAME, methods=METHODS, grouped=scenarios.grouped)
    shop.jinja_env.globals.update(unjam_url=config.unjam_url, site=config.site, basket=BASKET, shipping=SHIPPING)
    shop.jinja_env.globals.update(provider_origin=config.provider_origin)
    shop.jinja_env.filters["money"] = _money
    shop.jinja_env.trim_blocks = shop.jinja_env.lstrip_blocks = True
    # A file of its own: the book of payments is locked while a page takes money.
    kept = config.store_path
    pages = kept.with_suffix(".pages") if isinstance(kept, Path) else kept
    payments = provider.create_provider(store, on_paid=till.learn, path=pages)
    for blueprint in (payments, bank.blueprint, checkout.blueprint):
        shop.register_blueprint(blueprint)
    _route(shop)
    shop.register_error_handler(NotFound, _not_found)
    policy = _policy(config)
    shop.after_request(lambda response: _protect(response, policy))
    if store.untold():
        till.notices.wake()
    return shop


def _route(shop: Flask) -> None:
    shop.add_url_rule("/", view_func=basket)
    shop.add_url_rule("/checkout", view_func=check_out, methods=["POST"])
    shop.add_url_rule("/checkout/<reference>", "checkout", view_func=checkout_page)
    shop.add_url_rule("/thanks/<reference>", view_func=thanks)
    shop.add_url_rule("/talk/<any(chat, messenger):kind>", view_func=talk)
    shop.add_url_rule("/unjam-stub.js", view_func=stub)
    shop.add_url_rule("/health", view_func=health)


def basket() -> str:
    # The demo is about payments that get stuck, so a fresh visitor meets one.
    return render_template("demo/basket.html", total=TOTAL, scenario=chosen_scenario(Scenario.HANG))


def check_out() -> AnyResponse:
    """Make an order of the basket, with the payment that its checkout page begins."""
    order = the_till().store.add_order(amount=TOTAL, currency=CURRENCY, email=DEFAULT_EMAIL)
    charge = Charge(order=order.reference, amount=order.amount, currency=order.currency)
    provider.open_payment(the_till().store, charge)
    scenario = chosen_scenario(Scenario.OK)
    return redirect(url_for("checkout", reference=order.reference, scenario=scenario.value), 303)


def checkout_page(reference: str) -> Response:
    order = the_till().reconciled(order_of(reference))
    if order.paid_by is not None:
        return make_response(_thanks(order))
    scenario = chosen_scenario(Scenario.OK)
    is_plain = scenario.story.mode is Mode.PLAIN or request.args.get("embed") == "plain"
    page = render_template(
        "demo/checkout.html",
        order=order,
        tag=the_till().tag(order),
        payment=the_till().open_payment(order),
        method=method_named(request.args.get("method") or scenario.story.method),
        scenario=scenario,
        mode=Mode.PLAIN if is_plain else scenario.story.mode,
        problem=_PROBLEMS.get(request.args.get("problem", ""), ""),
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _policy(the_till().config, scenario)
    return response


def thanks(reference: str) -> str:
    return _thanks(the_till().reconciled(order_of(reference)))


def talk(kind: str) -> str:
    return render_template("demo/talk.html", kind=kind)


def stub() -> Response:
    return send_from_directory(STATIC / "embed", "stub.js")


def health() -> dict[str, str]:
    return {"status": "ok"}


def _thanks(order: Order) -> str:
    payment = the_till().store.payment(order.paid_by) if order.paid_by else None
    return render_template(
        "demo/thanks.html",
        order=order,
        payment=payment,
        method_label=next((each.label for each in METHODS if payment and each.id == payment.method), None),
        tag=the_till().tag(order),
        is_plain=request.args.get("embed") == "plain",
    )


def _not_found(_error: NotFound) -> tuple[str, int]:
    return render_template("demo/not_found.html"), 404


def _asset(name: str) -> str:
    return url_for("static", filename=name.removeprefix("demo/"))


def _money(minor: int) -> str:
    return Money(minor, CURRENCY).shown(LOCALE)


def _policy(config: DemoConfig, scenario: Scenario = Scenario.OK) -> str:
    """What a shop has to allow for Unjam and for its provider, and nothing besides its own.

    Two scenarios are about a shop that forgot its provider.
    """
    unjam = origin_of(config.unjam_url)
    scripts = "" if scenario is Scenario.SDK_BLOCKED else config.provider_origin
    frames = "" if scenario is Scenario.CHALLENGE_BLOCKED else config.provider_origin
    rules: Iterable[str] = (
        "default-src 'self'",
        f"script-src 'self' {unjam} {scripts}",
        f"frame-src {unjam} {frames}",
        f"connect-src 'self' {unjam}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
    return "; ".join(rule.strip() for rule in rules)


def _protect(response: Response, policy: str) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["Cache-Control"] = "no-store"
    return response
