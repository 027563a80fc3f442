"""The process that serves: one WSGI application, with the worker beside it where the settings say so."""

import atexit
import ctypes
import signal
import sys
import threading

from widget import logs, settings
from widget.web.app import create_app
from widget.web.context import Services
from widget.worker import worker_for

STOP_WITHIN_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_the_parent() -> None:
    """When the supervising process is killed outright, end too, instead of keeping the port and the worker alive."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _work_beside(services: Services) -> None:
    """Run a worker in a thread of this process; it shares the database and so its one writer."""
    worker = worker_for(services.settings, services.database)
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    thread.start()

    def stop() -> None:
        worker.stop()
        thread.join(timeout=STOP_WITHIN_SECONDS)

    atexit.register(stop)


_settings = settings.load()
logs.configure(_settings.log_format)
_end_with_the_parent()
app = create_app(_settings)
if _settings.embedded_worker:
    _work_beside(app.extensions["unjam"])
