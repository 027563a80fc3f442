"""Rate limits per attempt, site and address. Generous: an office behind one address is many customers."""

import hashlib

import structlog
from flask import request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import RateLimitItem
from limits import parse as parse_limit
from werkzeug.exceptions import TooManyRequests

log = structlog.get_logger()

# Mails to whatever address somebody types: enough for an office behind one address while a shop has trouble, too few
# to be a nuisance to strangers.
MAILS_PER_ADDRESS = parse_limit("30/hour")
MAILS_PER_RECIPIENT = parse_limit("4/hour")
limiter = Limiter(get_remote_address, default_limits=[], strategy="fixed-window")


def by_link() -> str:
    """One signed link is one customer, wherever they connect from."""
    view_args = request.view_args or {}
    return f"link:{view_args.get('token', '')}"


def hit(limit: RateLimitItem, *identifiers: str, cost: int = 1) -> None:
    """Count one use, or several. Raises TooManyRequests beyond the limit.

    For the beacon endpoint, where the decorators' bookkeeping would cost as much as the rest of the request.
    """
    if _is_within(limit, *identifiers, cost=cost) is False:
        raise TooManyRequests


def count_mail(sender: str, recipient: str) -> bool | None:
    """Count an e-mail that this caller, by its hash, wants sent to an address they typed, and say whether it may be.

    None while the storage of the counts is away.
    """
    # A hash, because the storage is no place for addresses.
    recipient = hashlib.sha256(recipient.strip().casefold().encode()).hexdigest()
    counts = ((MAILS_PER_ADDRESS, sender), (MAILS_PER_RECIPIENT, recipient))
    for limit, whose in counts:
        is_within = _is_within(limit, "typed-mail", whose)
        if not is_within:
            return is_within
    return True


def _is_within(limit: RateLimitItem, *identifiers: str, cost: int = 1) -> bool | None:
    """Count it; None while the storage is away."""
    try:
        return limiter.limiter.hit(limit, *identifiers, cost=cost)
    except Exception as error:  # whatever the storage's client raises: Redis being away must not lose a signal
        log.warning("limits_unavailable", error=type(error).__name__)
        return None
