"""A provider's status as its own page tells it, and where to ask for it."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Indicator(StrEnum):
    """How a provider says it is, best first."""

    NONE = "none"
    MAINTENANCE = "maintenance"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def is_outage(self) -> bool:
        return self in {Indicator.MAJOR, Indicator.CRITICAL}


class Shape(StrEnum):
    """The form in which a status page answers machines."""

    STATUSPAGE = "statuspage"
    STRIPE = "stripe"
    INSTATUS = "instatus"
    PAYPAL = "paypal"


class Source(BaseModel):
    """Where to ask, and in which shape the answer comes; `status_feed` of a provider's settings in a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    shape: Shape
    url: str = Field(max_length=500)

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"https", "http"} or not urlsplit(value).hostname:
            raise ValueError("must be an http(s) address of the status page")
        return value


@dataclass(frozen=True, slots=True)
class Status:
    """A good answer: `said` and `parts` in the provider's own words, only what is not well."""

    indicator: Indicator
    said: str
    parts: tuple[str, ...] = ()
