"""Guard: whoever tries cards or order numbers one after another gets no help with that; everybody else still does.

What a suspicion means: no new payment links, no hint to retry or to change the method, words about a decline that fit
every decline. The charge is still told truthfully, and a person and the report stay, so an honest customer who is
taken for somebody else loses minutes and no order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from widget import audit, stalls
from widget.agents import Agent
from widget.attempts import Attempt, Stage, order_of
from widget.errors import NotFound
from widget.guard import marks, patterns, sightings, suspicions
from widget.guard.marks import hash_of
from widget.guard.sightings import Outcome, Sighting, visits
from widget.guard.suspicions import Suspicion
from widget.signals import Signal
from widget.stalls import StallKind

__all__ = [
    "Outcome",
    "Sighting",
    "Standing",
    "Suspicion",
    "count",
    "flagged",
    "hash_of",
    "is_suspect",
    "lift",
    "remember",
    "standing",
    "tidy",
    "visits",
]

log = structlog.get_logger()

# Where others at the shop are declined so often as well, something is broken there, and nobody is to blame.
_ALL_ARE_DECLINED = 0.6
# More declines than these change nothing about how one attempt looks.
MAX_DECLINES_OF_ONE = 50
_DECLINES = {StallKind.DECLINED.value, StallKind.DECLINED_AGAIN.value}


@dataclass(frozen=True, slots=True)
class Standing:
    """How an attempt is looked at. `numbers` are those of the pattern, as agents see them."""

    is_suspect: bool
    pattern: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    until: datetime | None = None


def remember(session: Session, attempt: Attempt, address: str | None) -> None:
    """Remember where an attempt came from (`address` as hash_of makes it) and count it, once.

    Call it wherever an attempt is heard of, after its facts and user agent are known: it costs nothing when nothing
    is new. An attempt keeps the address it was first seen at.
    """
    device = marks.device_of(attempt.user_agent, attempt.facts)
    is_better_known = attempt.device is not None and attempt.device != device
    attempt.device = device
    if is_better_known:
        sightings.learn_device(session, attempt)
    if address is None or attempt.address is not None:
        return
    attempt.address = address
    now = attempt.last_seen_at
    if sightings.keep(session, attempt, order_of(session, attempt), Outcome.OPENED, 0, now):
        _look(session, attempt, ("visitor",), now)


def count(session: Session, attempt: Attempt, now: datetime, *, was_declined: bool = False) -> None:
    """Count that the attempt was paid or declined; each outcome once, however often this is called.

    Call it after the attempt has been judged. `was_declined`: the provider has told so, whatever the page said.
    """
    outcome = _outcome_of(session, attempt, was_declined=was_declined)
    if attempt.address is None or outcome is None:
        return
    order, numbers = order_of(session, attempt), range(1)
    if outcome is Outcome.DECLINED:
        told = min(_declines_told(session, attempt), MAX_DECLINES_OF_ONE)
        numbers = range(sightings.declines_of(session, attempt), told)
    kept = [sightings.keep(session, attempt, order, outcome, number, now) for number in numbers]
    if outcome is Outcome.DECLINED and any(kept):
        _look(session, attempt, ("visitor", "network", "shape", "order"), now)


def is_suspect(session: Session, attempt: Attempt, now: datetime) -> bool:
    """Whether this attempt gets no links, no hints to retry and no code-level words. One indexed query."""
    return standing(session, attempt, now).is_suspect


def standing(session: Session, attempt: Attempt, now: datetime) -> Standing:
    """Whether the attempt is suspect, and by which numbers.

    Of an address as a whole, or of a kind of device, nobody is suspected who has paid from there with that device.
    """
    subjects = marks.all_of(attempt)
    if not subjects:
        return Standing(is_suspect=False)
    found = suspicions.standing(session, attempt.shop_id, list(subjects.values()), now)
    own = {subjects.get("visitor"), subjects.get("order")}
    certain = [each for each in found if each.subject in own]
    if found and not certain and not sightings.has_paid(session, attempt):
        certain = found
    if not certain:
        return Standing(is_suspect=False)
    return Standing(True, certain[0].pattern, certain[0].numbers, certain[0].until)


def flagged(session: Session, shop_ids: Sequence[int], now: datetime, limit: int = 100) -> list[Suspicion]:
    """What is suspected in these shops now, and what agents have lifted of it, the newest first."""
    query = sa.select(Suspicion).where(Suspicion.shop_id.in_(shop_ids), Suspicion.until > now)
    return list(session.scalars(query.order_by(Suspicion.seen_at.desc(), Suspicion.id.desc()).limit(limit)))


def lift(session: Session, suspicion_id: int, agent: Agent, shop_ids: Sequence[int], now: datetime) -> Suspicion:
    """An agent says that these are honest customers. Raises NotFound, also for a suspicion of another shop."""
    query = sa.select(Suspicion).where(Suspicion.id == suspicion_id, Suspicion.shop_id.in_(shop_ids))
    suspicion = session.scalars(query.with_for_update()).one_or_none()
    if suspicion is None:
        raise NotFound("There is no such suspicion in your shops.")
    if suspicion.lifted_at is None:
        suspicion.lifted_at, suspicion.lifted_by = now, agent.id
        about, shop_id = suspicion.pattern, suspicion.shop_id
        audit.note(session, "suspicion_lifted", about, shop_id=shop_id, address=None, now=now, agent=agent.id)
    return suspicion


def tidy(session: Session, now: datetime) -> None:
    """Forget what is too old to matter. For the worker, once in a while."""
    sightings.forget_old(session, now)
    suspicions.forget_old(session, now)
    audit.forget_old(session, now)


def _outcome_of(session: Session, attempt: Attempt, *, was_declined: bool) -> Outcome | None:
    if attempt.stage == Stage.PAID:
        return Outcome.WORKED
    is_declined = was_declined or any(each.kind in _DECLINES for each in stalls.of(session, attempt.id))
    return Outcome.DECLINED if is_declined else None


def _declines_told(session: Session, attempt: Attempt) -> int:
    """A page may fail several times under one attempt."""
    failed = sa.select(sa.func.count()).select_from(Signal).filter_by(attempt_id=attempt.id, name="failed")
    return max(session.scalar(failed) or 0, 1)


def _look(session: Session, attempt: Attempt, kinds: Sequence[str], now: datetime) -> None:
    """Hold what was seen of this attempt's subjects against the patterns, unless that was done a moment ago."""
    subjects = {kind: subject for kind, subject in marks.all_of(attempt).items() if kind in kinds}
    standing = suspicions.standing(session, attempt.shop_id, list(subjects.values()), now)
    if any(each.seen_at > now - suspicions.NOTED_EVERY for each in standing):
        return
    for kind, subject in subjects.items():
        seen = sightings.seen(session, attempt, kind, now)
        for finding in patterns.found(kind, _without_payers(seen) if kind == "network" else seen, now):
            if kind != "shape" or not _all_are_declined(session, attempt, finding, now):
                _flag(session, attempt, subject, finding, now)


def _without_payers(here: Sequence[patterns.Seen]) -> list[patterns.Seen]:
    """What came from an address without the devices that pay there: an office is many customers."""
    payers = {each.device for each in here if each.outcome == Outcome.WORKED}
    return [each for each in here if each.device not in payers]


def _all_are_declined(session: Session, attempt: Attempt, finding: patterns.Finding, now: datetime) -> bool:
    declined, worked = sightings.outcomes_elsewhere(session, attempt, now - finding.pattern.window)
    return declined > 0 and declined / (declined + worked) >= _ALL_ARE_DECLINED


def _flag(session: Session, attempt: Attempt, subject: str, finding: patterns.Finding, now: datetime) -> None:
    if suspicions.flag(session, attempt.shop_id, subject, finding, now):
        name = finding.pattern.name
        log.warning("suspicion", shop=attempt.shop_id, pattern=name, **finding.numbers)
        audit.note(
            session,
            "suspected",
            name,
            shop_id=attempt.shop_id,
            address=attempt.address,
            now=now,
            **finding.numbers,
        )
