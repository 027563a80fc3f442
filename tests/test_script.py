"""The script's addresses: one that is always the latest, and one for each build, which never changes."""

import hashlib
import html
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from playwright.sync_api import Page

from tests.browsers import Console
from tests.cast import Cast
from widget.cli import main
from widget.database import Database
from widget.web import script

UNJAM, SHOP = "https://unjam.test", "https://shop.test"
POLICY = f"default-src 'none'; script-src 'nonce-abc'; frame-src {UNJAM}; connect-src {UNJAM}; report-uri /x"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The script does not depend on the database."""
    return sqlite_url


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(script, "KEPT", tmp_path)
    return tmp_path


def keep(folder: Path, source: bytes) -> str:
    version = hashlib.sha256(source).hexdigest()[:12]
    (folder / f"embed-{version}.js").write_bytes(source)
    return version


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_everyday_script_is_asked_for_again_soon(client: FlaskClient, method: str) -> None:
    answer = client.open("/embed.js", method=method)

    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.data == (script.BUILT.read_bytes() if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_pinned_script_is_kept_for_ever_by_any_shop(client: FlaskClient, method: str) -> None:
    answer = client.open(f"/embed-{script.current().version}.js", method=method)

    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.content_length == len(script.BUILT.read_bytes())


def test_an_unchanged_script_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get("/embed.js").headers["ETag"]

    assert client.get("/embed.js", headers={"If-None-Match": etag}).status_code == 304


def test_a_build_of_an_earlier_release_is_still_served(client: FlaskClient, kept: Path) -> None:
    version = keep(kept, b"old()")

    assert client.get(f"/embed-{version}.js").data == b"old()"


def test_a_kept_build_that_was_changed_is_not_served(client: FlaskClient, kept: Path) -> None:
    (kept / f"embed-{keep(kept, b'old()')}.js").write_bytes(b"evil()")

    assert client.get(f"/embed-{hashlib.sha256(b'old()').hexdigest()[:12]}.js").status_code == 404


@pytest.mark.parametrize("version", ["0" * 12, "x", "0" * 13, "..%2fkept%2fREADME", "0" * 12 + "%0a"])
def test_an_unknown_version_is_nothing_that_a_browser_runs(client: FlaskClient, version: str) -> None:
    answer = client.get(f"/embed-{version}.js", headers={"Accept": "*/*"})

    assert (answer.status_code, "javascript" in str(answer.mimetype)) == (404, False)
    assert "immutable" not in answer.headers.get("Cache-Control", "")


def test_every_kept_build_lies_under_its_own_hash() -> None:
    for path in script.KEPT.glob("*.js"):
        assert path.name == f"embed-{script.build_of(path).version}.js"


def printed(database_url: str, database: Database) -> str:
    with database.write() as session:
        Cast(session)
    env = {"UNJAM_ENVIRONMENT": "test", "UNJAM_DATABASE_URL": database_url, "UNJAM_PUBLIC_URL": UNJAM}
    return CliRunner().invoke(main, ["embed", "demo"], env=env).output


def test_what_is_printed_is_the_tag_the_pinned_tag_the_link_and_the_policy(
    database_url: str, database: Database, client: FlaskClient
) -> None:
    said = printed(database_url, database)

    assert f'src="{UNJAM}/embed.js"' in said
    for directive in ("script-src", "frame-src", "connect-src"):
        assert f"{directive} {UNJAM}\n" in said
    link = html.unescape(re.findall(r'href="([^"]+)"', said)[0])
    assert client.get(link.removeprefix(UNJAM)).status_code == 200


@pytest.mark.parametrize(("is_tampered", "runs"), [(False, True), (True, False)])
def test_a_browser_runs_the_pinned_tag_under_a_nonce_unless_the_file_was_changed(
    page: Page,
    console: Console,
    client: FlaskClient,
    database: Database,
    database_url: str,
    is_tampered: bool,
    runs: bool,
) -> None:
    tag = re.findall(r"<script[^>]*integrity[^>]*></script>", printed(database_url, database))[0]
    checkout = f"<!doctype html><title>Checkout</title>{tag.replace('<script', '<script nonce=abc')}"
    path = re.findall(r'src="https://unjam.test([^"]+)"', tag)[0]
    answer = client.get(path)
    body = answer.data + (b"/* evil */" if is_tampered else b"")
    page.route(
        f"{SHOP}/**",
        lambda route: route.fulfill(
            body=checkout, content_type="text/html", headers={"Content-Security-Policy": POLICY}
        ),
    )
    page.route(f"{UNJAM}/**", lambda route: route.fulfill(status=404, body=""))
    page.route(UNJAM + path, lambda route: route.fulfill(body=body, headers=dict(answer.headers)))

    page.goto(f"{SHOP}/checkout")

    assert page.evaluate("typeof window.Unjam?.track === 'function'") is runs
    assert any("integrity" in text for text in console.errors) is is_tampered
