"""Help without JavaScript: a page of forms for a checkout whose script is blocked, or that nobody has linked to us."""

import re
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from babel.numbers import get_currency_precision
from flask import Blueprint, make_response, redirect, render_template, request
from flask import Response as Page
from flask_babel import gettext as _
from limits import parse as parse_limit
from pydantic import ValidationError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from widget import attempts, clock, guard, shops, signals, stalls
from widget.attempts import KEY_PATTERN, Attempt, AttemptContext, Stage
from widget.errors import LinkExpired, LinkInvalid, UnknownSite
from widget.language import N_
from widget.money import MAX_MINOR, is_currency
from widget.orders import OrderContext
from widget.redaction import has_card_number, mask_card_numbers
from widget.shops import Shop
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose
from widget.web import caller, reader
from widget.web.context import services
from widget.web.limits import hit

blueprint = Blueprint("start", __name__)

LOOKS_PER_ADDRESS = parse_limit("120/minute")
STARTS_PER_ADDRESS = parse_limit("60/minute")
MAX_ORDER_CHARS, MAX_PRICE_CHARS = 100, 20


@dataclass(frozen=True, slots=True)
class Happening:
    """One answer to "What happened?": the shopper's words, and what they mean."""

    words: str
    kind: StallKind
    stage: Stage


# Who cannot say for certain that Pay was never pressed may have been charged: all but the first count as pressed.
HAPPENINGS = {
    "absent": Happening(N_("The page to pay does not load"), StallKind.SDK, Stage.SDK),
    "nothing": Happening(N_("I pressed Pay and nothing happened"), StallKind.DEAD_BUTTON, Stage.SUBMITTED),
    "endless": Happening(N_("I pressed Pay and it does not finish"), StallKind.NO_ANSWER, Stage.SUBMITTED),
    "frozen": Happening(N_("The page froze or closed"), StallKind.FROZEN, Stage.SUBMITTED),
    "bank": Happening(N_("My bank’s check did not work"), StallKind.CHALLENGE, Stage.AUTHENTICATING),
    "error": Happening(N_("I was shown an error"), StallKind.ERROR, Stage.SUBMITTED),
    "other": Happening(N_("Something else"), StallKind.ASKED, Stage.SUBMITTED),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the shop's link or the shopper has told, as it came."""

    order: str
    # In minor units, from the shop's link only.
    amount: str
    # As people write it, from the form only.
    price: str
    currency: str
    email: str
    signature: str
    # When the shop's server signed it, in Unix seconds.
    issued_at: str
    happened: str

    @property
    def is_from_shop(self) -> bool:
        """Whether the link names order and amount, so that there is nothing to ask about them."""
        return self.context() is not None and bool(self.amount)

    def context(self) -> OrderContext | None:
        """The order to open, or None without a payable amount."""
        amount = self.amount or _minor(self.price, self.currency)
        named = {"order": self.order, "amount": amount, "currency": self.currency}
        vouched = {"email": self.email, "signature": self.signature, "issued_at": self.issued_at}
        try:
            return OrderContext.model_validate(named | vouched)
        except ValidationError:
            return None


@blueprint.get("/start/<site>")
def form(site: str) -> Page:
    hit(LOOKS_PER_ADDRESS, "start", request.remote_addr or "")
    with services().database.read() as session:
        shop = _shop(session, site)
    return _show(shop, _said(request.args)) if shop else _nowhere()


@blueprint.post("/start/<site>")
def start(site: str) -> Response:
    """Open an attempt as the shopper tells it, and go on to its help. Sent twice, it is the same attempt."""
    hit(STARTS_PER_ADDRESS, "start-form", request.remote_addr or "")
    said = _said(request.form)
    with services().database.write() as session:
        shop = _shop(session, site)
        if shop is None:
            return _nowhere()
        key, errors = _key_of(request.form.get("form", ""), shop), _errors(said)
        if errors or key is None:
            return _show(shop, said, errors, is_expired=key is None)
        attempt_id = _open(session, shop, key, said).id
    return redirect(f"/help/{services().tokens.sign(Purpose.HELP, attempt_id)}", 303)


def _open(session: Session, shop: Shop, key: str, said: Said) -> Attempt:
    now, happening = clock.now(), HAPPENINGS[said.happened]
    attempt = attempts.open_for(session, shop, AttemptContext(key=key, order=said.context()), now)
    if Stage(attempt.stage).is_over:
        return attempt
    attempt.user_agent = mask_card_numbers(request.user_agent.string[:500])
    guard.remember(session, attempt, caller.address())
    signals.note(session, attempt, "stage", now, stage=happening.stage.value)
    if attempt.order_id is None and said.order:
        # Without an amount there is no order to open; the agent who reads the report needs its number all the same.
        signals.note(session, attempt, "named", now, order=mask_card_numbers(said.order))
    stalls.record(session, attempt, happening.kind, happening.stage, SeenBy.SHOPPER, now, {"said": happening.words})
    # Nobody is on the checkout page any more, and so nobody waits there for a sign of life.
    attempts.reach(attempt, Stage.LEFT, 0)
    return attempt


def _errors(said: Said) -> dict[str, str]:
    """What to mend, by field, in the order of the fields."""
    errors: dict[str, str] = {}
    if len(said.order) > MAX_ORDER_CHARS or not said.order.isprintable():
        errors["order"] = _(
            "Enter the order number in one line of at most %(count)s characters.", count=MAX_ORDER_CHARS
        )
    elif has_card_number(said.order):
        errors["order"] = _("This looks like a card number. Enter the number of the order instead.")
    if not said.amount and said.price and _minor(said.price, said.currency or "EUR") is None:
        errors["price"] = _("Enter the amount in figures, for example 49.90.")
    if not said.amount and said.price and not is_currency(said.currency):
        errors["currency"] = _("Enter the currency in three letters, for example EUR.")
    if said.happened not in HAPPENINGS:
        errors["happened"] = _("Choose what happened.")
    return errors


def _minor(price: str, currency: str) -> int | None:
    """`1 249,50` EUR is 124950. The last comma or point with no more figures behind it than cents have parts them."""
    if not is_currency(currency):
        return None
    figures = re.sub(r"[\s'’]", "", price)
    places = get_currency_precision(currency)
    read = re.fullmatch(rf"(\d[\d.,]*?)(?:[.,](\d{{1,{max(places, 2)}}}))?", figures)
    if read is None or len(figures) > MAX_PRICE_CHARS:
        return None
    whole, cents = re.sub(r"[.,]", "", read[1]), read[2] or "0"
    amount = Decimal(f"{whole}.{cents}").scaleb(places)
    return int(amount) if 0 < amount <= MAX_MINOR and amount % 1 == 0 else None


def _said(fields: Any) -> Said:
    told = {name: str(fields.get(name, "")).strip()[:300] for name in Said.__dataclass_fields__}
    return Said(**told | {"currency": told["currency"].upper()})


def _shop(session: Session, site: str) -> Shop | None:
    try:
        return shops.by_site(session, site)
    except UnknownSite:
        return None


def _form_for(shop: Shop) -> str:
    """The nonce of one form. It holds the key of the attempt, so that sending the form twice opens one."""
    return services().tokens.sign(Purpose.FORM, ["start", shop.site, secrets.token_hex(16)])


def _key_of(nonce: str, shop: Shop) -> str | None:
    """The attempt's key, or None when the form is too old or was not ours."""
    try:
        subject = services().tokens.read(Purpose.FORM, nonce)
    except (LinkExpired, LinkInvalid):
        return None
    is_ours = isinstance(subject, list) and len(subject) == 3 and subject[:2] == ["start", shop.site]
    return str(subject[2]) if is_ours and re.match(KEY_PATTERN, str(subject[2])) else None


def _show(shop: Shop, said: Said, errors: dict[str, str] | None = None, *, is_expired: bool = False) -> Page:
    reader.use(shop)
    nonce = request.form.get("form", "")
    page = render_template(
        "public/start.html",
        shop=shop,
        profile=shop.settled,
        said=said,
        happenings=HAPPENINGS,
        errors=errors or {},
        is_expired=is_expired,
        # Kept while it is good, so that a form that was mended and one that was sent before are the same attempt.
        nonce=nonce if nonce and not is_expired else _form_for(shop),
        is_open=shop.settled.is_open(clock.now()),
    )
    return make_response(page, 422 if errors or is_expired else 200)


def _nowhere() -> Page:
    """For a shop that is not known, or does not use Unjam any more."""
    page = render_template("public/start.html", shop=None, profile=None)
    return make_response(page, 404)
