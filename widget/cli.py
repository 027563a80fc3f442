"""The `unjam` command."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from widget import __version__, clock, settings
from widget.errors import Problem
from widget.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Commands(click.Group):
    """Turns the failures a person can mend into one clear sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(f"the configuration cannot be used:\n{error}") from error
        except Problem as error:
            raise click.ClickException(error.detail) from error
        except ValidationError as error:
            lines = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
            raise click.ClickException("\n".join(lines)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="unjam")
def main() -> None:
    """Unjam notices when a payment gets stuck at the checkout, and gets the customer unstuck."""


@main.command()
def demo() -> None:
    """Try the whole job on this machine: Unjam, a demo shop and a mailbox."""
    from widget.demo.run import run

    sys.exit(run())


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 64), help="Threads per process.")
def serve(host: str, port: int, processes: int, threads: int) -> None:
    """Serve over HTTP with granian; with one process, send the e-mails too."""
    loaded = settings.load()
    if processes > 1:
        _check_can_share(loaded)
        os.environ["UNJAM_EMBEDDED_WORKER"] = "false"
    _upgrade(loaded)
    # Replace this process by granian's, so that what it has imported for the migration does not stay in memory.
    # The access log stays off: it would print paths, and ours hold signed links.
    places = ["--host", host, "--port", str(port)]
    sizes = ["--workers", str(processes), "--blocking-threads", str(threads)]
    words = ["--interface", "wsgi", "--no-access-log", "--log-level", "warning", "widget.server:app"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "granian", *places, *sizes, *words])  # noqa: S606 -- no shell


@main.command()
def worker() -> None:
    """Send e-mails and digest beacons. Run as many as you like."""
    from widget import logs
    from widget.database import Database
    from widget.worker import worker_for

    loaded = settings.load()
    logs.configure(loaded.log_format)
    running = worker_for(loaded, Database(loaded.database_url))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    running.run()


@main.command()
def migrate() -> None:
    """Bring the database up to date. Safe to run from several processes at once."""
    _upgrade(settings.load())
    click.echo("The database is up to date.")


@main.command()
def check() -> None:
    """Check the configuration: settings, database, mail server, shops."""
    from widget.checkup import findings

    found = list(findings(settings.load()))
    for finding in found:
        click.echo(f"{'ok  ' if finding.is_good else 'FAIL'}  {finding.what}")
        if not finding.is_good:
            click.echo(f"      {finding.hint}")
    sys.exit(0 if all(finding.is_good for finding in found) else 1)


@main.command()
@click.argument("url")
@click.option("--site", help="Site key of the shop that the page should belong to.")
@click.option("--browser", "program", metavar="PATH", help="A Chromium. Found by itself when absent.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def doctor(url: str, site: str | None, program: str | None, as_json: bool) -> None:
    """Open a shop's checkout page in a headless browser and check, step by step, whether Unjam works on it."""
    try:
        from widget.doctor import Unable, a_browser, examine
    except ImportError as error:
        raise click.ClickException("the doctor needs Playwright: pip install 'unjam[doctor]'") from error
    from widget.database import Database

    loaded = settings.load()
    _upgrade(loaded)
    database, said = Database(loaded.database_url), []
    try:
        with a_browser(program) as browser:
            for check in examine(browser, loaded, database, url, site):
                said.append(check)
                if not as_json:
                    click.echo(check.line)
    except Unable as error:
        raise click.ClickException(str(error)) from error
    finally:
        database.dispose()
    is_well = not any(check.is_broken for check in said)
    if as_json:
        click.echo(json.dumps({"url": url, "is_well": is_well, "checks": [asdict(check) for check in said]}, indent=2))
    sys.exit(0 if is_well else 1)


@main.command("shop-add")
@click.argument("site")
@click.argument("name")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    required=True,
    help="Origin of the checkout, e.g. https://shop.example. Repeatable.",
)
@click.option(
    "--profile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with the rest of the profile.",
)
def shop_add(site: str, name: str, origins: tuple[str, ...], profile: Path | None) -> None:
    """Add a shop and print its keys, once."""
    from widget import shops
    from widget.shops import KeyKind, Profile

    made = Profile.model_validate(_profile_from(profile) | {"allowed_origins": origins})
    with _session(writes=True) as session:
        shop = shops.add(session, site=site, name=name, profile=made, now=clock.now())
        signing = shops.rotate_key(session, shop, KeyKind.SIGNING, clock.now())
        api = shops.rotate_key(session, shop, KeyKind.API, clock.now())
    click.echo(f"Added {name}. These keys are shown only now; keep them on the shop's server.")
    click.echo(f"signing secret  {signing}")
    click.echo(f"API key         {api}")


@main.command("shop-set")
@click.argument("site")
@click.option("--name", help="New name.")
@click.option("--origin", "origins", multiple=True, help="Replaces all allowed origins. Repeatable.")
@click.option(
    "--profile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with the profile fields to replace.",
)
@click.option("--disable/--enable", "disable", default=None, help="Stop or resume serving this shop.")
def shop_set(site: str, name: str | None, origins: tuple[str, ...], profile: Path | None, disable: bool | None) -> None:
    """Change a shop."""
    from widget import shops

    with _session(writes=True) as session:
        shop = shops.by_site_even_disabled(session, site)
        changed = _profile_from(profile) | ({"allowed_origins": origins} if origins else {})
        shops.change(shop, name=name, profile=changed, disable=disable, now=clock.now())
        hook_url = shop.settled.hook_url
    click.echo(f"Changed {site}.")
    if hook_url is not None and hook_url.startswith("http://"):
        click.echo("Warning: hook_url is not https, so order numbers travel in clear.", err=True)


@main.command("audit")
@click.argument("site", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many rows.")
def list_audit(site: str | None, limit: int) -> None:
    """List what was refused and noted, newest first, as JSON lines."""
    from widget import audit, shops

    with _session() as session:
        shop = shops.by_site_even_disabled(session, site) if site else None
        for row in audit.latest(session, shop.id if shop else None, limit):
            noted = {"at": row.at.isoformat(), "what": row.what, "about": row.about, "address": row.address}
            click.echo(json.dumps(noted | {"detail": row.detail}, ensure_ascii=False))


@main.command("shops")
def list_shops() -> None:
    """List the shops with their profiles as JSON lines."""
    from widget import shops

    with _session() as session:
        for shop in shops.all_of_them(session):
            state = {"site": shop.site, "name": shop.name, "disabled": shop.disabled_at is not None}
            click.echo(json.dumps(state | shop.profile, ensure_ascii=False))


@main.command("rotate-key")
@click.argument("site")
@click.argument("kind", type=click.Choice(["signing", "api", "hook"]))
@click.option("--at-once", is_flag=True, help="Refuse the old key from now on, instead of in 7 days.")
def rotate_key(site: str, kind: str, at_once: bool) -> None:
    """Make a new key for a shop and print it, once."""
    from widget import shops
    from widget.shops import KeyKind

    with _session(writes=True) as session:
        shop = shops.by_site(session, site)
        key = shops.rotate_key(session, shop, KeyKind(kind), clock.now(), at_once=at_once)
    click.echo(key)
    click.echo("The old key is refused now." if at_once else "The old key works for 7 more days.", err=True)


@main.command("agent-add")
@click.argument("email")
@click.argument("name")
@click.option(
    "--shop", "sites", multiple=True, required=True, help="Site key of a shop the agent works for. Repeatable."
)
@click.password_option(help="Asked for when absent.", envvar="UNJAM_AGENT_PASSWORD")
def agent_add(email: str, name: str, sites: tuple[str, ...], password: str) -> None:
    """Add an agent who may sign in to the desk."""
    from widget import agents, shops

    with _session(writes=True) as session:
        theirs = [shops.by_site(session, site) for site in sites]
        agents.add(session, email=email, name=name, password=password, shops=theirs, now=clock.now())
    click.echo(f"Added {name}. They sign in at {settings.load().public_url}/desk/")


@main.command("agent-password")
@click.argument("email")
@click.password_option(help="Asked for when absent.", envvar="UNJAM_AGENT_PASSWORD")
def agent_password(email: str, password: str) -> None:
    """Set an agent's password."""
    from widget import agents

    with _session(writes=True) as session:
        agents.change_password(agents.by_email(session, email), password)
    click.echo("The password is changed.")


@main.command("agent-disable")
@click.argument("email")
def agent_disable(email: str) -> None:
    """Take away an agent's access; what they wrote stays."""
    from widget import agents

    with _session(writes=True) as session:
        agents.by_email(session, email).disabled_at = clock.now()
    click.echo(f"{email} can no longer sign in.")


@main.command("agents")
def list_agents() -> None:
    """List the agents and their shops."""
    from widget import agents

    with _session() as session:
        for agent in agents.all_of_them(session):
            sites = ",".join(shop.site for shop in agents.shops_of(session, agent.id))
            click.echo(f"{agent.email}\t{agent.name}\t{sites}\t{'disabled' if agent.disabled_at else 'active'}")


@main.command()
@click.argument("site")
def embed(site: str) -> None:
    """Print what a shop's checkout page needs: the tag, the link without JavaScript, and its security policy."""
    from widget import shops
    from widget.web.script import current

    with _session() as session:
        name = shops.by_site(session, site).name
    address, build = settings.load().public_url, current()
    integrity = f'\n        integrity="{build.integrity}"\n        crossorigin="anonymous"'
    click.echo(f"The tag, which always loads the latest script:\n\n{_tag(f'{address}/embed.js', site)}\n")
    click.echo(
        f"Or pinned to this version, which no server can change:\n\n"
        f"{_tag(f'{address}/embed-{build.version}.js', site, integrity)}\n"
    )
    click.echo(
        f"For customers whose browser runs no script; leave out what you do not know or cannot sign:\n\n"
        f'<noscript><a target="_blank" rel="noopener"\n   href="{address}/start/{site}'
        "?order=ORDER&amp;amount=MINOR+UNITS&amp;currency=EUR"
        '&amp;email=CUSTOMER+E-MAIL&amp;issued_at=UNIX+SECONDS&amp;signature=HEX+HMAC-SHA256">\n'
        f"Help with a payment at {escape(name)}</a></noscript>\n"
    )
    click.echo(
        f"If the page has a Content-Security-Policy, add to it:\n\n"
        f"script-src {address}\nframe-src {address}\nconnect-src {address}\n\n"
        "With a nonce in script-src, put it on the tag instead. worker-src is not needed: the worker runs in "
        "Unjam's own frame."
    )


def _tag(source: str, site: str, more: str = "") -> str:
    return (
        f'<script async src="{source}"{more}\n'
        f'        data-site="{site}"\n'
        '        data-order="ORDER" data-amount="MINOR UNITS" data-currency="EUR"\n'
        '        data-email="CUSTOMER E-MAIL"\n'
        '        data-issued_at="UNIX SECONDS" data-signature="HEX HMAC-SHA256"></script>'
    )


@contextmanager
def _session(*, writes: bool = False) -> "Iterator[Session]":
    """A transaction on the configured database, which is brought up to date first."""
    from widget.database import Database

    loaded = settings.load()
    _upgrade(loaded)
    database = Database(loaded.database_url)
    try:
        with database.write() if writes else database.read() as session:
            yield session
    finally:
        database.dispose()


def _upgrade(loaded: Settings) -> None:
    from widget import migrations

    migrations.upgrade(loaded.database_url)


def _check_can_share(loaded: Settings) -> None:
    if loaded.database_url.startswith("sqlite"):
        raise click.ClickException("several processes need PostgreSQL: set UNJAM_DATABASE_URL, or use --processes 1.")
    if loaded.redis_url is None:
        click.echo("Note: without UNJAM_REDIS_URL each process counts its rate limits alone.", err=True)


def _profile_from(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise click.ClickException(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.ClickException(f"{path} must hold one JSON object.")
    return found


if __name__ == "__main__":
    main()
