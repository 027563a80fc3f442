"""The HTTP session that client libraries use which are built on requests: bounded, and nobody is followed."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from widget.providers.bounds import MAX_BYTES, WHOLE_SECONDS, TooLate, bound, within

# To connect, and between two bytes of the answer.
TIMEOUT_SECONDS = (2.0, 5.0)
_PIECE_BYTES = 16_384


class _BoundAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        bound(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        return bound(super().proxy_manager_for(*arguments, **options))


class BoundedSession(requests.Session):
    """Has time limits whatever the library says, follows no redirect, and retries only what was never sent.

    An answer that is not there in full within ten seconds, or is longer than 2 MB, is a RequestException. A password
    file of the server's user must not replace the shop's key, so netrc is not read. So many `connections` are kept.
    """

    def __init__(self, connections: int = 2) -> None:
        super().__init__()
        self.auth = _as_it_is
        retries = Retry(total=1, connect=1, read=0, redirect=0, status=0, other=0, backoff_factor=0)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _BoundAdapter(max_retries=retries, pool_connections=1, pool_maxsize=connections))

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        return super().request(*arguments, **(options | {"timeout": TIMEOUT_SECONDS, "allow_redirects": False}))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            with within(WHOLE_SECONDS):
                response = super().send(request, **(options | {"stream": True}))
                _read(response)
        except TooLate:
            raise requests.ReadTimeout("The answer took too long.", request=request) from None
        return response


def _read(response: requests.Response) -> None:
    """Read the answer to its end, as the library expects it, but not beyond the limit."""
    body = bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            response.close()
            raise requests.ConnectionError("The answer is too long.", request=response.request)
    response._content = bytes(body)


def _as_it_is(request: Any) -> Any:
    return request
