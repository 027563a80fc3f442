"""How quickly the panel answers in a database with a million attempts: `python -m tests.bench.panel [ATTEMPTS]`.

The provider is a fake on loopback that answers at once. What is only looked at was answered a moment ago; a way out
that pays has it asked again. Statements that took long are printed with their plans.
"""

import json
import os
import re
import secrets
import statistics
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.bench import crowd
from tests.bench.load import drive
from tests.bench.servers import Server, cpu_seconds, serving
from tests.bench.work import post
from tests.cluster import Cluster, prepared
from tests.fake_provider import FakeProvider
from widget import attempts, charges, clock, migrations, shops, signals, stalls
from widget.attempts import Attempt, AttemptContext, Stage
from widget.charges import Charge
from widget.database import Database
from widget.offers import Offer, OfferKind
from widget.orders import OrderContext
from widget.providers import Answer, ChargeState
from widget.shops import KeyKind, signature_for
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose, Tokens

ATTEMPTS = 1_000_000
# Of each kind of request. More would meet the limits of one address.
REQUESTS = 250
AIM_P95_MS = 50
CHOSEN = (OfferKind.METHOD, OfferKind.PAYMENT_LINK, OfferKind.REPORT)
SLOW_STATEMENT_MS = 5
_MAX_PLANS = 8
_WARM_UP = 20
# As many as are answered while an answer of a provider is still fresh, by far.
_BATCH = 20
_FORM = "application/x-www-form-urlencoded"
# auto_explain writes a line with the time, then the statement, then the plan.
_EXPLAINED = re.compile(r"duration: ([\d.]+) ms  plan:\n\tQuery Text: (.*?)\n\t([A-Z].*?)(?=\n\d{4}-|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stuck:
    """A customer who needs help now."""

    site: str
    attempt_id: int
    key: str
    order: dict[str, object]
    token: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one kind of request: CPU of the server's processes for one, milliseconds, and answers that were no success."""

    cpu_ms: float
    latencies: list[float]
    failures: list[bytes]

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.latencies, n=20)[-1]


def main() -> int:
    attempts_count = int(sys.argv[1]) if len(sys.argv) > 1 else ATTEMPTS
    return 0 if report(attempts_count) else 1


def report(attempts_count: int = ATTEMPTS) -> bool:
    """Measure and print. Returns whether every p95 is within the aim and no request failed."""
    key = secrets.token_urlsafe(48)
    provider = FakeProvider()
    with prepared() as cluster, ExitStack() as at_the_end:
        at_the_end.callback(provider.stop)
        # It has never heard of any order, so nothing was charged.
        provider.status = None
        url = _filled(cluster, attempts_count, provider.url)
        database = Database(url)
        stuck = _stuck(database, Tokens(key))
        _explain_slow_statements(cluster)
        with serving(url, key) as server:
            results = {name: _measured(server, requests) for name, requests in _kinds(database, stuck).items()}
        print(f"  {'the panel, one request at a time':<40}{'CPU ms':>9}{'p50 ms':>9}{'p95 ms':>9}")
        for name, found in results.items():
            p50, p95 = statistics.median(found.latencies), found.p95
            print(f"  {name:<40}{found.cpu_ms:>9.1f}{p50:>9.1f}{p95:>9.1f}")
            if found.failures:
                print(f"  {len(found.failures)} FAILED, the first with: {found.failures[0][:300]!r}")
        not_taken = _not_taken(database, stuck)
        database.dispose()
        _print_plans(cluster.folder / "log")
    slow = [name for name, found in results.items() if found.p95 >= AIM_P95_MS]
    print(f"  aim: p95 under {AIM_P95_MS} ms: " + (f"MISSED by {', '.join(slow)}" if slow else "reached"))
    if not_taken:
        print(f"  FAILED: these were answered with another screen than their own: {', '.join(not_taken)}")
    return not slow and not not_taken and not any(found.failures for found in results.values())


def _not_taken(database: Database, stuck: list[Stuck]) -> list[str]:
    """The ways out that were not given to each who chose them, but another screen."""
    mine = sa.select(Offer.kind).where(Offer.attempt_id.in_([each.attempt_id for each in stuck]))
    with database.read() as session:
        given = Counter(session.scalars(mine.where(Offer.chosen_at.is_not(None))))
    return [kind.value for kind in CHOSEN if given[kind] < len(stuck)]


def _filled(cluster: Cluster, attempts_count: int, provider: str) -> str:
    began = time.monotonic()
    cluster.start({"shared_buffers": "256MB", "max_wal_size": "4GB"})
    _execute(cluster, "postgres", "CREATE DATABASE crowd")
    url = cluster.url("crowd")
    migrations.upgrade(url)
    crowd.fill(url, attempts_count, provider)
    print(f"A PostgreSQL database with {attempts_count:,} attempts, filled in {time.monotonic() - began:.0f} s")
    return url


def _stuck(database: Database, tokens: Tokens) -> list[Stuck]:
    with database.write() as session:
        secret = {
            number: shops.rotate_key(session, shops.by_site(session, crowd.site(number)), KeyKind.SIGNING, clock.now())
            for number in range(crowd.SHOPS)
        }
        return [_new(session, number % crowd.SHOPS, secret[number % crowd.SHOPS], tokens) for number in range(REQUESTS)]


def _new(session: Session, number: int, secret: str, tokens: Tokens) -> Stuck:
    said: dict[str, object] = {
        "order": f"N-{uuid.uuid4().hex[:12]}",
        "amount": 4_900,
        "currency": "EUR",
        "email": "sam@example.com",
    }
    order = OrderContext.model_validate(said)
    signed = said | {
        "signature": signature_for(secret, order=order.order, amount=order.amount, currency="EUR", email=order.email)
    }
    context = AttemptContext(
        key=uuid.uuid4().hex, order=OrderContext.model_validate(signed), method="apple_pay", provider="demo"
    )
    shop = shops.by_site(session, crowd.site(number))
    attempt = attempts.open_for(session, shop, context, clock.now())
    session.flush()
    _get_stuck(session, attempt)
    return Stuck(shop.site, attempt.id, attempt.key, signed, tokens.sign(Purpose.HELP, attempt.id))


def _get_stuck(session: Session, attempt: Attempt) -> None:
    now = clock.now()
    attempts.reach(attempt, Stage.SUBMITTED, 3)
    for seq, stage in enumerate((Stage.STARTED, Stage.SDK, Stage.STARTED, Stage.SUBMITTED)):
        signals.record(session, attempt, seq=seq, name="stage", at=now, data={"stage": stage.value})
    stalls.record(session, attempt, StallKind.WALLET, Stage.SUBMITTED, SeenBy.PAGE, now, {"wallet": "apple_pay"})
    charges.record(session, attempt, Answer(ChargeState.NOT_CHARGED), now)


def _kinds(database: Database, stuck: list[Stuck]) -> dict[str, Iterable[bytes]]:
    def choose(way: OfferKind) -> Iterator[bytes]:
        return _answered(database, stuck, lambda each: post(f"/help/{each.token}/choose/{way}", b"", _FORM))

    def check(each: Stuck) -> bytes:
        return post(f"/help/{each.token}/check", b"checks=0", _FORM)

    return {
        "POST /panel": map(_opening, stuck),
        "POST /help/T/check, asking the provider": map(check, stuck),
        "POST /help/T/check": _answered(database, stuck, check),
        "GET /help/T (the whole page)": _answered(database, stuck, lambda each: _get(f"/help/{each.token}")),
        **{f"POST /help/T/choose/{way}": choose(way) for way in CHOSEN},
        "GET /help/T/live": (_get(f"/help/{each.token}/live") for each in stuck),
    }


def _answered(database: Database, stuck: list[Stuck], request: Callable[[Stuck], bytes]) -> Iterator[bytes]:
    """A request of each, a provider having answered about it a moment before it is sent."""
    for number, each in enumerate(stuck):
        if number % _BATCH == 0:
            ids = [soon.attempt_id for soon in stuck[number : number + _BATCH]]
            with database.write() as session:
                session.execute(sa.update(Charge).filter(Charge.attempt_id.in_(ids)).values(answered_at=clock.now()))
        yield request(each)


def _opening(stuck: Stuck) -> bytes:
    said = {
        "site": stuck.site,
        "attempt": {"key": stuck.key, "order": stuck.order, "method": "apple_pay", "provider": "demo"},
        "facts": {"language": "en-ZA", "screen": "412x915", "online": True},
        "stage": "submitted",
    }
    return post("/panel", json.dumps(said).encode(), "application/json")


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _measured(server: Server, requests: Iterable[bytes]) -> Measured:
    """From the last byte sent to the last byte received, without the first few."""
    before = cpu_seconds(server.pid)
    outcome = drive(server.port, requests, seconds=120, connections=1)
    cpu_ms = (cpu_seconds(server.pid) - before) * 1000 / outcome.answers
    return Measured(cpu_ms, [each * 1000 for each in outcome.latencies[_WARM_UP:]], outcome.failures)


def _explain_slow_statements(cluster: Cluster) -> None:
    """From the next connection on."""
    _execute(cluster, "postgres", "ALTER DATABASE crowd SET session_preload_libraries = 'auto_explain'")
    for name, value in (("min_duration", SLOW_STATEMENT_MS), ("analyze", "on"), ("timing", "off")):
        _execute(cluster, "postgres", f"ALTER DATABASE crowd SET auto_explain.log_{name} = '{value}'")


def _print_plans(log: Path) -> None:
    """The statements that were slow more than once, the worst first, with the plan of their slowest run."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for milliseconds, statement, plan in _EXPLAINED.findall(log.read_text(errors="replace")):
        found[" ".join(statement.split())].append((float(milliseconds), plan))
    often = {statement: runs for statement, runs in found.items() if len(runs) > 1}
    print(f"  statements over {SLOW_STATEMENT_MS} ms, more than once: {len(often)}; once: {len(found) - len(often)}")
    worst = sorted(often.items(), key=lambda item: -sum(milliseconds for milliseconds, _ in item[1]))
    for statement, runs in worst[:_MAX_PLANS]:
        slowest, plan = max(runs)
        print(f"\n  {len(runs)} times, up to {slowest:.0f} ms: {statement[:600]}\n\t{plan.strip()[:2500]}")


def _execute(cluster: Cluster, database: str, statement: str) -> None:
    with psycopg.connect(cluster.url(database).replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(statement.encode())


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores")
    sys.exit(main())
