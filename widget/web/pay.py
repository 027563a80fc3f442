"""The manual payment link: one order, one amount, once. The money is taken on a page of the shop's provider."""

from flask import Blueprint, Response, make_response, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as Redirect

from widget import cashier, clock, guard, ledger, links, orders
from widget.attempts import Attempt
from widget.cashier import Step, Taking, Ways
from widget.errors import LinkExpired, Refused
from widget.links import PaymentLink
from widget.money import Money
from widget.orders import Order
from widget.shops import Shop
from widget.tokens import Purpose
from widget.web import reader, refusals, security, waiting
from widget.web.context import services
from widget.web.limits import by_link, limiter

blueprint = Blueprint("pay", __name__)

# Seconds from one look of the page to the next; then it stops, and the customer may look by hand.
LOOK_EVERY_SECONDS = (1, 2, 3, 5, 8, 13, 20, 30, 30, 30, 60, 60, 60, 60, 60)
_STATUS = {Step.CUSTOMER: 409, Step.CONFIRM: 409, Step.WAIT: 409, Step.HELD: 409, Step.UNANSWERED: 502}


@blueprint.get("/pay/<token>")
@limiter.limit("60/minute", key_func=by_link)
def page(token: str) -> Response:
    key = _key(token)
    with services().database.read() as session:
        link = links.by_key(session, key)
        state, why, status = _standing(session, link)
        if state == "over" and link.may_have_taken:
            # The provider's page may have outlived the link: what became of it is looked up before anything is said.
            state, status = "checking", 200
        shown = _show(session, link, token, state, why=why, status=status)
    if state == "over":
        _note_refusal(key)
    return shown


@blueprint.post("/pay/<token>")
@limiter.limit("20/minute", key_func=by_link)
def take(token: str) -> Response | Redirect:
    """On to the page that takes the money. Every step may be repeated: the same page is given again."""
    key = _key(token)
    _speak_to_payer(key)
    back = f"{services().settings.public_url}/pay/{token}/back"
    is_window_closed = request.form.get("closed") == "yes"
    ways = Ways(back, back, reader.locale())
    taking = cashier.take(services().database, services().pace, key, ways, is_window_closed=is_window_closed)
    if taking.step is Step.GO and taking.url is not None:
        onward = redirect(taking.url, 303)
        _let_go_outside(onward)
        return onward
    if taking.step is Step.OVER:
        _note_refusal(key)
    return _answer(key, token, taking.step.value, taking, status=_STATUS.get(taking.step))


@blueprint.get("/pay/<token>/back")
@limiter.limit("60/minute", key_func=by_link)
def came_back(token: str) -> Response:
    """Where the provider sends the customer. Looking is left to the page, because it may settle the order."""
    with services().database.read() as session:
        link = links.by_key(session, _key(token))
        state, why, status = _standing(session, link)
        is_to_look = link.hosted_id is not None and state not in {"done", "part"}
        return _show(session, link, token, "checking" if is_to_look else state, why=why, status=status)


@blueprint.post("/pay/<token>/back")
@limiter.limit("60/minute", key_func=by_link)
def look(token: str) -> Response:
    key = _key(token)
    taking = cashier.come_back(services().database, services().pace, key)
    state = "not_taken" if taking.step is Step.OPEN else taking.step.value
    return _answer(key, token, state, taking)


@blueprint.post("/pay/<token>/leave")
@limiter.limit("20/minute", key_func=by_link)
def leave(token: str) -> Response:
    """The customer wants to pay another way: the provider's page is closed first."""
    key = _key(token)
    taking = cashier.leave(services().database, services().pace, key)
    return _answer(key, token, "left" if taking.step is Step.OPEN else taking.step.value, taking)


@blueprint.post("/pay/<token>/missing")
@limiter.limit("20/minute", key_func=by_link)
def pay_missing(token: str) -> Response | Redirect:
    """On to a link for what this one's payment left, because the shop had changed the amount meanwhile."""
    key = _key(token)
    with services().database.write() as session:
        link = links.by_key(session, key)
        order = orders.locked(session, link.order_id)
        attempt, missing = session.get_one(Attempt, link.attempt_id), _missing(session, link, order)
        if missing is not None and not guard.is_suspect(session, attempt, clock.now()):
            shop = session.get_one(Shop, order.shop_id)
            rest = links.link_for(session, shop, attempt, order, clock.now(), links.Purpose.DIFFERENCE, missing)
            return redirect(services().addresses.pay(rest), 303)
        state, why, status = _standing(session, link)
        return _show(session, link, token, state, why=why, status=status)


def _missing(session: Session, link: PaymentLink, order: Order) -> Money | None:
    """What is still to be paid after this link's payment, where that can be said."""
    return ledger.balance(session, order).missing if link.paid_at and order.paid_at is None else None


def _key(token: str) -> str:
    return str(services().tokens.read(Purpose.PAY, token))


def _standing(session: Session, link: PaymentLink) -> tuple[str, str | None, int]:
    """Where the link stands as far as we know, without asking anybody: the state, why it is over, the HTTP status."""
    order = session.get_one(Order, link.order_id)
    if order.paid_at is not None:
        return "done", None, 200
    if link.paid_at is not None:
        return "part", None, 200
    try:
        links.check_payable(session, link, order, clock.now())
    except (LinkExpired, Refused) as error:
        return "over", error.detail, error.status
    return "open", None, 200


def _speak_to_payer(key: str) -> None:
    with services().database.read() as session:
        link = links.by_key(session, key)
        attempt = session.get_one(Attempt, link.attempt_id)
        reader.use(session.get_one(Shop, attempt.shop_id), attempt)


def _answer(key: str, token: str, state: str, taking: Taking, *, status: int | None = None) -> Response:
    with services().database.read() as session:
        link = links.by_key(session, key)
        code = status or (_standing(session, link)[2] if state == "over" else 200)
        return _show(
            session,
            link,
            token,
            state,
            why=taking.why,
            was_declined=taking.was_declined,
            provider=taking.provider,
            status=code,
        )


def _show(
    session: Session,
    link: PaymentLink,
    token: str,
    state: str,
    *,
    why: str | None = None,
    was_declined: bool = False,
    provider: str | None = None,
    status: int = 200,
) -> Response:
    order, attempt = session.get_one(Order, link.order_id), session.get_one(Attempt, link.attempt_id)
    shop = session.get_one(Shop, order.shop_id)
    reader.use(shop, attempt)
    looks = _looks()
    page = render_template(
        "public/pay.html",
        shop=shop,
        profile=shop.settled,
        order=order,
        link=link,
        token=token,
        state=state,
        why=why,
        was_declined=was_declined,
        provider_name=waiting.window_of(provider),
        missing=_missing(session, link, order),
        looks=looks,
        look_after=LOOK_EVERY_SECONDS[looks] if looks < len(LOOK_EVERY_SECONDS) else None,
        is_open_now=shop.settled.is_open(clock.now()),
        is_begun=link.is_open_at_provider(clock.now()),
    )
    response = make_response(page, status)
    _let_go_outside(response)
    return response


def _looks() -> int:
    """How often this page has looked already; it says so itself, and gains nothing by a lie."""
    said = request.form.get("looks", "")
    return min(int(said) + 1, 100) if said.isdecimal() and len(said) < 4 else 0


def _let_go_outside(response: Redirect) -> None:
    """Browsers apply form-action to the redirect that answers a form, and the provider's page may be anywhere."""
    outside = "https:" if services().settings.is_https else "https: http:"
    response.headers["Content-Security-Policy"] = security.policy(form_action=f"'self' {outside}")


def _note_refusal(key: str) -> None:
    with services().database.read() as session:
        link = links.by_key(session, key)
        shop_id = session.get_one(Order, link.order_id).shop_id
        over = {"revoked": link.revoked_at is not None, "expired": link.expires_at <= clock.now()}
    reason = next((name for name, is_so in over.items() if is_so), "changed")
    refusals.note("link_refused", "pay", shop_id=shop_id, reason=reason)
