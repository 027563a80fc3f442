"""The `unjam` command, as an operator types it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.mailserver import MailServer
from tests.processes import free_port
from widget import agents, clock, shops
from widget.cli import main
from widget.database import Database
from widget.errors import Unauthorised, UnknownSite
from widget.shops import KeyKind


class Unjam:
    def __init__(self, database_url: str) -> None:
        self.env = {"UNJAM_ENVIRONMENT": "test", "UNJAM_DATABASE_URL": database_url}

    def __call__(self, *words: str, typed: str = "", **env: str) -> Result:
        return CliRunner().invoke(main, words, env=self.env | env, input=typed)


@pytest.fixture
def unjam(database_url: str) -> Unjam:
    return Unjam(database_url)


def test_a_shop_is_added_with_two_keys_that_work(unjam: Unjam, database: Database, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"time_zone": "Africa/Johannesburg"}')
    added = unjam("shop-add", "mystore", "My Store", "--origin", "https://Shop.example/", "--profile", str(profile))
    assert added.exit_code == 0, added.output
    signing, api = re.findall(r"u[sk]_\S+", added.output)
    with database.read() as session:
        shop = shops.by_api_key(session, api, clock.now())
        assert shops.live_secrets(session, shop.id, KeyKind.SIGNING, clock.now()) == [signing]
    listed = json.loads(unjam("shops").output)
    assert (listed["allowed_origins"], listed["time_zone"]) == (["https://shop.example"], "Africa/Johannesburg")
    assert 'data-site="mystore"' in unjam("embed", "mystore").output


def test_a_rotated_key_leaves_the_old_one_for_a_week_or_not_at_all(unjam: Unjam, database: Database) -> None:
    first = re.findall(r"uk_\S+", unjam("shop-add", "a-shop", "A", "--origin", "https://a.example").output)[0]
    second = unjam("rotate-key", "a-shop", "api").stdout.strip()
    third = unjam("rotate-key", "a-shop", "api", "--at-once").stdout.strip()
    with database.read() as session:
        assert shops.by_api_key(session, third, clock.now()).site == "a-shop"
        for retired in (first, second):
            with pytest.raises(Unauthorised):
                shops.by_api_key(session, retired, clock.now())
    fourth = unjam("rotate-key", "a-shop", "api").stdout.strip()
    with database.read() as session:
        assert {shops.by_api_key(session, key, clock.now()).site for key in (third, fourth)} == {"a-shop"}
        with pytest.raises(Unauthorised):
            shops.by_api_key(session, third, clock.now() + shops.RETIRED_KEY_LIVES)


def test_signing_secrets_that_were_replaced_are_known_as_retired_the_newest_first(
    unjam: Unjam, database: Database
) -> None:
    first = re.findall(r"us_\S+", unjam("shop-add", "a-shop", "A", "--origin", "https://a.example").output)[0]
    second, third = (unjam("rotate-key", "a-shop", "signing", "--at-once").stdout.strip() for _ in range(2))
    with database.read() as session:
        theirs, now = (session, shops.by_site(session, "a-shop").id, KeyKind.SIGNING), clock.now()
        assert shops.live_secrets(*theirs, now) == [third]
        assert shops.retired_secrets(*theirs, now) == [second, first]


def test_a_shop_is_changed_and_disabled(unjam: Unjam, database: Database) -> None:
    unjam("shop-add", "a-shop", "A", "--origin", "https://a.example")
    assert unjam("shop-set", "a-shop", "--name", "B", "--origin", "https://b.example", "--disable").exit_code == 0
    listed = json.loads(unjam("shops").output)
    assert (listed["name"], listed["allowed_origins"], listed["disabled"]) == ("B", ["https://b.example"], True)
    with database.read() as session, pytest.raises(UnknownSite):
        shops.by_site(session, "a-shop")


def test_an_agent_is_added_listed_and_disabled(unjam: Unjam, database: Database) -> None:
    unjam("shop-add", "a-shop", "A", "--origin", "https://a.example")
    typed = "a long password\na long password\n"
    added = unjam("agent-add", "Ada@Example.com", "Ada", "--shop", "a-shop", typed=typed)
    assert added.exit_code == 0, added.output
    assert "a long password" not in added.output
    assert unjam("agents").output.split("\t")[:3] == ["ada@example.com", "Ada", "a-shop"]
    assert unjam("agent-disable", "ada@example.com").exit_code == 0
    with database.read() as session:
        assert agents.sign_in(session, "ada@example.com", "a long password") is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop-add", "No Spaces", "A", "--origin", "https://a.example"], "small letters"),
        (["shop-add", "a-shop", "A", "--origin", "not an address"], "is not an address like"),
        (["rotate-key", "nobody", "api"], "unjam shops"),
        (["embed", "nobody"], "unjam shops"),
        (["agent-disable", "nobody@example.com"], "unjam agents"),
        (["serve", "--processes", "2"], "several processes need PostgreSQL"),
    ],
)
def test_a_mistake_gets_a_sentence_that_says_what_to_do(sqlite_url: str, words: list[str], said: str) -> None:
    result = Unjam(sqlite_url)(*words)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"UNJAM_ENVIRONMENT": "production"}, "UNJAM_SECRET_KEY must be set"),
        ({"UNJAM_PUBLIC_URL": "help.example.com"}, "UNJAM_PUBLIC_URL: must be an address"),
        ({"UNJAM_SMTP_PORT": "smtp"}, "UNJAM_SMTP_PORT"),
        ({"UNJAM_MAIL_FROM": "Shop <help@x>"}, "UNJAM_MAIL_FROM: must be a plain address"),
        ({"UNJAM_LEASE_SECONDS": "5"}, "UNJAM_LEASE_SECONDS must be longer"),
    ],
)
def test_a_wrong_setting_is_named_with_a_hint(sqlite_url: str, env: dict[str, str], said: str) -> None:
    for command in ("serve", "worker", "migrate", "check"):
        result = Unjam(sqlite_url)(command, **env)
        assert result.exit_code == 1
        assert said in result.output


def test_the_check_up_says_what_works_and_what_to_do_about_the_rest(unjam: Unjam, smtp: MailServer) -> None:
    unjam("shop-add", "a-shop", "A", "--origin", "https://a.example")
    mail = {"UNJAM_SMTP_HOST": smtp.host, "UNJAM_SMTP_PORT": str(smtp.port), "UNJAM_SMTP_SECURITY": "none"}
    well = unjam("check", **mail)
    assert well.exit_code == 0, well.output
    assert "FAIL" not in well.output
    broken = unjam("check", **(mail | {"UNJAM_SMTP_PORT": str(free_port())}))
    assert broken.exit_code == 1
    assert "FAIL  mail server" in broken.output
