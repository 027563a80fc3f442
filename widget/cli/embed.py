"""What a merchant puts into their page."""

from html import escape

import click

from widget import settings
from widget.cli.transaction import transaction


@click.command()
@click.argument("site")
def embed(site: str) -> None:
    """Print what a shop's checkout page needs: the tag, the link without JavaScript, and its security policy."""
    from widget import shops
    from widget.web.script import current

    with transaction() as session:
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
