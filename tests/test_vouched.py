"""What the shop's server signs, and when it signed it: an old word changes nothing back."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.cast import Cast
from tests.conftest import Clock
from widget import orders
from widget.database import Database
from widget.money import Money
from widget.orders import Order, OrderContext
from widget.shops import signature_for

SAID: dict[str, Any] = {"order": "D-1001", "amount": 124900, "currency": "ZAR", "email": "sam@example.com"}


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


def signed(cast: Cast, issued_at: int | None = None, **changed: Any) -> OrderContext:
    said = SAID | changed
    return OrderContext(**said, issued_at=issued_at, signature=signature_for(cast.secret, **said, issued_at=issued_at))


@pytest.fixture
def session(database: Database) -> Any:
    with database.write() as opened:
        yield opened


@pytest.fixture
def cast(session: Session) -> Cast:
    return Cast(session)


def open_for(session: Session, cast: Cast, clock: Clock, context: OrderContext) -> Order:
    return orders.open_for(session, cast.shop, context, clock.now)


@pytest.mark.parametrize(
    "changed", [{"order": "2"}, {"amount": 2}, {"currency": "USD"}, {"email": "x@example.com"}, {"issued_at": 1}]
)
def test_a_dated_signature_is_bound_to_every_field(changed: dict[str, Any]) -> None:
    said = SAID | {"issued_at": 1_795_000_000}
    context = OrderContext(**said, signature=signature_for("secret", **said))
    assert context.is_signed_by(["old", "secret"])
    assert not context.model_copy(update=changed).is_signed_by(["secret"])


def test_the_date_can_neither_be_taken_away_nor_added() -> None:
    dated = signature_for("secret", **SAID, issued_at=1_795_000_000)
    undated = signature_for("secret", **SAID)
    assert not OrderContext(**SAID, signature=dated).is_signed_by(["secret"])
    assert not OrderContext(**SAID, signature=undated, issued_at=1_795_000_000).is_signed_by(["secret"])


@pytest.mark.parametrize("date", ["", "soon", "-5", "1e9", "²", "9" * 12, True, [], {}, None])
def test_what_is_no_date_is_as_good_as_none(date: object) -> None:
    assert OrderContext.model_validate(SAID | {"issued_at": date}).issued_at is None


def test_a_tag_gives_the_date_as_text() -> None:
    assert OrderContext.model_validate(SAID | {"issued_at": " 1795000000 "}).issued_at == 1_795_000_000


def test_a_later_signature_changes_the_amount(session: Session, cast: Cast, clock: Clock) -> None:
    open_for(session, cast, clock, signed(cast, unix(clock.now)))
    clock.forward(timedelta(minutes=5))
    order = open_for(session, cast, clock, signed(cast, unix(clock.now), amount=99900))
    assert (order.due, order.signed_at) == (Money(99900, "ZAR"), clock.now)


@pytest.mark.parametrize("is_dated", [True, False])
def test_an_older_signature_never_changes_it_back(session: Session, cast: Cast, clock: Clock, is_dated: bool) -> None:
    old = signed(cast, unix(clock.now) if is_dated else None, email="old@example.com")
    clock.forward(timedelta(minutes=5))
    open_for(session, cast, clock, signed(cast, unix(clock.now), amount=99900))
    clock.forward(timedelta(minutes=5))
    order = open_for(session, cast, clock, old)
    assert order.is_verified
    assert (order.due, order.customer_email) == (Money(99900, "ZAR"), "sam@example.com")


def test_undated_signatures_still_change_it_as_they_come(session: Session, cast: Cast, clock: Clock) -> None:
    open_for(session, cast, clock, signed(cast))
    order = open_for(session, cast, clock, signed(cast, amount=99900))
    assert (order.due, order.signed_at) == (Money(99900, "ZAR"), None)


def test_a_server_whose_clock_is_ahead_can_correct_itself(session: Session, cast: Cast, clock: Clock) -> None:
    ahead = clock.now + timedelta(days=30)
    open_for(session, cast, clock, signed(cast, unix(ahead)))
    clock.forward(timedelta(minutes=1))
    assert open_for(session, cast, clock, signed(cast, unix(clock.now), amount=99900)).due == Money(99900, "ZAR")


@pytest.mark.parametrize(
    ("age_hours", "is_vouched_for"), [(1, True), (23.9, True), (24.1, False), (-0.1, True), (-1, False), (None, False)]
)
def test_a_shop_may_ask_for_signatures_of_late(
    session: Session, clock: Clock, age_hours: float | None, is_vouched_for: bool
) -> None:
    cast = Cast(session, profile={"signature_hours": 24})
    issued_at = None if age_hours is None else unix(clock.now - timedelta(hours=age_hours))
    order = open_for(session, cast, clock, signed(cast, issued_at))
    assert order.is_verified is is_vouched_for
    assert (order.customer_email == "sam@example.com") is is_vouched_for


def test_an_attempt_whose_signature_grew_old_still_speaks_of_its_order(session: Session, clock: Clock) -> None:
    cast = Cast(session, profile={"signature_hours": 1})
    context = signed(cast, unix(clock.now))
    order = open_for(session, cast, clock, context)
    clock.forward(timedelta(hours=2))
    assert orders.speaks_of(session, cast.shop, context, order.id, clock.now)


def test_an_unsigned_context_is_another_row_that_reads_nothing(session: Session, cast: Cast, clock: Clock) -> None:
    open_for(session, cast, clock, signed(cast))
    stranger = open_for(session, cast, clock, OrderContext(**SAID))
    assert (stranger.is_verified, stranger.customer_email) == (False, None)
    assert len(list(session.scalars(sa.select(Order)))) == 2


def test_at_a_shop_that_signs_every_unsigned_number_is_treated_alike(
    session: Session, cast: Cast, clock: Clock
) -> None:
    stranger = open_for(session, cast, clock, OrderContext(**SAID | {"order": "D-9"}))
    assert not orders.is_shadowed(session, stranger)
    orders.told_by_shop(session, cast.shop, "D-3", Money(1, "ZAR"), clock.now)
    assert not orders.is_shadowed(session, stranger)
    known = open_for(session, cast, clock, signed(cast, order="D-2"))
    assert orders.is_shadowed(session, stranger)
    assert not orders.is_shadowed(session, known)


def test_the_snippet_of_the_documentation_signs_what_we_accept(session: Session, cast: Cast) -> None:
    page = (Path(__file__).parent.parent / "static" / "docs" / "install.md").read_text()
    [snippet] = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "issued_at" in each]
    space: dict[str, Any] = {}
    exec(snippet, space)  # noqa: S102
    tag = space["signed_order"](cast.secret, "D-1001", 124900, "ZAR", "sam@example.com")
    context = OrderContext.model_validate({name.removeprefix("data-"): value for name, value in tag.items()})
    assert context.signed_at is not None
    assert orders.is_vouched_for(session, cast.shop, context, context.signed_at)
