"""Whether this process serves and reaches its database, for load balancers and `unjam demo`."""

import sqlalchemy as sa
from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from widget.web.context import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> dict[str, str]:
    with services().database.read() as session:
        session.execute(sa.select(1))
    return {"status": "ok"}


@blueprint.get("/")
def home() -> Response:
    return redirect("/desk/")
