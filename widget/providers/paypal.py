"""PayPal, through its official client (paypal-server-sdk 2.4).

Truth: an order of PayPal, a capture or an authorisation is asked by its id. PayPal cannot be asked by the shop's own
reference (its search lags by hours), so of payments that neither the page nor a webhook named, nothing is known.

Links are orders with intent CAPTURE: the customer approves on PayPal's page, and our `link_state` captures. PayPal has
no way to close an order before it expires, so `revoke` marks it, and what is marked is never captured: that is as good,
because nobody but us can capture it. Webhooks are verified by asking PayPal, a call that the client lacks.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from widget import clock
from widget.providers import (
    Answer,
    Bill,
    ChargeState,
    GivenUp,
    Happened,
    Hosted,
    ProviderDown,
    ProviderRefused,
    Question,
    StatusFeed,
    WebhookRefused,
    needed,
)
from widget.providers.amounts import written
from widget.providers.answers import NOT_ASKABLE, furthest, key_of, left_of, moment, part, parts, word, worst
from widget.providers.bounds import in_time
from widget.providers.paypal_calls import LIVE_URL, SANDBOX_URL, Calls, Client, Refusal
from widget.providers.paypal_told import (
    CLOSED,
    answer_of_capture,
    answer_of_order,
    happened_of,
    is_closed,
    left_of_order,
    order_behind,
    order_of,
    whose_is,
)

LONGEST_KEY = 108
# PayPal gives up an order that nobody approves after three hours.
ORDER_LIVES = timedelta(hours=3)
# Beside the payment that is asked about, so many others that webhooks have told of are asked afresh.
OTHERS_ASKED = 2
NAMED_ASKED = 5
PAYPAL_ID = re.compile(r"[A-Z0-9-]{10,40}\Z")

_OPEN = {"CREATED", "SAVED", "APPROVED", "PAYER_ACTION_REQUIRED"}
_NO_DECIMALS = {"HUF", "JPY", "TWD"}
_LOCALES = {"en": "en-US", "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "pt": "pt-PT", "nl": "nl-NL", "ar": "ar-EG"}
# The shape of an id, and PayPal's words where it has none such.
_NO_ORDER = "0UNJAMCHECK000000"
_NOT_KNOWN = {"RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID"}
_SIGNED_HEADERS = ("auth-algo", "cert-url", "transmission-id", "transmission-sig", "transmission-time")


class PayPal:
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "client_id": "The client id of the REST app.",
        "client_secret": "The secret of the REST app.",
    }
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "webhook_id": "The id that PayPal gave to the webhook. Needed to hear webhooks.",
        "environment": "live, or sandbox where nothing is said.",
        "order_field": "Where the shop keeps its order reference: custom_id, invoice_id or reference_id.",
        "api_url": "Another base address than PayPal's own, such as a proxy's.",
    }
    FEED: ClassVar[StatusFeed | None] = StatusFeed("paypal", "https://www.paypal-status.com/api/v1/components")
    TAKES_BY_LOOKING: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        client_id, secret = needed(config, self.SETTINGS, "client_id", "client_secret")
        environment = str(config.get("environment") or "sandbox")
        if environment not in {"live", "sandbox"}:
            raise ProviderRefused("The setting 'environment' must be live or sandbox.")
        own = LIVE_URL if environment == "live" else SANDBOX_URL
        self._calls = Calls(str(config.get("api_url") or own).rstrip("/"), client_id, secret)
        self._webhook_id = config.get("webhook_id")
        self._order_field = str(config["order_field"]) if config.get("order_field") else None

    @in_time
    def ask(self, question: Question) -> Answer:
        heard = [event.payment for event in reversed(question.heard) if event.kind in {"payment", "link"}]
        named = question.named[:NAMED_ASKED]
        wanted = [*named, *heard]
        ids = list(dict.fromkeys(each for each in wanted if each and PAYPAL_ID.match(each)))
        answers: dict[str, Answer] = {}
        silent: ProviderDown | None = None
        for each in ids[: OTHERS_ASKED + max(len(named), 1)]:
            if any(each == known.payment for known in answers.values()):
                continue
            try:
                answers |= self._asked(each, question)
            except ProviderDown as error:
                silent = error
        best = furthest(answers.values())
        if silent is not None and (best is None or best.state not in {ChargeState.CHARGED, ChargeState.HELD}):
            raise silent
        if best is None:
            reason = "PayPal cannot be asked by order, and knows no payment of it."
            return Answer(ChargeState.UNKNOWN, detail=reason, status=None if question.heard else NOT_ASKABLE)
        known = {*answers, *(each.payment for each in answers.values())}
        is_each_known = bool(question.named) and known.issuperset(question.named)
        if best.state is ChargeState.NOT_CHARGED and not is_each_known:
            reason = "PayPal knows of refused payments only, none of which is known to be the last."
            return Answer(ChargeState.UNKNOWN, detail=reason, status=best.status, code=best.code)
        return replace(best, asked=frozenset(each for each in known if each))

    def link(self, bill: Bill) -> Hosted:
        currency = bill.money.currency
        amount = {"currency_code": currency, "value": written(bill.money, 0 if currency in _NO_DECIMALS else 2)}
        page: dict[str, Any] = {
            "return_url": bill.return_url,
            "cancel_url": bill.cancel_url,
            "brand_name": bill.shop_name[:127],
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
        }
        if bill.locale[:2] in _LOCALES:
            page["locale"] = _LOCALES[bill.locale[:2]]
        order = {
            "intent": "CAPTURE",
            "purchase_units": [{"amount": amount, "custom_id": bill.order, "description": bill.order[:127]}],
            "payment_source": {"paypal": {"experience_context": page}},
        }
        options = {"body": order, "paypal_request_id": key_of(bill.key, LONGEST_KEY), "prefer": "return=minimal"}
        try:
            made = self._calls.send(lambda client: client.orders.create_order(options))
        except Refusal as refusal:
            raise ProviderRefused(f"PayPal refused the payment link: {refusal.issue}.") from None
        pages = [word(each, "href") for each in parts(made, "links") if each.get("rel") in {"payer-action", "approve"}]
        order_id = word(made, "id")
        if order_id is None or not PAYPAL_ID.match(order_id) or not pages or pages[0] is None:
            raise ProviderDown("PayPal made an order without a page.")
        return Hosted(order_id, pages[0], min(bill.expires_at, clock.now() + ORDER_LIVES))

    def link_state(self, hosted_id: str) -> Answer:
        """Takes the money once the customer has approved, unless the link was revoked. It can be taken only once."""
        order = self._order(hosted_id)
        if order is None:
            return Answer(ChargeState.NOT_CHARGED, detail="PayPal's page has expired.", status="EXPIRED")
        if word(order, "status") != "APPROVED" or is_closed(order):
            return answer_of_order(order, None)
        return self._captured(hosted_id, order)

    def revoke(self, hosted_id: str) -> None:
        order = self._order(hosted_id)
        if order is None or is_closed(order) or word(order, "status") not in _OPEN:
            return
        path = "/purchase_units/@reference_id=='default'/custom_id"
        mark = [{"op": "replace", "path": path, "value": f"{CLOSED}{order_of(order)}"[:127]}]
        try:
            self._calls.send(
                lambda client: client.orders.patch_order({"id": hosted_id, "body": mark}), has_answer=False
            )
        except Refusal:
            if word(self._order(hosted_id), "status") not in {None, "COMPLETED", "VOIDED"}:
                raise ProviderDown("PayPal would not mark the order as closed.") from None

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        """An order of the shop's cannot be closed: while its customer may approve it, the shop would capture it."""
        heard = [event.payment for event in reversed(question.heard) if event.kind in {"payment", "link"}]
        ids = list(dict.fromkeys(each for each in [question.payment, *heard] if each and PAYPAL_ID.match(each)))
        return worst([self._left_of(each, question) for each in ids[: OTHERS_ASKED + 1]])

    def _left_of(self, payment: str, question: Question) -> GivenUp:
        order = self._order(payment)
        left = left_of_order(order, clock.now()) if order is not None else None
        return left or worst(left_of(each) for each in self._asked(payment, question, order).values())

    @in_time
    def health(self) -> str | None:
        """Asks for an order that does not exist: PayPal says so only to an app that it knows and that may ask."""
        try:
            self._calls.send(lambda client: client.orders.get_order({"id": _NO_ORDER}))
        except Refusal as refusal:
            is_unknown = refusal.status == 404 and refusal.issue in _NOT_KNOWN
            return None if is_unknown else f"PayPal refused the question: {refusal.issue}. Is 'api_url' right?"
        except ProviderRefused as error:
            return f"{error} Are they those of a REST app of this environment, live or sandbox?"
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            raise WebhookRefused("This is not a webhook of PayPal.") from None
        if not isinstance(event, dict) or not word(event, "id") or not word(event, "event_type"):
            raise WebhookRefused("This is not a webhook of PayPal.")
        self._verify(headers, body)
        happened = happened_of(event, self._order_field, clock.now())
        return [] if happened is None else [happened]

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Ask PayPal whether it sent this. Raises WebhookRefused when it says no, ProviderDown when it says nothing."""
        if not self._webhook_id:
            raise ProviderRefused("The setting 'webhook_id' is missing.")
        signed = {name.replace("-", "_"): headers.get(f"paypal-{name}", "") for name in _SIGNED_HEADERS}
        if not all(signed.values()):
            raise WebhookRefused("PayPal's webhook is not signed.")
        # PayPal signs the bytes that it sent, so they are passed on as they are; written anew, they would differ.
        fields = json.dumps(signed | {"webhook_id": str(self._webhook_id)}).encode()
        question = fields[:-1] + b',"webhook_event":' + body + b"}"
        try:
            answer = self._calls.post("/v1/notifications/verify-webhook-signature", question)
        except Refusal:
            raise WebhookRefused("PayPal could not read its own webhook.") from None
        status = word(answer, "verification_status")
        if status == "SUCCESS":
            return
        if status == "FAILURE":
            raise WebhookRefused("PayPal says that it did not send this.")
        raise ProviderDown("PayPal did not say whether it sent this.")

    def _asked(self, payment: str, question: Question, known: dict[str, Any] | None = None) -> dict[str, Answer]:
        """What PayPal says about an id, be it an order's, a capture's or an authorisation's.

        Nothing if it is not known, or of another order of the shop.
        """
        order = known or self._order(payment)
        if order is not None:
            return self._unless_of_another(payment, order, answer_of_order(order, clock.now()), question)
        for ask in (
            lambda client: client.payments.get_captured_payment({"capture_id": payment}),
            lambda client: client.payments.get_authorized_payment({"authorization_id": payment}),
        ):
            found = self._found(ask)
            if found is not None:
                return self._unless_of_another(payment, found, self._answer_of(found), question)
        return {}

    def _answer_of(self, payment: dict[str, Any]) -> Answer:
        """What a capture or an authorisation says, together with the others of its order where it may have some."""
        behind = order_behind(payment)
        order = self._order(behind) if behind is not None and PAYPAL_ID.match(behind) else None
        return answer_of_capture(payment) if order is None else answer_of_order(order, clock.now())

    def _unless_of_another(
        self, payment: str, found: dict[str, Any], answer: Answer, question: Question
    ) -> dict[str, Answer]:
        is_of_order, names = whose_is(found, question.order, self._order_field)
        # What a page has named may bear a number of something else. What only a webhook has told of may not.
        if is_of_order is False or (names is not None and payment not in question.named):
            return {}
        taken_at = answer.taken_at or moment(found, "create_time")
        return {payment: replace(answer, is_proven=is_of_order is True, taken_at=taken_at, names=names)}

    def _captured(self, order_id: str, order: dict[str, Any]) -> Answer:
        """The answer after taking the money of an approved order, which can be taken once only, whoever tries."""
        tried = sum(len(parts(part(unit, "payments"), "captures")) for unit in parts(order, "purchase_units"))
        key = key_of(f"capture:{order_id}:{tried}", LONGEST_KEY)
        options = {"id": order_id, "paypal_request_id": key, "prefer": "return=representation"}
        try:
            return answer_of_order(self._calls.send(lambda client: client.orders.capture_order(options)), None)
        except Refusal as refusal:
            now = answer_of_order(self._order(order_id) or order, None)
            if now.state is not ChargeState.NOT_CHARGED:
                return now
            if refusal.issue in {"ORDER_ALREADY_CAPTURED", "PREVIOUS_REQUEST_IN_PROGRESS"}:
                return Answer(ChargeState.UNKNOWN, detail="PayPal is taking the money.", status=refusal.issue)
            return Answer(
                ChargeState.NOT_CHARGED, now.money, order_id, str(refusal), word(order, "status"), refusal.issue
            )

    def _order(self, order_id: str) -> dict[str, Any] | None:
        if not PAYPAL_ID.match(order_id):
            raise ProviderRefused("This is not an id of PayPal.")
        return self._found(lambda client: client.orders.get_order({"id": order_id}))

    def _found(self, call: Callable[[Client], Any]) -> dict[str, Any] | None:
        try:
            return self._calls.send(call)
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise ProviderRefused(f"PayPal refused the question: {refusal.issue}.") from None
