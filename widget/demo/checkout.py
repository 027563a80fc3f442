"""What the demo shop's checkout page asks its server for."""

from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from widget.demo import outcomes, provider
from widget.demo.scenarios import Scenario
from widget.demo.status import begin_outage
from widget.demo.store import Order, PaymentStatus
from widget.demo.till import asked, chosen_scenario, method_named, order_of, scenario_named, the_till

# A browser holds six connections to a host; a payment that hangs for longer is let go of.
LONGEST_HANG_SECONDS = 120
SLOW_SECONDS = 3
_AT_BANK = "Your bank is still working on your first payment. You do not need to pay again."

Said = tuple[Response, int]

blueprint = Blueprint("checkout_api", __name__, url_prefix="/checkout/<reference>")


@blueprint.post("/contact")
def change_contact(reference: str) -> Said:
    """Another e-mail address for the order; answers with the newly signed order context."""
    order = order_of(reference)
    try:
        checked = validate_email(str(asked().get("email", "")), check_deliverability=False)
    except EmailNotValidError:
        return _failed(outcomes.Failure(422, "email_invalid", "Enter an e-mail address like sam@example.com."))
    the_till().store.change_email(order, checked.normalized)
    return jsonify(the_till().tag(order_of(reference))), 200


@blueprint.post("/pay")
def pay(reference: str) -> Said:
    """What the Pay button asks for, by the scenario that the visitor chose."""
    order = the_till().reconciled(order_of(reference))
    if order.paid_by is not None:
        return _succeeded(order)
    scenario = scenario_named(asked().get("scenario")) or Scenario.OK
    return _take(order, scenario, method_named(asked().get("method")), asked().get("leg"))


@blueprint.post("/form")
def pay_by_form(reference: str) -> AnyResponse:
    """The same without JavaScript: paid is a receipt, anything else is the checkout with a message."""
    order = the_till().reconciled(order_of(reference))
    scenario = chosen_scenario(Scenario.PLAIN_OK)
    if order.paid_by is None:
        said, status = _take(order, scenario, method_named(request.form.get("method")), None)
        if status != 200:
            problem = said.get_json()["error"]["code"]
            shown = {"scenario": scenario.value, "embed": "plain", "problem": problem}
            return redirect(url_for("checkout", reference=reference, **shown), 303)
    return redirect(url_for("thanks", reference=reference, embed="plain"), 303)


@blueprint.post("/merchant")
def validate_merchant(reference: str) -> Said:
    """Apple Pay wants the shop's server to vouch for it before the sheet goes on."""
    order_of(reference)
    if scenario_named(asked().get("scenario")) is Scenario.WALLET_FAILS:
        return _failed(outcomes.Failure(502, "merchant_session_failed", "Apple Pay did not accept this shop."))
    return jsonify(merchantSessionIdentifier="demo", displayName="Karoo Coffee Co."), 200


@blueprint.get("/status")
def status(reference: str) -> Said:
    """How far the payment has come, for a page that waits for it."""
    order = the_till().reconciled(order_of(reference))
    if order.paid_by is not None:
        return _succeeded(order)
    return jsonify(status=the_till().open_payment(order).status.value), 200


@blueprint.get("/return")
def come_back(reference: str) -> AnyResponse:
    """Where the bank's page sends the customer back to."""
    order = the_till().reconciled(order_of(reference))
    if order.paid_by is not None:
        return redirect(url_for("thanks", reference=reference), 303)
    return redirect(url_for("checkout", reference=reference, problem="not_approved"), 303)


@blueprint.post("/bank")
def let_bank_decide(reference: str) -> Said:
    """A demo control: the payment that is processing is taken after all, or is not."""
    order = order_of(reference)
    is_taken = asked().get("taken") is True
    reached = PaymentStatus.SUCCEEDED if is_taken else PaymentStatus.REQUIRES_PAYMENT_METHOD
    try:
        payment = provider.finish(the_till().store, order.reference, reached)
    except provider.Refused as refusal:
        return _failed(outcomes.Failure(409, "nothing_to_decide", str(refusal)))
    the_till().learn(payment)
    return jsonify(status=payment.status.value), 200


def _take(order: Order, scenario: Scenario, method: str, leg: Any) -> Said:
    """Hangs when the scenario says so, until the shop closes or two minutes pass."""
    till = the_till()
    if scenario is Scenario.OUTAGE:
        begin_outage()
    first, rest = outcomes.legs_of(till.store, order) if outcomes.is_split(scenario) else (None, None)
    try:
        if first is not None and leg == 1:
            outcomes.pay_from_account(till.store, first)
            return jsonify(status="succeeded", amount=first.amount), 200
        outcomes.play(till.store, rest or till.open_payment(order), method, scenario)
    except provider.Refused:
        # Without the guard of the shop, the second request waits for the same money as the first.
        if scenario is not Scenario.DOUBLE:
            return _failed(outcomes.Failure(409, "payment_processing", _AT_BANK))
    till.is_closing.wait(_pause_of(scenario))
    return _end(order, scenario)


def _pause_of(scenario: Scenario) -> float:
    if scenario.hangs:
        return LONGEST_HANG_SECONDS
    return SLOW_SECONDS if scenario is Scenario.SLOW else 0


def _end(order: Order, scenario: Scenario) -> Said:
    failure = outcomes.failure_of(scenario)
    if failure is not None:
        return _failed(failure)
    order = the_till().reconciled(order)
    if order.paid_by is not None:
        return _succeeded(order)
    payment = the_till().open_payment(order)
    page = f"{the_till().config.provider_origin}/provider/bank/{payment.id}"
    return jsonify(status=payment.status.value, page=page), 200


def _succeeded(order: Order) -> Said:
    return jsonify(status="succeeded", next=url_for("thanks", reference=order.reference)), 200


def _failed(failure: outcomes.Failure) -> Said:
    return jsonify(error={"code": failure.code, "message": failure.words}), failure.status
