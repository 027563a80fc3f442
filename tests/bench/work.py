"""What the load consists of: beacons as a checkout sends them, and reports that open tickets."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from widget import attempts, clock, digest, shops
from widget.attempts import AttemptContext
from widget.casework import Pace
from widget.database import Database
from widget.orders import OrderContext
from widget.shops import Profile, Shop
from widget.tokens import Purpose, Tokens

# One shop's limit is 600 beacons a second; a server under this load serves several.
SHOPS = 16
ORIGIN = "https://shop.example"
SIGNALS_PER_BEACON = 8
BEACONS_PER_ATTEMPT = 5
# More than a server answers in a round divided by the 120 a minute that one page may send.
PULSING_PAGES = 5_000
_ANYONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36"


def prepare(database: Database, tickets: int) -> list[int]:
    """Add the shops, and an attempt for each ticket that will be opened. Returns the attempts' ids."""
    profile = Profile(allowed_origins=(ORIGIN,))
    with database.write() as session:
        for number in range(SHOPS):
            shop = shops.add(session, site=_site(number), name="Bench", profile=profile, now=clock.now())
        return [_new_attempt(session, shop, number) for number in range(tickets)]


def beacons() -> Iterator[bytes]:
    """Requests without end, each with a beacon of its own; some belong to one attempt."""
    number = 0
    while True:
        key = uuid.uuid4().hex
        for part in range(BEACONS_PER_ATTEMPT):
            number += 1
            yield post("/api/v1/beacons", beacon(number, key, part), "application/json", Origin=ORIGIN)


def beacon(number: int, key: str, part: int) -> bytes:
    signals = [_signal(part * SIGNALS_PER_BEACON + each) for each in range(SIGNALS_PER_BEACON)]
    order = {"order": f"B-{key[:10]}", "amount": 124_900, "currency": "ZAR", "email": "sam@example.com"}
    said = {
        "v": 1,
        "id": uuid.uuid4().hex,
        "site": _site(number % SHOPS),
        "sent_at": time.time() * 1000,
        "attempt": {"key": key, "order": order, "method": "card", "provider": "demo"},
        "facts": {"language": "en-ZA", "screen": "412x915", "online": True},
        "signals": signals,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def pulses() -> Iterator[bytes]:
    """Requests without end, as the frames' workers send them: each page shows life every few seconds."""
    keys = [uuid.uuid4().hex for _ in range(PULSING_PAGES)]
    while True:
        for number, key in enumerate(keys):
            said = {"site": _site(number % SHOPS), "keys": [key], "presence": "seen"}
            yield post("/api/v1/pulses", json.dumps(said).encode(), "application/json", Origin=ORIGIN)


def reports(attempt_ids: list[int], signing_key: str) -> Iterator[bytes]:
    """One report for each attempt, as the customer's form posts it; each opens a ticket and owes two e-mails."""
    tokens = Tokens(signing_key)
    form = urlencode({"email": "sam@example.com", "words": "It froze after I pressed Pay. Was I charged?"}).encode()
    for attempt_id in attempt_ids:
        path = f"/help/{tokens.sign(Purpose.HELP, attempt_id)}/report"
        yield post(path, form, "application/x-www-form-urlencoded")


def hellos() -> Iterator[bytes]:
    while True:
        yield b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def digest_cpu_ms(database: Database) -> float:
    """Milliseconds of CPU to digest one of the beacons that wait in the inbox."""
    pace = Pace(reminder=timedelta(days=1), rating=timedelta(hours=1))
    started_at = time.process_time()
    with database.write() as session:
        digested = digest.digest_all(session, pace, clock.now(), limit=500)
    return (time.process_time() - started_at) * 1000 / max(digested, 1)


def _site(number: int) -> str:
    return f"bench-{number}"


def _new_attempt(session: Session, shop: Shop, number: int) -> int:
    order = OrderContext(order=f"R-{number}", amount=124_900, currency="ZAR", email="sam@example.com")
    context = AttemptContext(key=uuid.uuid4().hex, order=order, method="card", provider="demo")
    attempt = attempts.open_for(session, shop, context, clock.now())
    session.flush()
    return attempt.id


def _signal(seq: int) -> dict[str, object]:
    data = {"method": "POST", "host": "api.provider.example", "status": 0, "ms": 1200 + seq}
    return {"seq": seq, "at": 350.5 * (seq + 1), "name": "request", "data": data}


def post(path: str, body: bytes, content_type: str, **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", f"User-Agent: {_ANYONE}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
