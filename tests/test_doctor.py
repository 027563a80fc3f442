"""`unjam doctor`: each failure on a real page is named with the line that mends it, and a healthy page is called so."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser

from tests.cast import PACE, Cast
from tests.processes import Running, free_port, start_afresh
from widget import clock, digest, migrations, shops
from widget.attempts import Attempt
from widget.beacons import Arrival, Beacon, accept, parse
from widget.database import Database
from widget.doctor import Check, Entrance, Unable, Verdict, examine
from widget.doctor.policy import Violation, allowing
from widget.doctor.protection import Relation, granted, relation_of
from widget.doctor.selectors import matches
from widget.doctor.signature import Secrets
from widget.doctor.signature import examine as examine_order
from widget.doctor.traces import Traces
from widget.doctor.visit import opened
from widget.orders import Order
from widget.pulses import Pulse
from widget.settings import Settings
from widget.shops import KeyKind, Profile, signature_for

PAGE = """<!doctype html><html lang="en"><title>Checkout</title><meta charset="utf-8">
<form id="checkout" action="/thank-you"><input name="card"><button id="pay">Pay</button></form>
<p id="errors"></p>
{tag}{more}</html>"""
INSTALL = Path(__file__).parent.parent / "static" / "docs" / "install.md"
SLOW_SECONDS = 60
ALLOWED = "https://elsewhere.example"


@dataclass
class Shop:
    """A shop's checkout on loopback, whose page and headers a test may change."""

    url: str
    unjam_url: str
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    # What came with each request: its host and path, its cookies, and its X-Staging.
    brought: list[tuple[str, str, str]] = field(default_factory=list)
    # A part of the cookies, or of X-Staging, without which the checkout does not open.
    wants: str = ""
    leads: dict[str, str] = field(default_factory=dict)
    answers: threading.Event = field(default_factory=threading.Event)

    def tag(self, **attributes: str) -> str:
        said = {"src": f"{self.unjam_url}/embed.js", "data-site": "healthy"} | attributes
        words = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in said.items())
        return f"<script async {words}></script>"

    def shows(self, *tags: str, more: str = "") -> None:
        self.page = PAGE.format(tag="".join(tags), more=more)


@dataclass
class Clinic:
    """A real Unjam beside a real shop, and the doctor between them."""

    unjam: Running
    shop: Shop
    database: Database
    settings: Settings
    browser: Browser
    secret: str

    def look(
        self, path: str = "/checkout", host: str = "127.0.0.1", entrance: Entrance | None = None
    ) -> dict[str, Check]:
        address = self.shop.url.replace("127.0.0.1", host) + path
        said = examine(self.browser, self.settings, self.database, address, None, entrance or Entrance())
        return {check.name: check for check in said}

    def order(self, **changed: str) -> dict[str, str]:
        said = {"order": "D-1001", "amount": 124900, "currency": "ZAR", "email": "sam@example.com"}
        signature = signature_for(self.secret, **said)  # type: ignore[arg-type]
        return {f"data-{name}": str(value) for name, value in (said | {"signature": signature} | changed).items()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    folder, port = tmp_path_factory.mktemp("doctor"), free_port()
    env = {
        "UNJAM_ENVIRONMENT": "test",
        "UNJAM_DATABASE_URL": f"sqlite:///{folder}/unjam.sqlite",
        "UNJAM_PUBLIC_URL": f"http://localhost:{port}",
    }
    migrations.upgrade(env["UNJAM_DATABASE_URL"])
    unjam = start_afresh("serve", env=env, log=folder / "unjam.log", port=port)
    yield unjam, env
    unjam.kill()


@pytest.fixture(scope="module")
def shop(installed: tuple[Running, dict[str, str]]) -> Iterator[Shop]:
    shop = Shop("", installed[0].url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shop.asked.append(self.path)
            if self.path == "/slow":
                shop.answers.wait(SLOW_SECONDS)
            cookies, staging = self.headers.get("Cookie", ""), self.headers.get("X-Staging", "")
            shop.brought.append((f"{self.headers['Host'].split(':')[0]}{self.path}", cookies, staging))
            script = shop.scripts.get(self.path)
            path = self.path.split("?")[0]
            is_let_in, lead = path == "/checkout" and shop.wants in cookies + staging, shop.leads.get(path)
            self.send_response(302 if lead else 200 if script is not None or is_let_in else 404)
            if lead:
                self.send_header("Location", lead)
            self.send_header("Content-Type", "text/html" if script is None else "text/javascript")
            for name, value in shop.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((shop.page if script is None else script).encode())

        def date_time_string(self, timestamp: float | None = None) -> str:
            return shop.headers.get("Date") or super().date_time_string(timestamp)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    shop.url = f"http://127.0.0.1:{server.server_port}"
    yield shop
    shop.answers.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def secret(installed: tuple[Running, dict[str, str]], shop: Shop) -> str:
    """The signing secret of the shop `healthy`; `stranger` does not know the checkout, `closed` is disabled."""
    database, now = Database(installed[1]["UNJAM_DATABASE_URL"]), clock.now()
    home = Profile(allowed_origins=(shop.url, shop.url.replace("127.0.0.1", "localhost")))
    with database.write() as session:
        healthy = shops.add(session, site="healthy", name="Healthy", profile=home, now=now)
        shops.add(session, site="stranger", name="Stranger", profile=Profile(allowed_origins=(ALLOWED,)), now=now)
        shops.add(session, site="closed", name="Closed", profile=home, now=now).disabled_at = now
        secret = shops.rotate_key(session, healthy, KeyKind.SIGNING, now)
    database.dispose()
    return secret


@pytest.fixture
def clinic(installed: tuple[Running, dict[str, str]], shop: Shop, secret: str, browser: Browser) -> Iterator[Clinic]:
    unjam, env = installed
    shop.headers.clear()
    shop.scripts.clear()
    shop.asked.clear()
    shop.brought.clear()
    shop.leads.clear()
    shop.wants = ""
    shop.shows(shop.tag())
    database = Database(env["UNJAM_DATABASE_URL"])
    settings = Settings(environment="test", public_url=env["UNJAM_PUBLIC_URL"], database_url=env["UNJAM_DATABASE_URL"])
    yield Clinic(unjam, shop, database, settings, browser, secret)
    database.dispose()


def test_a_healthy_checkout_is_called_so_and_nothing_is_left_behind(clinic: Clinic) -> None:
    attributes = {"data-pay": "#pay", "data-success": "/thank-you*", "data-error": "#errors"}
    clinic.shop.scripts["/provider.js"] = "window.Provider = {}"
    provider = '<script src="/provider.js" data-sdk="Provider"></script>'
    clinic.shop.shows(clinic.shop.tag(**clinic.order(), **attributes), more=provider)

    said = clinic.look()

    assert {name: check for name, check in said.items() if check.verdict is not Verdict.OK} == {}
    assert said["protection"].said.startswith("cross-site. Chromium and Firefox: the frame shows help")
    assert set(clinic.shop.asked) - {"/favicon.ico"} == {"/checkout", "/provider.js"}
    with clinic.database.read() as session:
        rows = [session.scalars(sa.select(kind)).all() for kind in (Beacon, Attempt, Order)]
        # The server keeps one row of its own beside those of the pages.
        pages = session.scalars(sa.select(Pulse).where(sa.func.length(Pulse.attempt_key) == 32)).all()
    assert (rows, pages) == ([[], [], []], [])


def test_on_the_same_site_it_says_what_the_other_browsers_lack(clinic: Clinic) -> None:
    said = clinic.look(host="localhost")

    assert said["process"].verdict is Verdict.OK
    assert said["protection"].said.startswith("same-site. Chromium: the frame shows help")
    assert "Firefox: the worker tells the server" in said["protection"].said


BLOCKED = "default-src 'self'; script-src 'self' {unjam}; frame-src 'self' {unjam}; connect-src 'self' {unjam}"


def test_the_documented_directives_are_enough(clinic: Clinic) -> None:
    documented = re.findall(r"^    ((?:script|frame|connect)-src .*)$", INSTALL.read_text(), re.MULTILINE)
    policy = "; ".join(["default-src 'none'", *documented]).replace("https://help.example.com", clinic.shop.unjam_url)
    clinic.shop.headers["Content-Security-Policy"] = policy

    said = clinic.look()

    assert len(documented) == 3
    assert [check for check in said.values() if check.is_broken] == []


@pytest.mark.parametrize(
    ("directive", "check", "line"),
    [
        ("script-src", "script", "script-src 'self' {unjam}"),
        ("frame-src", "frame", "frame-src 'self' {unjam}"),
        ("connect-src", "beacons", "connect-src 'self' {unjam}"),
    ],
)
def test_a_policy_that_blocks_us_is_named_with_the_line_it_needs(
    clinic: Clinic, directive: str, check: str, line: str
) -> None:
    unjam = clinic.shop.unjam_url
    policy = BLOCKED.replace(f"{directive} 'self' {{unjam}}", f"{directive} 'self'").format(unjam=unjam)
    clinic.shop.headers["Content-Security-Policy"] = policy

    said = clinic.look()

    assert [name for name, each in said.items() if each.is_broken] == [check]
    assert said[check].mend.endswith(": " + line.format(unjam=unjam))


def test_a_policy_with_a_nonce_asks_for_the_nonce_on_the_tag(clinic: Clinic) -> None:
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'nonce-abc' 'strict-dynamic'"

    check = clinic.look()["script"]

    assert check.is_broken
    assert 'nonce="NONCE"' in check.mend


@pytest.mark.parametrize(
    ("tags", "said", "mend"),
    [
        ([], "no Unjam tag", '<script async src="{unjam}/embed.js" data-site="healthy"></script>'),
        ([{}, {}], "2 Unjam tags", "Keep one"),
        ([{"data-site": "nobody"}], "no shop with data-site", 'data-site="healthy"'),
        ([{"data-site": "closed"}], "is disabled", "unjam shop-set closed --enable"),
        ([{"src": "http://localhost:1/embed.js"}], "but this Unjam is", 'src="{unjam}/embed.js"'),
    ],
)
def test_a_wrong_tag_is_named_with_the_right_one(
    clinic: Clinic, tags: list[dict[str, str]], said: str, mend: str
) -> None:
    clinic.shop.shows(*(clinic.shop.tag(**attributes) for attributes in tags))

    check = clinic.look()["tag"]

    assert check.is_broken
    assert said in check.said
    assert mend.format(unjam=clinic.shop.unjam_url) in check.mend


@pytest.mark.parametrize(
    ("attributes", "said", "mend"),
    [
        ({"src": "{unjam}/embed-0123456789ab.js"}, "answers 404", "unjam embed healthy"),
        (
            {"integrity": "sha384-{wrong}", "crossorigin": "anonymous"},
            "integrity value promises",
            "unjam embed healthy",
        ),
        ({"integrity": "sha384-{wrong}"}, "no crossorigin attribute", 'crossorigin="anonymous"'),
        ({"type": "text/plain"}, "a consent manager holds it back", "as necessary"),
    ],
)
def test_a_script_that_does_not_run_is_named_with_the_reason(
    clinic: Clinic, attributes: dict[str, str], said: str, mend: str
) -> None:
    values = {"unjam": clinic.shop.unjam_url, "wrong": "A" * 64}
    clinic.shop.shows(clinic.shop.tag(**{name: value.format(**values) for name, value in attributes.items()}))

    check = clinic.look()["script"]

    assert check.is_broken
    assert said in check.said
    assert mend in check.mend


def test_an_unjam_that_does_not_answer_is_named(clinic: Clinic) -> None:
    nobody = f"http://localhost:{free_port()}"
    clinic.settings = clinic.settings.model_copy(update={"public_url": nobody})
    clinic.shop.shows(clinic.shop.tag(src=f"{nobody}/embed.js"))

    check = clinic.look()["script"]

    assert "ERR_CONNECTION_REFUSED" in check.said
    assert "unjam serve" in check.mend


def test_an_origin_that_is_not_allowed_is_named_with_a_command_that_keeps_the_others(clinic: Clinic) -> None:
    clinic.shop.shows(clinic.shop.tag(**{"data-site": "stranger"}))

    said = clinic.look()

    assert said["origin"].mend == f"Run: unjam shop-set stranger --origin {ALLOWED} --origin {clinic.shop.url}"
    assert said["frame"].verdict is Verdict.SKIP
    assert said["beacons"].said == "mend “origin” first"


def test_a_page_that_fails_is_named(clinic: Clinic) -> None:
    check = clinic.look("/nowhere")["page"]

    assert check.is_broken
    assert "answers 404" in check.said
    assert all(option in check.mend for option in ("--first", "--cookie", "--header"))


def test_a_checkout_that_leads_to_the_basket_is_named_with_the_ways_in(clinic: Clinic) -> None:
    clinic.shop.leads["/pay"] = "/checkout?token=secret"
    clinic.shop.shows()

    check = clinic.look("/pay?basket=secret")["page"]

    assert check.said == (f"{clinic.shop.url}/pay leads to {clinic.shop.url}/checkout, where there is no Unjam tag.")
    assert all(option in check.mend for option in ("--first", "--cookie", "--header"))


def test_a_checkout_that_leads_on_to_its_tag_is_well(clinic: Clinic) -> None:
    clinic.shop.leads["/pay"] = "/checkout"
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'none'"

    assert clinic.look("/pay")["page"].verdict is Verdict.OK


# So that only the page is looked at: scripts are kept out.
QUIET = "script-src 'none'"


def test_a_cookie_opens_a_checkout_and_goes_to_its_host_alone(clinic: Clinic) -> None:
    clinic.shop.wants, clinic.shop.headers["Content-Security-Policy"] = "session=a=b", QUIET
    elsewhere = clinic.shop.url.replace("127.0.0.1", "localhost")
    clinic.shop.shows(clinic.shop.tag(), more=f'<img src="{elsewhere}/seen.png">')

    check = clinic.look(entrance=Entrance.of(["session=a=b", "lang=en"], [], []))["page"]

    brought = {place: cookies for place, cookies, _ in clinic.shop.brought}
    assert check.verdict is Verdict.OK
    assert brought["127.0.0.1/checkout"] == "session=a=b; lang=en"
    assert brought["localhost/seen.png"] == ""


def test_a_header_opens_a_checkout_and_goes_to_its_origin_alone_even_after_a_redirect(clinic: Clinic) -> None:
    clinic.shop.wants, clinic.shop.headers["Content-Security-Policy"] = "let me in", QUIET
    elsewhere = clinic.shop.url.replace("127.0.0.1", "localhost")
    clinic.shop.leads |= {"/away.png": f"{elsewhere}/led.png", "/home.png": "/here.png"}
    images = "".join(f'<img src="{each}">' for each in (f"{elsewhere}/seen.png", "/away.png", "/home.png"))
    clinic.shop.shows(clinic.shop.tag(), more=images)

    check = clinic.look(entrance=Entrance.of([], ["x-staging:  let me in "], []))["page"]

    brought = {place: staging for place, _, staging in clinic.shop.brought}
    assert check.verdict is Verdict.OK
    assert {place for place, staging in brought.items() if staging == "let me in"} >= {
        *("127.0.0.1/checkout", "127.0.0.1/away.png", "127.0.0.1/here.png")
    }
    assert (brought["localhost/seen.png"], brought["localhost/led.png"]) == ("", "")


def test_a_healthy_checkout_with_an_entrance_is_called_so_and_nothing_is_left_behind(clinic: Clinic) -> None:
    # The pages before it bear the tag, too, and begin an attempt of their own.
    own = (
        "<script>(function go() { window.Unjam ? Unjam.attempt().stage('submitted') : setTimeout(go, 20) })()</script>"
    )
    clinic.shop.shows(clinic.shop.tag(**clinic.order()), more=own)
    clinic.shop.wants, clinic.shop.leads["/fill"] = "let me in", "/checkout"
    entrance = Entrance.of(["session=1"], ["X-Staging: let me in"], [f"{clinic.shop.url}/fill"] * 2)

    said = clinic.look(entrance=entrance)

    assert [check for check in said.values() if check.is_broken] == []
    with clinic.database.read() as session:
        assert [session.scalars(sa.select(kind)).all() for kind in (Beacon, Attempt, Order)] == [[], [], []]


def test_pages_that_come_first_fill_the_basket_in_their_order(clinic: Clinic) -> None:
    clinic.shop.wants, clinic.shop.headers["Content-Security-Policy"] = "basket=full", QUIET
    clinic.shop.headers["Set-Cookie"] = "basket=full; Path=/"
    clinic.shop.scripts |= {"/shirt": "", "/size?m": ""}
    first = [f"{clinic.shop.url}/shirt", f"{clinic.shop.url}/size?m"]

    check = clinic.look(entrance=Entrance.of([], [], first))["page"]

    assert check.verdict is Verdict.OK
    assert [path for path in clinic.shop.asked if path != "/favicon.ico"] == ["/shirt", "/size?m", "/checkout"]


def test_what_the_pages_before_break_off_is_no_failure_of_the_checkout(clinic: Clinic) -> None:
    clinic.shop.shows(clinic.shop.tag(), more="<script>fetch('/slow')</script>")
    checkout = f"{clinic.shop.url}/checkout"

    with opened(clinic.browser, checkout, Entrance(first=(checkout,)), "mark") as visit:
        # What was broken off is told before what is asked for afterwards.
        assert visit.page.evaluate("() => fetch('/nowhere').then((answer) => answer.status)") == 404
        assert visit.failures == {}
        assert clinic.shop.asked.count("/slow") == 2


def test_a_page_that_comes_first_and_fails_ends_the_visit_without_its_query(clinic: Clinic) -> None:
    entrance = Entrance.of([], [], [f"{clinic.shop.url}/nowhere?token=secret"])

    with pytest.raises(Unable, match=r"/nowhere \(--first\) answers 404") as raised:
        clinic.look(entrance=entrance)

    assert "secret" not in str(raised.value)
    assert "/checkout" not in clinic.shop.asked


@pytest.mark.parametrize(
    ("option", "typed", "said"),
    [
        ("cookies", "s3cret", "--cookie number 1 is no cookie: write it as NAME=VALUE"),
        ("cookies", "=s3cret", "--cookie number 1 is no cookie"),
        ("cookies", "a b=s3cret", "--cookie number 1 is no cookie"),
        ("cookies", "a=s3cret; b=1", "cookie a holds a semicolon"),
        ("headers", "s3cret", "--header number 1 is no header: write it as 'NAME: VALUE'"),
        ("headers", "X y: s3cret", "--header number 1 is no header"),
        ("headers", "X: s3cret\r\nY: 1", "header X holds a line break"),
        ("headers", "Cookie: a=s3cret", "with --cookie NAME=VALUE instead"),
        ("headers", "Host: s3cret", "cannot change Host"),
        ("headers", "Proxy-Authorization: s3cret", "cannot change Proxy-Authorization"),
        ("headers", "User-Agent: s3cret", "cannot change User-Agent"),
        ("first", "shop.example/s3cret", "--first number 1 is no address of a page"),
        ("first", "https://[s3cret", "--first number 1 is no address of a page"),
    ],
)
def test_what_is_malformed_gets_one_sentence_without_its_value(option: str, typed: str, said: str) -> None:
    words: dict[str, list[str]] = {"cookies": [], "headers": [], "first": []} | {option: [typed]}

    with pytest.raises(Unable) as raised:
        Entrance.of(**words)

    assert said in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("attributes", "name", "said", "mend"),
    [
        ({"data-pay": "#buy"}, "button", "matches nothing", 'data-pay="#pay"'),
        ({"data-pay": "#checkout"}, "button", "<form>, which is no button", 'data-pay="#pay"'),
        ({"data-pay": "#pay["}, "button", "is no CSS selector", 'data-pay="#pay"'),
        ({"data-pay": "#pay", "data-success": "*"}, "success", "matches every page", "/thank-you*"),
        ({"data-pay": "#pay", "data-success": "/check*"}, "success", "the checkout itself", "/thank-you*"),
        ({"data-pay": "#pay", "data-success": "thanks"}, "success", "begins with a slash", 'data-success="/thanks"'),
        ({"data-pay": "#pay", "data-success": "https://b.example/*"}, "success", "another origin", "Lead the customer"),
        ({"data-error": ".error:"}, "error", "is no CSS selector", "data-error="),
        ({"data-order": "D-1"}, "order", "not complete", 'data-amount="…" data-currency="…"'),
    ],
)
def test_a_wrong_attribute_is_named_with_the_right_one(
    clinic: Clinic, attributes: dict[str, str], name: str, said: str, mend: str
) -> None:
    # The script is kept out, so that only the page is looked at.
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'none'"
    clinic.shop.shows(clinic.shop.tag(**attributes))

    check = clinic.look()[name]

    assert check.is_broken
    assert said in check.said
    assert mend in check.mend


def test_a_provider_script_without_its_global_is_named(clinic: Clinic) -> None:
    clinic.shop.scripts["/provider.js"] = "window.Other = {}"
    clinic.shop.headers["Content-Security-Policy"] = "frame-src 'none'"
    clinic.shop.shows(clinic.shop.tag(), more='<script src="/provider.js" data-sdk="Provider.pay"></script>')

    check = clinic.look()["provider"]

    assert check.is_broken
    assert "`Provider.pay` is missing" in check.said


def test_a_known_provider_script_that_a_policy_blocks_is_named_with_its_line(clinic: Clinic) -> None:
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'self'"
    clinic.shop.shows(clinic.shop.tag(), more='<script src="https://js.stripe.com/v3/"></script>')

    check = clinic.look()["provider"]

    assert check.mend.endswith("script-src 'self' https://js.stripe.com")


def test_a_clock_that_is_wrong_is_named(clinic: Clinic) -> None:
    clinic.shop.headers["Date"] = "Mon, 01 Jan 2024 00:00:00 GMT"
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'none'"

    check = clinic.look()["clock"]

    assert check.is_broken
    assert "timedatectl" in check.mend


def test_the_order_of_a_customer_stays(clinic: Clinic) -> None:
    """The page's own script begins an attempt for the order on the tag: of that, only what is new is removed."""
    with clinic.database.write() as session:
        shop = shops.by_site(session, "healthy")
        kept = Order(shop_id=shop.id, reference="D-1001", is_verified=True, amount=124900, currency="ZAR")
        kept.created_at = clock.now()
        session.add(kept)
        session.flush()
        now = clock.now()
        session.add(
            Attempt(shop_id=shop.id, key="a" * 32, order_id=kept.id, stage="failed", started_at=now, last_seen_at=now)
        )
    own = (
        "<script>(function go() { window.Unjam ? Unjam.attempt().stage('submitted') : setTimeout(go, 20) })()</script>"
    )
    clinic.shop.shows(clinic.shop.tag(**clinic.order()), more=own)

    clinic.look()

    with clinic.database.write() as session:
        assert [each.reference for each in session.scalars(sa.select(Order))] == ["D-1001"]
        assert [each.key for each in session.scalars(sa.select(Attempt))] == ["a" * 32]
        session.execute(sa.delete(Order))
        session.execute(sa.delete(Attempt))


LIVE = "us_live"


@pytest.mark.parametrize("is_digested", [False, True])
def test_only_what_bears_the_mark_is_removed(database: Database, is_digested: bool) -> None:
    with database.write() as session:
        cast = Cast(session)
        customers = cast.attempt("D-1").key
        order, shop_id = cast.context("D-2").model_dump(), cast.shop.id
    beacon = {"v": 1, "id": "b" * 32, "site": "demo", "attempt": {"key": "a" * 32, "order": order}, "signals": []}
    with database.write_rows() as connection:
        arrival = Arrival(
            shop_id, parse(json.dumps(beacon).encode(), clock.now()), "Chrome UnjamDoctor/mark", clock.now()
        )
        accept(connection, [arrival])
    if is_digested:
        with database.write() as session:
            digest.digest_all(session, PACE, clock.now())

    Traces(database, "mark").remove()

    with database.read() as session:
        assert session.scalars(sa.select(Attempt.key)).all() == [customers]
        assert session.scalars(sa.select(Order.reference)).all() == ["D-1"]
        assert session.scalars(sa.select(Beacon)).all() == []


def _signed_as(text: str, secret: str = LIVE) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


RIGHT = "v1\nD-1\n124900\nEUR\nsam@example.com"


@pytest.mark.parametrize(
    ("signature", "mend"),
    [
        (_signed_as("v1\nD-1\n1249.00\nEUR\nsam@example.com"), "124900, not 1249.00"),
        (_signed_as("v1\nD-1\n1249\nEUR\nsam@example.com"), "124900, not 1249."),
        (_signed_as("v1\nD-1\n124900\neur\nsam@example.com"), "capital letters: EUR"),
        (_signed_as("v1\nD-1\nEUR\n124900\nsam@example.com"), "in this order"),
        (_signed_as("D-1\n124900\nEUR\nsam@example.com"), "line `v1`"),
        (_signed_as("v1\nD-1\n124900\nEUR\n"), 'not ""'),
        (_signed_as("v1\nD-1\n124900\nEUR"), "as the last line"),
        (_signed_as("v1|D-1|124900|EUR|sam@example.com"), "by line feeds"),
        (_signed_as(RIGHT + "\n"), "without a line feed after it"),
        (_signed_as(RIGHT).upper(), "small letters"),
        (_signed_as(RIGHT, "live"), "its us_ included"),
        (_signed_as(RIGHT, "us_old"), "unjam rotate-key demo signing"),
        (_signed_as(RIGHT, "something else"), "the very values that stand on the tag"),
        ("abc", "64 characters, not 3"),
    ],
)
def test_a_wrong_signature_is_explained(signature: str, mend: str) -> None:
    data = {"order": "D-1", "amount": "124900", "currency": "EUR", "email": "sam@example.com", "signature": signature}

    check = examine_order(data, Secrets(live=[LIVE], retired=["us_old"]), "demo")

    assert check.is_broken
    assert mend in check.mend


@pytest.mark.parametrize(
    ("changed", "mend"),
    [
        ({"amount": "1249.00"}, 'data-amount="124900"'),
        ({"amount": "1249,50"}, 'data-amount="124950"'),
        ({"amount": "0"}, "124900"),
        ({"currency": "EURO"}, "ISO 4217"),
    ],
)
def test_a_malformed_order_is_explained(changed: dict[str, str], mend: str) -> None:
    data = {"order": "D-1", "amount": "124900", "currency": "EUR"} | changed

    check = examine_order(data, Secrets([], []), "demo")

    assert check.is_broken
    assert mend in check.mend


@pytest.mark.parametrize(
    ("policy", "directive", "line"),
    [
        ("default-src 'none'", "frame-src", "frame-src https://u.example"),
        ("default-src 'self'; child-src a.example", "frame-src", "frame-src a.example https://u.example"),
        (
            "script-src 'self'; script-src-elem b.example",
            "script-src-elem",
            "script-src-elem b.example https://u.example",
        ),
        ("default-src 'self' https:", "connect-src", "connect-src 'self' https: https://u.example"),
    ],
)
def test_the_line_keeps_what_the_policy_allowed_before(policy: str, directive: str, line: str) -> None:
    violation = Violation(directive, "https://u.example/x", policy)

    assert allowing(violation, "https://u.example").endswith(": " + line)


@pytest.mark.parametrize(
    ("pattern", "address", "is_match"),
    [
        ("/thanks", "https://a.example/thanks?order=1", True),
        ("/thanks", "https://a.example/thanks/1", False),
        ("/order/*/paid", "https://a.example/order/1/paid", True),
        ("https://a.example/*?paid=1", "https://a.example/order?paid=1", True),
        ("*paid=1*", "https://a.example/order?paid=1", True),
    ],
)
def test_a_success_pattern_means_a_path_or_a_whole_address(pattern: str, address: str, is_match: bool) -> None:
    assert matches(pattern, address) is is_match


@pytest.mark.parametrize(
    ("said", "unjam", "shop", "relation"),
    [
        ("cross-site", "https://a.example", "https://a.example", Relation.CROSS_SITE),
        ("", "https://help.a.example", "https://shop.a.example", Relation.SAME_SITE),
        ("", "https://a.example", "https://a.example/pay", Relation.SAME_ORIGIN),
        ("", "http://127.0.0.1:1", "http://127.0.0.1:2", Relation.SAME_SITE),
        ("", "http://10.0.0.1", "http://10.1.0.1", Relation.CROSS_SITE),
    ],
)
def test_the_relation_is_what_the_browser_says_or_what_the_names_say(
    said: str, unjam: str, shop: str, relation: Relation
) -> None:
    assert relation_of(said, unjam, shop) is relation


@pytest.mark.parametrize("relation", Relation)
def test_what_is_granted_is_said_for_every_engine(relation: Relation) -> None:
    assert all(engine in granted(relation) for engine in ("Chromium", "Firefox", "Safari"))


def test_the_command_prints_lines_and_tells_by_its_exit_code(clinic: Clinic) -> None:
    clinic.shop.shows()

    done = _run(clinic, clinic.shop.url + "/checkout")

    assert done.returncode == 1, done.stderr
    assert "FAIL  tag         There is no Unjam tag on the page." in done.stdout


def test_the_command_lets_itself_in_and_prints_no_secret(clinic: Clinic) -> None:
    clinic.shop.wants, clinic.shop.headers["Content-Security-Policy"] = "c00kie; lang=ents3cret", QUIET
    clinic.shop.scripts["/shirt?t0ken"] = ""
    ways = ["--cookie", "session=c00kie", "--cookie", "lang=en", "--header", "X-Staging: ts3cret"]

    done = _run(clinic, clinic.shop.url + "/checkout", *ways, "--first", clinic.shop.url + "/shirt?t0ken", "--json")

    checks = {check["name"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert checks["page"] == "ok"
    assert clinic.shop.asked[0] == "/shirt?t0ken"
    assert not any(secret in done.stdout + done.stderr for secret in ("c00kie", "s3cret", "t0ken"))


def test_a_malformed_option_gets_one_sentence_of_the_command(clinic: Clinic) -> None:
    done = _run(clinic, clinic.shop.url + "/checkout", "--cookie", "s3cret")

    assert done.returncode == 1
    assert "Error: --cookie number 1 is no cookie" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_the_command_prints_json_for_machines(clinic: Clinic) -> None:
    clinic.shop.headers["Content-Security-Policy"] = "script-src 'none'"

    done = _run(clinic, clinic.shop.url + "/checkout", "--json", "--site", "healthy")

    said = json.loads(done.stdout)
    assert (done.returncode, said["is_well"]) == (1, False)
    assert {check["name"]: check["verdict"] for check in said["checks"]}["tag"] == "ok"


def _run(clinic: Clinic, *words: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("UNJAM_")}
    own = {
        "UNJAM_ENVIRONMENT": "test",
        "UNJAM_DATABASE_URL": clinic.settings.database_url,
        "UNJAM_PUBLIC_URL": clinic.settings.public_url,
    }
    command = [sys.executable, "-m", "widget.cli", "doctor", *words]
    return subprocess.run(command, env=known | own, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["https://shop.example", "--browser", "/nowhere/chromium"], "no program /nowhere/chromium"),
        (["https://shop.example", "--browser", "/bin/false"], "/bin/false does not start"),
    ],
)
def test_a_browser_that_is_missing_gets_one_sentence(clinic: Clinic, words: list[str], said: str) -> None:
    done = _run(clinic, *words)

    assert done.returncode == 1
    assert said in done.stderr
    assert "--browser" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/checkout", "shop.example"])
def test_an_address_that_cannot_be_opened_gets_one_sentence(clinic: Clinic, address: str) -> None:
    with pytest.raises(Unable, match=r"cannot be opened|is no address"):
        list(examine(clinic.browser, clinic.settings, clinic.database, address, None))
