"""Calls to Stripe through its own client, with time limits; what goes wrong has three names.

Stripe's own words stay out of the exceptions, because they may quote a part of the key.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import stripe

from widget.providers import ProviderDown, ProviderRefused
from widget.providers.sessions import TIMEOUT_SECONDS, BoundedSession
from widget.providers.stripe.shapes import Thing

_PER_PAGE = 100
# As many as there are threads that ask at the same time; more are made when they are needed, and not kept.
_KEPT_CONNECTIONS = 16
_CHARGE = "latest_charge"

# The client otherwise tells Stripe how long its earlier requests took.
stripe.enable_telemetry = False


class NotSo(Exception):
    """Stripe says that there is no such thing, or that it cannot be done with it."""


class Calls:
    """Objects come back as plain dicts, as Stripe sends them. All raise ProviderDown and ProviderRefused."""

    def __init__(self, key: str, api_url: object, account: object) -> None:
        addresses: Any = {"api": str(api_url).rstrip("/")} if api_url else {}
        self._client = stripe.StripeClient(
            key,
            base_addresses=addresses,
            max_network_retries=0,
            http_client=_http(),
            stripe_account=str(account) if account else None,
        )

    def intent(self, intent_id: str) -> Thing | None:
        return _read(lambda: self._client.v1.payment_intents.retrieve(intent_id, {"expand": [_CHARGE]}))

    def searched(self, query: str) -> list[Thing]:
        """At most a hundred; none in regions where Stripe has no search."""
        wanted: Any = {"query": query, "limit": _PER_PAGE, "expand": ["data." + _CHARGE]}
        return _rows(_read(lambda: self._client.v1.payment_intents.search(wanted)) or {"data": []})

    def listed(self, since: datetime, after: str | None) -> tuple[list[Thing], bool]:
        """A page of the shop's payments since then, newest first, and whether there are more. Raises NotSo."""
        wanted: Any = {"created": {"gte": int(since.timestamp())}, "limit": _PER_PAGE, "expand": ["data." + _CHARGE]}
        if after is not None:
            wanted["starting_after"] = after
        page = _answered(lambda: self._client.v1.payment_intents.list(wanted))
        return _rows(page), bool(page.get("has_more"))

    def session(self, session_id: str) -> Thing | None:
        wanted: Any = {"expand": ["payment_intent." + _CHARGE]}
        return _read(lambda: self._client.v1.checkout.sessions.retrieve(session_id, wanted))

    def create_session(self, wanted: Any, key: str) -> Thing:
        """Raises NotSo."""
        return _answered(lambda: self._client.v1.checkout.sessions.create(wanted, {"idempotency_key": key}))

    def cancel_intent(self, intent_id: str) -> None:
        """Raises NotSo."""
        _answered(lambda: self._client.v1.payment_intents.cancel(intent_id))

    def expire_session(self, session_id: str) -> None:
        """Raises NotSo."""
        _answered(lambda: self._client.v1.checkout.sessions.expire(session_id))


@cache
def _http() -> stripe.HTTPClient:
    """One for all shops, so that connections are kept."""
    return stripe.RequestsClient(timeout=TIMEOUT_SECONDS, session=BoundedSession(_KEPT_CONNECTIONS))


def _read(ask: Callable[[], Any]) -> Thing | None:
    try:
        return _answered(ask)
    except NotSo:
        return None


def _answered(ask: Callable[[], Any]) -> Thing:
    try:
        found: Thing = ask().to_dict()
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise ProviderRefused("Stripe does not accept this secret_key, or the key may not do this.") from None
    except stripe.InvalidRequestError as error:
        raise NotSo(f"{error.code or error.http_status}, {error.param or 'no parameter'}") from None
    except stripe.IdempotencyError as error:
        if error.http_status == 409:
            raise ProviderDown("Stripe is still at work on the same request.") from None
        raise NotSo("the same idempotency key was used for something else") from None
    except stripe.StripeError as error:
        raise ProviderDown(
            f"Stripe did not answer ({type(error).__name__}, {error.http_status or 'no status'})."
        ) from None
    except (AttributeError, TypeError, ValueError):
        raise ProviderDown("Stripe's answer has an unknown shape.") from None
    return found


def _rows(page: Thing) -> list[Thing]:
    rows = page.get("data")
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise ProviderDown("Stripe's answer has an unknown shape.")
    return rows
