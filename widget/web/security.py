"""Response headers: a strict content security policy on every page, without inline script or style."""

from flask import Flask, Response, request

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; frame-src 'self'; form-action {form_action}; base-uri 'none'; "
    "frame-ancestors {ancestors}"
)


def register(app: Flask) -> None:
    app.after_request(_protect)


def policy(*, ancestors: str = "'none'", form_action: str = "'self'") -> str:
    return _POLICY.format(ancestors=ancestors, form_action=form_action)


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", policy())
        headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
        # Pages hold personal data behind a link or a login; a shared computer's cache is no place for them.
        headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
