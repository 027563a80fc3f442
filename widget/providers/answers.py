"""What adapters share: several answers about one order made one, safe keys, and careful reading of answers."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from widget.providers import Answer, ChargeState, GivenUp, Paid, ProviderDown

# What makes an answer win: money that moved, then money that is held, then what may still move.
_FURTHEST = (ChargeState.CHARGED, ChargeState.HELD, ChargeState.UNKNOWN, ChargeState.NOT_CHARGED)
# The status of an answer that is none because this provider cannot be asked by order, and no payment is known. What the
# page knows may then decide; after silence or an error it may not.
NOT_ASKABLE = "not_askable"
# The worst first.
_LEFT = (GivenUp.MOVING, GivenUp.CUSTOMER, GivenUp.GONE)
_UNDER_WAY = {ChargeState.HELD, ChargeState.UNKNOWN}
# Of a payment that can not be completed any more, because it was or will never be.
SETTLED = {ChargeState.CHARGED, ChargeState.NOT_CHARGED}
# So many orders of a shop have to be seen before one may say that it marks all of them.
_FEWEST_MARKED = 3
# Longer words of a provider would not fit our columns, and are nothing that a person reads.
LONGEST_WORD = 200


def furthest(answers: Iterable[Answer]) -> Answer | None:
    """The answer whose payment got furthest, the first of equals. Names every charged payment if there are several."""
    ordered = sorted(answers, key=lambda answer: (_FURTHEST.index(answer.state), not answer.is_proven))
    if not ordered:
        return None
    best = replace(
        ordered[0], waits=any(each.waits for each in ordered), moves=any(each.state in _UNDER_WAY for each in ordered)
    )
    charged = {each.payment: each for each in reversed(ordered) if each.state is ChargeState.CHARGED}
    paid = tuple(
        Paid(each.payment, each.money, each.is_proven, each.taken_at, each.names)
        for each in charged.values()
        if each.payment and each.money
    )
    return best if len(paid) < 2 else replace(best, charged=tuple(reversed(paid)))


def worst(left: Iterable[GivenUp]) -> GivenUp:
    """What is left of several payments."""
    return min(left, key=_LEFT.index, default=GivenUp.GONE)


def left_of(answer: Answer) -> GivenUp:
    """What is left of a payment that its customer cannot complete."""
    return GivenUp.GONE if answer.state in SETTLED else GivenUp.MOVING


def whose(order: str, told: Iterable[str | None], customary: Iterable[str | None]) -> tuple[bool | None, str | None]:
    """Whether a payment that bears these texts is of this order: None when that cannot be seen. Beside it another text.

    `told` stand where the shop has told us that it keeps the order's reference, so another one there is another
    order's. `customary` stand where shops keep it by custom, and may be anything, such as the number of a cart.
    """
    sure, others = [each for each in told if each], [each for each in customary if each]
    if sure:
        return (True, None) if order in sure else (False, sure[0])
    if order in others:
        return True, None
    return None, others[0] if others else None


def are_marked(found: Iterable[str | None]) -> bool:
    """Whether these payments show that the shop marks each of its own: what stands there, None where nothing does."""
    marks = list(found)
    return all(marks) and len(set(marks)) >= _FEWEST_MARKED


def key_of(key: str, longest: int) -> str:
    """The idempotency key as a header can carry it: itself, or a hash where it is too long or not plain text."""
    if len(key) <= longest and key.isascii() and key.isprintable():
        return key
    return hashlib.sha256(key.encode()).hexdigest()[:longest]


def object_of(found: object) -> dict[str, Any]:
    """The JSON object of an answer. Raises ProviderDown when it is something else."""
    if not isinstance(found, dict):
        raise ProviderDown("The provider's answer has an unknown shape.")
    return found


def part(found: object, *path: str) -> dict[str, Any]:
    """The object inside an object, empty where there is none."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def parts(found: object, name: str) -> list[dict[str, Any]]:
    """The objects of a list inside an object."""
    listed = found.get(name) if isinstance(found, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def word(found: object, name: str) -> str | None:
    """A text inside an object, None where there is none."""
    value = found.get(name) if isinstance(found, dict) else None
    return value[:LONGEST_WORD] if isinstance(value, str) and value else None


def moment(found: object, name: str) -> datetime | None:
    """An ISO 8601 moment inside an object, aware, in UTC."""
    try:
        read = datetime.fromisoformat(word(found, name) or "")
        return read.astimezone(UTC) if read.tzinfo else None
    except (ValueError, OverflowError):
        return None
