"""A database as it looks after a long time: a million attempts and all that belongs to them (see crowd.sql)."""

from datetime import timedelta
from pathlib import Path

import psycopg
import sqlalchemy as sa

from widget import clock, shops
from widget.accounts import EpcAccount
from widget.database import Database
from widget.shops import Contact, Method, Profile

SHOPS = 20
ORIGIN = "https://shop.example"
_METHODS = ("card", "paypal", "apple_pay", "samsung_pay", "eft", "klarna")

_FILL = Path(__file__).with_name("crowd.sql")
# One attempt in so many got stuck, and is what the panel has left rows of.
_STUCK_EACH = 12
_AT = "now() - interval '60 days' * (%(attempts)s - g) / %(attempts)s"
_AGENT = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36"
_FACTS = '{"language": "en-ZA", "screen": "412x915", "online": true, "timezone": "Africa/Johannesburg", "memory": 8}'

# Their rows were numbered by hand; from here on the database numbers them.
_RENUMBER = (
    b"SELECT setval(pg_get_serial_sequence('orders', 'id'), max(id)) FROM orders",
    b"SELECT setval(pg_get_serial_sequence('attempts', 'id'), max(id)) FROM attempts",
)


def fill(url: str, attempts: int, provider: str) -> None:
    """Fill a migrated, empty PostgreSQL database, and tell its planner. `provider` is where the shops' demo one is."""
    database, profile, opened_at = Database(url), _profile(provider), clock.now() - timedelta(days=90)
    with database.write() as session:
        for number in range(SHOPS):
            shops.add(session, site=site(number), name="Crowd", profile=profile, now=opened_at)
    database.dispose()
    values = {"attempts": attempts, "shops": SHOPS, "methods": list(_METHODS), "facts": _FACTS, "agent": _AGENT}
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for statement in _statements():
            connection.execute(statement.encode(), values)
        for renumbering in _RENUMBER:
            connection.execute(renumbering)
        connection.execute("VACUUM ANALYZE")


def site(number: int) -> str:
    return f"crowd-{number}"


def _statements() -> list[str]:
    text = _FILL.read_text().replace("{at}", _AT).replace("{stuck}", str(_STUCK_EACH))
    return [each for each in text.split(";\n") if each.strip()]


def _profile(provider: str) -> Profile:
    """A shop that offers every way out."""
    return Profile(
        allowed_origins=(ORIGIN,),
        checkout_url=ORIGIN + "/checkout/{order}?method={method}",
        methods=tuple(Method(id=name, label=name.replace("_", " ").title()) for name in _METHODS),
        contacts=(Contact(kind="phone", label="Call us", value="+27 21 555 0100"),),
        providers={"demo": {"url": provider}},
        bank_accounts=(EpcAccount(scheme="epc", holder="Karoo", iban="DE89370400440532013000"),),
        calls_back=True,
    )
