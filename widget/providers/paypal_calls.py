"""Calls to PayPal through its official client, with our limits, one token for all, and nothing of its words kept.

The client decodes answers with jsonpickle, which makes whatever object an answer names; so answers that name one are
turned away before the client sees them. Its models drop what they do not know, so the text of the answer is read.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import requests
from apimatic_core.exceptions.auth_validation_exception import AuthValidationException
from paypalserversdk.configuration import Configuration
from paypalserversdk.exceptions.api_exception import ApiException
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient as Client

from widget import clock
from widget.providers import ProviderDown, ProviderRefused
from widget.providers.answers import object_of, parts, word
from widget.providers.sessions import BoundedSession

__all__ = ["LIVE_URL", "SANDBOX_URL", "Calls", "Client", "Refusal"]

LIVE_URL = "https://api-m.paypal.com"
SANDBOX_URL = "https://api-m.sandbox.paypal.com"
# A token is fetched anew when it has less than this left.
TOKEN_MARGIN_SECONDS = 60

# A token serves every request of the shop until it expires. By address, client and secret, which is kept as a hash.
_tokens: dict[tuple[str, str, str], tuple[Any, datetime]] = {}
_tokens_lock = threading.Lock()


class Refusal(Exception):
    """PayPal understood and said no. `issue` is its own word for why."""

    def __init__(self, status: int, issue: str) -> None:
        super().__init__(f"PayPal answered {status} {issue}.")
        self.status, self.issue = status, issue


class Calls:
    """PayPal at one address for one REST app."""

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        self._url, self._id, self._secret = url, client_id, secret
        self._token_key = url, client_id, hashlib.sha256(secret.encode()).hexdigest()

    def send(self, call: Callable[[Client], Any], has_answer: bool = True) -> dict[str, Any]:
        """The object that PayPal answers. Raises Refusal for 400, 404, 409 and 422."""
        answer = self._tried(call)
        if answer is None and self._forget_token():
            # A token can be taken back before it expires. Nothing was done yet, so trying once more is safe.
            answer = self._tried(call)
        if answer is None:
            raise ProviderRefused("PayPal refused the client id or the secret.")
        return object_of(json.loads(answer.text)) if has_answer else {}

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """A call that the client lacks, with its token and its session."""

        def call(client: Client) -> requests.Response:
            headers = {"Authorization": f"Bearer {self._token(None, client.oauth_2).access_token}"}
            headers["Content-Type"] = "application/json"
            session: requests.Session = client.config.http_client.session
            answer = session.post(self._url + path, data=body, headers=headers)
            if answer.status_code != 200:
                raise ApiException("PayPal said no.", answer)
            return answer

        return self.send(call)

    def _tried(self, call: Callable[[Client], Any]) -> Any:
        """The client's answer, None where PayPal did not accept who asks."""
        with _GuardedSession() as session:
            try:
                return call(self._client(session))
            except ApiException as error:
                if error.response_code == 401:
                    return None
                raise _failure(error) from None
            except AuthValidationException:
                raise ProviderDown("PayPal gave a token that cannot be used.") from None
            except (requests.RequestException, ValueError, TypeError, AttributeError, KeyError):
                raise ProviderDown("PayPal did not answer, or not in its own format.") from None

    def _client(self, session: requests.Session) -> Client:
        credentials = ClientCredentialsAuthCredentials(self._id, self._secret, o_auth_token_provider=self._token)
        at = _At(http_client_instance=session, client_credentials_auth_credentials=credentials)
        at.address = self._url
        return Client(config=at)

    def _token(self, _last: Any, access: Any) -> Any:
        with _tokens_lock:
            token, until = _tokens.get(self._token_key, (None, clock.now()))
        if token is not None and until > clock.now():
            return token
        fetched = access.fetch_token()
        if not getattr(fetched, "access_token", None):
            raise ProviderDown("PayPal gave no token.")
        lives = max(0, int(getattr(fetched, "expires_in", 0) or 0) - TOKEN_MARGIN_SECONDS)
        with _tokens_lock:
            _tokens[self._token_key] = fetched, clock.now() + timedelta(seconds=lives)
        return fetched

    def _forget_token(self) -> bool:
        with _tokens_lock:
            return _tokens.pop(self._token_key, None) is not None


class _At(Configuration):  # type: ignore[misc]  # the library has no types
    """The client's configuration with an address of ours; its own knows only PayPal's two."""

    address = SANDBOX_URL

    def get_base_uri(self, *_: Any) -> str:
        return self.address


class _GuardedSession(BoundedSession):
    """Turns away what is no JSON object, and what the client's jsonpickle would make objects of other classes from."""

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        response = super().request(*arguments, **options)
        try:
            found = json.loads(response.text) if response.status_code != 204 else {}
            is_strange = _names_an_object(found)
        except (ValueError, RecursionError):
            found, is_strange = None, False
        if is_strange or (response.status_code < 300 and not isinstance(found, dict)):
            raise ProviderDown("PayPal did not answer in its own format.")
        return response


def _names_an_object(found: object) -> bool:
    if isinstance(found, dict):
        return any(name.startswith("py/") or _names_an_object(value) for name, value in found.items())
    return isinstance(found, list) and any(_names_an_object(each) for each in found)


def _failure(error: ApiException) -> Exception:
    status = error.response_code
    if status == 403:
        return ProviderRefused("PayPal's REST app lacks a permission.")
    if status not in {400, 404, 409, 422}:
        return ProviderDown(f"PayPal answered {status}.")
    try:
        found = json.loads(error.response.text)
    except ValueError:
        found = {}
    details = parts(found, "details") or [{}]
    return Refusal(status, word(details[0], "issue") or word(found, "name") or "without a reason")
