"""The laboratory: a real Unjam process with its database, and the shop and provider that cases need."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from tests.lab import pages, server
from tests.lab.cases import Case, everything
from tests.processes import Running, free_port, start_afresh
from widget import clock, shops
from widget.attempts import Attempt
from widget.beacons import Beacon
from widget.database import Database
from widget.orders import Order
from widget.pulses import Pulse
from widget.shops import KeyKind, Profile
from widget.stalls import Stall

SLOTS = 10
AMOUNT, CURRENCY, EMAIL = 124900, "ZAR", "sam@example.com"
# Short enough that the corpus runs in minutes, long enough that a busy machine answers a healthy page in time. The
# limit of a freeze stays as it is: an engine that is short of processors is late by a second now and then.
SCALED = {
    "sdk": 2.0,
    "submitted": 2.0,
    "authenticating": 2.5,
    "confirming": 2.0,
    "silent": 6.0,
    "closed": 2.0,
    "away": 3.0,
    "hidden": 8.0,
    "dead": 1.5,
}


@dataclass(frozen=True)
class Seen:
    """A stall in the database. `known_at` is when the server was told, or decided by itself."""

    kind: str
    stage: str
    seen_by: str
    known_at: datetime
    is_withdrawn: bool


@dataclass
class Lab:
    database: Database
    unjam_port: int
    port: int
    secrets: dict[str, str]
    log: Path
    ended: threading.Event = field(default_factory=threading.Event)
    # What a run filled in for its case's `$NAME`s, by run.
    values: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def unjam(self) -> str:
        return f"http://localhost:{self.unjam_port}"

    @property
    def provider(self) -> str:
        return f"http://localhost:{self.port}"

    def shop(self, slot: int) -> str:
        return f"http://{host_of(slot)}:{self.port}"

    def checkout_url(self, case: Case, run: str, slot: int) -> str:
        shop = self.provider if case.served == "sibling" else self.shop(slot)
        return f"{shop}/case/{case.id}/{run}"

    def page(self, case_id: str, run: str, host: str) -> tuple[str, str]:
        """The checkout of a case and its Content-Security-Policy."""
        case = _case(case_id)
        shop = self.provider if case.served == "sibling" else f"http://{host}:{self.port}"
        served = self._served(case, shop)
        values = {"PROVIDER": self.provider, "SHOP": shop, "RUN": run, "CASE": case.id, "NONCE": pages.NONCE}
        values |= self.values.get(run, {})
        return pages.checkout(case, self._tag(case, run, served), values), pages.policy(case, served, self.provider)

    def arrival(self, case_id: str, run: str, host: str) -> str:
        case = _case(case_id)
        return pages.arrival(self._tag(case, run, self._served(case, f"http://{host}:{self.port}")))

    def seen(self, run: str) -> list[Seen]:
        """What was noticed in this run, the earliest first."""
        with self.database.read() as session:
            rows = session.execute(
                sa.select(Stall, Attempt.key)
                .join(Attempt, Attempt.id == Stall.attempt_id)
                .join(Order, Order.id == Attempt.order_id)
                .where(Order.reference == run)
                .order_by(Stall.at)
            ).all()
            told = {key: self._told_at(session, key) for _, key in rows}
        return [_seen(stall, told[key]) for stall, key in rows]

    def is_digested(self) -> bool:
        with self.database.read() as session:
            return session.scalar(sa.select(Beacon.id).where(Beacon.digested_at.is_(None)).limit(1)) is None

    def attempts(self, run: str) -> int:
        with self.database.read() as session:
            joined = sa.select(sa.func.count(Attempt.id)).join(Order, Order.id == Attempt.order_id)
            return session.scalar(joined.where(Order.reference == run)) or 0

    def fact(self, run: str, name: str) -> object:
        """What the browser told about itself in this run, None until it did."""
        with self.database.read() as session:
            joined = sa.select(Attempt.facts).join(Order, Order.id == Attempt.order_id)
            return next(
                (facts[name] for facts in session.scalars(joined.where(Order.reference == run)) if name in facts), None
            )

    def last_pulse(self, run: str) -> datetime | None:
        """When the page of this run showed life last, or said goodbye."""
        with self.database.read() as session:
            joined = sa.select(sa.func.max(Pulse.at)).join(Attempt, Attempt.key == Pulse.attempt_key)
            return session.scalar(joined.join(Order, Order.id == Attempt.order_id).where(Order.reference == run))

    def _told_at(self, session: sa.orm.Session, key: str) -> datetime | None:
        """When the first beacon came that names a symptom of this attempt."""
        rows = session.execute(
            sa.select(Beacon.body, Beacon.received_at).where(Beacon.attempt_key == key).order_by(Beacon.id)
        )
        for body, received_at in rows:
            if any(signal["name"] in {"stall", "failed"} for signal in json.loads(body)["signals"]):
                return received_at
        return None

    def _served(self, case: Case, shop: str) -> str:
        late = f"http://{server.LATE_HOST}:{self.port}"
        unjam = {"elsewhere": self.unjam, "sibling": self.unjam, "shifted": self.provider, "late": late, "own": shop}
        return unjam[case.served]

    def _tag(self, case: Case, run: str, unjam: str) -> dict[str, str | bool]:
        site = site_of(case)
        signed = shops.signature_for(self.secrets[site], order=run, amount=AMOUNT, currency=CURRENCY, email=EMAIL)
        context: dict[str, str | bool] = {
            "data-order": run,
            "data-amount": str(AMOUNT),
            "data-currency": CURRENCY,
            "data-email": EMAIL,
            "data-signature": signed,
        }
        return {"src": f"{unjam}/embed.js", "data-site": site} | context | case.tag


def host_of(slot: int) -> str:
    return f"127.0.0.{10 + slot}"


def site_of(case: Case) -> str:
    return (
        "lab-unscaled" if case.is_unscaled else "lab" if not case.deadlines else f"lab-{case.id.replace('_', '-')}"[:40]
    )


@contextmanager
def running_lab(database_url: str, folder: Path) -> Iterator[Lab]:
    """Everything started, and stopped at the end."""
    database, unjam_port, port = Database(database_url), free_port(), free_port()
    secrets = _add_shops(database, port)
    log = folder / "unjam.log"
    lab = Lab(database, unjam_port, port, secrets, log)
    servers = server.serve(lab, ["127.0.0.1", server.LATE_HOST, *(host_of(slot) for slot in range(SLOTS))])
    unjam = _start_unjam(database_url, lab)
    try:
        yield lab
    finally:
        lab.ended.set()
        unjam.kill()
        for each in servers:
            each.shutdown()
            each.server_close()
        database.dispose()


def _start_unjam(database_url: str, lab: Lab) -> Running:
    env = {
        "UNJAM_ENVIRONMENT": "test",
        "UNJAM_DATABASE_URL": database_url,
        "UNJAM_PUBLIC_URL": lab.unjam,
        # Mails are none of this: nobody answers there.
        "UNJAM_SMTP_HOST": "127.0.0.1",
        "UNJAM_SMTP_PORT": "1",
        "UNJAM_SMTP_SECURITY": "none",
    }
    return start_afresh("serve", env=env, log=lab.log, port=lab.unjam_port)


def _add_shops(database: Database, port: int) -> dict[str, str]:
    """One shop with scaled deadlines, one with the shipped ones, and one for each case that wants its own."""
    wanted: dict[str, dict[str, float]] = {"lab": SCALED, "lab-unscaled": {}}
    for case in everything():
        if case.deadlines:
            wanted[site_of(case)] = SCALED | case.deadlines
    origins = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost", *map(host_of, range(SLOTS)))]
    secrets = {}
    with database.write() as session:
        for site, deadlines in wanted.items():
            profile = Profile.model_validate({"allowed_origins": origins, "deadlines": deadlines})
            shop = shops.add(session, site=site, name="The lab", profile=profile, now=clock.now())
            secrets[site] = shops.rotate_key(session, shop, KeyKind.SIGNING, clock.now())
    return secrets


def _case(case_id: str) -> Case:
    return next(case for case in everything() if case.id == case_id)


def _seen(stall: Stall, told_at: datetime | None) -> Seen:
    known_at = stall.at if stall.seen_by == "server" or told_at is None else told_at
    return Seen(stall.kind, stall.stage, stall.seen_by, known_at, stall.withdrawn_at is not None)
