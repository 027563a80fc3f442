"""The panel in the frame, and the same help as a page of its own: truth first, then the ways out, then the report."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import segno
from flask import Blueprint, Response, make_response, render_template, request
from limits import parse as parse_limit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.orm import Session

from widget import (
    attempts,
    casework,
    charges,
    clock,
    digest,
    enquiry,
    evidence,
    links,
    offers,
    orders,
    returns,
    shops,
    signals,
    stalls,
    tickets,
)
from widget.attempts import Attempt, AttemptContext, Stage
from widget.browsers import allowed_facts
from widget.charges import Charge
from widget.diagnosis import diagnose
from widget.errors import Malformed, NotFound, Refused
from widget.money import Money, locale_for
from widget.offers import OfferKind, Situation
from widget.orders import Order
from widget.providers import ChargeState
from widget.redaction import mask_card_numbers
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose
from widget.web.context import services
from widget.web.limits import by_link, hit, limiter

blueprint = Blueprint("panel", __name__)

OPENS_PER_ATTEMPT = parse_limit("30/minute")
OPENS_PER_ADDRESS = parse_limit("300/minute")
# The charge is asked again by itself this many times, each pause longer, then only when the shopper says so.
CHECK_PAUSES_SECONDS = (3, 5, 8, 13, 20, 30, 30, 60, 60)
FOLLOWED_FOR_SECONDS = 60 * 60


class Opening(BaseModel):
    """What the frame sends when the shopper opens the panel."""

    model_config = ConfigDict(extra="ignore")
    site: str = Field(max_length=40)
    attempt: AttemptContext
    facts: dict[str, Any] = Field(default_factory=dict)
    # How far the page says it is. Its own beacons may have been lost on their way.
    stage: str | None = None
    # The customer has come back to an attempt that was under way when they left: same tab, reload, or after a crash.
    back: bool = False

    @field_validator("stage", mode="before")
    @classmethod
    def _if_known(cls, value: Any) -> str | None:
        return value if isinstance(value, str) and value in set(Stage) else None


@dataclass(frozen=True, slots=True)
class Case:
    """What every screen needs of one attempt."""

    shop: Shop
    attempt: Attempt
    order: Order | None
    token: str

    @property
    def is_paid(self) -> bool:
        """A leg that is paid leaves the order unpaid until the last one is."""
        is_whole = self.attempt.stage == Stage.PAID and not self.attempt.is_part
        return is_whole or bool(self.order and self.order.paid_at)


@blueprint.post("/panel")
def open_panel() -> Response:
    """The frame opens the panel: the attempt is made if no beacon has told of it yet."""
    try:
        opening = Opening.model_validate_json(request.get_data())
    except ValidationError:
        raise Malformed("The frame sent something unreadable. Reload the checkout page.") from None
    hit(OPENS_PER_ATTEMPT, "panel", opening.attempt.key)
    hit(OPENS_PER_ADDRESS, "panel", request.remote_addr or "")
    if opening.back:
        return _welcome_back(opening)
    now, facts = clock.now(), allowed_facts(opening.facts)
    with services().database.write() as session:
        shop = shops.by_site(session, opening.site)
        digest.digest_attempt(session, opening.attempt.key, services().pace, now)
        attempt = attempts.open_for(session, shop, opening.attempt, now)
        attempt.user_agent = attempt.user_agent or mask_card_numbers(request.user_agent.string[:500])
        attempts.learn_facts(attempt, facts)
        _hear_of_stage(session, attempt, opening, now)
        if not stalls.of(session, attempt.id):
            stalls.record(session, attempt, StallKind.ASKED, Stage(attempt.stage), SeenBy.SHOPPER, now)
        token = services().tokens.sign(Purpose.HELP, attempt.id)
        case = Case(shop, attempt, attempts.order_of(session, attempt), token)
    return _opening_screen(case)


@blueprint.get("/help/<token>")
@limiter.limit("120/minute", key_func=by_link)
def page(token: str) -> Response:
    attempt_id = _attempt_id(token)
    enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.read() as session:
        case = _case_of(session, attempt_id, token)
        return _choices(session, case, checks=len(CHECK_PAUSES_SECONDS), greeting=_greeting(session, case))


@blueprint.post("/help/<token>/check")
@limiter.limit("120/minute", key_func=by_link)
def check(token: str) -> Response:
    """Ask the provider, then show what it said and what can be done now."""
    attempt_id = _attempt_id(token)
    enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.write() as session:
        case = _case_of(session, attempt_id, token)
        returns.attend(session, case.attempt, clock.now())
        greeting = _greeting(session, case) if "greet" in request.form else None
        return _choices(session, case, checks=_number("checks"), greeting=greeting)


@blueprint.get("/help/<token>/live")
@limiter.limit("120/minute", key_func=by_link)
def live(token: str) -> Response | tuple[str, int]:
    """Asked every few seconds by an open panel: nothing (204) until the order is paid, wherever that happened."""
    attempt_id, signed_at = services().tokens.read_with_age(Purpose.HELP, token)
    with services().database.read() as session:
        case = _case_of(session, attempt_id, token)
        if case.is_paid:
            return _paid(session, case)
    # 286 is htmx's word for "stop polling".
    return "", 204 if clock.now().timestamp() - signed_at < FOLLOWED_FOR_SECONDS else 286


@blueprint.post("/help/<token>/choose/<kind>")
@limiter.limit("60/minute", key_func=by_link)
def choose(token: str, kind: str) -> Response:
    """The shopper takes a way out. One that pays is shown only after the provider was asked again."""
    if kind not in set(OfferKind):
        raise NotFound("There is no such way out.")
    offer, attempt_id = OfferKind(kind), _attempt_id(token)
    if offer.pays:
        enquiry.ask(services().database, services().pace, attempt_id)
    with services().database.write() as session:
        case = _case_of(session, attempt_id, token)
        if case.order is not None:
            # Held before the offer is touched, as a payment does.
            orders.locked(session, case.order.id)
        if offer not in _offers(session, case):
            return _choices(session, case, checks=0)
        now = clock.now()
        offers.choose(session, case.attempt, offer, now)
        signals.note(session, case.attempt, "offer", now, kind=offer.value)
        return _SCREENS[offer](session, case)


@blueprint.post("/help/<token>/report")
@limiter.limit("20/minute", key_func=by_link)
def report(token: str) -> Response:
    """Open the ticket, or join the one that is there."""
    attempt_id = _attempt_id(token)
    email, words = request.form.get("email", ""), request.form.get("words", "")
    database, pace = services().database, services().pace
    try:
        with database.write() as session:
            case = _case_of(session, attempt_id, token)
            ticket = casework.report(
                session,
                case.shop,
                case.attempt,
                email=email,
                words=words,
                locale=_locale(case),
                pace=pace,
                now=clock.now(),
            )
            return _show("reported", case, ticket=ticket, status_url=services().addresses.status(ticket))
    except Malformed as error:
        with database.read() as session:
            case = _case_of(session, attempt_id, token)
            return _report_form(session, case, email=email, words=words, error=error.detail)


def _welcome_back(opening: Opening) -> Response:
    """What happened, then the charge. Nothing (204) when there is nothing to say to who comes back."""
    now = clock.now()
    with services().database.write() as session:
        shop = shops.by_site(session, opening.site)
        digest.digest_attempt(session, opening.attempt.key, services().pace, now)
        attempt = returns.attempt_of(session, shop, opening.attempt.key)
        is_news = attempt is not None and returns.welcome(session, attempt, now)
        if attempt is None or not is_news:
            return Response(status=204)
        case = Case(
            shop, attempt, attempts.order_of(session, attempt), services().tokens.sign(Purpose.HELP, attempt.id)
        )
        return _paid(session, case) if case.is_paid else _opening_screen(case, _greeting(session, case))


def _greeting(session: Session, case: Case) -> str | None:
    return None if case.is_paid else returns.greeting(session, case.attempt, clock.now())


def _hear_of_stage(session: Session, attempt: Attempt, opening: Opening, now: datetime) -> None:
    """Keep the stage that the page told the frame, when it is news: perhaps that Pay was not pressed yet."""
    if opening.stage is None or Stage(opening.stage).is_over:
        return
    is_first = not signals.named(session, [attempt.id], ["stage"], 1)
    if attempts.hear_of(attempt, Stage(opening.stage)) or is_first:
        signals.note(session, attempt, "stage", now, stage=opening.stage, seen_by="frame")


def _opening_screen(case: Case, greeting: str | None = None) -> Response:
    return _show("checking", case, charged_by=case.attempt.provider, greeting=greeting)


def _choices(session: Session, case: Case, *, checks: int, greeting: str | None = None) -> Response:
    """The charge in plain words, then the ways out."""
    if case.is_paid:
        return _paid(session, case)
    charge = charges.latest(session, case.attempt.id)
    kinds = _offers(session, case)
    if request.method == "POST":
        offers.show(session, case.attempt, kinds, clock.now())
    seen = stalls.of(session, case.attempt.id)
    state = _state(session, case)
    pause = None
    if state is ChargeState.UNKNOWN and checks < len(CHECK_PAUSES_SECONDS):
        pause = CHECK_PAUSES_SECONDS[checks]
    return _show(
        "choices",
        case,
        charge=charge,
        state=state.value,
        part=_paid_part(session, case),
        charged_part=_charged_part(case, charge),
        greeting=greeting,
        why=diagnose(StallKind(seen[0].kind) if seen and not greeting else None).said,
        offers=[kind.value for kind in kinds],
        ticket=tickets.of_attempt(session, case.attempt.id),
        pause=pause,
        checks=checks + 1,
    )


def _paid(session: Session, case: Case) -> Response:
    charge = charges.latest(session, case.attempt.id)
    response = _show("paid", case, receipt=charge.payment if charge else None)
    response.headers["HX-Retarget"] = "#screen"
    response.headers["HX-Reswap"] = "outerHTML"
    reference = case.order.reference if case.order else None
    response.headers["HX-Trigger"] = json.dumps({"unjam:paid": {"order": reference}})
    return response


def _retry(_session: Session, case: Case) -> Response:
    response = _show("retry", case, checkout=_checkout(case, case.attempt.method))
    response.headers["HX-Trigger"] = "unjam:retry"
    return response


def _method(_session: Session, case: Case) -> Response:
    """First the list of methods; with one chosen, how to go on with it."""
    others = _other_methods(case)
    chosen = next((each for each in others if each.id == request.form.get("method")), None)
    response = _show(
        "method", case, methods=others, chosen=chosen, checkout=_checkout(case, chosen.id if chosen else None)
    )
    if chosen is not None:
        response.headers["HX-Trigger"] = f'{{"unjam:method": {{"method": "{chosen.id}"}}}}'
    return response


def _device(_session: Session, case: Case) -> Response:
    address = services().addresses.continue_on(case.attempt)
    return _show("device", case, address=address, qr=_qr(address))


def _payment_link(session: Session, case: Case) -> Response:
    if case.order is None:
        raise Refused("The amount of this order is not known. Report it, and a person will help.")
    link = links.link_for(session, case.shop, case.attempt, orders.locked(session, case.order.id), clock.now())
    return _show("payment_link", case, link=link, address=services().addresses.pay(link))


def _person(_session: Session, case: Case) -> Response:
    return _show("person", case, is_open=case.shop.settled.is_open(clock.now()))


def _report_form(
    session: Session, case: Case, *, email: str | None = None, words: str = "", error: str | None = None
) -> Response:
    found = evidence.gather(session, case.shop, case.attempt, _locale(case))
    prefilled = case.attempt.email or "" if email is None else email
    response = _show("report", case, evidence=found, email=prefilled, words=words, error=error)
    response.status_code = 422 if error else 200
    return response


def _report_screen(session: Session, case: Case) -> Response:
    return _report_form(session, case)


_SCREENS = {
    OfferKind.RETRY: _retry,
    OfferKind.METHOD: _method,
    OfferKind.DEVICE: _device,
    OfferKind.PAYMENT_LINK: _payment_link,
    OfferKind.PERSON: _person,
    OfferKind.REPORT: _report_screen,
}


def _offers(session: Session, case: Case) -> list[OfferKind]:
    profile = case.shop.settled
    return offers.offers_for(
        Situation(
            charge=_state(session, case),
            is_paid=case.is_paid,
            has_amount=case.order is not None,
            can_return=profile.checkout_url is not None,
            other_methods=len(_other_methods(case)),
            takes_link_payments=enquiry.provider_of(case.shop, case.attempt) in profile.providers,
            has_contacts=bool(profile.contacts),
            is_part_paid=bool(attempts.paid_legs(session, case.order)),
        )
    )


def _paid_part(session: Session, case: Case) -> str | None:
    """How the part of the order was paid that went through already, or None when there is no such part."""
    legs = attempts.paid_legs(session, case.order)
    return " and ".join(case.shop.settled.method_label(each.method) or "One payment" for each in legs) or None


def _charged_part(case: Case, charge: Charge | None) -> str | None:
    """What the provider has taken, where that is less than the order is worth."""
    if charge is None or charge.amount is None or charge.currency is None or not charge.is_part_of(case.order):
        return None
    return Money(charge.amount, charge.currency).shown(_locale(case))


def _state(session: Session, case: Case) -> ChargeState:
    return charges.certain_state(session, case.attempt, case.order, clock.now())


def _other_methods(case: Case) -> list[shops.Method]:
    return [each for each in case.shop.settled.methods if each.id != case.attempt.method]


def _checkout(case: Case, method: str | None) -> str | None:
    return case.shop.settled.checkout_for(case.order.reference, method or "") if case.order else None


def _case_of(session: Session, attempt_id: int, token: str) -> Case:
    attempt, shop, order = attempts.with_shop_and_order(session, attempt_id)
    return Case(shop, attempt, order, token)


def _attempt_id(token: str) -> int:
    return int(services().tokens.read(Purpose.HELP, token))


def _number(field: str) -> int:
    return min(int(value), 100) if (value := request.form.get(field, "0")).isdecimal() and len(value) < 5 else 0


def _locale(case: Case) -> str:
    return locale_for(str(case.attempt.facts.get("language") or ""), case.shop.settled.locale)


def _qr(address: str) -> str:
    """An SVG without inline style, so that the content security policy needs no exception."""
    made = segno.make_qr(address, error="m")
    return made.svg_inline(border=2, svgclass="qr", lineclass=None, omitsize=True)


def _show(screen: str, case: Case, **values: Any) -> Response:
    """A screen alone for the frame and htmx, or inside its page for everybody else."""
    opens_frame = "Unjam-Frame" in request.headers
    layout = "framed" if opens_frame else "part" if "HX-Request" in request.headers else "page"
    page = render_template(
        f"public/help/{screen}.html",
        layout=f"public/help/{layout}.html",
        case=case,
        shop=case.shop,
        profile=case.shop.settled,
        is_framed=opens_frame or "/frame/" in request.headers.get("HX-Current-URL", ""),
        locale=_locale(case),
        **values,
    )
    return make_response(page)
