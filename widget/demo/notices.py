"""Notices: the demo shop's server tells Unjam about each order that was paid, as any shop's server would."""

import json
import threading

import urllib3
from urllib3.exceptions import HTTPError

from widget.demo.store import Payment, Store

TIMEOUT = urllib3.Timeout(connect=2, read=5)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Answers after which the same notice may yet be accepted; any other 4xx stays as it is.
_WORTH_ANOTHER_TRY = {408, 425, 429}


class Notices:
    """Sends what the store holds as untold, in a thread of its own, until Unjam has answered.

    The rows are the queue: a notice outlives a restart of the shop or of Unjam, and Unjam knows repeats by their key.
    """

    def __init__(self, store: Store, unjam_url: str, api_key: str) -> None:
        self._store = store
        self._url = unjam_url.rstrip("/") + "/api/v1/payments"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._is_due = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def wake(self) -> None:
        """There may be something to tell. Returns at once."""
        self._is_due.set()
        with self._starting:
            if self._thread is None and not self._is_closed.is_set():
                self._thread = threading.Thread(target=self._run, name="notices", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._is_closed.set()
        self._is_due.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._is_closed.is_set():
            self._is_due.clear()
            if self._tell_all():
                pause = FIRST_PAUSE_SECONDS
                self._is_due.wait()
            else:
                self._is_closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _tell_all(self) -> bool:
        """Whether nothing is left to tell."""
        answered = [self._tell(payment) for payment in self._store.untold()]
        return all(answered)

    def _tell(self, payment: Payment) -> bool:
        try:
            answer = self._pool.request(
                "POST", self._url, body=self._notice(payment), headers=self._headers | {"Idempotency-Key": payment.id}
            )
        except HTTPError:
            return False
        is_final = answer.status < 500 and answer.status not in _WORTH_ANOTHER_TRY
        if is_final:
            self._store.mark_told(payment, answer.status)
        return is_final

    def _notice(self, payment: Payment) -> bytes:
        notice = {
            "order": payment.order,
            "amount": self._store.taken_with(payment),
            "currency": payment.currency,
            "method": payment.method,
            "provider": "demo",
            "payment": payment.id,
        }
        return json.dumps({name: value for name, value in notice.items() if value is not None}).encode()
