"""What the demo's provider and its bank show in the shopper's browser: a script, and pages to approve a payment on.

Reached by another name than the shop, so that a browser takes them for another site.
"""

from contextlib import suppress

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, send_from_directory
from werkzeug.wrappers import Response as AnyResponse

from widget.demo import provider
from widget.demo.store import PaymentStatus
from widget.demo.till import Till, the_till
from widget.paths import STATIC

HANGS_SECONDS = 120
SLOW_SECONDS = 2

blueprint = Blueprint("bank", __name__, url_prefix="/provider")


@blueprint.get("/sdk/<any(slow, missing, blocked, hangs, empty):how>.js")
def script(how: str) -> Response:
    """The provider's script, in the state that the scenario asks for."""
    if how == "missing":
        abort(404)
    the_till().is_closing.wait({"hangs": HANGS_SECONDS, "slow": SLOW_SECONDS}.get(how, 0))
    if how in {"empty", "hangs"}:
        return Response("// Nothing is defined here.\n", mimetype="text/javascript")
    return send_from_directory(STATIC / "demo", "provider.js")


@blueprint.get("/bank/<payment_id>/<any(frame, page, window):place>")
def approval(payment_id: str, place: str) -> Response:
    """Where the customer approves. `?how=never` waits for ever, `?how=denied` does not let itself be framed."""
    how = request.args.get("how", "ask")
    payment = the_till().store.payment(payment_id) or abort(404)
    return _page("demo/bank.html", the_till(), payment=payment, place=place, how=how, is_framed=how != "denied")


@blueprint.post("/bank/<payment_id>/<any(frame, page, window):place>")
def decide(payment_id: str, place: str) -> AnyResponse:
    till = the_till()
    payment = till.store.payment(payment_id) or abort(404)
    is_approved = request.form.get("answer") == "approve"
    reached = PaymentStatus.SUCCEEDED if is_approved else PaymentStatus.REQUIRES_PAYMENT_METHOD
    # What was answered before, perhaps in another window, stands.
    with suppress(provider.Refused):
        till.learn(provider.answer(till.store, payment.order, reached))
    if place == "page":
        return redirect(f"{till.config.shop_url}/checkout/{payment.order}/return", 303)
    return _page("demo/bank_done.html", till, payment=payment, place=place, is_framed=True)


def _page(template: str, till: Till, *, is_framed: bool, **values: object) -> Response:
    response = make_response(render_template(template, shop_url=till.config.shop_url, **values))
    shop = till.config.shop_url
    rules = (
        "default-src 'self'",
        f"form-action 'self' {shop}",
        "frame-ancestors " + (shop if is_framed else "'none'"),
        "base-uri 'none'",
        "object-src 'none'",
    )
    response.headers["Content-Security-Policy"] = "; ".join(rules)
    if not is_framed:
        response.headers["X-Frame-Options"] = "DENY"
    return response
