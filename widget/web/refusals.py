"""Refusals: what somebody tried that they may not, noted in the audit. Never so often that the table is flooded."""

from typing import Any

import structlog
from flask import request
from itsdangerous import SignatureExpired
from limits import parse as parse_limit
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import TooManyRequests

from widget import audit, clock
from widget.errors import LinkExpired, LinkInvalid
from widget.web import caller
from widget.web.context import services
from widget.web.limits import hit

log = structlog.get_logger()

# Beyond these a refusal is answered as before, but only counted in the log: somebody is trying links by the thousand,
# which the rows up to then say already.
_PARTS_OF_A_TOKEN = 3
NOTED_PER_ADDRESS = parse_limit("20/hour")
NOTED_IN_ALL = parse_limit("1000/hour")


def note_link(problem: LinkInvalid | LinkExpired) -> None:
    """A signed link that was refused: which page it was tried on, and why, but nothing of the link itself."""
    page = request.path.strip("/").split("/", 1)[0]
    note("link_refused", page if request.view_args else "form", **_why(problem, page))


def note(what: str, about: str, *, shop_id: int | None = None, **detail: Any) -> None:
    """Add an audit row in a transaction of its own: call it while no other is open.

    `about` is a purpose or a provider's name, never a token. A failure to note changes nothing for the caller.
    """
    address = caller.address()
    try:
        hit(NOTED_PER_ADDRESS, "audit", what, address)
        hit(NOTED_IN_ALL, "audit")
    except TooManyRequests:
        log.info("refusal_not_noted", what=what, about=about)
        return
    try:
        with services().database.write() as session:
            audit.note(session, what, about, shop_id=shop_id, address=address, now=clock.now(), **detail)
    except SQLAlchemyError as error:
        log.warning("refusal_not_kept", what=what, error=type(error).__name__)


def _why(problem: LinkInvalid | LinkExpired, page: str) -> dict[str, Any]:
    """expired, over (withdrawn, used or replaced), wrong_purpose, gone (its row was deleted), changed or forged."""
    if isinstance(problem, LinkExpired):
        return {"reason": "expired" if isinstance(problem.__cause__, SignatureExpired) else "over"}
    token = str((request.view_args or {}).get("token", ""))
    purpose = services().tokens.purpose_of(token)
    if purpose is not None:
        return {"reason": "gone"} if purpose.value == page else {"reason": "wrong_purpose", "made_for": purpose.value}
    # What itsdangerous signs has three parts; whoever invents a token rarely knows.
    return {"reason": "changed" if token.count(".") == _PARTS_OF_A_TOKEN - 1 else "forged"}
