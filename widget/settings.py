"""Settings from the environment (`UNJAM_*`), checked at start with a hint for each mistake."""

from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_KEY_MIN_CHARS = 32


class SettingsError(Exception):
    """The configuration cannot be used; the text has one line per mistake, each with what to do."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="UNJAM_", env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["production", "demo", "test"] = "production"
    secret_key: SecretStr = SecretStr("")
    database_url: str = "sqlite:///unjam.sqlite"
    public_url: str = "http://localhost:8000"
    # How many reverse proxies in front of us set X-Forwarded-*; 0 trusts none of these headers.
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    redis_url: str | None = None
    # Run the worker inside the server process. For one process only; with many, run `unjam worker`.
    embedded_worker: bool = True

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: Path | None = None
    smtp_timeout_seconds: float = Field(default=20, gt=0, le=120)
    mail_from: str = "help@localhost"

    # How long a worker may hold a mail before another takes over; a crash delays a mail by at most this.
    lease_seconds: float = Field(default=180, gt=0, le=3600)

    # Follow-ups. A shop's own profile may set other delays.
    reminder_after_minutes: int = Field(default=24 * 60, ge=1)
    rating_after_minutes: int = Field(default=60, ge=0)
    log_format: Literal["json", "console"] = "json"

    @field_validator("public_url")
    @classmethod
    def _absolute_http_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
            raise ValueError("must be an address like https://help.example.com, without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        local, _, domain = value.rpartition("@")
        if not local or not domain or not value.isprintable() or any(char in value for char in ' <>,;"'):
            raise ValueError("must be a plain address like help@example.com; the shop's name is put before it")
        return value

    @model_validator(mode="after")
    def _secret_key_in_production(self) -> Self:
        if self.environment == "production" and len(self.secret_key.get_secret_value()) < SECRET_KEY_MIN_CHARS:
            raise ValueError(
                f"UNJAM_SECRET_KEY must be set to at least {SECRET_KEY_MIN_CHARS} characters. "
                "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        return self

    @model_validator(mode="after")
    def _lease_outlives_a_mail(self) -> Self:
        if self.smtp_timeout_seconds >= self.lease_seconds:
            raise ValueError("UNJAM_LEASE_SECONDS must be longer than UNJAM_SMTP_TIMEOUT_SECONDS.")
        return self

    @cached_property
    def signing_key(self) -> str:
        """The key behind every signed link and session; outside production a fixed, public one."""
        return self.secret_key.get_secret_value() or "not-a-secret-only-for-demo-and-tests"

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def shows_mailbox(self) -> bool:
        """Whether mail goes to the browser's mailbox page instead of SMTP: the demo without a mail server."""
        return self.environment != "production" and self.smtp_host is None


def load() -> Settings:
    """Read the environment. Raises SettingsError with a readable line per mistake."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [_hint(tuple(item["loc"]), str(item["msg"])) for item in error.errors()]
        raise SettingsError("\n".join(lines)) from error


def _hint(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"UNJAM_{str(location[0]).upper()}: {message}" if location else message
