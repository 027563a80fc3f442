"""The shop's own server is told: signed, once for each event, repeated until it answers, and never led astray."""

import hashlib
import hmac
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cast import Cast
from tests.conftest import Clock
from tests.receiver import Receiver, receiver
from widget import hooks, shops, telling
from widget.database import Database
from widget.errors import NotFound
from widget.hooks import Event, Hook
from widget.shops import KeyKind
from widget.telling import Untold

__all__ = ["receiver"]

LEASE = timedelta(seconds=60)


def owe(database: Database, clock: Clock, url: str, *keys: str, site: str = "demo", has_key: bool = True) -> str:
    """The shop with this address is owed an event for each key. Returns its secret."""
    with database.write() as session:
        cast = Cast(session, site=site, profile={"hook_url": url})
        secret = shops.rotate_key(session, cast.shop, KeyKind.HOOK, clock.now) if has_key else ""
        for key in keys:
            hooks.owe(session, cast.shop, Event.PAID, key, {"order": key, "amount": 124900}, clock.now)
    return secret


def tell(database: Database) -> bool:
    return telling.tell_due(database, "me", LEASE, may_be_internal=True)


def the_hook(database: Database) -> Hook:
    with database.read() as session:
        return session.scalars(sa.select(Hook)).one()


def test_an_event_arrives_once_with_a_signature_over_the_time_and_the_raw_body(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    secret = owe(database, clock, receiver.url, "D-1", "D-1")
    assert (tell(database), tell(database)) == (True, False)

    (heard,) = receiver.heard
    moment = str(int(clock.now.timestamp()))
    expected = hmac.new(secret.encode(), moment.encode() + b"." + heard.body, hashlib.sha256).hexdigest()
    assert heard.headers["Unjam-Signature"] == f"t={moment},v1={expected}"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.said == {
        "id": the_hook(database).public_id,
        "event": "order.paid",
        "created_at": "2026-11-20T12:00:00+00:00",
        "site": "demo",
        "data": {"order": "D-1", "amount": 124900},
    }


def test_while_a_key_is_changed_the_receiver_may_know_either(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    old = owe(database, clock, receiver.url, "D-1")
    with database.write() as session:
        new = shops.rotate_key(session, shops.by_site(session, "demo"), KeyKind.HOOK, clock.now)
    tell(database)

    signature = receiver.heard[0].headers["Unjam-Signature"]
    made = [hooks.signature([key], receiver.heard[0].body, clock.now).partition(",")[2] for key in (new, old)]
    assert signature.split(",")[1:] == made


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500, 503])
def test_what_is_not_taken_is_told_again_later_under_the_same_id(
    sqlite_database: Database, clock: Clock, receiver: Receiver, status: int
) -> None:
    receiver.answers_with = [status, 204]
    owe(sqlite_database, clock, receiver.url, "D-1")
    tell(sqlite_database)
    assert (the_hook(sqlite_database).delivered_at, the_hook(sqlite_database).trouble) == (
        None,
        f"The shop's server answered {status}.",
    )
    assert not tell(sqlite_database)

    clock.forward(timedelta(seconds=hooks.BACKOFF_SECONDS[0]))
    tell(sqlite_database)
    first, second = receiver.heard
    assert first.body == second.body
    assert first.headers["Unjam-Signature"] != second.headers["Unjam-Signature"]
    assert the_hook(sqlite_database).delivered_at == clock.now


def test_after_three_days_it_is_a_dead_letter_that_an_agent_of_this_shop_can_revive(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    receiver.answers_with = [500]
    owe(database, clock, receiver.url, "D-1")
    began = clock.now
    for seconds in (*hooks.BACKOFF_SECONDS, 0):
        assert tell(database)
        clock.forward(timedelta(seconds=seconds))
    hook = the_hook(database)

    assert timedelta(days=2.5) < clock.now - began < timedelta(days=3.5)
    assert not tell(database)
    with database.write() as session:
        assert [each.id for each in hooks.dead(session, [hook.shop_id])] == [hook.id]
        assert (hooks.dead(session, []), hooks.count_dead(session, [hook.shop_id])) == ([], 1)
        with pytest.raises(NotFound):
            hooks.retry(session, hook.id, [], clock.now)
        hooks.retry(session, hook.id, [hook.shop_id], clock.now)
    receiver.answers_with = [200]
    tell(database)
    assert the_hook(database).delivered_at == clock.now


def test_what_a_dead_worker_had_claimed_is_told_by_another_after_the_lease(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    owe(database, clock, receiver.url, "D-1")
    with database.write() as session:
        hooks.claim(session, "dead", clock.now, lease=LEASE, limit=5)
    assert not tell(database)
    clock.forward(LEASE)
    assert tell(database)
    assert len(receiver.heard) == 1


def test_a_shop_s_server_that_is_away_holds_up_no_other_shop(
    sqlite_database: Database, clock: Clock, receiver: Receiver
) -> None:
    away = Receiver()
    away.stop()
    owe(sqlite_database, clock, away.url, "A-1", "A-2", "A-3", site="away")
    owe(sqlite_database, clock, receiver.url, "D-1", "D-2")
    tell(sqlite_database)

    assert [each.said["data"]["order"] for each in receiver.heard] == ["D-1", "D-2"]
    with sqlite_database.read() as session:
        # One try was enough to see that it is away.
        assert sorted(session.scalars(sa.select(Hook.tries).where(Hook.delivered_at.is_(None)))) == [0, 0, 1]


def test_without_a_key_nothing_is_sent_and_the_agents_are_told_how_to_make_one(
    sqlite_database: Database, clock: Clock, receiver: Receiver
) -> None:
    owe(sqlite_database, clock, receiver.url, "D-1", has_key=False)
    tell(sqlite_database)
    assert receiver.heard == []
    assert "unjam rotate-key demo hook" in (the_hook(sqlite_database).trouble or "")


def test_a_shop_without_an_address_is_owed_nothing(sqlite_database: Database, clock: Clock) -> None:
    with sqlite_database.write() as session:
        hooks.owe(session, Cast(session).shop, Event.PAID, "D-1", {}, clock.now)
        assert session.scalars(sa.select(Hook)).all() == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.0.0.8", "192.168.1.1", "169.254.169.254", "2130706433", "100.64.0.1"),
        *("224.0.0.1", "[::ffff:10.0.0.1]", "[fd00::1]", "[64:ff9b::a00:1]", "[2002:7f00:1::]"),
    ],
)
def test_nothing_is_sent_to_an_address_inside(host: str, clock: Clock) -> None:
    errand = hooks.Errand(1, "demo", f"http://{host}/hook", ("uh_secret",), {})
    with pytest.raises(Untold, match="not on the public internet"):
        telling.deliver(errand, may_be_internal=False)


def test_one_internal_address_among_public_ones_is_enough_to_refuse(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_named: found)
    with pytest.raises(Untold, match="not on the public internet"):
        telling.deliver(hooks.Errand(1, "demo", "https://shop.example/", ("uh_x",), {}), may_be_internal=False)


def test_a_name_that_nobody_resolves_costs_a_bounded_time(
    sqlite_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(telling, "RESOLVE_SECONDS", 0.2)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_named: is_over.wait(30))
    owe(sqlite_database, clock, "https://shop.example/", "D-1")
    began = time.monotonic()
    tell(sqlite_database)
    is_over.set()
    assert time.monotonic() - began < 5
    assert the_hook(sqlite_database).trouble == "The name of the shop's server was not resolved within 0.2 seconds."


def test_what_another_worker_has_by_now_is_not_given_back(sqlite_database: Database, clock: Clock) -> None:
    owe(sqlite_database, clock, "https://shop.example/", "D-1")
    with sqlite_database.write() as session:
        (hook,) = hooks.claim(session, "other", clock.now, lease=LEASE, limit=1)
    telling._give_back(sqlite_database, hook.id, "me")
    assert the_hook(sqlite_database).claimed_by == "other"
    telling._give_back(sqlite_database, hook.id, "other")
    assert the_hook(sqlite_database).claimed_by is None


def test_a_server_that_takes_its_time_is_given_up(
    sqlite_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        owe(sqlite_database, clock, f"http://127.0.0.1:{silent.getsockname()[1]}/", "D-1")
        tell(sqlite_database)
    assert the_hook(sqlite_database).trouble == "The shop's server did not answer: TimeoutError."


def test_a_server_that_drips_its_answer_is_cut_off(
    sqlite_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TOTAL_SECONDS", 0.5)
    is_over = threading.Event()

    def drip(server: socket.socket) -> None:
        dripping, _ = server.accept()
        with dripping:
            while not is_over.wait(0.05):
                try:
                    dripping.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        owe(sqlite_database, clock, f"http://127.0.0.1:{server.getsockname()[1]}/", "D-1")
        began = time.monotonic()
        tell(sqlite_database)
        is_over.set()
    assert time.monotonic() - began < 5
    assert "did not answer" in (the_hook(sqlite_database).trouble or "")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_certificate_must_be_one_that_somebody_vouches_for(
    sqlite_database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    made: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        *named,
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    secure = Receiver(context)
    owe(sqlite_database, clock, secure.url, "D-1")
    tell(sqlite_database)
    secure.stop()
    trouble = None if is_known else "The shop's server has no certificate that can be trusted."
    assert (the_hook(sqlite_database).delivered_at is not None, the_hook(sqlite_database).trouble) == (
        is_known,
        trouble,
    )


DOCUMENT = (Path(__file__).parent.parent / "static" / "docs" / "webhooks.md").read_text()


def test_every_event_is_described_and_no_other() -> None:
    assert set(re.findall(r"^\| `(order\.\w+)` \|", DOCUMENT, re.MULTILINE)) == set(Event)


def snippet(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def signatures(body: bytes) -> list[tuple[str, bool]]:
    """Headers as we send them, and as somebody else would, with whether they count."""
    now = datetime.now(UTC)
    good = hooks.signature(["uh_new", "uh_old"], body, now)
    stale = hooks.signature(["uh_old"], body, now - timedelta(minutes=6))
    return [
        (good, True),
        (stale, False),
        (hooks.signature(["uh_other"], body, now), False),
        (hooks.signature(["uh_old"], body + b" ", now), False),
        (good.replace("v1=", "v0="), False),
        ("", False),
        ("t=,v1=", False),
    ]


def test_the_example_in_python_knows_our_signature() -> None:
    body, found = b'{"event": "order.paid"}', dict[str, Any]()
    exec(snippet("python"), found)  # noqa: S102 -- the code of our own document
    assert [found["is_from_unjam"](header, body, "uh_old") for header, _ in signatures(body)] == [
        counts for _, counts in signatures(body)
    ]


def test_the_example_in_node_knows_our_signature(tmp_path: Path) -> None:
    body, program = b'{"event": "order.paid"}', shutil.which("node")
    assert program is not None
    asked = json.dumps([header for header, _ in signatures(body)])
    call = f"console.log(JSON.stringify({asked}.map((h) => isFromUnjam(h, Buffer.from({body.decode()!r}), 'uh_old'))));"
    (tmp_path / "check.mjs").write_text(snippet("js") + call)
    done = subprocess.run([program, tmp_path / "check.mjs"], check=True, capture_output=True, text=True, timeout=60)

    assert json.loads(done.stdout) == [counts for _, counts in signatures(body)]
