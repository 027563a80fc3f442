"""A shop, by the site key that its script tag names."""

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from widget.database import Base, Id, Instant, JsonObject, Key, Word
from widget.errors import Malformed, UnknownSite
from widget.shops.profile import Profile, readable

SITE_KEY = re.compile(r"[a-z0-9][a-z0-9-]{1,39}\Z")


class Shop(Base):
    __tablename__ = "shops"

    id: Mapped[Id]
    site: Mapped[Key] = mapped_column(unique=True)
    name: Mapped[Word]
    profile: Mapped[JsonObject]
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None]

    @property
    def settled(self) -> Profile:
        """The profile, read once for as long as the stored one stays the same."""
        held: tuple[dict[str, Any], Profile] | None = self.__dict__.get("_settled")
        if held is None or held[0] is not self.profile:
            held = self.__dict__["_settled"] = (self.profile, Profile.model_validate(readable(self.profile)))
        return held[1]


def add(session: Session, *, site: str, name: str, profile: Profile, now: datetime) -> Shop:
    """A new shop without keys. Raises Malformed for a site key that cannot stand in a URL or is taken."""
    if not SITE_KEY.match(site):
        raise Malformed("A site key has 2 to 40 small letters, digits or hyphens, and starts with a letter or digit.")
    if session.scalar(sa.select(Shop.id).where(Shop.site == site)):
        raise Malformed(f"There is already a shop with the site key {site}.")
    shop = Shop(site=site, name=name, profile=profile.model_dump(mode="json"), created_at=now)
    session.add(shop)
    session.flush()
    return shop


def by_site(session: Session, site: str) -> Shop:
    """Raises UnknownSite also for a shop that was disabled."""
    shop = session.scalar(sa.select(Shop).where(Shop.site == site, Shop.disabled_at.is_(None)))
    if shop is None:
        raise UnknownSite("Check the data-site value of the script tag against `unjam shops`.")
    return shop


def by_site_even_disabled(session: Session, site: str) -> Shop:
    shop = session.scalar(sa.select(Shop).where(Shop.site == site))
    if shop is None:
        raise UnknownSite(f"There is no shop with the site key {site}; `unjam shops` lists them.")
    return shop


def all_of_them(session: Session) -> list[Shop]:
    return list(session.scalars(sa.select(Shop).order_by(Shop.site)))


def change(shop: Shop, *, name: str | None, profile: dict[str, Any], disable: bool | None, now: datetime) -> None:
    """Replace the given parts; absent ones stay. Raises pydantic's ValidationError for a profile that cannot be."""
    shop.name = name or shop.name
    shop.profile = Profile.model_validate(readable(shop.profile) | profile).model_dump(mode="json")
    if disable is not None:
        shop.disabled_at = now if disable else None
