"""The table of what was found: of each kind in each engine how many cases, how late at most, and how many rightly."""

from collections.abc import Iterable

from tests.lab.cases import ENGINES
from tests.lab.runs import Result

_HEALTHY = "healthy"


def table(results: Iterable[Result]) -> str:
    told = list(results)
    kinds = sorted({result.kind for result in told} - {_HEALTHY})
    lines = [f"{'kind':16}" + "".join(f"{engine:>37}" for engine in ENGINES)]
    lines.append(" " * 16 + f"{'found  in 1 s  slowest  kind right':>37}" * len(ENGINES))
    lines += [f"{kind:16}" + "".join(f"{_cell(told, kind, engine):>37}" for engine in ENGINES) for kind in kinds]
    healthy = [result for result in told if result.kind == _HEALTHY]
    if healthy:
        false = sum(result.found for result in healthy)
        lines.append(f"{len(healthy)} healthy runs, {false} false stalls")
    again = sum(result.is_again for result in told)
    if again:
        lines.append(f"{again} of all were played again by themselves, as they had failed on the busy machine")
    return "\n".join(lines)


def _cell(told: list[Result], kind: str, engine: str) -> str:
    cases = [result for result in told if result.kind == kind and result.engine == engine]
    if not cases:
        return "-"
    found = sum(result.found for result in cases)
    right = sum(result.kind_right for result in cases)
    late = [result.seconds for result in cases if result.seconds is not None]
    soon = sum(seconds <= 1 for seconds in late)
    return (
        f"{found}/{len(cases)} {soon:>3}/{len(cases)}  {max(late, default=float('nan')):+.2f} s  {right}/{len(cases)}"
    )
