"""A rule: a cause with its condition and its words. Those of `rules` come first, those of `kinds` catch the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from widget.diagnosis.case import Case, Side
from widget.language import Said

# What `Diagnosis.confidence` means.
SEEN, AGREED, LIKELY, SYMPTOM, NOTHING = 0.95, 0.8, 0.6, 0.4, 0.2

Values = Callable[[Case], Mapping[str, Any] | None]
# A sentence with a number in it is written as `counted(one, several, 0)`; its values then have `count`.
Sentence = tuple[str | Said, Values]


@dataclass(frozen=True, slots=True)
class Rule:
    """`said` is filled with the values of `with_values`; a sentence of `evidence` whose values are None is left out.

    `measured` are English sentences over the stall's evidence for engineers; one whose figures are missing is left out.
    """

    cause: str
    when: Callable[[Case], bool]
    side: Side
    said: str
    noted: str
    confidence: float
    with_values: Values = lambda _case: {}
    evidence: tuple[Sentence, ...] = ()
    measured: tuple[str, ...] = ()

    def words(self, case: Case) -> Said:
        return Said(self.said, self.with_values(case) or {})

    def proof(self, case: Case) -> tuple[Said, ...]:
        known = ((text, values(case)) for text, values in self.evidence)
        return tuple(_filled_in(text, values) for text, values in known if values is not None)

    def engineering(self, case: Case) -> str:
        figures = ((name, _readable(value)) for name, value in _figures(case).items())
        known = {name: value for name, value in figures if value not in (None, "")}
        return " ".join([self.noted, *_filled(self.measured, known)])


def figure(name: str) -> Values:
    """The value of the stall's evidence by this name, for a sentence that has a place of the same name."""

    def values(case: Case) -> Mapping[str, Any] | None:
        value = case.evidence.get(name)
        if value in (None, "", 0):
            return None
        return {name: rounded(value) if isinstance(value, int | float) else value}

    return values


def rounded(value: float) -> str:
    """As people read what a browser measured: one decimal, none from 10 on."""
    return str(round(value)) if abs(value) >= 10 else f"{round(value, 1):g}"


def whole(name: str, *, per: int = 1) -> Values:
    """The value of the stall's evidence by this name as a `count`, at least 1: so many of `per` each."""

    def values(case: Case) -> Mapping[str, Any] | None:
        value = case.evidence.get(name)
        return {"count": max(1, round(value / per))} if isinstance(value, int | float) and value else None

    return values


def named_provider(case: Case) -> Mapping[str, Any]:
    return {"provider": case.provider_label or case.provider or ""}


def named_method(case: Case) -> Mapping[str, Any]:
    return {"method": case.method_label or case.method or ""}


def _filled_in(text: str | Said, values: Mapping[str, Any]) -> Said:
    if isinstance(text, str):
        return Said(text, values)
    return replace(text, values=values, count=values["count"])


def _figures(case: Case) -> dict[str, Any]:
    directive, blocked = case.blocking or (None, None)
    script, busy_ms = case.busiest or (None, None)
    more = {
        "directive": directive,
        "blocked": blocked,
        "busy_script": script,
        "busy_ms": busy_ms,
        "provider": case.provider_label or case.provider,
        "method": case.method_label or case.method,
        "through": case.through,
        "connection": case.facts.get("connection"),
        "wallets": case.facts.get("wallets"),
        "status_page": case.feed.said if case.feed else None,
        "parts": ", ".join(case.feed.parts) if case.feed else None,
        "answered_at": f"{case.feed.answered_at:%Y-%m-%d %H:%M} UTC" if case.feed and case.feed.answered_at else None,
    }
    return more | dict(case.evidence)


def _readable(value: Any) -> Any:
    return rounded(value) if isinstance(value, float) else value


def _filled(sentences: tuple[str, ...], known: Mapping[str, Any]) -> list[str]:
    filled = []
    for sentence in sentences:
        try:
            filled.append(sentence.format_map(known))
        except (KeyError, IndexError, TypeError):
            continue
    return filled
