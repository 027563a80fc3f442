"""What taking in a beacon must know of a shop, held in memory for a moment so that a beacon costs one statement."""

import time
from dataclasses import dataclass

from widget import shops
from widget.database import Database
from widget.errors import UnknownSite

# A change of allowed origins, or a disabled shop, takes effect within this time.
HELD_FOR_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Site:
    shop_id: int
    site: str
    origins: frozenset[str]
    read_at: float


class Sites:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, Site] = {}

    def by_key(self, key: str) -> Site | None:
        """The shop with this site key, or None. Unknown keys are not held, so that nobody can fill the memory."""
        held = self._held.get(key)
        if held is not None and time.monotonic() - held.read_at < HELD_FOR_SECONDS:
            return held
        with self._database.read() as session:
            try:
                shop = shops.by_site(session, key)
            except UnknownSite:
                self._held.pop(key, None)
                return None
            site = Site(shop.id, shop.site, frozenset(shop.settled.allowed_origins), time.monotonic())
        self._held[key] = site
        return site
