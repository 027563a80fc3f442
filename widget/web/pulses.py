"""POST /api/v1/pulses: a payment page is alive. One statement in front of Flask, like a beacon.

The same module notes that this server listens at all, because silence counts only while somebody could have heard.
"""

import threading
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
from flask import Blueprint
from limits import parse as parse_limit
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wsgi import get_input_stream

from widget import clock, pulses
from widget.attempts import KEY_PATTERN
from widget.database import Database
from widget.errors import Malformed, misshapen
from widget.pulses import LISTENS_EVERY, Presence
from widget.web import door
from widget.web.context import Services
from widget.web.limits import hit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

blueprint = Blueprint("pulses", __name__)
log = structlog.get_logger()

PATH = "/api/v1/pulses"
MAX_BYTES = 2048
MAX_KEYS = 10
# A page sends one every 4 s and at each change; an office behind one address is many pages.
PER_ATTEMPT = parse_limit("120/minute")
PER_SITE = parse_limit("2000/second")
PER_ADDRESS = parse_limit("6000/minute")


class PulseIn(BaseModel):
    """What the frame's worker sends for the attempts that run on its page."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    site: str = Field(max_length=40)
    keys: Annotated[list[Annotated[str, Field(pattern=KEY_PATTERN)]], Field(min_length=1, max_length=MAX_KEYS)]
    presence: Literal["seen", "hidden", "away"]


class Door(door.Door):
    path = PATH

    def __init__(self, inside: "WSGIApplication", services: Services) -> None:
        super().__init__(inside, services)
        self._database = services.database

    def _take_in(self, environ: "WSGIEnvironment") -> None:
        said = _read(get_input_stream(environ, max_content_length=MAX_BYTES).read())
        site = self._site(said.site, environ)
        for key in said.keys:
            hit(PER_ATTEMPT, "pulse", key)
        # Each key is a row, whatever the number of requests they come in.
        hit(PER_SITE, "pulse", site.site, cost=len(said.keys))
        hit(PER_ADDRESS, "pulse", environ.get("REMOTE_ADDR") or "", cost=len(said.keys))
        # The time is read with the write lock in hand: a row that waited for it is not older than it says.
        with self._database.write_rows() as connection:
            pulses.beat(connection, site.shop_id, said.keys, Presence(said.presence), clock.now())


blueprint.post(PATH)(door.refuse)


def listen(database: Database) -> threading.Event:
    """Note every second, in a thread of its own, that this server can receive pulses. Set the event to stop."""
    stopping = threading.Event()

    def note() -> None:
        while not stopping.is_set():
            try:
                with database.write_rows() as connection:
                    pulses.listen(connection, clock.now())
            except SQLAlchemyError as error:
                log.warning("listening_not_noted", error=type(error).__name__)
            stopping.wait(LISTENS_EVERY.total_seconds())

    threading.Thread(target=note, name="listening", daemon=True).start()
    return stopping


def _read(raw: bytes) -> PulseIn:
    try:
        return PulseIn.model_validate_json(raw)
    except ValidationError as error:
        raise Malformed(misshapen(error, "body")) from None
