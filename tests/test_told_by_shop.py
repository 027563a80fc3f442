"""What the shop's server tells before any page does: it pays the order that it is of, and no stranger's."""

import pytest

from tests.cast import PACE, Cast
from tests.conftest import Clock
from tests.tries import ZAR, tried
from widget import attempts, payments
from widget.attempts import Stage
from widget.database import Database
from widget.ledger import Source, Told
from widget.money import Money


@pytest.mark.parametrize(("told", "is_paid"), [(124900, True), (50000, False)])
def test_a_part_that_the_shop_tells_of_first_does_not_pay_the_order(
    database: Database, clock: Clock, told: int, is_paid: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        money = Money(told, "ZAR")
        order = attempts.told_by_shop(session, cast.shop, "D-1001", money, "p1", clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, money, payment="p1"), PACE, clock.now)
        attempt = cast.attempt()

        assert (cast.order_of(attempt).due, order.paid_at is not None) == (ZAR, is_paid)
        if not is_paid:
            rest = Told("b", Source.SHOP, Money(74900, "ZAR"), payment="p2")
            payments.record(session, cast.shop, order, rest, PACE, clock.now)
            assert order.paid_at is not None


@pytest.mark.parametrize(("legs", "is_theirs"), [((1, 2), True), (None, False)])
def test_a_part_at_a_shop_that_signs_nothing_is_of_the_row_that_is_paid_in_parts(
    database: Database, clock: Clock, legs: tuple[int, int] | None, is_theirs: bool
) -> None:
    with database.write() as session:
        cast = Cast(session)
        attempt = tried(cast, is_signed=False, legs=legs)
        attempt.stage = Stage.PAID.value if legs else attempt.stage
        for name, minor in (("a", 50000), ("b", 74900)):
            money = Money(minor, "ZAR")
            order = attempts.told_by_shop(session, cast.shop, "D-1001", money, name, clock.now)
            payments.record(session, cast.shop, order, Told(name, Source.SHOP, money, payment=name), PACE, clock.now)
            assert (order.id == attempt.order_id) is is_theirs
        assert (cast.order_of(attempt).paid_at is not None) is is_theirs


def test_what_the_shop_tells_of_is_no_strangers_larger_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        stranger = tried(cast, is_signed=False, amount=99999900, legs=(1, 2))
        stranger.stage = Stage.PAID.value
        own = tried(cast, is_signed=False)

        order = attempts.told_by_shop(session, cast.shop, "D-1001", ZAR, None, clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, ZAR), PACE, clock.now)

        assert [cast.order_of(each).paid_at is not None for each in (stranger, own)] == [False, True]


def test_a_payment_in_another_currency_stays_the_end_of_the_order(database: Database, clock: Clock) -> None:
    with database.write() as session:
        cast = Cast(session)
        euros = Money(6500, "EUR")
        order = attempts.told_by_shop(session, cast.shop, "D-1001", euros, None, clock.now)
        payments.record(session, cast.shop, order, Told("a", Source.SHOP, euros), PACE, clock.now)

        assert cast.order_of(cast.attempt()).paid_at is not None
