"""Rate limits per attempt, site and address. Generous: an office behind one address is many customers."""

import structlog
from flask import request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import RateLimitItem
from werkzeug.exceptions import TooManyRequests

log = structlog.get_logger()
limiter = Limiter(get_remote_address, default_limits=[], strategy="fixed-window")


def by_link() -> str:
    """One signed link is one customer, wherever they connect from."""
    view_args = request.view_args or {}
    return f"link:{view_args.get('token', '')}"


def hit(limit: RateLimitItem, *identifiers: str, cost: int = 1) -> None:
    """Count one use, or several. Raises TooManyRequests beyond the limit.

    For the beacon endpoint, where the decorators' bookkeeping would cost as much as the rest of the request.
    """
    try:
        is_within = limiter.limiter.hit(limit, *identifiers, cost=cost)
    except Exception as error:  # whatever the storage's client raises: Redis being away must not lose a signal
        log.warning("limits_unavailable", error=type(error).__name__)
        return
    if not is_within:
        raise TooManyRequests
