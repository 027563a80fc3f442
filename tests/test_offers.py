"""The ways out: none that pays unless the provider's word is that nothing was charged."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widget.offers import OfferKind, Situation, offers_for
from widget.providers import ChargeState

EVERYTHING = Situation(
    charge=ChargeState.NOT_CHARGED,
    is_paid=False,
    has_amount=True,
    can_return=True,
    other_methods=2,
    takes_link_payments=True,
    has_contacts=True,
)
situations = st.builds(
    Situation,
    charge=st.sampled_from(ChargeState),
    is_paid=st.booleans(),
    has_amount=st.booleans(),
    can_return=st.booleans(),
    other_methods=st.integers(0, 3),
    takes_link_payments=st.booleans(),
    has_contacts=st.booleans(),
    is_part_paid=st.booleans(),
    declined_for_good=st.booleans(),
)


def test_everything_is_offered_when_nothing_was_charged_and_the_shop_can_do_everything() -> None:
    assert offers_for(EVERYTHING) == list(OfferKind)


@given(situations)
def test_nothing_that_pays_is_offered_unless_it_is_certain_that_nothing_was_charged(situation: Situation) -> None:
    is_safe = situation.charge is ChargeState.NOT_CHARGED and not situation.is_paid and not situation.is_part_paid
    assert is_safe or not any(kind.pays for kind in offers_for(situation))


@given(situations)
def test_a_report_is_always_possible(situation: Situation) -> None:
    assert OfferKind.REPORT in offers_for(situation)


def test_of_an_order_that_is_paid_in_part_nobody_is_asked_for_the_whole() -> None:
    assert offers_for(replace(EVERYTHING, is_part_paid=True)) == [OfferKind.PERSON, OfferKind.REPORT]


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ({"other_methods": 0}, OfferKind.METHOD),
        ({"can_return": False}, OfferKind.DEVICE),
        ({"takes_link_payments": False}, OfferKind.PAYMENT_LINK),
        ({"has_contacts": False}, OfferKind.PERSON),
        ({"declined_for_good": True}, OfferKind.RETRY),
    ],
)
def test_what_the_shop_cannot_do_is_not_offered(lacking: dict[str, object], missing: OfferKind) -> None:
    offered = offers_for(replace(EVERYTHING, **lacking))  # type: ignore[arg-type]
    assert set(OfferKind) - set(offered) == {missing}
