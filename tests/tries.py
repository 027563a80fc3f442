"""Tries at one order, at providers that say what a test has told them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from widget import attempts, certainty, enquiry, signals
from widget.attempts import Attempt, AttemptContext, Stage
from widget.cashier import Ways
from widget.database import Database
from widget.money import Money
from widget.providers import Answer, ChargeState, GivenUp, Hosted, ProviderDown, Question

CHARGED, NOT_CHARGED, UNKNOWN = ChargeState.CHARGED, ChargeState.NOT_CHARGED, ChargeState.UNKNOWN
ZAR = Money(124900, "ZAR")
BOTH = {"providers": {"demo": {"url": "http://127.0.0.1:1"}, "paypal": {"client_id": "c", "secret": "s"}}}
WAYS = Ways("http://back", "http://back", "en")


@dataclass
class Fake:
    """A provider that knows single payments; `marked` ones are the order's own by its word."""

    known: dict[str, Answer] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    left: GivenUp = GivenUp.GONE
    is_of_order: bool = False
    while_given_up: Callable[[], object] | None = None
    page: Answer = field(default_factory=lambda: Answer(NOT_CHARGED))
    closes: bool = True
    TAKES_BY_LOOKING = False

    def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        found = [self.known[each] for each in question.named if each in self.known]
        moved = next((each for each in found if each.state is not NOT_CHARGED), None)
        if moved is not None:
            return moved
        if not found or len(found) < len(question.named):
            return Answer(NOT_CHARGED, is_of_order=True) if self.is_of_order else Answer(UNKNOWN)
        return Answer(NOT_CHARGED, asked=frozenset(question.named), is_of_order=self.is_of_order, waits=found[0].waits)

    def give_up(self, _question: Question) -> GivenUp:
        if self.while_given_up is not None:
            self.while_given_up()
        return self.left

    def link(self, bill: Any) -> Hosted:
        return Hosted("page_1", "https://pay.example/1", bill.expires_at)

    def link_state(self, _hosted_id: str) -> Answer:
        return self.page

    def revoke(self, _hosted_id: str) -> None:
        if not self.closes:
            raise ProviderDown("The provider did not answer.")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    made = {"demo": Fake(), "paypal": Fake()}
    for module in ("enquiry.subject", "cashier", "cashier.pages", "cashier.unfinished"):
        monkeypatch.setattr(f"widget.{module}.adapter_for", lambda name, _config: made.get(name))
    return made


def tried(
    cast: Cast,
    payment: str | None = None,
    provider: str = "demo",
    *,
    is_signed: bool = True,
    amount: int = 124900,
    legs: tuple[int, int] | None = None,
    is_pressed: bool = True,
    address: str | None = None,
) -> Attempt:
    context = AttemptContext(
        key=key(),
        order=cast.context(is_signed=is_signed, amount=amount),
        method="card",
        provider=provider,
        payment=payment,
        leg=legs[0] if legs else None,
        legs=legs[1] if legs else None,
    )
    now = cast.shop.created_at
    attempt = attempts.open_for(cast.session, cast.shop, context, now)
    attempt.address = address
    if is_pressed:
        attempt.stage = Stage.CONFIRMING.value
        signals.note(cast.session, attempt, "stage", now, stage="submitted")
    cast.session.flush()
    return attempt


def state(database: Database, attempt_id: int, clock: Clock) -> ChargeState:
    with database.read() as session:
        attempt = attempts.by_id(session, attempt_id)
        return certainty.certain_state(session, attempt, attempts.order_of(session, attempt), clock.now)


@pytest.fixture
def two(database: Database, fakes: dict[str, Fake]) -> tuple[int, int]:
    """PayPal's window was opened and left, then a card was declined; PayPal has been asked."""
    with database.write() as session:
        cast = Cast(session, profile=BOTH)
        first, second = tried(cast, "Y1", "paypal").id, tried(cast, "pi_2").id
    fakes["paypal"].known["Y1"] = Answer(NOT_CHARGED, payment="Y1", waits=True)
    fakes["demo"].known["pi_2"] = Answer(NOT_CHARGED, payment="pi_2", code="card_declined")
    enquiry.ask(database, PACE, first)
    return first, second
