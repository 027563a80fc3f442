"""How the doctor comes to a checkout behind a basket or a sign-in: cookies, headers, and pages to open before.

Their values are secrets of the shop: no message of ours repeats what was typed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, CDPSession, Error, Page

from widget.doctor.checks import Unable
from widget.shops import origin_of

# Names of headers and cookies, and what may follow them: RFC 9110, section 5.6.2, and RFC 6265, section 4.1.1.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_VALUE = re.compile(r"[^\x00-\x1f\x7f;]*")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# The browser writes these itself, and stops a request that says otherwise.
_OF_THE_BROWSER = {
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

WAYS_IN = (
    "Where it is behind a basket or a sign-in, let the doctor in: --first URL opens a page before, such as the one that"
    " fills the basket; --cookie NAME=VALUE and --header 'NAME: VALUE' show that somebody is signed in."
)


@dataclass(frozen=True, slots=True)
class Entrance:
    """What the browser brings along: cookies and headers by name, and pages in the order in which they are opened."""

    cookies: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    first: tuple[str, ...] = ()

    @classmethod
    def of(cls, cookies: Iterable[str], headers: Iterable[str], first: Iterable[str]) -> Self:
        """As they are typed. Raises Unable when one is malformed."""
        return cls(
            tuple(_cookie(number, text) for number, text in enumerate(cookies, 1)),
            tuple(_header(number, text) for number, text in enumerate(headers, 1)),
            tuple(_page(number, text) for number, text in enumerate(first, 1)),
        )

    def prepare(self, context: BrowserContext, page: Page, address: str) -> None:
        """Let the browser send the cookies to the host of this address, and the headers to its origin only."""
        # With an address of no path, a cookie is for all paths; without a domain, for this host alone.
        home = origin_of(address) + "/"
        for name, value in self.cookies:
            try:
                context.add_cookies([{"name": name, "value": value, "url": home}])
            except Error:
                raise Unable(f"The browser refuses the cookie {name}. Check how it is written.") from None
        if self.headers:
            _send_along(dict(self.headers), context.new_cdp_session(page), home)


def without_query(address: str) -> str:
    """For messages: addresses that fill a basket or sign somebody in may hold secrets."""
    return urlsplit(address)._replace(query="", fragment="").geturl()


def _send_along(headers: dict[str, str], session: CDPSession, home: str) -> None:
    """Not by Playwright's own headers and routes: those go to every origin, these follow a redirect to another one."""
    ours = {name.lower() for name in headers}

    def go_on(paused: dict[str, Any]) -> None:
        kept = {name: value for name, value in paused["request"]["headers"].items() if name.lower() not in ours}
        said = [{"name": name, "value": value} for name, value in (kept | headers).items()]
        try:
            session.send("Fetch.continueRequest", {"requestId": paused["requestId"], "headers": said})
        except Error:
            # The request is gone: its page was left or closed meanwhile.
            return

    session.on("Fetch.requestPaused", go_on)
    session.send("Fetch.enable", {"patterns": [{"urlPattern": home + "*", "requestStage": "Request"}]})


def _cookie(number: int, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise Unable(f"--cookie number {number} is no cookie: write it as NAME=VALUE, one cookie for each --cookie.")
    if not _COOKIE_VALUE.fullmatch(value):
        raise Unable(
            f"The value of the cookie {name} holds a semicolon or a line break: give each cookie its --cookie."
        )
    return name, value


def _header(number: int, text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise Unable(f"--header number {number} is no header: write it as 'NAME: VALUE', in quotes.")
    if name.lower() == "cookie":
        raise Unable("Give cookies one by one with --cookie NAME=VALUE instead of --header.")
    if name.lower() == "user-agent":
        raise Unable("--header cannot change User-Agent: the doctor finds what its visit left by a mark in it.")
    if name.lower() in _OF_THE_BROWSER or name.lower().startswith("proxy-"):
        raise Unable(f"--header cannot change {name}: the browser writes it itself.")
    if not _HEADER_VALUE.fullmatch(value) or not value.isascii():
        raise Unable(f"The value of the header {name} holds a line break or letters that no header may hold.")
    return name, value.strip()


def _page(number: int, text: str) -> str:
    try:
        origin_of(text)
    except ValueError:
        raise Unable(f"--first number {number} is no address of a page: begin it with https://") from None
    return text
