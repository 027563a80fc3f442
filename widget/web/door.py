"""A door in front of Flask for what payment pages send all the time, and who may come through it.

Flask's routing, hooks and context would cost as much again as all that is done with a beacon or a pulse. What a door
refuses goes on to Flask, so that there is still one place where failures become HTTP.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Never
from urllib.parse import parse_qs

from flask import request
from werkzeug.exceptions import MethodNotAllowed

from widget.errors import LinkExpired, LinkInvalid, UnknownSite, WrongOrigin
from widget.tokens import Purpose, Tokens
from widget.web.context import Services
from widget.web.sites import Site, Sites

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_REFUSAL = "unjam.door_refusal"


class Door:
    """WSGI middleware that takes in what is posted to `path` and passes everything else on."""

    path: str

    def __init__(self, inside: "WSGIApplication", services: Services) -> None:
        self._inside, self._tokens = inside, services.tokens
        self._sites = Sites(services.database)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") != self.path or environ.get("REQUEST_METHOD") != "POST":
            return self._inside(environ, start_response)
        try:
            self._take_in(environ)
        except Exception as refusal:  # whatever it is, Flask's error handlers say it
            environ[_REFUSAL] = refusal
            return self._inside(environ, start_response)
        start_response("204 No Content", _cors(environ))
        return []

    def _take_in(self, environ: "WSGIEnvironment") -> None:
        raise NotImplementedError

    def _site(self, key: str, environ: "WSGIEnvironment") -> Site:
        """The shop that this is for. Raises UnknownSite or WrongOrigin."""
        site = self._sites.by_key(key)
        if site is None:
            raise UnknownSite("Check the data-site value of the script tag against `unjam shops`.")
        if not _may_speak(environ, site, self._tokens):
            raise WrongOrigin("Add the checkout's origin with `unjam shop-set SITE --origin https://…`.")
        return site


def refuse() -> Never:
    """The Flask view where what a door refused arrives, to be answered like every other failure."""
    refusal = request.environ.get(_REFUSAL)
    raise refusal if isinstance(refusal, Exception) else MethodNotAllowed


def _may_speak(environ: "WSGIEnvironment", site: Site, tokens: Tokens) -> bool:
    """Whether this comes from the shop's page, by its origin, or from our frame in it, by the frame's token.

    The frame may be sandboxed and so have no origin of its own; only it can read the token in it.
    """
    if environ.get("HTTP_ORIGIN") in site.origins:
        return True
    token = parse_qs(environ.get("QUERY_STRING") or "").get("frame", [""])[0]
    try:
        return bool(token) and tokens.read(Purpose.FRAME, token) == site.site
    except (LinkExpired, LinkInvalid):
        return False


def _cors(environ: "WSGIEnvironment") -> list[tuple[str, str]]:
    """Lets a sandboxed frame, whose origin is `null`, read that it was heard. No credentials are involved."""
    return [("Access-Control-Allow-Origin", "null")] if environ.get("HTTP_ORIGIN") == "null" else []
