"""Enquiry: asks the provider what happened to the money.

An edge step: it talks to the network between two transactions, so that no lock is held while another server thinks.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from widget import (
    attempts,
    belonging,
    casework,
    certainty,
    charges,
    clock,
    digest,
    logs,
    mispayments,
    orders,
    payments,
    provider_events,
    reversals,
    siblings,
    watches,
)
from widget.attempts import Attempt
from widget.casework import Pace
from widget.charges import Charge, only_provider, provider_of
from widget.database import Database
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Paid, Provider, ProviderDown, ProviderRefused, Question, adapter_for
from widget.providers.answers import NOT_ASKABLE
from widget.shops import Shop
from widget.tries import Tries
from widget.watches import About, Watch

__all__ = ["ask", "ask_due", "hear", "provider_of"]

log = structlog.get_logger()

# Of one order, so that a webhook never causes a storm of questions.
MAX_ATTEMPTS_ASKED = 5
# Of one question about an order, with what it asks about the order's other tries.
WHOLE_SECONDS = 25
# Each may take some seconds when the provider is slow, and there is other work.
ROUND_WATCHES = 5
# Names of what may be one payment, each asked about alone.
MAX_NAMES_ASKED = 4
_MAX_WORD_CHARS = 100
_NOBODY = "The order is not known, so nobody could be asked."
_UNNAMED = "The page has not named the payment of this try, so the provider cannot be asked about it."


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom to ask what. Without a provider, `answer` is all that can be said."""

    name: str | None
    provider: Provider | None
    question: Question | None
    answer: Answer | None = None

    @property
    def can_be_asked(self) -> bool:
        return self.provider is not None and self.question is not None


def ask(
    database: Database, pace: Pace, attempt_id: int, *, fresh: bool = False, is_looked_at: bool = True
) -> ChargeState:
    """Ask, keep the answer and act on it: an order that was charged is settled, a doubt is watched. Returns the state.

    An answer of a moment ago is not asked for again, unless a `fresh` one is wanted. Other tries at the order, of which
    this answer will say nothing, are asked about as well. `is_looked_at` says that somebody sees the answer on a page
    of ours, and needs no e-mail about it.
    """
    until = time.monotonic() + WHOLE_SECONDS
    said = _ask_one(database, pace, attempt_id, fresh=fresh, is_looked_at=is_looked_at, is_first=True)
    # Who looks at one try of an unsigned order may be a stranger to the others.
    is_theirs = is_looked_at and said.is_vouched
    for each in said.unsure:
        # Somebody may wait for the page. What was not asked stays unknown.
        if time.monotonic() < until:
            _ask_one(database, pace, each, fresh=True, is_looked_at=is_theirs)
    if said.unsure:
        with database.write() as session:
            _watch_all(session, attempt_id, said.unsure, is_told=is_looked_at, is_told_of_others=is_theirs)
    return said.state


@dataclass(frozen=True, slots=True)
class _Said:
    """What is known after a question. `unsure` are the other tries, by id, that are to be asked about as well."""

    state: ChargeState
    unsure: tuple[int, ...]
    is_vouched: bool


def _said(session: Session, attempt: Attempt, order: Order | None, charge: Charge | None) -> _Said:
    unsure = tuple(each.id for each in Tries(session, attempt, order, clock.now()).unsure_elsewhere)
    return _Said(charges.state_of(charge), unsure, order is not None and order.is_verified)


def _ask_one(
    database: Database, pace: Pace, attempt_id: int, *, fresh: bool, is_looked_at: bool, is_first: bool = False
) -> _Said:
    with database.write() as session:
        attempt = attempts.by_id(session, attempt_id)
        # What the page has told but nobody has looked at yet: Pay may have been pressed a moment ago.
        digest.digest_attempt(session, attempt.key, pace, clock.now())
        charge = charges.latest(session, attempt_id)
        order = attempts.order_of(session, attempt)
        if not fresh and charges.is_fresh(charge, order, clock.now()):
            if is_looked_at:
                watches.looked(session, attempt_id, clock.now())
            return _said(session, attempt, order, charge)
        subject = _subject(session, attempt)
        names = _doubted(session, attempt)
        put_at = clock.now()
    answer = subject.answer or _ask(subject.provider, subject.question)
    heard = _Heard(answer, _ask_one_by_one(subject, names), put_at, is_looked_at=is_looked_at, is_first=is_first)
    with database.write() as session:
        return _keep(session, attempts.by_id(session, attempt_id), subject, heard, pace)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the provider has said, in answer to a question that was put at `put_at`."""

    answer: Answer
    one_by_one: dict[str, Answer]
    put_at: datetime
    is_looked_at: bool
    # Whether this is the attempt that somebody asked about, not another try at its order.
    is_first: bool


def _keep(session: Session, attempt: Attempt, subject: _Subject, heard: _Heard, pace: Pace) -> _Said:
    """Keep what was said, and act on it. Somebody who asked after us and was answered before us heard the newer."""
    order = _held(session, attempt)
    session.refresh(attempt)
    answer, was_asked = _credible(session, attempt, order, heard.answer, subject.name), subject.can_be_asked
    if answer.status == NOT_ASKABLE:
        answer, was_asked = _unasked(session, attempt, answer)
    elif was_asked and not siblings.may_speak_for(session, attempt, answer):
        answer = replace(answer, state=ChargeState.UNKNOWN, detail=_UNNAMED)
    if order is not None:
        if was_asked and subject.name is not None:
            reversals.note(session, order, heard.answer, subject.name, heard.put_at)
        answer = _settle_if_charged(session, order, answer, subject.name, attempt.method, pace)
        _decide(session, attempt, order, heard.one_by_one, subject.name, pace)
    newest = charges.latest(session, attempt.id)
    if newest is not None and newest.answered_at > heard.put_at:
        return _said(session, attempt, order, newest)
    charge = charges.record(session, attempt, answer, heard.put_at, was_asked=was_asked, asked=subject.name)
    charges.record_for_others(session, attempt, answer, heard.put_at, asked=subject.name)
    if heard.is_looked_at:
        watches.looked(session, attempt.id, clock.now())
    said = _said(session, attempt, order, charge)
    if heard.is_first and was_asked and not said.unsure:
        _watch(session, attempt, order, is_told=heard.is_looked_at)
    return said


def ask_due(database: Database, pace: Pace, worker: str, lease: timedelta) -> bool:
    """Ask about what is watched and due. Returns whether there was anything."""
    with database.write() as session:
        claimed = watches.claim(session, worker, clock.now(), lease=lease, limit=ROUND_WATCHES)
    for watch in claimed:
        try:
            ask(database, pace, watch.attempt_id, fresh=True, is_looked_at=False)
        except OperationalError:
            # The lease brings it back when the database does.
            raise
        except Exception as error:
            log.error("watch_failed", watch=watch.id, error=type(error).__name__, places=logs.places(error))
        with database.write() as session:
            _put_off(session, watch.attempt_id, worker)
    return bool(claimed)


def _put_off(session: Session, attempt_id: int, worker: str) -> None:
    """Nothing is certain yet. When that was the last question, somebody has to look."""
    attempt = session.get(Attempt, attempt_id)
    order = _held(session, attempt) if attempt is not None else None
    watch = watches.of(session, attempt_id, is_to_be_changed=True)
    if attempt is None or watch is None or watch.ended_at is not None or watch.claimed_by != worker:
        return
    watches.put_off(watch, clock.now())
    if watch.ended_at is not None:
        _give_up(session, watch, attempt, order)


def _give_up(session: Session, watch: Watch, attempt: Attempt, order: Order | None) -> None:
    log.warning("watch_unanswered", watch=watch.id, about=watch.about)
    if watch.about == About.CHARGE:
        casework.charge_not_known(session, session.get_one(Shop, attempt.shop_id), attempt, clock.now())
    elif order is not None:
        mispayments.never_decided(session, order, clock.now())


def hear(database: Database, pace: Pace, shop_id: int, order_reference: str) -> None:
    """The provider has told something of this order: ask it afresh, about every row of the number."""
    with database.read() as session:
        known = sa.select(Order.id).filter_by(shop_id=shop_id, reference=order_reference)
        order_ids = list(session.scalars(known.order_by(Order.is_verified.desc())))
        tries = sa.select(Attempt).where(Attempt.order_id.in_(order_ids)).order_by(Attempt.id.desc()).limit(50)
        # One question for each payment that a page has named, the latest first.
        distinct = {
            (each.order_id, each.provider, each.payment): each.id for each in reversed(session.scalars(tries).all())
        }
    for number, attempt_id in enumerate(list(reversed(distinct.values()))[:MAX_ATTEMPTS_ASKED]):
        # The first question may have been put about the others as well.
        ask(database, pace, attempt_id, fresh=number == 0, is_looked_at=False)
    asked = {order_id for order_id, _, _ in distinct}
    for order_id in order_ids:
        if order_id not in asked:
            _ask_of_order(database, pace, order_id)


def _subject(session: Session, attempt: Attempt) -> _Subject:
    shop = session.get_one(Shop, attempt.shop_id)
    name = provider_of(shop, attempt)
    try:
        provider = adapter_for(name, shop.settled.providers)
    except ProviderRefused as error:
        # It was configured, so somebody pays there: nothing may be said about the money.
        log.error("provider_unusable", site=shop.site, provider=name, reason=str(error))
        return _Subject(name, None, None, Answer(ChargeState.UNKNOWN, detail=str(error)))
    if provider is None:
        return _Subject(None, None, None, siblings.without_provider(session, attempt))
    return _Subject(name, provider, siblings.question_for(session, attempt, clock.now()))


def _ask(provider: Provider | None, question: Question | None) -> Answer:
    if provider is None or question is None:
        return Answer(ChargeState.UNKNOWN, detail=_NOBODY)
    try:
        return provider.ask(question)
    except (ProviderDown, ProviderRefused) as error:
        log.warning("provider_silent", reason=str(error))
        return Answer(ChargeState.UNKNOWN, detail=str(error))


def _ask_of_order(database: Database, pace: Pace, order_id: int) -> None:
    """About an order that no page has told of: only the shop's server has, or an earlier question."""
    with database.read() as session:
        order = session.get_one(Order, order_id)
        shop = session.get_one(Shop, order.shop_id)
        # An unsigned row without a try claims nothing that the answer could be held against.
        if not order.is_verified or (name := only_provider(shop)) is None:
            return
        try:
            provider = adapter_for(name, shop.settled.providers)
        except ProviderRefused:
            return
        heard = provider_events.heard(session, shop.id, order.reference)
        since = order.created_at - siblings.MADE_BEFORE_SEEN
        question = Question(order.reference, None, due=order.due, heard=heard, since=since)
    answer = _ask(provider, question)
    with database.write() as session:
        held = orders.locked_by_reference(session, session.get_one(Order, order_id))
        answer = belonging.belonging(session, held, answer, name)
        _settle_if_charged(session, held, answer, name, None, pace)


def _unasked(session: Session, attempt: Attempt, answer: Answer) -> tuple[Answer, bool]:
    """The provider cannot be asked by order, and no payment is named: what the page has told may say more."""
    told = siblings.without_provider(session, attempt)
    return (told, False) if told.state is ChargeState.NOT_CHARGED else (answer, True)


def _held(session: Session, attempt: Attempt) -> Order | None:
    """The attempt's order, held as a payment holds it: with every row of its number."""
    order = attempts.order_of(session, attempt)
    return orders.locked_by_reference(session, order) if order is not None else None


def _credible(session: Session, attempt: Attempt, order: Order | None, answer: Answer, provider: str | None) -> Answer:
    """What of an answer may be told, and is about this order."""
    return belonging.belonging(session, order, belonging.may_be_told(attempt, order, answer), provider)


def _settle_if_charged(
    session: Session, order: Order, answer: Answer, provider: str | None, method: str | None, pace: Pace
) -> Answer:
    """Every payment that the provider lists is kept, so that one too many is seen.

    Returns the answer without payments that are of another order of the shop.
    """
    if answer.state is not ChargeState.CHARGED:
        return answer
    shop = session.get_one(Shop, order.shop_id)
    listed = answer.charged or ((Paid(answer.payment or "", answer.money, answer.is_proven),) if answer.money else ())
    kept = []
    for paid in listed:
        # One row for each order and amount, so that another word of the provider never meets the key of an earlier one.
        payment = paid.payment[:_MAX_WORD_CHARS] or None
        key = hashlib.sha256(f"{order.id}:{paid.payment or None}:{paid.money.minor}".encode()).hexdigest()
        told = Told(f"provider:{key}", Source.PROVIDER, paid.money, method, payment, provider, paid.is_proven)
        try:
            payments.record(session, shop, order, told, pace, clock.now())
        except payments.OfAnother as error:
            log.warning("payment_of_another", site=shop.site, order=order.id, reason=type(error).__name__)
            continue
        kept.append(paid)
    if len(kept) == len(listed):
        return answer
    if not kept:
        return Answer(ChargeState.UNKNOWN, detail="This payment is recorded for another order of the shop.")
    return replace(answer, payment=kept[0].payment, money=kept[0].money, charged=tuple(kept) if len(kept) > 1 else ())


def _doubted(session: Session, attempt: Attempt) -> tuple[str, ...]:
    order = attempts.order_of(session, attempt)
    names = mispayments.doubted(session, order) if order is not None else ()
    return names if len(names) <= MAX_NAMES_ASKED else ()


def _ask_one_by_one(subject: _Subject, names: tuple[str, ...]) -> dict[str, Answer]:
    """What the provider says about each id alone, without what webhooks have told of others."""
    if (asked := subject.question) is None:
        return {}
    told = {each: tuple(event for event in asked.heard if event.payment == each) for each in names}
    questions = {each: replace(asked, payment=each, heard=told[each], payments=()) for each in names}
    return {each: _ask(subject.provider, question) for each, question in questions.items()}


def _decide(
    session: Session, attempt: Attempt, order: Order, answers: dict[str, Answer], provider: str | None, pace: Pace
) -> None:
    """Whether several names are of one payment: only when the provider finds just that one under each of them.

    One that answers for a single id never says that there is no other payment; two of its own are proof.
    """
    credible = [_credible(session, attempt, order, each, provider) for each in answers.values()]
    told = [_settle_if_charged(session, order, each, provider, attempt.method, pace) for each in credible]
    found = {each.payment if each.state is ChargeState.CHARGED and len(each.charged) <= 1 else None for each in told}
    if len(found) == 1 and (only := found.pop()):
        mispayments.paid_once(session, order, only, list(answers), clock.now())


def _watch_all(
    session: Session, attempt_id: int, others: Iterable[int], *, is_told: bool, is_told_of_others: bool
) -> None:
    """Once all are asked: what one says may decide what can be said of another."""
    attempt = attempts.by_id(session, attempt_id)
    order = _held(session, attempt)
    for each in others:
        if watches.is_open(session, each):
            other = attempts.by_id(session, each)
            _watch(session, other, _held(session, other), is_told=is_told_of_others)
    _watch(session, attempt, order, is_told=is_told)


def _watch(session: Session, attempt: Attempt, order: Order | None, *, is_told: bool) -> None:
    """Go on asking while it is not known whether money moved; tell the customer when it is."""
    now = clock.now()
    if order is not None:
        mispayments.end_doubt(session, attempt, order, now)
    state = certainty.state_of_try(session, attempt, order, now)
    if state is not ChargeState.UNKNOWN:
        casework.charge_known(session, attempt, state, now, is_told=is_told)
    elif (order is None or order.paid_at is None) and siblings.was_pressed(session, attempt):
        watches.start(session, attempt, now)
        # What only another provider knows is asked for by a watch of its own.
        if (other := Tries(session, attempt, order, now).open_elsewhere) is not None:
            watches.start(session, other, now)
