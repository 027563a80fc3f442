"""Calls to Adyen through its official client (Adyen 16), with our limits, and nothing of its words kept.

The client's own HTTP layer has one time limit and follows redirects, so it is given ours.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from Adyen import AdyenClient
from Adyen.exceptions import AdyenAPIResponseError
from Adyen.services.checkout.payment_links_api import PaymentLinksApi
from urllib3.exceptions import HTTPError

from widget.providers import ProviderDown, ProviderRefused
from widget.providers.answers import object_of
from widget.providers.bounds import MAX_BYTES, WHOLE_SECONDS, TooLate, bound, within

__all__ = ["Calls", "NotSo", "PaymentLinksApi"]

API_VERSION = "v72"
TEST_URL = "https://checkout-test.adyen.com"
LIVE_URL = "https://{prefix}-checkout-live.adyenpayments.com/checkout"
TIMEOUT = urllib3.Timeout(connect=2, read=5)


class NotSo(ProviderRefused):
    """Adyen accepts who asks, and says that there is no such thing, or that it cannot be done with it."""


class Calls:
    """Adyen at the address that the settings name, for one API key."""

    def __init__(self, config: Mapping[str, Any], api_key: str) -> None:
        self.url, self._api_key = _base_address(config), api_key

    def send(self, call: Callable[[PaymentLinksApi], Any]) -> dict[str, Any]:
        """The object that Adyen answers. The client's errors hold whole requests and answers: none is passed on."""
        client = _Client(xapikey=self._api_key, platform="test")
        client.http_client, client.http_init = _Wire(), True
        links = PaymentLinksApi(client)
        links.baseUrl = f"{self.url}/{API_VERSION}"
        try:
            return object_of(call(links).message)
        except AdyenAPIResponseError as error:
            raise _failure(error) from None
        except AttributeError:
            # The client expects an object in every error.
            raise ProviderDown("Adyen did not answer in its own format.") from None


class _Client(AdyenClient):  # type: ignore[misc]  # the library has no types
    """The address is ours as it stands: the library would exchange "test" and "live" anywhere in it, ids included."""

    def _determine_api_url(self, platform: str, endpoint: str) -> str:  # noqa: ARG002 -- the library's signature
        return endpoint


class _Wire:
    """The HTTP layer of Adyen's client over urllib3: bounded in time and length, no redirects, one try."""

    user_agent = "unjam"

    def request(
        self, method: str, url: str, json: object = None, xapikey: str = "", headers: dict[str, str] | None = None
    ) -> tuple[str, object, int, Mapping[str, str]]:
        sent = {"x-api-key": xapikey} | (headers or {})
        try:
            status, raw, told = _answered(method, url, sent, json)
            if status < 300:
                object_of(_read(raw))
            return raw.decode(), json, status, told
        except (HTTPError, ValueError, RecursionError, OSError, TooLate):
            raise ProviderDown("Adyen did not answer, or not in its own format.") from None


def _answered(method: str, url: str, headers: dict[str, str], body: object) -> tuple[int, bytes, Mapping[str, str]]:
    """Raises ValueError for an answer that is too long."""
    with within(WHOLE_SECONDS), bound(urllib3.PoolManager(timeout=TIMEOUT, retries=False)) as pool:
        response = pool.request(method, url, headers=headers, json=body, preload_content=False)
        raw = response.read(MAX_BYTES + 1)
        response.close()
    if len(raw) > MAX_BYTES:
        raise ValueError("the answer is too long")
    return response.status, raw, response.headers


def _read(raw: bytes) -> object:
    return json.loads(raw)


def _base_address(config: Mapping[str, Any]) -> str:
    if config.get("api_url"):
        return str(config["api_url"]).rstrip("/")
    environment = str(config.get("environment") or "test")
    if environment == "test":
        return TEST_URL
    if environment != "live" or not re.fullmatch(r"[A-Za-z0-9-]{1,80}", str(config.get("live_prefix") or "")):
        raise ProviderRefused(
            "The setting 'environment' must be test or live, and live needs the setting 'live_prefix'."
        )
    return LIVE_URL.format(prefix=config["live_prefix"])


def _failure(error: AdyenAPIResponseError) -> Exception:
    status = error.status_code
    if status in {401, 403}:
        return ProviderRefused("Adyen refused the API key, or it lacks a role.")
    if status in {404, 422} and error.error_code:
        return NotSo(f"Adyen refused the request with error {str(error.error_code)[:20]}.")
    if status in {400, 404, 422}:
        return ProviderRefused(f"Adyen refused the request with error {str(error.error_code)[:20]}.")
    return ProviderDown(f"Adyen answered {status}.")
