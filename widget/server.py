"""The process that serves: one WSGI application, with the worker beside it where the settings say so."""

import atexit
import threading

from widget import logs, settings
from widget.web.app import create_app
from widget.web.context import Services
from widget.worker import worker_for

STOP_WITHIN_SECONDS = 5.0

_settings = settings.load()
logs.configure(_settings.log_format)
app = create_app(_settings)


def _work_beside(services: Services) -> None:
    """Run a worker in a thread of this process; it shares the database and so its one writer."""
    worker = worker_for(services.settings, services.database)
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    thread.start()

    def stop() -> None:
        worker.stop()
        thread.join(timeout=STOP_WITHIN_SECONDS)

    atexit.register(stop)


if _settings.embedded_worker:
    _work_beside(app.extensions["unjam"])
