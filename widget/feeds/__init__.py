"""Feeds: what the providers' own status pages say, asked by the worker, with the time of the last good answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, JsonList, Key, Line, Text, insert_once
from widget.feeds.shapes import NoAnswer, read
from widget.feeds.status import Indicator, Shape, Source, Status
from widget.leases import Leased

__all__ = [
    "Feed",
    "FeedView",
    "Indicator",
    "NoAnswer",
    "Shape",
    "Source",
    "Status",
    "answered",
    "failed",
    "is_refused",
    "of",
    "own_source",
    "read",
    "seen",
    "unchanged",
    "view",
    "want",
]

# A good answer that is older than this says little about now.
STALE_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class FeedView:
    """What may be shown of a feed. `answered_at` is the last good answer; None while there was none."""

    indicator: Indicator | None
    said: str
    parts: tuple[str, ...]
    answered_at: datetime | None
    is_stale: bool
    # Why the last try was no answer; None when it was one.
    trouble: str | None

    @property
    def tells_outage(self) -> bool:
        """Whether the provider says, and not long ago, that it has a serious fault."""
        return self.indicator is not None and self.indicator.is_outage and not self.is_stale


class Feed(Leased, Base):
    """One status feed. Several shops with the same provider share it."""

    __tablename__ = "feeds"

    id: Mapped[Id]
    url: Mapped[Line] = mapped_column(unique=True)
    # The provider whose usual feed this is; "" for one that a shop has named itself, which is found by its address.
    provider: Mapped[Key]
    shape: Mapped[Key]
    # The last good answer: none, minor, major, critical or maintenance; what it said; and the parts that are not well.
    indicator: Mapped[Key | None]
    said: Mapped[Text | None]
    parts: Mapped[JsonList] = mapped_column(default=list)
    answered_at: Mapped[Instant | None]
    # What the server calls this answer, so that it need not send the same one again.
    etag: Mapped[Line | None]
    # The last try, and why it was no answer.
    asked_at: Mapped[Instant | None]
    trouble: Mapped[Line | None]
    # Nobody has needed it since then.
    wanted_at: Mapped[Instant]

    __table_args__ = (sa.Index("ix_feeds_due", "next_try_at"),)


def is_refused(settings: Mapping[str, Any] | None) -> bool:
    """Whether the shop does not want a status page to be asked: `"status_feed": false`."""
    return (settings or {}).get("status_feed") is False


def own_source(settings: Mapping[str, Any] | None) -> Source | None:
    """The feed that a shop has named itself in a provider's settings; None when there is none that can be asked."""
    try:
        return Source.model_validate((settings or {}).get("status_feed"))
    except ValidationError:
        return None


def view(
    session: Session, provider: str | None, config: Mapping[str, Mapping[str, Any]], now: datetime
) -> FeedView | None:
    """What the status feed of this provider says, for a shop with these providers; None when it has no feed.

    `config` is `profile.providers`.
    """
    if provider is None or provider not in config or is_refused(config[provider]):
        return None
    own = own_source(config[provider])
    wanted = Feed.url == own.url if own else Feed.provider == provider
    feed = session.scalars(sa.select(Feed).where(wanted).limit(1)).first()
    return seen(feed, now) if feed is not None else None


def seen(feed: Feed, now: datetime) -> FeedView:
    is_stale = feed.answered_at is None or now - feed.answered_at > STALE_AFTER
    indicator = Indicator(feed.indicator) if feed.indicator in set(Indicator) else None
    return FeedView(indicator, feed.said or "", tuple(feed.parts), feed.answered_at, is_stale, feed.trouble)


def want(session: Session, source: Source, provider: str, now: datetime) -> None:
    """Ask this feed from now on. `provider` is "" for a feed that a shop has named itself."""
    values: dict[str, Any] = {
        "url": source.url,
        "provider": provider,
        "shape": source.shape.value,
        "parts": [],
        "wanted_at": now,
        "next_try_at": now,
        "tries": 0,
    }
    if insert_once(session, Feed, values, unique=["url"]) is None:
        wanted = {"wanted_at": now, "shape": source.shape.value} | ({"provider": provider} if provider else {})
        session.execute(sa.update(Feed).where(Feed.url == source.url).values(wanted))


def answered(feed: Feed, status: Status, etag: str | None, now: datetime, again_in: timedelta) -> None:
    feed.etag = etag if etag and len(etag) <= 200 else None
    feed.indicator, feed.said, feed.parts = status.indicator.value, status.said, list(status.parts)
    unchanged(feed, now, again_in)


def unchanged(feed: Feed, now: datetime, again_in: timedelta) -> None:
    """The provider answered that it still says the same."""
    feed.answered_at = feed.asked_at = now
    feed.trouble, feed.tries, feed.next_try_at = None, 0, now + again_in


def failed(feed: Feed, trouble: str, now: datetime, again_in: timedelta) -> None:
    """No answer: the last good one stays, with its time."""
    feed.asked_at, feed.trouble, feed.tries, feed.next_try_at = now, trouble[:500], feed.tries + 1, now + again_in


def of(session: Session, urls: Sequence[str]) -> list[Feed]:
    return list(session.scalars(sa.select(Feed).where(Feed.url.in_(urls)).order_by(Feed.provider, Feed.url)))
