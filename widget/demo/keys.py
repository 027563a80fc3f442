"""The demo's keys: made on the first start, kept in `.demo/keys.json`, mended when they no longer fit the database."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from widget import agents, clock, migrations, shops
from widget.accounts import EftAccount
from widget.agents import Agent
from widget.database import Database
from widget.demo.catalogue import CURRENCY, METHODS, NAME
from widget.demo.hosted import WEBHOOK_SECRET
from widget.demo.till import DemoConfig
from widget.errors import Unauthorised
from widget.openings import Opening
from widget.shops import Contact, KeyKind, Profile, Shop

SITE = "demo"
AGENT = "agent@example.com"


@dataclass(frozen=True, slots=True)
class Keys:
    """All in clear: they open nothing but the demo on this machine."""

    secret_key: str = ""
    signing_secret: str = ""
    api_key: str = ""
    agent_password: str = ""

    def config(self, *, shop_url: str, unjam_url: str, store_path: Path) -> DemoConfig:
        return DemoConfig(
            shop_url=shop_url,
            unjam_url=unjam_url,
            site=SITE,
            signing_secret=self.signing_secret,
            api_key=self.api_key,
            store_path=store_path,
        )


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'unjam.sqlite'}"


def prepare(folder: Path, *, shop_url: str) -> Keys:
    """Bring Unjam's database up to date, with the shop and the agent in it, and return the keys that open it."""
    migrations.upgrade(database_url(folder))
    database = Database(database_url(folder))
    kept = _read(folder)
    try:
        with database.write() as session:
            now = clock.now()
            shop = _shop(session, shop_url, now)
            mended = Keys(
                secret_key=kept.secret_key or secrets.token_urlsafe(48),
                signing_secret=_signing_secret(session, shop, kept.signing_secret, now),
                api_key=_api_key(session, shop, kept.api_key, now),
                agent_password=_agent_password(session, shop, kept.agent_password, now),
            )
    finally:
        database.dispose()
    if mended != kept:
        _write(folder, mended)
    return mended


def profile_for(shop_url: str) -> Profile:
    """What the demo's merchant has decided. Short deadlines, so that a visitor sees the help within seconds."""
    return Profile(
        allowed_origins=(shop_url,),
        checkout_url=shop_url + "/checkout/{order}?method={method}",
        methods=METHODS,
        contacts=(
            # No subscriber can have this number.
            Contact(kind="phone", label="Call us", value="+27 21 000 0142"),
            Contact(kind="chat", label="Chat with us", value=shop_url + "/talk/chat"),
            Contact(kind="messenger", label="Send us a message", value=shop_url + "/talk/messenger"),
        ),
        hours=tuple(Opening(day=day, opens=time(7), closes=time(21)) for day in range(7)),
        calls_back=True,
        # No bank has this branch, and no account this number.
        bank_accounts=(
            EftAccount(
                scheme="eft",
                currency=CURRENCY,
                holder=NAME,
                bank="Veld Bank",
                branch_code="000142",
                account_number="0000014200",
            ),
        ),
        time_zone="Africa/Johannesburg",
        locale="en-ZA",
        colour="#7a3e12",
        providers={
            "demo": {
                "url": shop_url + "/provider",
                "webhook_secret": WEBHOOK_SECRET,
                "status_feed": {"shape": "statuspage", "url": shop_url + "/provider/status/api/v2/summary.json"},
            }
        },
        deadlines={"sdk": 4, "submitted": 4, "authenticating": 20, "confirming": 4, "away": 30, "closed": 30},
        rating_after_minutes=1,
    )


def _shop(session: Session, shop_url: str, now: datetime) -> Shop:
    profile = profile_for(shop_url)
    shop = session.scalar(sa.select(Shop).filter_by(site=SITE))
    if shop is None:
        return shops.add(session, site=SITE, name=NAME, profile=profile, now=now)
    # Its port may be another one today; whatever else was changed since then stays.
    addresses = profile.model_dump(mode="json", include={"allowed_origins", "checkout_url", "contacts", "providers"})
    deadlines = profile.deadlines | shop.profile.get("deadlines", {})
    # What a demo of an earlier version did not have yet.
    news = profile.model_dump(mode="json", include={"hours", "bank_accounts", "calls_back"})
    missing = {name: value for name, value in news.items() if not shop.profile.get(name)}
    shop.profile = shop.profile | missing | addresses | {"deadlines": deadlines}
    return shop


def _signing_secret(session: Session, shop: Shop, kept: str, now: datetime) -> str:
    if kept in shops.live_secrets(session, shop.id, KeyKind.SIGNING, now):
        return kept
    return shops.rotate_key(session, shop, KeyKind.SIGNING, now)


def _api_key(session: Session, shop: Shop, kept: str, now: datetime) -> str:
    try:
        if shops.by_api_key(session, kept, now).id == shop.id:
            return kept
    except Unauthorised:
        pass
    return shops.rotate_key(session, shop, KeyKind.API, now)


def _agent_password(session: Session, shop: Shop, kept: str, now: datetime) -> str:
    if kept and agents.sign_in(session, AGENT, kept):
        return kept
    password = secrets.token_urlsafe(9)
    agent = session.scalar(sa.select(Agent).filter_by(email=AGENT))
    if agent is None:
        agents.add(session, email=AGENT, name="Alex Agent", password=password, shops=[shop], now=now)
    else:
        agents.change_password(agent, password)
    return password


def _read(folder: Path) -> Keys:
    try:
        found = json.loads(_file(folder).read_text())
        return Keys(**{name: str(found.get(name, "")) for name in asdict(Keys())})
    except (OSError, ValueError, AttributeError):
        return Keys()


def _write(folder: Path, keys: Keys) -> None:
    """All or nothing, readable by this user only."""
    draft = _file(folder).with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(keys), file, indent=2)
    draft.replace(_file(folder))


def _file(folder: Path) -> Path:
    return folder / "keys.json"
