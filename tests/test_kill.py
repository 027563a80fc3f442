"""kill -9 of the server and of workers, again and again, while shoppers report: no ticket and no mail is lost."""

import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import urllib3

from tests.cast import Cast, key
from tests.fake_provider import FakeProvider
from tests.mailserver import MailServer
from tests.processes import Running, free_port, start
from tests.receiver import Receiver, receiver
from widget import clock, hooks, shops, watches
from widget.database import Database
from widget.followups import FollowUp
from widget.hooks import Event, Hook
from widget.shops import KeyKind
from widget.tickets import Message, Ticket
from widget.watches import Watch

__all__ = ["receiver"]

SHOPPERS, REPORTS_EACH, KILLS = 3, 8, 5
PATIENCE_SECONDS = 90


@dataclass
class Installation:
    """One or several processes over one database, each replaced by a new one when it is killed."""

    env: dict[str, str]
    folder: Path
    port: int
    has_workers_of_its_own: bool
    running: list[Running] = field(default_factory=list)

    def start(self) -> None:
        self.running.append(start("serve", env=self.env, log=self.folder / "server.log", port=self.port))
        if self.has_workers_of_its_own:
            self.running += [self._worker() for _ in range(2)]

    def kill_one(self, which: int) -> None:
        victim = self.running[which % len(self.running)]
        victim.kill()
        fresh = start("serve", env=self.env, log=victim.log, port=self.port) if victim.port else self._worker()
        self.running[self.running.index(victim)] = fresh

    def _worker(self) -> Running:
        return start("worker", env=self.env, log=self.folder / "worker.log")


@contextmanager
def installed(database_url: str, smtp: MailServer, folder: Path) -> Iterator[Installation]:
    is_large = database_url.startswith("postgresql")
    env = {
        "UNJAM_ENVIRONMENT": "test",
        "UNJAM_DATABASE_URL": database_url,
        "UNJAM_EMBEDDED_WORKER": "false" if is_large else "true",
        "UNJAM_SMTP_HOST": smtp.host,
        "UNJAM_SMTP_PORT": str(smtp.port),
        "UNJAM_SMTP_SECURITY": "none",
        "UNJAM_SMTP_TIMEOUT_SECONDS": "5",
        "UNJAM_LEASE_SECONDS": "6",
    }
    installation = Installation(env, folder, free_port(), has_workers_of_its_own=is_large)
    try:
        installation.start()
        yield installation
    finally:
        for each in installation.running:
            each.kill()


class Shopper(threading.Thread):
    """Reports attempt after attempt; when no answer comes, sends the same report again, as a person would."""

    def __init__(self, url: str, cast: Cast, number: int) -> None:
        super().__init__()
        self._url, self._cast, self._number = url, cast, number
        self._pool = urllib3.PoolManager(timeout=5, retries=False)
        self.references: list[str] = []

    def run(self) -> None:
        for report in range(REPORTS_EACH):
            # Signed: to an address that nobody vouches for only so many mails are sent.
            order = self._cast.context(f"D-{self._number}-{report}").model_dump()
            attempt = {"key": key(), "order": order, "method": "card"}
            until = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < until:
                reference = self._report(attempt)
                if reference:
                    self.references.append(reference)
                    break
                time.sleep(0.05)

    def _report(self, attempt: Mapping[str, object]) -> str | None:
        """The reference that the shopper is shown, or None when no such page came back."""
        try:
            panel = self._pool.request(
                "POST", f"{self._url}/panel", json={"site": "demo", "attempt": attempt}, headers={"Unjam-Frame": "1"}
            )
            token = re.search(rb"/help/([^/]+)/check", panel.data)
            if token is None:
                return None
            form = {"email": "sam@example.com", "words": "It froze."}
            address = f"{self._url}/help/{token[1].decode()}/report"
            answer = self._pool.request("POST", address, fields=form, encode_multipart=False)
        except urllib3.exceptions.HTTPError:
            return None
        found = re.search(rb"UJ-[0-9A-Z]{4}-[0-9A-Z]{4}", answer.data) if answer.status == 200 else None
        return found[0].decode() if found else None


@pytest.mark.parametrize("seed", [1])
def test_kill_9_loses_no_ticket_and_no_mail(database_url: str, smtp: MailServer, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- when to kill, not a secret
    database = Database(database_url)
    with database.write() as session:
        cast = Cast(session, profile={"providers": {}})

    with installed(database_url, smtp, tmp_path) as installation:
        shoppers = [Shopper(f"http://127.0.0.1:{installation.port}", cast, number) for number in range(SHOPPERS)]
        for shopper in shoppers:
            shopper.start()
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.8))  # the moment of the kill is what is being varied
            installation.kill_one(kill)
        for shopper in shoppers:
            shopper.join()
        wait_until_all_is_sent(database)

    told = [reference for shopper in shoppers for reference in shopper.references]
    with database.read() as session:
        kept = set(session.scalars(sa.select(Ticket.reference)))
        said = session.scalar(sa.select(sa.func.count()).select_from(Message))
        promised = set(session.scalars(sa.select(FollowUp.mail_id).where(FollowUp.kind == "opened")))
    database.dispose()
    arrived = {str(message["Message-ID"]).strip("<>").split("@")[0] for message in smtp.messages}
    assert len(told) == len(set(told)) == SHOPPERS * REPORTS_EACH
    assert kept == set(told)
    assert said == len(told)
    assert arrived == promised
    assert len(promised) == len(told)


def wait_until_all_is_sent(database: Database) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    unsent = sa.select(sa.func.count()).select_from(FollowUp)
    unsent = unsent.where(FollowUp.kind == "opened", FollowUp.sent_at.is_(None))
    while time.monotonic() < until:
        with database.read() as session:
            if session.scalar(unsent) == 0:
                return
        time.sleep(0.1)
    pytest.fail("not every confirmation was sent in time")


HOOKS_EACH, WATCHED = 25, 5


def test_kill_9_of_workers_loses_no_word_to_a_shop_and_no_doubt_about_a_charge(
    database_url: str, smtp: MailServer, receiver: Receiver, provider: FakeProvider, tmp_path: Path
) -> None:
    chance = random.Random(2)  # noqa: S311 -- when to kill, not a secret
    database = Database(database_url)
    provider.status, provider.knows_every_order = "succeeded", True
    with database.write() as session:
        profile = {"hook_url": receiver.url, "providers": {"demo": {"url": provider.url}}}
        cast = Cast(session, profile=profile)
        shops.rotate_key(session, cast.shop, KeyKind.HOOK, clock.now())
        for number in range(HOOKS_EACH):
            hooks.owe(session, cast.shop, Event.HELD, f"H-{number}", {"order": f"H-{number}"}, clock.now())
        for number in range(WATCHED):
            watches.start(session, cast.attempt(f"D-{number}"), clock.now() - timedelta(minutes=1))

    with installed(database_url, smtp, tmp_path) as installation:
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.5))  # the moment of the kill is what is being varied
            installation.kill_one(kill)
        wait_until_all_is_known(database)
    with database.read() as session:
        owed = set(session.scalars(sa.select(Hook.public_id)))
        outcomes = list(session.scalars(sa.select(Watch.outcome)))
    database.dispose()

    # One for each hook that was owed, and one for each order that turned out to be paid.
    assert outcomes == ["charged"] * WATCHED
    assert {each.said["id"] for each in receiver.heard} == owed
    assert len(owed) == HOOKS_EACH + WATCHED


def wait_until_all_is_known(database: Database) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    untold = sa.select(sa.func.count()).select_from(Hook).where(Hook.delivered_at.is_(None))
    unknown = sa.select(sa.func.count()).select_from(Watch).where(Watch.ended_at.is_(None))
    while time.monotonic() < until:
        with database.read() as session:
            if session.scalar(untold) == session.scalar(unknown) == 0:
                return
        time.sleep(0.1)
    pytest.fail("not everything was told and found out in time")
