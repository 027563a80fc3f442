"""The demo provider: a small payment service over HTTP that the demo shop runs (`widget.demo.provider`).

Wire format: GET /provider/payments?order=REF answers the order's furthest payment as {"id", "order", "status",
"amount", "currency"}, or 404; POST /provider/payments with an Idempotency-Key takes a payment at once. Statuses are
those of a Stripe PaymentIntent.
"""

from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from widget.money import Money
from widget.providers import Answer, ChargeState, Paid, ProviderDown, Question

TIMEOUT = urllib3.Timeout(connect=2, read=3)

_STATES = {
    "succeeded": ChargeState.CHARGED,
    "processing": ChargeState.UNKNOWN,
    "requires_capture": ChargeState.HELD,
    "requires_action": ChargeState.NOT_CHARGED,
    "requires_payment_method": ChargeState.NOT_CHARGED,
    "canceled": ChargeState.NOT_CHARGED,
}

_pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)


class DemoProvider:
    """Settings: {"url": "http://127.0.0.1:8001/provider"}."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._url = str(config.get("url", "")).rstrip("/")

    def ask(self, question: Question) -> Answer:
        # By order, not by payment: another attempt may have been charged, and then nothing more is to be paid.
        found = self._send("GET", "/payments", fields={"order": question.order})
        if found is None:
            return Answer(ChargeState.NOT_CHARGED, detail="The provider has never seen a payment of this order.")
        state = _STATES.get(str(found["status"]), ChargeState.UNKNOWN)
        money = Money(found["amount"], found["currency"])
        return Answer(state, money, payment=str(found["id"]), detail=f"The payment is {found.get('status')}.")

    def pay(self, order: str, money: Money, idempotency_key: str) -> Paid:
        body = {"order": order, "amount": money.minor, "currency": money.currency}
        made = self._send("POST", "/payments", json=body, headers={"Idempotency-Key": idempotency_key})
        if made is None or made.get("status") != "succeeded":
            raise ProviderDown("The demo provider did not take the payment.")
        return Paid(payment=str(made["id"]), money=Money(made["amount"], made["currency"]))

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        """The JSON object of the answer, None for 404. Raises ProviderDown for anything else."""
        try:
            response = _pool.request(method, self._url + path, **options)
            if response.status == 404:
                return None
            if response.status not in {200, 201}:
                raise ProviderDown(f"The provider answered {response.status}.")
            found = response.json()
        except (HTTPError, ValueError) as error:
            raise ProviderDown("The provider did not answer.") from error
        if not _is_payment(found):
            raise ProviderDown("The provider's answer has an unknown shape.")
        payment: dict[str, Any] = found
        return payment


def _is_payment(found: object) -> bool:
    return (
        isinstance(found, dict)
        and {"id", "status"} <= found.keys()
        and isinstance(found.get("amount"), int)
        and isinstance(found.get("currency"), str)
    )
