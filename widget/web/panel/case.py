"""A case: the attempt that a signed link is about, with its shop and order, and how one of its screens is rendered."""

from dataclasses import dataclass
from typing import Any

from flask import Response, make_response, render_template, request
from sqlalchemy.orm import Session

from widget import attempts
from widget.attempts import Attempt, Stage
from widget.orders import Order
from widget.shops import Shop
from widget.tokens import Purpose
from widget.web import reader
from widget.web.context import services


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

    @property
    def known_email(self) -> str:
        """The customer's address, where the shop itself has told it; what anybody may claim is not shown to them."""
        is_told = self.order is not None and self.order.is_verified
        return (self.order.customer_email or "") if self.order is not None and is_told else ""


def attempt_id_of(token: str) -> int:
    """Raises LinkInvalid or LinkExpired."""
    return int(services().tokens.read(Purpose.HELP, token))


def case_of(session: Session, attempt_id: int, token: str) -> Case:
    """The case, whose customer's language this page speaks from here on."""
    attempt, shop, order = attempts.with_shop_and_order(session, attempt_id)
    reader.use(shop, attempt)
    return Case(shop, attempt, order, token)


def show(screen: str, case: Case, *, status: int = 200, **values: Any) -> Response:
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
        **values,
    )
    return make_response(page, status)
