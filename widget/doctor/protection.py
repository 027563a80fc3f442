"""What helps a shopper while the shop's page is frozen, by where Unjam is served from and by the browser's engine."""

from enum import StrEnum
from urllib.parse import urlsplit

from widget.shops import origin_of


class Relation(StrEnum):
    """How the origin of Unjam stands to the shop's, in the words of `Sec-Fetch-Site`."""

    CROSS_SITE = "cross-site"
    SAME_SITE = "same-site"
    SAME_ORIGIN = "same-origin"


class Protection(StrEnum):
    """Who notices a frozen page first, and so whether help can show while it is frozen."""

    FRAME = "frame"
    WORKER = "worker"
    SERVER = "server"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Protection.FRAME: "the frame shows help while the page is frozen",
    Protection.WORKER: "the worker tells the server at once, and help shows after the freeze",
    Protection.SERVER: "the server notices the silence, and help comes on return or by e-mail",
}
# Measured, not promised by any specification: which of our contexts go on while the shop's page is blocked.
GRANTED = {
    Relation.CROSS_SITE: {
        "Chromium": Protection.FRAME,
        "Firefox": Protection.FRAME,
        "Safari": Protection.SERVER,
    },
    Relation.SAME_SITE: {
        "Chromium": Protection.FRAME,
        "Firefox": Protection.WORKER,
        "Safari": Protection.SERVER,
    },
    Relation.SAME_ORIGIN: {
        "Chromium": Protection.FRAME,
        "Firefox": Protection.WORKER,
        "Safari": Protection.SERVER,
    },
}


def granted(relation: Relation) -> str:
    """What each browser does for a shopper, the strongest first."""
    engines: dict[Protection, list[str]] = {}
    for engine, protection in GRANTED[relation].items():
        engines.setdefault(protection, []).append(engine)
    return "; ".join(f"{' and '.join(names)}: {protection.words}" for protection, names in engines.items())


def relation_of(said: str, unjam: str, shop: str) -> Relation:
    """What the browser said of our frame; where it says nothing (plain http), judged by the host names."""
    if said in set(Relation):
        return Relation(said)
    if origin_of(unjam) == origin_of(shop):
        return Relation.SAME_ORIGIN
    return Relation.SAME_SITE if _site(unjam) == _site(shop) else Relation.CROSS_SITE


def _site(address: str) -> str:
    # Without the list of public suffixes this takes two shops under co.uk for one site, so it promises too little.
    parts = urlsplit(address)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host if host.replace('.', '').isdigit() else '.'.join(host.split('.')[-2:])}"
