"""The demo provider: a small payment service over HTTP that the demo shop runs (`widget.demo.provider`, `.hosted`).

Wire format. GET /provider/payments?order=REF answers the order's furthest payment as {"id", "order", "status",
"amount", "currency"} with "charged" where several were taken and "waiting", the ids of those that wait for the
customer, or 404. POST /provider/links with an Idempotency-Key
makes a page that takes one payment: {"id", "url", "expires_at", "status", "payment"}; GET and POST …/ID/expire work on
it. POST /provider/payments/ID/cancel ends a payment that waits for the customer, or answers 409. Webhooks are signed as
`signing` says. Statuses are those of a Stripe PaymentIntent.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from widget.money import MAX_MINOR, Money
from widget.providers import (
    NO_ORDER,
    Answer,
    Bill,
    ChargeState,
    GivenUp,
    Happened,
    Hosted,
    Paid,
    ProviderDown,
    ProviderRefused,
    Question,
    Retry,
    StatusFeed,
    WebhookRefused,
    signing,
)
from widget.providers.answers import left_of
from widget.providers.asking import send
from widget.providers.bounds import in_time

_STATES = {
    "succeeded": ChargeState.CHARGED,
    "processing": ChargeState.UNKNOWN,
    "requires_capture": ChargeState.HELD,
    "requires_action": ChargeState.NOT_CHARGED,
    "requires_payment_method": ChargeState.NOT_CHARGED,
    "canceled": ChargeState.NOT_CHARGED,
}


# Of one order: more than anybody leaves behind.
_MOST_GIVEN_UP = 5


class DemoProvider:
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "url": "Where it is: http://127.0.0.1:8001/provider.",
        "webhook_secret": "What it signs its webhooks with.",
    }
    FEED: ClassVar[StatusFeed | None] = None
    TAKES_BY_LOOKING: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._url = str(config.get("api_url") or config.get("url", "")).rstrip("/")
        self._webhook_secret = str(config.get("webhook_secret") or "")

    @in_time
    def ask(self, question: Question) -> Answer:
        return self._asked(question)[0]

    def link(self, bill: Bill) -> Hosted:
        body = {
            "order": bill.order,
            "amount": bill.money.minor,
            "currency": bill.money.currency,
            "return_url": bill.return_url,
            "cancel_url": bill.cancel_url,
            "expires_at": int(bill.expires_at.timestamp()),
        }
        headers = {"Idempotency-Key": bill.key, "Content-Type": "application/json"}
        status, found = send("POST", f"{self._url}/links", body=json.dumps(body).encode(), headers=headers)
        if status == 409:
            raise ProviderRefused("The same key was used for another page.")
        return _hosted(found)

    def link_state(self, hosted_id: str) -> Answer:
        status, found = send("GET", f"{self._url}/links/{quote(hosted_id, safe='')}", headers={})
        if status == 404:
            return Answer(ChargeState.UNKNOWN, detail="The provider does not know this page.")
        payment = found.get("payment")
        if payment is None:
            return Answer(ChargeState.NOT_CHARGED, detail=f"The page is {found.get('status')}.")
        return _answer(payment)

    def revoke(self, hosted_id: str) -> None:
        # 409 says that it was paid or has expired.
        send("POST", f"{self._url}/links/{quote(hosted_id, safe='')}/expire", body=b"", headers={})

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        answer, waiting = self._asked(question)
        for each in waiting[:_MOST_GIVEN_UP]:
            # 409 says that it does not wait any more; the next answer tells what became of it.
            send("POST", f"{self._url}/payments/{quote(each, safe='')}/cancel", body=b"", headers={})
        if waiting:
            answer, waiting = self._asked(question)
        left = left_of(answer)
        return GivenUp.CUSTOMER if waiting and left is GivenUp.GONE else left

    def _asked(self, question: Question) -> tuple[Answer, list[str]]:
        """About the order, and its payments that wait for the customer."""
        # By order, not by payment: another attempt may have been charged, and then nothing more is to be paid.
        status, found = send("GET", f"{self._url}/payments?order={quote(question.order, safe='')}", headers={})
        if status == 404:
            words = "The provider has never seen a payment of this order."
            return Answer(ChargeState.NOT_CHARGED, detail=words, is_of_order=True), []
        if found.get("order") not in {None, question.order}:
            return Answer(ChargeState.UNKNOWN, detail="The provider answered about another order."), []
        return replace(_answer(found), is_of_order=True), _waiting(found)

    def health(self) -> str | None:
        self._asked(Question(NO_ORDER, None))
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:
        if not self._webhook_secret:
            raise ProviderRefused(f"The setting 'webhook_secret' is missing: {self.SETTINGS['webhook_secret']}")
        signing.check(self._webhook_secret, body, headers.get(signing.HEADER.lower(), ""))
        try:
            event = json.loads(body)
            answer = _answer(event["payment"])
            at = datetime.fromtimestamp(int(event["at"]), UTC)
            key, order = str(event["id"]), str(event["payment"]["order"])
        except (ValueError, KeyError, TypeError, OverflowError, ProviderDown):
            raise WebhookRefused("It does not have the shape of an event.") from None
        payment, status = answer.payment, answer.status
        return [Happened(key, "payment", at, order, payment, answer.state, status, answer.code, answer.money)]


def _waiting(payment: dict[str, Any]) -> list[str]:
    """The payments of the order that wait for its customer."""
    listed = payment.get("waiting")
    waiting = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    mine = [str(payment["id"])] if payment["status"] == "requires_action" else []
    return list(dict.fromkeys([*mine, *waiting]))


def _answer(found: object) -> Answer:
    """Raises ProviderDown for anything that is no payment."""
    payment = _checked(found)
    charged = payment.get("charged") or ()
    advice = payment.get("advice")
    return Answer(
        _STATES.get(str(payment["status"]), ChargeState.UNKNOWN),
        Money(payment["amount"], payment["currency"]),
        payment=str(payment["id"]),
        detail=f"The payment is {payment['status']}.",
        status=str(payment["status"]),
        code=payment.get("code"),
        network_code=payment.get("network_code"),
        retry=Retry(advice) if advice in set(Retry) else None,
        is_reversed=payment.get("is_reversed") is True,
        charged=tuple(Paid(str(each["id"]), Money(each["amount"], payment["currency"])) for each in charged),
        waits=bool(_waiting(payment)),
    )


def _checked(found: object) -> dict[str, Any]:
    if (
        isinstance(found, dict)
        and {"id", "status"} <= found.keys()
        and isinstance(found.get("amount"), int)
        and 0 < found["amount"] <= MAX_MINOR
        and isinstance(found.get("currency"), str)
    ):
        return found
    raise ProviderDown("The provider's answer has an unknown shape.")


def _hosted(found: dict[str, Any]) -> Hosted:
    if not all(isinstance(found.get(name), str) for name in ("id", "url")) or not isinstance(
        found.get("expires_at"), int
    ):
        raise ProviderDown("The provider's answer has an unknown shape.")
    return Hosted(found["id"], found["url"], datetime.fromtimestamp(found["expires_at"], UTC))
