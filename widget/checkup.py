"""The check-up behind `unjam check`: whether this installation would work, and what to do where it would not."""

import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from widget import migrations, shops
from widget.database import Database
from widget.providers import ADAPTERS, ProviderDown, ProviderRefused, adapter_for
from widget.settings import Settings
from widget.shops import Shop


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    is_good: bool
    hint: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    yield Finding(f"settings for {settings.environment}", is_good=True)
    yield Finding(
        f"public address {settings.public_url}",
        is_good=settings.is_https or settings.environment != "production",
        hint="Set UNJAM_PUBLIC_URL to an https:// address; browsers refuse an http:// frame on a secure checkout.",
    )
    yield from _database(settings)
    yield _mail(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    database = Database(settings.database_url)
    name = database.engine.url.render_as_string(hide_password=True)
    try:
        is_current = migrations.is_current(settings.database_url)
        yield Finding(f"database {name}", is_good=is_current, hint="Run `unjam migrate`.")
        if is_current:
            with database.read() as session:
                known = shops.all_of_them(session)
            yield Finding(f"{len(known)} shop(s)", is_good=bool(known), hint="Add one with `unjam shop-add`.")
            for shop in known:
                yield from (_provider(shop, name) for name in shop.settled.providers)
    except SQLAlchemyError as error:
        yield Finding(f"database {name}", is_good=False, hint=f"It cannot be reached: {error.__cause__ or error}")
    finally:
        database.dispose()


def _provider(shop: Shop, name: str) -> Finding:
    """Whether this provider answers, and does for the shop's key what we shall ask of it."""
    what = f"provider {name} of {shop.site}"
    try:
        adapter = adapter_for(name, shop.settled.providers)
        if adapter is None:
            return Finding(what, is_good=False, hint=f"There is no such provider; there are {', '.join(ADAPTERS)}.")
        trouble = adapter.health()
    except ProviderRefused as error:
        trouble = str(error)
    except ProviderDown as error:
        hint = f"{error} Look whether this machine can reach it and what its status page says, then check again."
        return Finding(what, is_good=False, hint=hint)
    mend = f"Mend it with `unjam shop-set {shop.site} --profile FILE`, or at the provider."
    return Finding(what, is_good=trouble is None, hint=f"{trouble} {mend}" if trouble else "")


def _mail(settings: Settings) -> Finding:
    if settings.smtp_host is None:
        is_good = settings.environment != "production"
        return Finding(
            "mail goes to the mailbox page" if is_good else "no mail server", is_good, "Set UNJAM_SMTP_HOST."
        )
    name = f"mail server {settings.smtp_host}:{settings.smtp_port}"
    try:
        _greet(settings)
    except (OSError, smtplib.SMTPException) as error:
        return Finding(name, is_good=False, hint=f"{type(error).__name__}: {error}")
    return Finding(name, is_good=True)


def _greet(settings: Settings) -> None:
    """Connect, secure and sign in like the worker does, and send nothing."""
    context = ssl.create_default_context(cafile=str(settings.smtp_ca_file) if settings.smtp_ca_file else None)
    host, port, timeout = settings.smtp_host or "", settings.smtp_port, settings.smtp_timeout_seconds
    is_tls = settings.smtp_security == "tls"
    client = (
        smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        if is_tls
        else smtplib.SMTP(host, port, timeout=timeout)
    )
    with client:
        if settings.smtp_security == "starttls":
            client.starttls(context=context)
        if settings.smtp_username and settings.smtp_password:
            client.login(settings.smtp_username, settings.smtp_password.get_secret_value())
