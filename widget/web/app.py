"""The application factory."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from widget.addresses import Addresses
from widget.casework import pace_of
from widget.database import Database
from widget.paths import STATIC, TEMPLATES
from widget.settings import Settings
from widget.tokens import Tokens
from widget.web import (
    again,
    api,
    beacons,
    desk,
    embed,
    errors,
    health,
    limits,
    mailbox,
    panel,
    pay,
    pulses,
    rate,
    reader,
    rescue,
    script,
    security,
    start,
    webhooks,
)
from widget.web import status as status_page
from widget.web.context import Services

# Larger than any honest request of ours; a beacon and a report have tighter limits of their own.
MAX_BODY_BYTES = 256 * 1024
ASSET_CACHE_SECONDS = 365 * 24 * 3600

csrf = CSRFProtect()


def create_app(settings: Settings, database: Database | None = None) -> Flask:
    """A WSGI application. Give a `database` to share one with a worker in the same process.

    Without one it is the application of a serving process, and notes that it listens for pulses.
    """
    app = Flask("widget", static_folder=str(STATIC), template_folder=str(TEMPLATES))
    tokens = Tokens(settings.signing_key)
    app.extensions["unjam"] = Services(
        settings=settings,
        database=database or Database(settings.database_url),
        tokens=tokens,
        addresses=Addresses(settings.public_url, tokens),
        pace=pace_of(settings.reminder_after_minutes, settings.rating_after_minutes),
    )
    _configure(app, settings)
    limits.limiter.init_app(app)
    csrf.init_app(app)
    _register(app, settings)
    app.wsgi_app = beacons.Door(app.wsgi_app, app.extensions["unjam"])  # type: ignore[method-assign]
    app.wsgi_app = pulses.Door(app.wsgi_app, app.extensions["unjam"])  # type: ignore[method-assign]
    if database is None:
        pulses.listen(app.extensions["unjam"].database)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.signing_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="unjam",
        SESSION_COOKIE_SECURE=settings.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=ASSET_CACHE_SECONDS,
        RATELIMIT_STORAGE_URI=settings.redis_url or "memory://",
        # Without Redis we still answer; a limit that cannot be counted must not lock customers out.
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=settings.redis_url is not None,
        RATELIMIT_SWALLOW_ERRORS=True,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.jinja_env.globals["asset"] = asset
    app.jinja_env.filters["moment"] = reader.moment
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _register(app: Flask, settings: Settings) -> None:
    reader.register(app)
    errors.register(app)
    security.register(app)
    desk.register(app)
    # These are authorised by a key, a signed link or nothing, never by our cookie, so there is no session to forge.
    for module in (
        health,
        script,
        embed,
        beacons,
        pulses,
        panel,
        rescue,
        start,
        pay,
        status_page,
        rate,
        again,
        api,
        webhooks,
    ):
        csrf.exempt(module.blueprint)
        app.register_blueprint(module.blueprint)
    if settings.shows_mailbox:
        app.register_blueprint(mailbox.blueprint)


def asset(name: str) -> str:
    """The address of a static file, with its content hash, so that it may be cached for ever."""
    return url_for("static", filename=name, v=_fingerprint(STATIC / name, (STATIC / name).stat().st_mtime_ns))


@cache
def _fingerprint(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
