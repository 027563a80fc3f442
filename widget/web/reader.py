"""Who reads this page: the language that it is written in. Texts for shoppers and customers go through here.

A route that knows more than the browser says calls `use`, before it renders anything. Templates then have `_`,
`ngettext`, `{% trans %}`, the filter `say`, and `lang`, `dir` and `locale` of the page.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import flask_babel
from babel.support import NullTranslations
from flask import Flask, Response, g, request

from widget import language, moments
from widget.attempts import Attempt
from widget.language import DEFAULT_LOCALE, Said
from widget.shops import Shop
from widget.web.context import services

# Pages for agents and developers are in English.
_ENGLISH_ONLY = {"desk", "mailbox", "api"}
# Holds the language that somebody chose, and nothing about them.
_COOKIE = "unjam_language"
CHOICE_LIVES_SECONDS = 30 * 24 * 3600


def register(app: Flask) -> None:
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    flask_babel.Babel(app, locale_selector=_locale)
    app.extensions["babel"].instance.domain_instance = _Catalogues()
    app.jinja_env.filters["say"] = say
    app.jinja_env.globals["other_languages"] = other_languages
    app.context_processor(_for_templates)
    app.after_request(_label)


def use(shop: Shop, known: Attempt | str | None = None) -> str:
    """Write this page for a customer of this shop, and return the locale.

    `known` is their attempt, or the locale that a ticket of theirs has kept. What they chose on a page of ours
    (`?lang=de`) comes first, then what is known of them, then what the browser accepts, then the shop.
    """
    spoken = known.facts.get("language") if isinstance(known, Attempt) else known
    g.unjam_wish = str(spoken or "")
    g.unjam_home = shop.settled.locale
    g.unjam_zone = str(known.facts.get("time_zone") or "") if isinstance(known, Attempt) else ""
    flask_babel.refresh()
    return locale()


def locale() -> str:
    """The locale of this page in Babel's spelling, always in a language that we speak."""
    return str(flask_babel.get_locale() or DEFAULT_LOCALE)


def say(said: Said | str) -> str:
    """A rule's sentence, in the language of this page."""
    return language.say(said, locale())


def moment(at: datetime, time_zone: str, locale: str | None) -> str:
    """A date and time in the shop's zone, which is named unless this reader's clock is known to say the same."""
    return moments.moment(at, time_zone, locale, g.get("unjam_zone", ""))


class _Catalogues(flask_babel.Domain):  # type: ignore[misc]
    """Our catalogues, which are read as they are written, in the place of compiled ones."""

    def get_translations(self) -> NullTranslations:
        return language.catalogue(locale())


def _locale() -> str:
    if request.blueprint and request.blueprint.split(".")[0] in _ENGLISH_ONLY:
        return DEFAULT_LOCALE
    known, home = g.get("unjam_wish", ""), g.get("unjam_home", DEFAULT_LOCALE)
    return language.locale_for(_chosen(), known, *language.accepted(request.accept_languages), home=home)


def _chosen() -> str:
    """The language that the reader chose on this page or on an earlier one; "" for any that is not ours."""
    for choice in (request.args.get("lang"), request.cookies.get(_COOKIE)):
        if choice in language.LANGUAGES:
            return choice
    return ""


def _for_templates() -> dict[str, Any]:
    return {"lang": language.tag_of(locale()), "dir": language.direction(locale()), "locale": locale()}


def other_languages() -> list[tuple[str, str, str]]:
    """For a choice of languages: tag, name and address of this page in each; none where it cannot be opened again."""
    if request.method != "GET" or "HX-Request" in request.headers:
        return []
    here = language.language_of(locale())
    return [
        (tag, name, f"?{urlencode(request.args.to_dict() | {'lang': tag})}")
        for tag, name in language.NAMES.items()
        if tag != here
    ]


def _label(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Language", language.tag_of(locale()))
    if request.args.get("lang") in language.LANGUAGES:
        is_https, lives = services().settings.is_https, CHOICE_LIVES_SECONDS
        response.set_cookie(_COOKIE, _chosen(), lives, secure=is_https, httponly=True, samesite="Lax")
    return response
