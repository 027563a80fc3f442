"""The payment providers' scripts on the page: found, loaded, and watched by Unjam."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from widget.doctor.checks import Check, broken, skipped, well
from widget.doctor.policy import allowing
from widget.doctor.visit import Visit, wait_for
from widget.shops import origin_of

LOADS_WITHIN_SECONDS = 5.0
_IS_THERE = """
(path) => path.split(".").reduce((value, name) => value?.[name], window) != null
"""


def watched(visit: Visit, known: Mapping[str, str]) -> Check:
    """Whether each watched script has brought its global. `known` holds the global that comes from each host."""
    name, scripts = "provider", _watched_on(visit, known)
    if not scripts:
        return skipped(name, 'no known provider\'s script is on the page; mark yours with data-sdk="ITS GLOBAL"')
    missing = {src: path for src, path in scripts.items() if not _is_there(visit, path)}
    if not missing:
        found = ", ".join(f"{urlsplit(src).hostname} ({path or 'no global'})" for src, path in scripts.items())
        return well(name, f"watched: {found}")
    src, path = next(iter(missing.items()))
    return broken(name, *_why(visit, src, path))


def _watched_on(visit: Visit, known: Mapping[str, str]) -> dict[str, str]:
    """Address of each watched script and the global it should bring, "" where there is none."""
    found = {}
    for script in visit.scripts():
        path = script["data"].get("sdk", known.get(urlsplit(script["src"]).hostname or ""))
        if script["src"] and path is not None:
            found[script["src"]] = path
    return found


def _is_there(visit: Visit, path: str) -> bool:
    return not path or bool(wait_for(lambda: visit.page.evaluate(_IS_THERE, path), LOADS_WITHIN_SECONDS))


def _why(visit: Visit, src: str, path: str) -> tuple[str, str]:
    host = urlsplit(src).hostname or src
    refusal = visit.refused("script-src", origin_of(src))
    if refusal is not None:
        return f"The page's content security policy blocks the script of {host}.", allowing(refusal, origin_of(src))
    answer, failure = visit.answers.get(src), visit.failures.get(src)
    if answer is not None and answer.status >= 400:
        return f"The script of {host} answers {answer.status}.", f"Correct its address on the page: {src}"
    if failure:
        return f"The script of {host} does not load: {failure}.", f"Check the network here, then the address: {src}"
    return (
        f"The script of {host} has loaded, but `{path}` is missing.",
        f'Say what it brings: data-sdk="GLOBAL" on {src}',
    )
