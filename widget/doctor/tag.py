"""The tag on the page and the script behind it: there once, of a known shop, from our address, and really loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from widget.doctor.checks import Check, broken, well
from widget.doctor.policy import allowing
from widget.doctor.proxy import passing
from widget.doctor.visit import OUR_SCRIPT, Visit, wait_for
from widget.shops import Shop, origin_of

LOADS_WITHIN_SECONDS = 10.0
_RUNS = {"", "module", "text/javascript", "application/javascript"}

_IS_RUNNING = "() => typeof window.Unjam?.track === 'function' && !window.Unjam.q"


@dataclass(frozen=True, slots=True)
class Tag:
    """A script element that is ours, by its address."""

    src: str
    type: str
    data: Mapping[str, str]
    has_integrity: bool
    cross_origin: str | None


def tags_on(visit: Visit, public_url: str) -> list[Tag]:
    return [Tag(**each) for each in visit.scripts() if _is_ours(each, public_url)]


def _is_ours(script: Mapping[str, Any], public_url: str) -> bool:
    src = str(script["src"])
    is_from_us = src.startswith(public_url + "/") and "site" in script["data"]
    return is_from_us or bool(OUR_SCRIPT.search(urlsplit(src).path))


def found(tags: list[Tag], shops: Mapping[str, Shop], public_url: str, site: str | None) -> Check:
    """Whether there is exactly one tag, of an enabled shop (the one that is asked for), from our address."""
    name = "tag"
    known = site or next((each for each, shop in shops.items() if shop.disabled_at is None), "SITE")
    line = f'<script async src="{public_url}/embed.js" data-site="{known}"></script>'
    if not tags:
        return broken(name, "There is no Unjam tag on the page.", f"Add to the page: {line} (`unjam embed {known}`)")
    tag, said = tags[0], tags[0].data.get("site", "")
    if len(tags) > 1:
        return broken(name, f"There are {len(tags)} Unjam tags on the page.", "Keep one of them and remove the others.")
    if said not in shops or (site and said != site):
        sites = ", ".join(shops) or "none yet: add it with `unjam shop-add`"
        words = f'data-site="{said}" is not {site}.' if site else f'There is no shop with data-site="{said}".'
        return broken(name, words, f'Write on the tag: data-site="{known}" (the shops here: {sites})')
    if shops[said].disabled_at is not None:
        return broken(name, f"The shop {said} is disabled.", f"Run: unjam shop-set {said} --enable")
    if origin_of(tag.src) != origin_of(public_url):
        mend = f'Write on the tag: src="{public_url}/embed.js", or set UNJAM_PUBLIC_URL={origin_of(tag.src)}'
        return broken(name, f"The tag loads {tag.src}, but this Unjam is {public_url}.", mend)
    return well(name, f"one tag, of the shop {said}")


def runs(visit: Visit, tag: Tag, site: str) -> Check:
    """Whether the script has loaded and runs, and what kept it from that."""
    name = "script"
    seen = wait_for(lambda: visit.page.evaluate(_IS_RUNNING) or _why_not(visit, tag, site), LOADS_WITHIN_SECONDS)
    if seen is True:
        return well(name, f"{tag.src} runs")
    words, mend = seen or _not_running(visit, tag)
    return broken(name, words, mend)


def _why_not(visit: Visit, tag: Tag, site: str) -> tuple[str, str] | None:
    """What the browser says went wrong, and what to do about it."""
    if tag.type not in _RUNS:
        words = f'The tag has type="{tag.type}", so the browser does not run it: a consent manager holds it back.'
        return words, "List Unjam as necessary in the consent manager: it stores nothing before Pay is pressed."
    refusal = visit.refused("script-src", tag.src)
    if refusal is not None:
        return "The page's content security policy blocks the script.", allowing(refusal, origin_of(tag.src))
    if visit.page.url.startswith("https:") and tag.src.startswith("http:"):
        words = "The page is secure and the script is not, so the browser refuses it."
        return words, "Serve Unjam over https, and set UNJAM_PUBLIC_URL to its https:// address."
    if tag.has_integrity and not tag.cross_origin:
        words = "The tag has an integrity value but no crossorigin attribute, so the browser cannot check it."
        return words, 'Add to the tag: crossorigin="anonymous"'
    if tag.has_integrity and visit.complained("integrity", "digest"):
        words = "The script is not the one that the tag's integrity value promises, so the browser refuses it."
        return words, f"Replace the tag by the pinned one that this prints: unjam embed {site}"
    return _unanswered(visit, tag, site)


def _unanswered(visit: Visit, tag: Tag, site: str) -> tuple[str, str] | None:
    failure = visit.failures.get(tag.src)
    answer = visit.answers.get(tag.src)
    # The browser hides the status of an answer that is no script.
    status = answer.status if answer is not None else visit.status_of(tag.src) if failure else None
    if status is not None and status >= 400:
        mend = f"Take src from the tag that this prints: unjam embed {site}. {passing('/')}"
        return f"{tag.src} answers {status}.", mend
    return (f"{tag.src} does not load: {failure}.", _mend_for(failure)) if failure else None


def _mend_for(failure: str) -> str:
    if "BLOCKED_BY_CLIENT" in failure or "BLOCKED_BY_ADMINISTRATOR" in failure:
        return "A blocker refuses the address: serve Unjam from a domain of its own with a plain name."
    if "NAME_NOT_RESOLVED" in failure:
        return "The name of UNJAM_PUBLIC_URL has no address: correct its DNS entry."
    if "CERT" in failure or "SSL" in failure:
        return "Browsers do not trust the certificate: renew it, for the name in UNJAM_PUBLIC_URL."
    if "BLOCKED_BY_RESPONSE" in failure:
        return "A proxy changes the answer: it must pass on Cross-Origin-Resource-Policy: cross-origin."
    return f"Nothing answers there: start Unjam (`unjam serve`). {passing('/')}"


def _not_running(visit: Visit, tag: Tag) -> tuple[str, str]:
    if tag.src not in visit.answers:
        return (
            "The browser has not asked for the script.",
            "Put the tag into the page as it is printed, not by innerHTML.",
        )
    return (
        "The script has loaded but does not run.",
        "Look at the page's console: another script may own `window.Unjam`.",
    )
