"""Webhooks: what payment providers tell us by themselves. Verified, kept once, answered; the worker acts on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import structlog
from flask import Blueprint, Response, make_response, request
from limits import parse as parse_limit
from werkzeug.exceptions import TooManyRequests

from widget import clock, provider_events, shops
from widget.errors import Malformed, NotFound, Problem, UnknownSite
from widget.providers import Happened, Provider, ProviderDown, ProviderRefused, WebhookRefused, adapter_for
from widget.shops import Shop
from widget.web import caller, refusals
from widget.web.context import services
from widget.web.limits import hit, limiter

blueprint = Blueprint("webhooks", __name__)
log = structlog.get_logger()

# A provider that redelivers a day's events at once stays below these; each is one small row. What is not verified yet
# is counted by its sender, so that a stranger cannot use up what the provider needs.
PER_SENDER = parse_limit("600/minute")
PER_SHOP = parse_limit("6000/minute")
# With some providers verifying means asking them: more of that at once would leave no thread for customers. Nobody
# may occupy all of it: not with one shop's webhooks, and not with such as prove to be none.
UNPROVEN_PER_SENDER = parse_limit("30/minute")
CHECKS, CHECKS_OF_ONE = 4, 3
_CHECK_WAITS_SECONDS = 1
_checks = threading.BoundedSemaphore(CHECKS)
# What Adyen wants to read; the others look at the status alone.
_THANKS = "[accepted]"


class _NotNow(Problem):
    """The provider is to deliver it again."""

    status = 503
    slug = "unavailable"
    title = "This webhook cannot be checked at the moment"


class _Forged(Malformed):
    status = 400
    slug = "webhook-refused"
    title = "This webhook is refused"


@blueprint.post("/api/v1/webhooks/<site>/<provider>")
def told(site: str, provider: str) -> Response:
    """Idempotent by the provider's id of the event. The body is never kept: it may hold personal data."""
    body = request.get_data(cache=False)
    shop, adapter = _receiver(site, provider)
    hit(PER_SENDER, "webhook-sender", caller.address())
    with _turn(site, provider), _counted(caller.address()):
        events = _verified(shop, provider, adapter, body)
    hit(PER_SHOP, "webhook", site)
    with services().database.write() as session:
        for event in events:
            provider_events.keep(session, shop, provider, event, clock.now())
    return make_response(_THANKS, 200, {"Content-Type": "text/plain; charset=utf-8"})


@contextmanager
def _turn(site: str, provider: str) -> Iterator[None]:
    """One of the few checks at a time. Raises _NotNow when there is none left."""
    share = _share_of(site, provider)
    for each in (share, _checks):
        if not each.acquire(timeout=_CHECK_WAITS_SECONDS):
            if each is _checks:
                share.release()
            raise _NotNow("Many webhooks are being checked at this moment. Deliver it again later.")
    try:
        yield
    finally:
        _checks.release()
        share.release()


@cache
def _share_of(site: str, provider: str) -> threading.BoundedSemaphore:  # noqa: ARG001 -- one for each shop and provider
    return threading.BoundedSemaphore(CHECKS_OF_ONE)


@contextmanager
def _counted(sender: str) -> Iterator[None]:
    """What cannot be verified counts against its sender. Raises TooManyRequests once that was too much."""
    if not _is_below_limit(sender):
        raise TooManyRequests
    try:
        yield
    except Problem:
        hit(UNPROVEN_PER_SENDER, "webhook-unproven", sender)
        raise


def _is_below_limit(sender: str) -> bool:
    try:
        return limiter.limiter.test(UNPROVEN_PER_SENDER, "webhook-unproven", sender)
    except Exception as error:  # whatever the storage's client raises: without it webhooks are checked all the same
        log.warning("limits_unavailable", error=type(error).__name__)
        return True


def _receiver(site: str, provider: str) -> tuple[Shop, Provider]:
    """The same answer for a shop that is not there and for one without this provider."""
    try:
        with services().database.read() as session:
            shop = shops.by_site(session, site)
        adapter = adapter_for(provider, shop.settled.providers)
    except UnknownSite:
        adapter = None
    except ProviderRefused as error:
        log.error("provider_unusable", site=site, provider=provider, reason=str(error))
        raise _NotNow("The settings of this provider are incomplete.") from None
    if adapter is None:
        raise NotFound("No webhook is expected at this address.")
    return shop, adapter


def _verified(shop: Shop, provider: str, adapter: Provider, body: bytes) -> list[Happened]:
    try:
        return adapter.webhook({name.lower(): value for name, value in request.headers.items()}, body)
    except WebhookRefused as error:
        refusals.note("webhook_refused", provider, shop_id=shop.id, reason=str(error))
        log.warning("webhook_refused", site=shop.site, provider=provider, reason=str(error))
        raise _Forged("The signature, its time or the content is not what this provider sends.") from None
    except ProviderDown as error:
        log.warning("webhook_unchecked", site=shop.site, provider=provider, reason=str(error))
        raise _NotNow("The provider could not be asked about it. Deliver it again later.") from None
    except ProviderRefused as error:
        log.error("provider_unusable", site=shop.site, provider=provider, reason=str(error))
        raise _NotNow("The settings of this provider are incomplete.") from None
