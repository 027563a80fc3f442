"""The demo's mailbox: every e-mail as its reader would see it, and those that are still to come."""

from datetime import datetime

from babel.dates import format_timedelta
from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask import session as visit
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import clock, followups, mailbox
from widget.errors import NotFound
from widget.followups import FollowUp, Kind
from widget.mailbox import Opened
from widget.web.context import services

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")

VIEWS = {"message": "Message", "text": "Text", "source": "Source"}
KIND_NAMES = {
    Kind.OPENED: "We have your report",
    Kind.REPLY: "Answer",
    Kind.RESOLVED: "Report solved",
    Kind.REMINDER: "Reminder",
    Kind.RATING: "Rating",
    Kind.INTERRUPTED: "Payment interrupted",
    Kind.OUTCOME: "What became of the payment",
    Kind.PAID_TWICE: "Paid twice",
    Kind.PAID_TOO_MUCH: "Paid too much",
    Kind.LATER: "Reminder of a kept order",
    Kind.DEVICE: "Go on elsewhere",
}
# A mail may bring its own styles and nothing else: no script, no form, no request to anywhere.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
# What was read is remembered by the reader's own cookie, so that looking changes nothing for anybody else.
_READ = "mailbox_read"


@blueprint.get("/")
def index() -> str:
    with services().database.read() as session:
        return _page(session, None)


@blueprint.get("/<int:letter_id>")
def letter(letter_id: int) -> str:
    with services().database.read() as session:
        opened = mailbox.read(mailbox.by_id(session, letter_id))
        _remember_read(opened.id)
        return _page(session, opened)


@blueprint.get("/<int:letter_id>/html")
def html(letter_id: int) -> Response:
    """The mail alone, as the frame shows it. Its links open in a new tab, as they do in a mail client."""
    with services().database.read() as session:
        opened = mailbox.read(mailbox.by_id(session, letter_id))
    response = make_response(opened.html.replace("<head>", '<head><base target="_blank">', 1))
    response.headers["Content-Security-Policy"] = _MAIL_POLICY
    return response


@blueprint.post("/waiting/<int:follow_up_id>")
def send_now(follow_up_id: int) -> Redirect:
    with services().database.write() as session:
        follow_up = session.get(FollowUp, follow_up_id)
        if follow_up is None:
            raise NotFound("This e-mail is not waiting any more.")
        followups.send_now(session, follow_up, clock.now())
    return redirect(url_for("mailbox.index"), 303)


def _page(session: Session, opened: Opened | None) -> str:
    now = clock.now()
    view = request.args.get("view", "message")
    return render_template(
        "mailbox/mailbox.html",
        threads=mailbox.threads(session),
        waiting=followups.waiting(session),
        kind_names=KIND_NAMES,
        opened=opened,
        view=view if view in VIEWS else "message",
        views=VIEWS,
        read=set(visit.get(_READ, [])),
        now=now,
        from_now=lambda instant: _from_now(instant, now),
    )


def _remember_read(letter_id: int) -> None:
    read: list[int] = visit.get(_READ, [])
    if letter_id not in read:
        visit[_READ] = [*read, letter_id][-mailbox.SHOWN_LETTERS :]


def _from_now(instant: datetime, now: datetime) -> Markup:
    """ "in 23 hours" or "2 minutes ago", with the exact time behind it."""
    seconds = (instant - now).total_seconds()
    words = "now" if abs(seconds) < 2 else format_timedelta(instant - now, add_direction=True, locale="en")
    exact = instant.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(instant.isoformat(), exact, words)
