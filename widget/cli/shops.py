"""Commands about the shops: their profiles, their keys and what was refused there."""

import json
from pathlib import Path
from typing import Any

import click

from widget import clock
from widget.cli.transaction import transaction


@click.command("shop-add")
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
    with transaction(writes=True) as session:
        shop = shops.add(session, site=site, name=name, profile=made, now=clock.now())
        signing = shops.rotate_key(session, shop, KeyKind.SIGNING, clock.now())
        api = shops.rotate_key(session, shop, KeyKind.API, clock.now())
    click.echo(f"Added {name}. These keys are shown only now; keep them on the shop's server.")
    click.echo(f"signing secret  {signing}")
    click.echo(f"API key         {api}")


@click.command("shop-set")
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

    with transaction(writes=True) as session:
        shop = shops.by_site_even_disabled(session, site)
        changed = _profile_from(profile) | ({"allowed_origins": origins} if origins else {})
        shops.change(shop, name=name, profile=changed, disable=disable, now=clock.now())
        hook_url = shop.settled.hook_url
    click.echo(f"Changed {site}.")
    if hook_url is not None and hook_url.startswith("http://"):
        click.echo("Warning: hook_url is not https, so order numbers travel in clear.", err=True)


@click.command("audit")
@click.argument("site", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many rows.")
def list_audit(site: str | None, limit: int) -> None:
    """List what was refused and noted, newest first, as JSON lines."""
    from widget import audit, shops

    with transaction() as session:
        shop = shops.by_site_even_disabled(session, site) if site else None
        for row in audit.latest(session, shop.id if shop else None, limit):
            noted = {"at": row.at.isoformat(), "what": row.what, "about": row.about, "address": row.address}
            click.echo(json.dumps(noted | {"detail": row.detail}, ensure_ascii=False))


@click.command("shops")
def list_shops() -> None:
    """List the shops with their profiles as JSON lines."""
    from widget import shops

    with transaction() as session:
        for shop in shops.all_of_them(session):
            state = {"site": shop.site, "name": shop.name, "disabled": shop.disabled_at is not None}
            click.echo(json.dumps(state | shop.profile, ensure_ascii=False))


@click.command("rotate-key")
@click.argument("site")
@click.argument("kind", type=click.Choice(["signing", "api", "hook"]))
@click.option("--at-once", is_flag=True, help="Refuse the old key from now on, instead of in 7 days.")
def rotate_key(site: str, kind: str, at_once: bool) -> None:
    """Make a new key for a shop and print it, once."""
    from widget import shops
    from widget.shops import KeyKind

    with transaction(writes=True) as session:
        shop = shops.by_site(session, site)
        key = shops.rotate_key(session, shop, KeyKind(kind), clock.now(), at_once=at_once)
    click.echo(key)
    click.echo("The old key is refused now." if at_once else "The old key works for 7 more days.", err=True)


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
