"""What the beacon endpoint must know of a shop, held in memory for a moment so that a beacon costs one statement."""

import time
from dataclasses import dataclass

from widget import shops
from widget.errors import UnknownSite
from widget.web.context import services

# A change of allowed origins, or a disabled shop, takes effect within this time.
HELD_FOR_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Site:
    shop_id: int
    site: str
    origins: frozenset[str]
    read_at: float


_held: dict[tuple[str, str], Site] = {}


def site_of(key: str) -> Site | None:
    """The shop with this site key, or None. Unknown keys are not held, so that nobody can fill the memory."""
    database = services().database
    place = (str(database.engine.url), key)
    held = _held.get(place)
    if held is not None and time.monotonic() - held.read_at < HELD_FOR_SECONDS:
        return held
    with database.read() as session:
        try:
            shop = shops.by_site(session, key)
        except UnknownSite:
            _held.pop(place, None)
            return None
        site = Site(shop.id, shop.site, frozenset(shop.settled.allowed_origins), time.monotonic())
    _held[place] = site
    return site
