"""The shapes in which status pages answer. Only the documented one is taken; anything else is no answer.

Several of these hosts answer any address with 200 and a page for people, so a shape that merely parses proves nothing.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from widget.errors import misshapen
from widget.feeds.status import Indicator, Shape, Status

MAX_PARTS, MAX_WORDS_CHARS = 12, 200
_Words = Annotated[str, Field(min_length=1, max_length=2_000)]


class NoAnswer(Exception):
    """What came is not the status in its documented shape; the text says why, for the desk."""


class _Strict(BaseModel):
    # Providers add fields; those that are read must be there with the type and the words that are documented.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Page(_Strict):
    name: _Words


class _StatuspageStatus(_Strict):
    indicator: Literal["none", "minor", "major", "critical", "maintenance"]
    description: _Words


class _StatuspageComponent(_Strict):
    name: _Words
    status: Literal["operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"]


class _Statuspage(_Strict):
    """Atlassian Statuspage v2, `/api/v2/summary.json`."""

    page: _Page
    status: _StatuspageStatus
    components: list[_StatuspageComponent]

    def status_now(self) -> Status:
        parts = (f"{each.name}: {_spelled(each.status)}" for each in self.components if each.status != "operational")
        return _status(Indicator(self.status.indicator), self.status.description, parts)


_Light = Literal["up", "degraded", "down", "maintenance"]
_LIGHTS = {
    "up": Indicator.NONE,
    "degraded": Indicator.MINOR,
    "down": Indicator.MAJOR,
    "maintenance": Indicator.MAINTENANCE,
}
_LIGHT_WORDS = {"up": "All services are online", "degraded": "Degraded", "down": "Down", "maintenance": "Maintenance"}


class _StripePart(_Strict):
    """`warning` is null while the part is well; what is in it is not documented."""

    key: _Words
    title: _Words
    warning: Any


class _Stripe(_Strict):
    """Stripe's own, `/current/full`."""

    light: _Light = Field(validation_alias="UptimeStatus")
    message: str = ""
    parts: list[_StripePart] = Field(validation_alias="uptimeData", min_length=1)

    def status_now(self) -> Status:
        said = self.message.strip() or _LIGHT_WORDS[self.light]
        return _status(_LIGHTS[self.light], said, (each.title for each in self.parts if each.warning is not None))


class _InstatusPage(_Strict):
    name: _Words
    url: _Words
    status: Literal["UP", "HASISSUES", "UNDERMAINTENANCE"]


class _InstatusIncident(_Strict):
    name: _Words
    impact: Literal[
        "OPERATIONAL", "UNDERMAINTENANCE", "DEGRADEDPERFORMANCE", "MINOROUTAGE", "PARTIALOUTAGE", "MAJOROUTAGE"
    ]


class _InstatusMaintenance(_Strict):
    name: _Words


class _Instatus(_Strict):
    """Instatus, `/summary.json`. The lists are absent while they are empty."""

    page: _InstatusPage
    incidents: list[_InstatusIncident] = Field(default_factory=list, alias="activeIncidents")
    maintenances: list[_InstatusMaintenance] = Field(default_factory=list, alias="activeMaintenances")

    def status_now(self) -> Status:
        impacts = {each.impact for each in self.incidents}
        if self.page.status == "UP":
            indicator = Indicator.NONE
        elif "MAJOROUTAGE" in impacts:
            indicator = Indicator.MAJOR
        else:
            indicator = Indicator.MINOR if self.page.status == "HASISSUES" else Indicator.MAINTENANCE
        parts = [*(each.name for each in self.incidents), *(each.name for each in self.maintenances)]
        return _status(indicator, _INSTATUS_WORDS[self.page.status], parts)


_INSTATUS_WORDS = {
    "UP": "All systems operational",
    "HASISSUES": "There are issues",
    "UNDERMAINTENANCE": "Under maintenance",
}

_PayPalWord = Literal[
    "operational", "under_maintenance", "maintenance", "informational", "service_disruption", "service_outage"
]


class _PayPalEnvironments(_Strict):
    # A part may be there for trying things out alone.
    production: _PayPalWord | None = None

    @field_validator("production", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> Any:
        """PayPal writes "Service Disruption"."""
        return value.lower().replace(" ", "_") if isinstance(value, str) else value


class _PayPalComponent(_Strict):
    name: _Words
    status: _PayPalEnvironments


class _PayPal(_Strict):
    """PayPal, `/api/v1/components`; of each component only production counts."""

    result: list[_PayPalComponent] = Field(min_length=1)

    @model_validator(mode="after")
    def _tells_of_production(self) -> Self:
        if all(each.status.production is None for each in self.result):
            raise ValueError("no component tells of production")
        return self

    def status_now(self) -> Status:
        found = {each.name: each.status.production for each in self.result if each.status.production is not None}
        bad = {name: word for name, word in found.items() if word not in {"operational", "informational"}}
        order = (
            ("service_outage", Indicator.MAJOR, "Service outage"),
            ("service_disruption", Indicator.MINOR, "Service disruption"),
            ("under_maintenance", Indicator.MAINTENANCE, "Under maintenance"),
            ("maintenance", Indicator.MAINTENANCE, "Under maintenance"),
        )
        worst = next(((indicator, said) for word, indicator, said in order if word in bad.values()), None)
        indicator, said = worst or (Indicator.NONE, "All systems operational")
        return _status(indicator, said, (f"{name}: {_spelled(word)}" for name, word in bad.items()))


_READERS: dict[Shape, type[_Statuspage | _Stripe | _Instatus | _PayPal]] = {
    Shape.STATUSPAGE: _Statuspage,
    Shape.STRIPE: _Stripe,
    Shape.INSTATUS: _Instatus,
    Shape.PAYPAL: _PayPal,
}


def read(shape: Shape, body: bytes) -> Status:
    """The status that a page of this shape tells. Raises NoAnswer."""
    try:
        return _READERS[shape].model_validate_json(body).status_now()
    except ValidationError as error:
        raise NoAnswer(f"The answer is not in the documented shape: {misshapen(error, 'the whole')}") from None


def _status(indicator: Indicator, said: str, parts: Iterable[str]) -> Status:
    kept = tuple(part[:MAX_WORDS_CHARS] for part in parts)[:MAX_PARTS]
    return Status(indicator, said[:MAX_WORDS_CHARS], kept)


def _spelled(word: str) -> str:
    return word.replace("_", " ")
