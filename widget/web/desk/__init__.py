"""The agents' desk: a queue, a reading pane, and the mail that could not be delivered."""

from flask import Flask

from widget.web.desk import cases, live, queue, signin, transfers, undelivered
from widget.web.desk.blueprint import blueprint

__all__ = ["cases", "live", "queue", "register", "transfers", "undelivered"]


def register(app: Flask) -> None:
    signin.prepare(app)
    app.register_blueprint(blueprint)
