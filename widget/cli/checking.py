"""Commands that look whether things work, here and on a shop's page."""

import json
import sys
from dataclasses import asdict

import click

from widget import settings
from widget.cli.transaction import upgrade


@click.command()
def check() -> None:
    """Check the configuration: settings, database, mail server, shops."""
    from widget.checkup import findings

    found = list(findings(settings.load()))
    for finding in found:
        click.echo(f"{'ok  ' if finding.is_good else 'FAIL'}  {finding.what}")
        if not finding.is_good:
            click.echo(f"      {finding.hint}")
    sys.exit(0 if all(finding.is_good for finding in found) else 1)


@click.command()
@click.argument("url")
@click.option("--site", help="Site key of the shop that the page should belong to.")
@click.option("--browser", "program", metavar="PATH", help="A Chromium. Found by itself when absent.")
@click.option("--cookie", "cookies", multiple=True, metavar="NAME=VALUE", help="For the host of URL. Repeatable.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="To the origin of URL. Repeatable.")
@click.option("--first", multiple=True, metavar="URL", help="A page to open before, to fill the basket. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def doctor(
    url: str,
    site: str | None,
    program: str | None,
    cookies: tuple[str, ...],
    headers: tuple[str, ...],
    first: tuple[str, ...],
    as_json: bool,
) -> None:
    """Open a shop's checkout page in a headless browser and check, step by step, whether Unjam works on it.

    A checkout behind a basket or a sign-in opens with --first, --cookie and --header.
    """
    try:
        from widget.doctor import Entrance, Unable, a_browser, examine
    except ImportError as error:
        raise click.ClickException("the doctor needs Playwright: pip install 'unjam[doctor]'") from error
    from widget.database import Database

    loaded = settings.load()
    upgrade(loaded)
    database, said = Database(loaded.database_url), []
    try:
        entrance = Entrance.of(cookies, headers, first)
        with a_browser(program) as browser:
            for check in examine(browser, loaded, database, url, site, entrance):
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
