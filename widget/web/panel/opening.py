"""The frame opens the panel: by the customer's hand, or because they came back to a payment."""

from datetime import datetime
from typing import Any

from flask import Response, request
from limits import parse as parse_limit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.orm import Session

from widget import attempts, clock, digest, guard, links, returns, shops, signals, stalls
from widget.attempts import Attempt, AttemptContext, Stage
from widget.browsers import allowed_facts
from widget.errors import Malformed
from widget.redaction import mask_card_numbers
from widget.stalls import SeenBy, StallKind
from widget.tokens import Purpose
from widget.web import caller, reader
from widget.web.context import services
from widget.web.limits import hit
from widget.web.panel import screen
from widget.web.panel.blueprint import blueprint
from widget.web.panel.case import Case

OPENS_PER_ATTEMPT = parse_limit("30/minute")
OPENS_PER_ADDRESS = parse_limit("300/minute")


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
        links.revoke_outdated(session, attempt, now)
        attempt.user_agent = attempt.user_agent or mask_card_numbers(request.user_agent.string[:500])
        attempts.learn_facts(attempt, facts)
        guard.remember(session, attempt, caller.address())
        _hear_of_stage(session, attempt, opening, now)
        if not stalls.of(session, attempt.id):
            stalls.record(session, attempt, StallKind.ASKED, Stage(attempt.stage), SeenBy.SHOPPER, now)
        return screen.first(_case(session, shop, attempt))


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
        case = _case(session, shop, attempt)
        return screen.paid(session, case) if case.is_paid else screen.first(case, screen.greeting(session, case))


def _case(session: Session, shop: shops.Shop, attempt: Attempt) -> Case:
    reader.use(shop, attempt)
    token = services().tokens.sign(Purpose.HELP, attempt.id)
    return Case(shop, attempt, attempts.order_of(session, attempt), token)


def _hear_of_stage(session: Session, attempt: Attempt, opening: Opening, now: datetime) -> None:
    """Keep the stage that the page told the frame, when it is news: perhaps that Pay was not pressed yet."""
    if opening.stage is None or Stage(opening.stage).is_over:
        return
    is_first = not signals.named(session, [attempt.id], ["stage"], 1)
    if attempts.hear_of(attempt, Stage(opening.stage)) or is_first:
        signals.note(session, attempt, "stage", now, stage=opening.stage, seen_by="frame")
