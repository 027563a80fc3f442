"""Asking over HTTP, for adapters without a client library: JSON objects, with time limits and no surprises."""

import json
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from widget.providers import ProviderDown, ProviderRefused
from widget.providers.bounds import WHOLE_SECONDS, TooLate, bound, within

TIMEOUT = urllib3.Timeout(connect=2, read=5)
MAX_BYTES = 256 * 1024

_pool = bound(urllib3.PoolManager(timeout=TIMEOUT, retries=False))


def send(
    method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str], is_told_only: bool = False
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of the answer. Of 404, 409 and 410, or when something `is_told_only`, it may lack.

    Raises ProviderDown for no answer, 5xx, 429 and anything that is no JSON object; ProviderRefused for 401 and 403.
    No redirect is followed, and no more than 256 kB are read, within ten seconds in all.
    """
    try:
        with within(WHOLE_SECONDS):
            status, raw = _sent(method, url, body, headers)
    except (HTTPError, ValueError, OSError, TooLate):
        raise ProviderDown("The provider did not answer.") from None
    if status in {401, 403}:
        raise ProviderRefused("The provider does not accept our signature or key.")
    if status in {404, 409, 410}:
        return status, _object(raw) or {}
    if is_told_only and status in {200, 201, 202, 204}:
        return status, {}
    found = _object(raw) if len(raw) <= MAX_BYTES else None
    if status not in {200, 201} or found is None:
        raise ProviderDown(f"The provider answered {status}, or not as JSON.")
    return status, found


def _sent(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
    response = _pool.request(
        method, url, body=body, headers=dict(headers), redirect=False, preload_content=False, decode_content=True
    )
    try:
        return response.status, response.read(MAX_BYTES + 1)
    finally:
        response.close()


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw) if raw else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
