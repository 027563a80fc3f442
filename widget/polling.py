"""Polling: asks the status feeds of the providers that shops use, between two transactions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import sqlalchemy as sa
import structlog
import urllib3
from sqlalchemy.orm import Session
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as TooSlow

from widget import __version__, clock, feeds, leases, providers, shops
from widget.attempts import Attempt
from widget.database import Database
from widget.feeds import Feed, NoAnswer, Shape, Source, Status
from widget.providers import ProviderRefused
from widget.providers.bounds import TooLate, bound, within
from widget.shops import Profile, Shop
from widget.stalls import Stall

log = structlog.get_logger()

# While somebody may be stuck at this provider, and otherwise.
BUSY_EVERY, IDLE_EVERY = timedelta(minutes=2), timedelta(hours=1)
IS_BUSY_FOR = timedelta(minutes=15)
# How often the shops are looked through for feeds that they need.
LOOK_EVERY = timedelta(minutes=1)
# A feed that no shop needs any more is asked no longer.
UNWANTED_AFTER = timedelta(minutes=10)
TIMEOUT = urllib3.Timeout(connect=2, read=5)
WHOLE_SECONDS = 10.0
MAX_BYTES = 1_000_000
_BATCH = 4
_RECENT_ATTEMPTS = 500
_RECENT_STALLS = 100
_HEADERS = {"Accept": "application/json", "User-Agent": f"unjam/{__version__}"}

_pool = bound(urllib3.PoolManager(timeout=TIMEOUT, retries=False))
_looked_at: WeakKeyDictionary[Database, datetime] = WeakKeyDictionary()
# The latest stall that this process has asked because of.
_heeded: WeakKeyDictionary[Database, int] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Heard:
    """A good answer; without a status it is the same as before."""

    status: Status | None
    etag: str | None = None


def ask_due_feeds(database: Database, worker_name: str, lease: timedelta) -> bool:
    """Ask the feeds that are due and that no other worker is asking. Returns whether there were any."""
    now = clock.now()
    if now - _looked_at.get(database, datetime.min.replace(tzinfo=now.tzinfo)) >= LOOK_EVERY:
        _looked_at[database] = now
        with database.write() as session:
            want_feeds(session, now)
    _heed_stalls(database, now)
    with database.write() as session:
        is_wanted = Feed.wanted_at > now - UNWANTED_AFTER
        claimed = leases.claim(session, Feed, is_wanted, worker_name, now, lease=lease, limit=_BATCH)
        asked = [(each.id, Source(shape=Shape(each.shape), url=each.url), each.etag) for each in claimed]
    for feed_id, source, etag in asked:
        try:
            heard: _Heard | str = _ask(source, etag)
        except NoAnswer as error:
            heard = str(error)
        with database.write() as session:
            _keep(session, feed_id, worker_name, heard)
    return bool(asked)


def _heed_stalls(database: Database, now: datetime) -> None:
    """Somebody is stuck: what their provider says matters now, not at the next look."""
    with database.read() as session:
        newest = session.scalar(sa.select(sa.func.max(Stall.id))) or 0
    known, _heeded[database] = _heeded.get(database, newest), newest
    if newest > known:
        with database.write() as session:
            hurry_feeds(session, known, now)


def hurry_feeds(session: Session, after: int, now: datetime) -> None:
    """Make the feeds due of the providers that the tries use which got stuck after this stall, by id.

    At once, or once the last answer is old: a storm of stalls asks no more often than a busy shop does.
    """
    stuck = sa.select(Attempt.shop_id, Attempt.provider).join(Stall, Stall.attempt_id == Attempt.id)
    latest = stuck.where(Stall.id > after).order_by(Stall.id.desc()).limit(_RECENT_STALLS)
    urls = set()
    for shop_id, provider in {tuple(row) for row in session.execute(latest)}:
        profile = session.get_one(Shop, shop_id).settled
        urls |= {source.url for name, source in sources_of(profile) if provider in {name, None}}
    for feed in feeds.of(session, sorted(urls)):
        due_at = max(now, feed.asked_at + BUSY_EVERY) if feed.asked_at is not None else now
        is_later = sa.and_(Feed.id == feed.id, Feed.tries == 0, Feed.next_try_at > due_at)
        session.execute(sa.update(Feed).where(is_later).values(next_try_at=due_at))


def want_feeds(session: Session, now: datetime) -> None:
    """Note which feeds the shops need. One with a shop that is busy now is due as soon as its last answer is old."""
    busy = _busy_shops(session, now)
    urls = []
    for shop in shops.all_of_them(session):
        if shop.disabled_at is not None:
            continue
        for provider, source in sources_of(shop.settled):
            is_usual = source == _usual(provider)
            feeds.want(session, source, provider if is_usual else "", now)
            if shop.id in busy:
                urls.append(source.url)
    is_late = sa.or_(Feed.asked_at.is_(None), Feed.asked_at <= now - BUSY_EVERY)
    hurried = sa.update(Feed).where(Feed.url.in_(urls), Feed.tries == 0, Feed.next_try_at > now, is_late)
    session.execute(hurried.values(next_try_at=now))


def sources_of(profile: Profile) -> Iterator[tuple[str, Source]]:
    """The feed of each provider of this shop that has one: the shop's own choice, else the provider's usual one."""
    for provider, settings in profile.providers.items():
        source = None if feeds.is_refused(settings) else feeds.own_source(settings) or _usual(provider)
        if source is not None:
            yield provider, source


def _usual(provider: str) -> Source | None:
    if provider not in providers.ADAPTERS:
        return None
    try:
        feed = providers.adapter_class(provider).FEED
    except ProviderRefused:
        return None
    return Source(shape=Shape(feed.shape), url=feed.url) if feed is not None else None


def _busy_shops(session: Session, now: datetime) -> set[int]:
    """The shops at which somebody has tried to pay just now, by the latest attempts of all."""
    latest = sa.select(Attempt.shop_id, Attempt.last_seen_at).order_by(Attempt.id.desc()).limit(_RECENT_ATTEMPTS)
    recent = latest.subquery()
    return set(session.scalars(sa.select(recent.c.shop_id).where(recent.c.last_seen_at > now - IS_BUSY_FOR).distinct()))


def _ask(source: Source, etag: str | None) -> _Heard:
    """Raises NoAnswer for whatever is not the status in its documented shape, soon and in full."""
    try:
        with within(WHOLE_SECONDS):
            return _answer(source, etag)
    except TooLate:
        raise NoAnswer("It did not answer in time.") from None


def _answer(source: Source, etag: str | None) -> _Heard:
    headers = _HEADERS | ({"If-None-Match": etag} if etag else {})
    try:
        response = _pool.request("GET", source.url, headers=headers, redirect=False, preload_content=False)
    except TooSlow as error:
        # urllib3 counts a refused connection among the time limits.
        is_refused = isinstance(error, NewConnectionError)
        raise NoAnswer("It could not be reached." if is_refused else "It did not answer in time.") from None
    except HTTPError as error:
        raise NoAnswer(f"It could not be reached: {type(error).__name__}.") from None
    try:
        if response.status == 304 and etag:
            return _Heard(None)
        if response.status != 200:
            raise NoAnswer(f"It answered with status {response.status}.")
        body = response.read(MAX_BYTES + 1)
    except HTTPError:
        raise NoAnswer("Its answer broke off.") from None
    finally:
        response.close()
    if len(body) > MAX_BYTES:
        raise NoAnswer(f"Its answer is longer than {MAX_BYTES} bytes.")
    return _Heard(feeds.read(source.shape, body), _etag(response.headers))


def _etag(headers: Mapping[str, str]) -> str | None:
    return headers.get("ETag")


def _keep(session: Session, feed_id: int, worker_name: str, heard: _Heard | str) -> None:
    now, feed = clock.now(), session.get(Feed, feed_id)
    if feed is None or not leases.is_held_by(feed, worker_name, now):
        return
    leases.release(feed)
    if isinstance(heard, str):
        log.warning("feed_no_answer", feed=feed.url, trouble=heard)
        feeds.failed(feed, heard, now, min(BUSY_EVERY * 2**feed.tries, IDLE_EVERY))
    elif heard.status is None:
        feeds.unchanged(feed, now, IDLE_EVERY)
    else:
        feeds.answered(feed, heard.status, heard.etag, now, IDLE_EVERY)
