"""Stripe's webhooks: whether one is Stripe's, and what it tells of the money."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import stripe

from widget.money import Money
from widget.providers import ChargeState, Happened, ProviderDown, WebhookRefused
from widget.providers.stripe import shapes
from widget.providers.stripe.shapes import OrderKeys, Thing

SIGNATURE_HOLDS_SECONDS = 300
# The beginning of an event's type -> our kind. Anything else is not about money and is passed over.
_KINDS = {
    "payment_intent.": "payment",
    "checkout.session.": "link",
    "charge.dispute.": "dispute",
    "charge.refund": "refund",
    "refund.": "refund",
    "radar.early_fraud_warning.": "dispute",
    "review.": "dispute",
}


def verified(body: bytes, signature: str, secrets: Sequence[str]) -> Thing:
    """The event, when one of these secrets has signed it within the last minutes. Raises WebhookRefused."""
    for secret in secrets:
        try:
            event = stripe.Webhook.construct_event(body, signature, secret, SIGNATURE_HOLDS_SECONDS)
        except stripe.SignatureVerificationError:
            continue
        except (ValueError, AttributeError, KeyError, TypeError):
            raise WebhookRefused("It does not have the shape of a Stripe event.") from None
        found: Thing = event.to_dict()
        return found
    raise WebhookRefused("Stripe did not sign this, or did so more than five minutes ago.")


def happened(event: Thing, keys: OrderKeys) -> list[Happened]:
    """What an event tells; nothing when it is not about money. Raises WebhookRefused for another shape."""
    try:
        kind = next((ours for start, ours in _KINDS.items() if str(event["type"]).startswith(start)), None)
        return [_happened(kind, event, event["data"]["object"], keys)] if kind else []
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ProviderDown):
        raise WebhookRefused("It does not have the shape of a Stripe event.") from None


def _happened(kind: str, event: Thing, thing: Thing, keys: OrderKeys) -> Happened:
    about: dict[str, Any] = {
        "key": str(event["id"]),
        "kind": kind,
        "happened_at": datetime.fromtimestamp(int(event["created"]), UTC),
        "order": shapes.order_of(thing, keys) or thing.get("client_reference_id"),
        "payment": str(thing["id"]) if kind == "payment" else _id_of(thing.get("payment_intent")),
    }
    if kind == "payment":
        answer = shapes.of_intent(shapes.checked(thing))
        about |= {"state": answer.state, "code": answer.code, "money": answer.money, "detail": answer.detail}
        return Happened(**about, status=answer.status)
    if kind == "link":
        about["payment"] = about["payment"] or str(thing["id"])
        return Happened(**about, state=_state_after(event["type"], thing), status=event["type"], money=_sum(thing))
    # An early fraud warning has no reason, but says what kind of fraud it may be.
    code = thing.get("reason") or thing.get("fraud_type")
    return Happened(**about, status=event["type"], code=code, money=_sum(thing), detail=_deadline(thing))


def _state_after(kind: str, session: Thing) -> ChargeState | None:
    """A page that was closed or has expired says nothing about the order."""
    if kind == "checkout.session.expired":
        return None
    if kind == "checkout.session.async_payment_failed":
        return ChargeState.NOT_CHARGED
    return ChargeState.CHARGED if session.get("payment_status") == "paid" else ChargeState.UNKNOWN


def _sum(thing: Thing) -> Money | None:
    amount = next((thing[name] for name in ("amount_total", "amount_refunded", "amount") if name in thing), None)
    currency = thing.get("currency")
    return shapes.money_of(amount, currency) if isinstance(amount, int) and isinstance(currency, str) else None


def _deadline(thing: Thing) -> str:
    due_by = (thing.get("evidence_details") or {}).get("due_by")
    return f"Answer by {datetime.fromtimestamp(due_by, UTC):%Y-%m-%d %H:%M} UTC." if due_by else ""


def _id_of(thing: object) -> str | None:
    found = thing.get("id") if isinstance(thing, dict) else thing
    return str(found) if found else None
