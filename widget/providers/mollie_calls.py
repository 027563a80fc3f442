"""Calls to Mollie through its official client, with our limits, and nothing of its words kept: they may hold keys."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mollie.api.client import Client
from mollie.api.error import Error, RequestSetupError, ResponseError

from widget import clock
from widget.providers import ProviderDown, ProviderRefused
from widget.providers.answers import moment, object_of, part, parts
from widget.providers.sessions import TIMEOUT_SECONDS, BoundedSession

OWN_URL: str = Client.API_ENDPOINT
# Mollie lists at most this many payments in one answer.
LISTED = 250
# A list that reaches back this far holds every payment of an order that somebody is stuck with now.
LOOKED_BACK = timedelta(days=1)
PAYMENT_ID = re.compile(r"tr_[A-Za-z0-9]{4,60}\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """The shop's latest payments. `reaches_back`: far enough to hold all of an order that somebody is stuck with."""

    payments: list[dict[str, Any]]
    reaches_back: bool


class Calls:
    """Mollie at one address, for one API key."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def listed(self, since: datetime | None = None) -> Listed:
        """The latest payments, and whether they go back to then, a day at the least."""
        found = self.newest(LISTED)
        payments = parts(part(found, "_embedded"), "payments")
        oldest = moment(payments[-1], "createdAt") if payments else None
        is_whole = not part(found, "_links", "next")
        reaches_back = is_whole or (
            oldest is not None and oldest < min(clock.now() - LOOKED_BACK, since or clock.now())
        )
        return Listed(payments, reaches_back=reaches_back)

    def newest(self, limit: int) -> dict[str, Any]:
        """Mollie's list of the shop's latest payments, as it answers it."""
        found = object_of(self.send(lambda client: client.payments.list(limit=limit)))
        if not isinstance(part(found, "_embedded").get("payments"), list):
            raise ProviderDown("Mollie's list of payments has an unknown shape.")
        return found

    def known(self, payment_id: str) -> dict[str, Any]:
        payment = self.payment(payment_id) if PAYMENT_ID.match(payment_id) else None
        if payment is None:
            raise ProviderRefused("Mollie does not know this payment. Is the API key another profile's?")
        return payment

    def payment(self, payment_id: str) -> dict[str, Any] | None:
        return self.send(lambda client: client.payments.get(payment_id))

    def send(self, call: Callable[[Client], object]) -> dict[str, Any] | None:
        """The object that Mollie answers, None for 404 and 410. The client's own words may hold keys: none is kept."""
        with BoundedSession() as session:
            try:
                return object_of(call(self._client(session)))
            except ResponseError as error:
                if error.status in {404, 410}:
                    return None
                raise _failure(error) from None
            except RequestSetupError:
                raise ProviderRefused("The setting 'api_key' is not a key of Mollie.") from None
            except (Error, KeyError, TypeError, ValueError, AttributeError):
                raise ProviderDown("Mollie did not answer, or not in its own format.") from None

    def _client(self, session: BoundedSession) -> Client:
        client = Client(api_endpoint=self._url, timeout=(int(TIMEOUT_SECONDS[0]), int(TIMEOUT_SECONDS[1])), retry=0)
        client.set_api_key(self._key)
        # The client has no setting for redirects and netrc, and never closes its own session.
        client._client = session
        return client


def _failure(error: ResponseError) -> Exception:
    if error.status in {401, 403}:
        return ProviderRefused("Mollie refused the API key.")
    if error.status in {400, 422}:
        return ProviderRefused(f"Mollie refused the request, because of the field {error.field}.")
    return ProviderDown(f"Mollie answered {error.status}.")
