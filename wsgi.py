"""The WSGI application for any server: `granian --interface wsgi wsgi:app`, or `gunicorn wsgi:app`."""

from widget.server import app

__all__ = ["app"]
