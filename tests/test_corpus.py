"""What goes wrong at a checkout is noticed, in time and rightly, in every engine; what goes well is left alone.

The cases are files; tests/corpus/README.md says how to add one.
"""

import os
from collections.abc import Callable

import pytest
from _pytest.mark import ParameterSet

from tests.engines.tab import Launcher
from tests.lab.cases import ENGINES, Case, corpus
from tests.lab.lab import Lab
from tests.lab.playing import play
from tests.lab.runs import Result
from widget.stalls import StallKind

_TOGETHER = 16
Tell = Callable[[list[Result]], None]
Launchers = Callable[[str], Launcher]


def _batches() -> list[ParameterSet]:
    """Cases of one engine that run together, so that most of the time they wait at once."""
    batches = []
    for engine in ENGINES:
        cases = [case for case in (*corpus("stalls"), *corpus("healthy")) if _is_played(case, engine)]
        # Those that need a browser to themselves take longest and are spread over all batches.
        cases.sort(key=lambda case: (case.conditions.alone, repr(case.conditions), case.id))
        number = -(-len(cases) // _TOGETHER)
        batches += [pytest.param(engine, cases[each::number], id=f"{engine}-{each}") for each in range(number)]
    return batches


def _is_played(case: Case, engine: str) -> bool:
    """All in Chromium. In the others a sample, as all of them take a quarter of an hour (`make test-engines`)."""
    is_wanted = engine == "chromium" or case.is_sampled or os.environ.get("UNJAM_TESTS_ENGINES") == "all"
    return is_wanted and case.runs_on(engine)


@pytest.mark.parametrize(("engine", "cases"), _batches())
def test_the_corpus_is_noticed_as_it_should_be(
    engine: str, cases: list[Case], lab: Lab, launcher: Launchers, tell: Tell
) -> None:
    """With deadlines of two seconds, a busy machine fails cases that are sound: one that failed among the others has to
    fail by itself as well. The report says how many were played again; `tests/bench/detection.py` forgives nothing.
    """
    results = play(lab, launcher(engine), engine, cases)
    failed = {result.case for result in results if result.problems}
    again = play(lab, launcher(engine), engine, [case for case in cases if case.id in failed], seed=1, at_once=1)

    for result in again:
        result.is_again = True
    tell([result for result in results if not result.problems] + again)
    assert {result.case: result.problems for result in again if result.problems} == {}


@pytest.mark.parametrize("kind", sorted(set(StallKind) - {StallKind.ASKED}))
def test_every_kind_of_stall_has_three_cases_in_the_corpus_and_one_in_its_sample(kind: StallKind) -> None:
    cases = [case for case in corpus("stalls") if case.kind == kind]

    assert len(cases) >= 3
    assert sum(case.is_sampled for case in cases) == 1
