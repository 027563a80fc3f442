"""Tallies: what live health has counted for the method, in words; of each kind only the sentence that fits is said."""

from collections.abc import Mapping
from typing import Any

from widget.diagnosis.case import Case
from widget.diagnosis.rule import Sentence, named_method
from widget.language import counted


def _tally(device_class: str | None, os: str | None = None) -> Any:
    """How often the method failed; only the sentence about devices like this one is said."""

    def values(case: Case) -> Mapping[str, Any] | None:
        here, rate = case.rates.get(case.method or ""), case.rate_here(case.method)
        if rate is None or not rate.tries or case.through:
            return None
        is_here = rate is here and bool(case.device_class)
        wanted = _kin(case) if is_here else (None, None)
        if wanted != (device_class, os):
            return None
        return {**named_method(case), "failed": rate.failed, "count": rate.tries}

    return values


def _tally_through(case: Case) -> Mapping[str, Any] | None:
    rate = case.rate_here(case.method)
    if rate is None or not rate.tries or not case.through:
        return None
    return {**named_method(case), "provider": case.through, "failed": rate.failed, "count": rate.tries}


def _kin(case: Case) -> tuple[str | None, str | None]:
    named = case.device_class == "phone" and case.os in {"ios", "android"}
    return case.device_class or None, case.os if named else None


def _working(case: Case) -> Mapping[str, Any] | None:
    method = case.working
    rate = case.rate_here(method) if method else None
    if method is None or rate is None:
        return None
    return {"method": case.labels.get(method, method), "worked": rate.answered, "count": rate.tries}


FAILED_FOR: tuple[Sentence, ...] = (
    (
        counted(
            "{method} has failed for {failed} of the last {count} iPhone here.",
            "{method} has failed for {failed} of the last {count} iPhones here.",
            0,
        ),
        _tally("phone", "ios"),
    ),
    (
        counted(
            "{method} has failed for {failed} of the last {count} Android phone here.",
            "{method} has failed for {failed} of the last {count} Android phones here.",
            0,
        ),
        _tally("phone", "android"),
    ),
    (
        counted(
            "{method} has failed for {failed} of the last {count} phone here.",
            "{method} has failed for {failed} of the last {count} phones here.",
            0,
        ),
        _tally("phone"),
    ),
    (
        counted(
            "{method} has failed for {failed} of the last {count} tablet here.",
            "{method} has failed for {failed} of the last {count} tablets here.",
            0,
        ),
        _tally("tablet"),
    ),
    (
        counted(
            "{method} has failed for {failed} of the last {count} computer here.",
            "{method} has failed for {failed} of the last {count} computers here.",
            0,
        ),
        _tally("desktop"),
    ),
    (
        counted(
            "{method} has failed for {failed} of the last {count} customer here.",
            "{method} has failed for {failed} of the last {count} customers here.",
            0,
        ),
        _tally(None),
    ),
    (
        counted(
            "{method} through {provider} has failed in {failed} of the last {count} try like yours.",
            "{method} through {provider} has failed in {failed} of the last {count} tries like yours.",
            0,
        ),
        _tally_through,
    ),
)
WORKS: Sentence = (
    counted(
        "{method} works: {worked} of the last {count} try got through.",
        "{method} works: {worked} of the last {count} tries got through.",
        0,
    ),
    _working,
)
