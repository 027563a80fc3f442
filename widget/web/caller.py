"""Who is calling: the keyed hash of the client's address, as guard and audit know it, and what their browser says."""

from flask import request

from widget import guard
from widget.web.context import services


def address() -> str:
    """The hash that stands for the address of this request's client.

    Behind proxies that is the client's own only as far as `trusted_proxies` says: `ProxyFix` has settled it before.
    """
    return guard.hash_of(services().settings.signing_key, request.remote_addr or "")


def agent() -> str:
    """What the browser of this request calls itself."""
    return request.user_agent.string
