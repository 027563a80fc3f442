"""Cases of the corpus: one TOML file each, described in tests/corpus/README.md."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.engines import Conditions
from widget.attempts import Stage
from widget.stalls import SeenBy, StallKind

CORPUS = Path(__file__).parent.parent / "corpus"
ENGINES = ("chromium", "firefox", "webkit")


class Case(BaseModel):
    """What the shop's page does, what the shopper does, and what should be noticed: `kind`, or nothing when healthy."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    says: str
    kind: StallKind | None = None
    stage: Stage | None = None
    seen_by: SeenBy | None = None
    # The name of the deadline that passes, and what passes between the last step that acts and its begin.
    limit: str | None = None
    begins_after: float = 0
    # A symptom may be seen before the page's own clock says so, or the answer itself may be the symptom.
    limit_seconds: float | None = None
    tolerance: float = 1
    # What may be noticed beside it, because it is true as well.
    also: tuple[StallKind, ...] = ()
    # Offline, the page notices in time, and the server hears of it when the connection is back.
    timed_by_page: bool = False
    shows: Literal["asks", "frozen", "nothing"] = "asks"
    # Played in Firefox and WebKit, too, whenever the tests run.
    is_sampled: bool = False
    engines: tuple[str, ...] = ENGINES
    except_: dict[str, str] = Field(default_factory=dict, alias="except")
    # Where Unjam comes from: its own address, through the lab with its clock shifted or with a sheet that comes late,
    # another port of the shop's host, or the shop's own origin.
    served: Literal["elsewhere", "shifted", "late", "sibling", "own"] = "elsewhere"
    is_unscaled: bool = False
    deadlines: dict[str, float] = Field(default_factory=dict)
    tag: dict[str, str | bool] = Field(default_factory=dict)
    form: dict[str, str] = Field(default_factory=dict)
    csp: dict[str, str] = Field(default_factory=dict)
    head: str = ""
    body: str = ""
    script: str = ""
    steps: tuple[str, ...] = ("click #pay",)
    waits_for_frame: bool = True
    user_agent: str | None = None
    blocks_storage: bool = False
    alone: bool = False
    # Of a healthy case: how long to look for a stall after the last step, and the random values of a run.
    watch: float = 4
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)

    @property
    def conditions(self) -> Conditions:
        return Conditions(self.user_agent, self.blocks_storage, self.alone)

    def runs_on(self, engine: str) -> bool:
        return engine in self.engines and engine not in self.except_


@cache
def corpus(folder: Literal["stalls", "healthy", "freeze"]) -> tuple[Case, ...]:
    return tuple(_read(path) for path in sorted((CORPUS / folder).glob("*.toml")))


def everything() -> tuple[Case, ...]:
    return (*corpus("stalls"), *corpus("healthy"), *corpus("freeze"))


def _read(path: Path) -> Case:
    return Case.model_validate(tomllib.loads(path.read_text()) | {"id": path.stem})
