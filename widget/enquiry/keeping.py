"""Keeping: what a provider's answer causes. It is kept as a charge, settles an order, decides or leaves a doubt."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from widget import belonging, charges, clock, mispayments, payments, reversals, siblings, watches
from widget.attempts import Attempt
from widget.casework import Pace
from widget.charges import Charge
from widget.database import WORD_CHARS
from widget.enquiry import doubt
from widget.enquiry.subject import Subject
from widget.orders import Order
from widget.payments import Source, Told
from widget.providers import Answer, ChargeState, Paid
from widget.providers.answers import NOT_ASKABLE
from widget.shops import Shop
from widget.tries import Tries

log = structlog.get_logger()

_RUNS_ON = "A part of the order was charged, and another payment of it may still be under way."
_UNNAMED = "The page has not named the payment of this try, so the provider cannot be asked about it."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known after a question. `unsure` are the other tries, by id, that are to be asked about as well."""

    state: ChargeState
    unsure: tuple[int, ...]
    is_vouched: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Which answer this is; the same one given again is another."""

    charge_id: int
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What the provider has said, in answer to a question that was put at `put_at`."""

    answer: Answer
    one_by_one: dict[str, Answer]
    put_at: datetime
    # The answer that there was before the question.
    before: Mark | None
    is_looked_at: bool
    # Whether this is the attempt that somebody asked about, not another try at its order.
    is_first: bool


def mark(charge: Charge | None) -> Mark | None:
    return Mark(charge.id, charge.answered_at) if charge is not None else None


def known(tries: Tries) -> Known:
    unsure = tuple(each.id for each in tries.unsure_elsewhere)
    return Known(charges.state_of(tries.charge), unsure, tries.order is not None and tries.order.is_verified)


def keep(session: Session, attempt: Attempt, subject: Subject, heard: Heard, pace: Pace) -> Known:
    """Keep what was said, and act on it. Somebody who asked after us and was answered before us heard the newer."""
    order = doubt.held(session, attempt)
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
        answer = _without_doubt(session, attempt, order, answer)
        _decide(session, attempt, order, heard.one_by_one, subject.name, pace)
    newest = charges.latest(session, attempt.id)
    # What was there before is older, whatever the time on it: a clock may have been put back since.
    if newest is not None and mark(newest) != heard.before and newest.answered_at > heard.put_at:
        return known(Tries(session, attempt, order, clock.now()))
    charges.record(session, attempt, answer, heard.put_at, was_asked=was_asked, asked=subject.name)
    charges.record_for_others(session, attempt, answer, heard.put_at, asked=subject.name)
    if heard.is_looked_at:
        watches.looked(session, attempt.id, clock.now())
    tries = Tries(session, attempt, order, clock.now())
    told = known(tries)
    if heard.is_first and was_asked and not told.unsure:
        doubt.watch(tries, is_told=heard.is_looked_at)
    return told


def keep_of_order(session: Session, order: Order, answer: Answer, provider: str | None, pace: Pace) -> None:
    """Of an order that no page has told of, so there is no attempt whose charge it could be."""
    answer = belonging.belonging(session, order, answer, provider)
    _settle_if_charged(session, order, answer, provider, None, pace)


def _unasked(session: Session, attempt: Attempt, answer: Answer) -> tuple[Answer, bool]:
    """The provider cannot be asked by order, and no payment is named: what the page has told may say more."""
    told = siblings.without_provider(session, attempt)
    return (told, False) if told.state is ChargeState.NOT_CHARGED else (answer, True)


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
        payment = paid.payment[:WORD_CHARS] or None
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


def _without_doubt(session: Session, attempt: Attempt, order: Order, answer: Answer) -> Answer:
    """The answer; nothing is known while beside a part of the order that was charged another payment may run on."""
    if answer.state is not ChargeState.CHARGED or order.paid_at is not None:
        return answer
    named = {attempt.payment, *siblings.named_by_others(session, attempt)} - {None}
    told = answer.asked | {answer.payment, *(each.payment for each in answer.charged)}
    if answer.moves or not (answer.is_of_order or named <= told):
        return Answer(ChargeState.UNKNOWN, detail=_RUNS_ON, status=answer.status)
    return answer


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
