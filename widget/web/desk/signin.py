"""Signing in to the desk. A session lasts one shift and ends when the agent is disabled or changes the password."""

import hashlib
import math
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, make_response, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response as Redirect

from widget import agents, clock
from widget.agents import Agent
from widget.web.context import services
from widget.web.limits import limiter

SESSION_LASTS = timedelta(hours=12)
TRIES_PER_ADDRESS = "10/minute"
TRIES_PER_AGENT = "5/minute;30/hour"

manager = LoginManager()


class SignedIn(UserMixin):  # type: ignore[misc]
    """An agent as Flask-Login knows them. The id carries a mark of the password, so that a new one ends sessions."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def get_id(self) -> str:
        return f"{self.agent.id}:{hashlib.sha256(self.agent.password_hash.encode()).hexdigest()[:16]}"


def prepare(app: Flask) -> None:
    # Not init_app: it reads the session after every request of the whole application, to look for a "remember me"
    # that we do not offer, and so marks even the embed's script as varying by cookie.
    app.login_manager = manager  # type: ignore[attr-defined]
    app.permanent_session_lifetime = SESSION_LASTS


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(user_id: str) -> SignedIn | None:
    # Asking for the queue every few seconds renews the cookie, so the end is counted from signing in.
    if clock.now().timestamp() - session.get("signed_in_at", 0) > SESSION_LASTS.total_seconds():
        return None
    with services().database.read() as reading:
        agent = agents.by_id(reading, int(user_id.partition(":")[0]))
    user = SignedIn(agent) if agent else None
    return user if user and user.get_id() == user_id else None


def is_signed_in() -> bool:
    return bool(current_user.is_authenticated)


def agent() -> Agent:
    signed_in: SignedIn = current_user
    return signed_in.agent


def to_login() -> Redirect:
    """The sign-in page, which leads back to the page that was asked for."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("desk.login", next=wanted or None))


def way_back(wanted: str) -> str:
    """Where to go after signing in: a page of the desk, never another site."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return url_for("desk.queue")
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/desk/")
    return wanted if is_ours and wanted.isprintable() and "\\" not in wanted else url_for("desk.queue")


def too_many() -> Response:
    """The form again, with how long to wait."""
    breached = limiter.current_limit
    # The limiter counts by the machine's own clock.
    seconds = max(1, int(breached.reset_at - time.time())) if breached else 60
    minutes = math.ceil(seconds / 60)
    wait = "1 minute" if minutes == 1 else f"{minutes} minutes"
    response = _form(f"There were too many tries to sign in. Wait {wait}, then try again.", 429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _has_failed(response: Response) -> bool:
    return response.status_code == 401


def _address_tried() -> str:
    return f"agent:{request.form.get('email', '').strip().lower()[:254]}"


def _form(error: str | None, status: int) -> Response:
    wanted = request.values.get("next", "")
    return make_response(
        render_template("desk/login.html", error=error, email=request.form.get("email", ""), next=wanted), status
    )


@limiter.limit(TRIES_PER_ADDRESS, methods=["POST"], deduct_when=_has_failed)
@limiter.limit(TRIES_PER_AGENT, methods=["POST"], key_func=_address_tried, deduct_when=_has_failed)
def login() -> Response | Redirect:
    if request.method == "GET":
        return redirect(way_back(request.args.get("next", ""))) if is_signed_in() else _form(None, 200)
    with services().database.read() as reading:
        found = agents.sign_in(reading, request.form.get("email", ""), request.form.get("password", ""))
    if found is None:
        return _form("The e-mail address or the password is not right.", 401)
    session.clear()
    session.permanent = True
    session["signed_in_at"] = clock.now().timestamp()
    login_user(SignedIn(found))
    return redirect(way_back(request.form.get("next", "")), 303)


def logout() -> Any:
    logout_user()
    session.clear()
    return redirect(url_for("desk.login"), 303)
