"""Response headers: a strict content security policy on every page, and who else may read an answer."""

from flask import Flask, Response, request

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; frame-src 'self'; worker-src {worker}; form-action {form_action}; "
    "base-uri 'none'; frame-ancestors {ancestors}"
)
# What our frame asks for from the opaque origin that a sandbox gives it. None of it knows a cookie: what must be proved
# is proved by a token in the address.
_FOR_SANDBOXED = ("/panel", "/help/", "/rescue/", "/start/", "/api/v1/beacons", "/api/v1/pulses")
_ASKED_WITH = "Content-Type, Unjam-Frame, HX-Request, HX-Current-URL, HX-Target, HX-Trigger, HX-Trigger-Name"
_ANSWERED_WITH = "HX-Trigger, HX-Retarget, HX-Reswap"
PREFLIGHT_HOLDS_SECONDS = 600


def register(app: Flask) -> None:
    app.after_request(_protect)
    app.after_request(_share)


def policy(*, ancestors: str = "'none'", form_action: str = "'self'", worker: str = "'none'") -> str:
    return _POLICY.format(ancestors=ancestors, form_action=form_action, worker=worker)


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


def _share(response: Response) -> Response:
    """Let a sandboxed frame of ours, whose origin is "null", read its answers. Never with credentials."""
    if request.endpoint == "static":
        # Scripts that are modules are fetched by the rules for strangers there; everybody may have these files anyway.
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif request.path.startswith(_FOR_SANDBOXED):
        response.vary.add("Origin")
        if request.headers.get("Origin") == "null":
            response.headers["Access-Control-Allow-Origin"] = "null"
            response.headers["Access-Control-Expose-Headers"] = _ANSWERED_WITH
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Headers"] = _ASKED_WITH
                response.headers["Access-Control-Allow-Methods"] = "GET, POST"
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_HOLDS_SECONDS)
    return response
