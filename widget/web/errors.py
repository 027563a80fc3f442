"""The one place where failures become HTTP: problem details (RFC 9457) for programs, a helpful page for people."""

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, NoResultFound, OperationalError, StatementError
from werkzeug.exceptions import HTTPException, TooManyRequests

from widget import logs
from widget.errors import LinkExpired, LinkInvalid, Problem
from widget.language import N_, Said
from widget.web import reader, refusals

log = structlog.get_logger()

_PAGES = {
    400: (
        N_("This page was open for too long"),
        N_("Go back, load the page again and repeat what you did."),
    ),
    403: (N_("This is not allowed"), N_("Open the page again from the link you were given.")),
    404: (N_("There is no page here"), N_("Check the address, or open the link in your e-mail again.")),
    405: (N_("This cannot be done here"), N_("Go back and use the buttons on the page.")),
    413: (N_("That is too large"), N_("Shorten what you sent and try again.")),
    429: (N_("Many tries in a short time"), N_("Nothing is lost. Wait one minute, then load this page again.")),
    500: (
        N_("Something broke on our side"),
        N_("Nothing you sent was charged by this. Load the page again in a minute."),
    ),
    503: (
        N_("We cannot answer for a moment"),
        N_("What you sent just now was not kept. Wait a few seconds, then send it once more."),
    ),
}
_ANOTHER_WAY = N_("Go back and try another way.")
_DELETED = N_("What this link led to has been deleted")
_UNREADABLE = (N_("This cannot be read"), N_("Type it again by hand instead of pasting it."))


def register(app: Flask) -> None:
    app.register_error_handler(Problem, _on_problem)
    app.register_error_handler(TooManyRequests, _on_too_many)
    app.register_error_handler(CSRFError, _on_csrf)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(NoResultFound, _on_gone)
    app.register_error_handler(StatementError, _on_unkeepable)
    app.register_error_handler(OperationalError, _on_database)
    app.register_error_handler(Exception, _on_bug)


def _on_problem(problem: Problem) -> tuple[Response | str, int]:
    if isinstance(problem, LinkInvalid | LinkExpired):
        refusals.note_link(problem)
    return _answer(problem.status, problem.slug, problem.title, problem.said)


def _on_too_many(_error: TooManyRequests) -> tuple[Response | str, int]:
    answer, status = _answer(429, "too-many", *_PAGES[429])
    if isinstance(answer, Response):
        answer.headers["Retry-After"] = "60"
    return answer, status


def _on_csrf(_error: CSRFError) -> tuple[Response | str, int]:
    return _answer(400, "form-expired", *_PAGES[400])


def _on_http(error: HTTPException) -> tuple[Response | str, int] | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    title, detail = _PAGES.get(status, (error.name, _ANOTHER_WAY))
    return _answer(status, error.name.lower().replace(" ", "-"), title, detail)


def _on_gone(_error: NoResultFound) -> tuple[Response | str, int]:
    """A link that is well signed, to something that was deleted since."""
    return _answer(410, "gone", _DELETED, _PAGES[404][1])


def _on_unkeepable(error: StatementError) -> tuple[Response | str, int]:
    """Text or a number that no database column can hold, such as a NUL character."""
    if not isinstance(error, DataError) and not isinstance(error.orig, ValueError):
        return _on_bug(error)
    return _answer(400, "unreadable", *_UNREADABLE)


def _on_database(error: OperationalError) -> tuple[Response | str, int]:
    log.error("database_unavailable", error=type(error.orig).__name__, endpoint=request.endpoint)
    return _answer(503, "unavailable", *_PAGES[503])


def _on_bug(error: Exception) -> tuple[Response | str, int]:
    log.error("unexpected", error=type(error).__name__, endpoint=request.endpoint, places=logs.places(error))
    return _answer(500, "internal", *_PAGES[500])


def _answer(status: int, slug: str, title: str, detail: str | Said) -> tuple[Response | str, int]:
    if _wants_json():
        response = jsonify({"type": f"urn:unjam:{slug}", "title": title, "status": status, "detail": str(detail)})
        response.mimetype = "application/problem+json"
        return response, status
    if "HX-Request" in request.headers and _leaves_screen(status):
        return _notice(title, detail, status), status
    return render_template("public/problem.html", title=title, detail=detail, status=status), status


def _leaves_screen(status: int) -> bool:
    """Whether the screen that is open is as good as before, with its ways out. A help that was deleted has none."""
    return status >= 429 or (request.path.startswith("/help/") and status in {409, 422})


def _notice(title: str, detail: str | Said, status: int) -> Response:
    """A notice above the screen that is open, which stays as it is, with whatever was typed into it."""
    said = {"title": reader.say(title), "detail": reader.say(detail)}
    notice = make_response(render_template("public/help/notice.html", **said), status)
    notice.headers["HX-Retarget"] = "#screen"
    notice.headers["HX-Reswap"] = "afterbegin"
    return notice


def _wants_json() -> bool:
    return request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json"
