"""The lab's checkout page, made from a case."""

from collections.abc import Mapping
from html import escape

from tests.lab.cases import Case

NONCE = "c2VjcmV0"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Checkout</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/lab/page.css">
<script nonce="{nonce}" src="/lab/page.js"></script>
{head}
</head><body>
<h1>Checkout</h1>
<form id="checkout"{form}>
<p><label>Name on the card <input id="name" name="name" autocomplete="off"></label></p>
<p><label>Card number <input id="number" name="number" inputmode="numeric" autocomplete="off"></label></p>
<p><label>Expires <input id="expiry" name="expiry" autocomplete="off"></label></p>
<p id="problem" role="alert" hidden></p>
<p><button id="pay">Pay R 1 249.00</button> <span id="state"></span></p>
</form>
{body}
<script nonce="{nonce}">{script}</script>
{tag}
</body></html>
"""


def checkout(case: Case, tag: Mapping[str, str | bool], values: Mapping[str, str]) -> str:
    """The page, with `$NAME` in everything that the case wrote replaced by its value."""
    form = "".join(f' {name}="{escape(value)}"' for name, value in case.form.items())
    parts = {"head": case.head, "body": case.body, "script": case.script, "form": form}
    filled = {name: _filled(part, values) for name, part in parts.items()}
    return _PAGE.format(nonce=NONCE, tag=_tag(tag), **filled)


def arrival(tag: Mapping[str, str | bool]) -> str:
    """The page after the payment. The shop's tag is on it too."""
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Thank you</title><h1>Thank you</h1>{_tag(tag)}'


def policy(case: Case, unjam: str, provider: str) -> str:
    """A strict Content-Security-Policy of the page, where the case does not say otherwise."""
    strict = {
        "default-src": "'none'",
        "script-src": f"'nonce-{NONCE}'",
        "style-src": "'self'",
        "connect-src": f"'self' {unjam}",
        "frame-src": f"'self' {unjam} {provider}",
        "img-src": "'self'",
        "form-action": f"'self' {provider}",
        "base-uri": "'none'",
    }
    values = {"UNJAM": unjam, "PROVIDER": provider, "NONCE": NONCE}
    return "; ".join(f"{name} {_filled(value, values)}" for name, value in (strict | case.csp).items())


def _tag(attributes: Mapping[str, str | bool]) -> str:
    said = " ".join(
        name if value is True else f'{name}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not False
    )
    return f'<script async nonce="{NONCE}" {said}></script>'


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    return text
