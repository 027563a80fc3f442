"""Going on with another device: the code and the link here, the page that opens there, and following it live."""

import segno
from flask import Response, redirect, render_template, request
from flask import make_response as page_of
from flask_babel import gettext as _
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import (
    attempts,
    cashier,
    certainty,
    clock,
    enquiry,
    findings,
    followups,
    guard,
    handovers,
    methods,
    orders,
    transfers,
)
from widget.attempts import Attempt
from widget.errors import LinkExpired, Malformed, Refused
from widget.followups import Kind
from widget.handovers import HandOver
from widget.orders import Order
from widget.providers import ChargeState
from widget.shops import Shop
from widget.tokens import Purpose
from widget.web import caller, reader, refusals, security, waiting
from widget.web.context import services
from widget.web.limits import by_link, limiter
from widget.web.panel import fields, knowledge, screen, writing
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case, attempt_id_of, case_of, show
from widget.web.panel.knowledge import Knowledge


def offered(session: Session, known: Knowledge) -> Response:
    return _screen(session, known.case)


@blueprint.post("/help/<token>/device/send")
@limiter.limit("10/minute", key_func=by_link)
def send(token: str) -> Response:
    """Send the link by e-mail, to the address that is known or to the one that was typed."""
    attempt_id, typed = attempt_id_of(token), request.form.get("email", "")
    if not _is_payable(attempt_id):
        with services().database.write() as session:
            return screen.choices(session, case_of(session, attempt_id, token), checks=0, is_busy=True)
    try:
        address = fields.email(typed)
        with services().database.write() as session:
            case = case_of(session, attempt_id, token)
            if guard.is_suspect(session, case.attempt, clock.now()):
                return screen.choices(session, case, checks=0)
            writing.count(session, case, address)
            _send(session, case.attempt, address)
            return _screen(session, case, sent_to=address)
    except (Malformed, Refused) as error:
        with services().database.write() as session:
            case = case_of(session, attempt_id, token)
            return _screen(session, case, typed=typed, error=_(error.detail))


@blueprint.get("/help/<token>/device")
@limiter.limit("120/minute", key_func=by_link)
def follow(token: str) -> Response | tuple[str, int]:
    """How the hand-over that is `shown` goes: asked by the device that shows it, every few seconds."""
    with services().database.read() as session:
        case = case_of(session, attempt_id_of(token), token)
        state = handovers.state_of(session, case.attempt.id, request.args.get("shown", ""), clock.now())
    if state is handovers.State.OFFERED:
        # Nothing to say yet, so nothing is said again to who listens to the page.
        return "", 204
    # 286 is htmx's word for "stop polling".
    return show("device_state", case, state=state.value, status=286)


@blueprint.get("/continue/<token>")
@limiter.limit("60/minute", key_func=by_link)
def continue_here(token: str) -> Response:
    key = str(services().tokens.read(Purpose.CONTINUE, token))
    with services().database.read() as session:
        return _arrival(session, handovers.by_key(session, key))


@blueprint.post("/continue/<token>")
@limiter.limit("20/minute", key_func=by_link)
def go_on_here(token: str) -> Response | Redirect:
    """The first device that goes on keeps the link. It leads to the checkout, never while money may have moved."""
    key = str(services().tokens.read(Purpose.CONTINUE, token))
    with services().database.read() as session:
        hand_over = handovers.by_key(session, key)
        if hand_over.email is not None and "mine" not in request.form:
            # Mail scanners submit the forms they find; they leave this box as it is.
            return _arrival(session, hand_over, state="confirm")
    is_clear = _is_payable(hand_over.attempt_id)
    if is_clear:
        waiting.let_go(hand_over.attempt_id)
    try:
        with services().database.write() as session:
            return _leave_for_checkout(session, key, token, is_clear=is_clear)
    except (Refused, LinkExpired) as error:
        refusals.note("link_refused", "continue", reason="shared" if isinstance(error, Refused) else "expired")
        with services().database.read() as session:
            return _arrival(session, handovers.by_key(session, key))


def _leave_for_checkout(session: Session, key: str, token: str, *, is_clear: bool) -> Response | Redirect:
    secret = handovers.take(session, key, request.cookies.get(_cookie(key)), clock.now())
    hand_over = handovers.by_key(session, key)
    attempt, shop, order = attempts.with_shop_and_order(session, hand_over.attempt_id)
    if order is not None:
        order = orders.locked(session, order.id)
    checkout = shop.settled.checkout_for(order.reference, _method_of(session, attempt)) if order else None
    may_pay = is_clear and certainty.may_pay_whole(session, attempt, order, clock.now())
    state = None if may_pay else _state_of(session, attempt, order, is_clear=is_clear)
    response = (
        redirect(checkout, 303) if checkout and may_pay else _arrival(session, hand_over, state=state, secret=secret)
    )
    response.set_cookie(
        _cookie(key),
        secret,
        max_age=handovers.LASTS,
        path=f"/continue/{token}",
        secure=services().settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _method_of(session: Session, attempt: Attempt) -> str:
    """The method that the customer was paying by; none where it fails now, or this device cannot have it."""
    if attempt.method is None or methods.is_out_of_reach(attempt.method, caller.agent()):
        return ""
    return "" if attempt.method in findings.of(session, attempt, clock.now()).avoid else attempt.method


def _state_of(session: Session, attempt: Attempt, order: Order | None, *, is_clear: bool) -> str:
    """Why nothing may be paid here now; without a word of the provider nobody can say more than that it is open."""
    state = certainty.certain_state(session, attempt, order, clock.now())
    return ChargeState.UNKNOWN.value if state is ChargeState.NOT_CHARGED and not is_clear else state.value


def _arrival(session: Session, hand_over: HandOver, *, state: str | None = None, secret: str | None = None) -> Response:
    """The page on the other device."""
    attempt, shop, order = attempts.with_shop_and_order(session, hand_over.attempt_id)
    reader.use(shop, attempt)
    status = 200
    try:
        handovers.check(hand_over, secret or request.cookies.get(_cookie(hand_over.key)), clock.now())
    except Refused:
        state, status = "elsewhere", 409
    except LinkExpired:
        state, status = "over", 410
    page = render_template(
        "public/continue.html",
        shop=shop,
        profile=shop.settled,
        order=order,
        state="paid" if order is not None and order.paid_at and state not in {"elsewhere", "over"} else state,
        is_part_paid=certainty.is_part_paid(session, order),
        warning=waiting.warning(certainty.truth_of(session, attempt, order, clock.now())),
        asks_whose=hand_over.email is not None and hand_over.taken_by is None,
    )
    response = page_of(page, status)
    if shop.settled.checkout_url:
        # Browsers apply form-action to the redirect that answers the form, too.
        response.headers["Content-Security-Policy"] = security.policy(form_action=_form_action(shop))
    return response


def _form_action(shop: Shop) -> str:
    return " ".join(("'self'", *shop.settled.allowed_origins))


def _screen(
    session: Session, case: Case, *, typed: str | None = None, sent_to: str | None = None, error: str | None = None
) -> Response:
    hand_over = handovers.open_for(session, case.attempt, clock.now())
    address = services().addresses.continue_on(hand_over)
    email = case.attempt.email or "" if typed is None else typed
    return show(
        "device",
        case,
        status=422 if error else 200,
        address=address,
        shown=hand_over.key,
        qr=_qr(address),
        until=hand_over.expires_at,
        email=email,
        sent_to=sent_to,
        warning=knowledge.of(session, case).warning,
        error=error,
    )


def _send(session: Session, attempt: Attempt, address: str) -> None:
    now = clock.now()
    hand_over = handovers.send(session, attempt, address, now)
    followups.owe_to_attempt(session, attempt, Kind.DEVICE, about=hand_over.key, due_at=now, now=now)


def _is_payable(attempt_id: int) -> bool:
    """Whether nothing was charged and nothing is on its way; the provider is asked."""
    database, pace = services().database, services().pace
    enquiry.ask(database, pace, attempt_id, fresh=True)
    if not cashier.clear(database, pace, attempt_id):
        return False
    with database.read() as session:
        attempt, _shop, order = attempts.with_shop_and_order(session, attempt_id)
        if order is not None and transfers.is_announced(session, order, attempt):
            return False
        return certainty.may_pay_whole(session, attempt, order, clock.now())


def _cookie(key: str) -> str:
    return f"unjam_device_{key[:8]}"


def _qr(address: str) -> str:
    """An SVG without inline style, so that the content security policy needs no exception."""
    made = segno.make_qr(address, error="m")
    return made.svg_inline(border=2, svgclass="qr", lineclass=None, omitsize=True)
