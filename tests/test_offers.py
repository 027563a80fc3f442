"""The ways out: none that pays unless the provider's word is that nothing was charged."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.cast import Cast
from tests.conftest import Clock
from widget import offers
from widget.database import Database
from widget.offers import Choice, Offer, OfferKind, Situation, offers_for
from widget.providers import ChargeState

EVERYTHING = Situation(
    charge=ChargeState.NOT_CHARGED,
    has_amount=True,
    can_return=True,
    other_methods=("eft", "apple_pay"),
    takes_link_payments=True,
    takes_transfers=True,
    has_contacts=True,
    calls_back=True,
    can_hold=True,
)
# What is left of a part payment is offered only where there was one.
_OF_PARTS = {OfferKind.REST, OfferKind.DIFFERENCE, OfferKind.ONE_METHOD}
_PEOPLE = [OfferKind.PERSON, OfferKind.CALL_BACK, OfferKind.REPORT]
situations = st.builds(
    Situation,
    charge=st.sampled_from(ChargeState),
    other_methods=st.sampled_from([(), ("eft",), ("eft", "apple_pay")]),
    **{name: st.booleans() for name in Situation.__dataclass_fields__ if name not in {"charge", "other_methods"}},
)


def kinds(situation: Situation) -> list[OfferKind]:
    return [each.kind for each in offers_for(situation)]


def test_everything_is_offered_when_nothing_was_charged_and_the_shop_can_do_everything() -> None:
    assert kinds(EVERYTHING) == [kind for kind in OfferKind if kind not in _OF_PARTS]


@given(situations)
def test_what_takes_money_needs_the_word_that_none_has_moved(situation: Situation) -> None:
    is_safe = situation.charge is ChargeState.NOT_CHARGED and not situation.is_paid
    offered = {kind for kind in kinds(situation) if kind.pays} - {*_OF_PARTS, OfferKind.TRANSFER}
    assert is_safe or not offered


@given(situations)
def test_the_rest_is_asked_for_only_when_its_own_payment_is_known_to_have_failed(situation: Situation) -> None:
    if OfferKind.REST in kinds(situation):
        is_refused = situation.charge is ChargeState.CHARGED and situation.is_leg_refused
        assert situation.charge is ChargeState.NOT_CHARGED or is_refused
        assert situation.is_part_paid
        assert not situation.is_paid


@given(situations)
def test_the_whole_is_never_asked_for_when_a_part_is_paid_or_a_transfer_is_on_its_way(situation: Situation) -> None:
    offered = set(kinds(situation)) - {*_PEOPLE, *_OF_PARTS}
    if situation.is_part_paid and not situation.is_transfer_announced:
        assert offered == set()
    if situation.is_transfer_announced:
        assert offered <= {OfferKind.TRANSFER}


@given(situations)
def test_a_difference_is_asked_for_only_where_money_came_and_was_too_little(situation: Situation) -> None:
    if OfferKind.DIFFERENCE in kinds(situation):
        assert situation.charge is ChargeState.CHARGED
        assert situation.is_short
        assert not situation.is_paid


@given(situations)
def test_whoever_tries_cards_is_left_with_people(situation: Situation) -> None:
    suspect = replace(situation, is_suspect=True, is_transfer_announced=False)
    assert set(kinds(suspect)) <= {OfferKind.PERSON, OfferKind.REPORT}


@given(situations)
def test_a_report_is_always_possible_and_the_last(situation: Situation) -> None:
    assert kinds(situation)[-1] is OfferKind.REPORT


@pytest.mark.parametrize("charge", [each for each in ChargeState if each is not ChargeState.NOT_CHARGED])
def test_while_the_charge_is_open_only_people_are_offered(charge: ChargeState) -> None:
    assert kinds(replace(EVERYTHING, charge=charge)) == _PEOPLE


def test_of_an_order_that_is_paid_in_part_only_the_rest_is_asked_for() -> None:
    part = replace(EVERYTHING, is_part_paid=True)
    assert kinds(part) == [OfferKind.ONE_METHOD, *_PEOPLE]
    assert kinds(replace(part, has_rest=True)) == [OfferKind.REST, OfferKind.ONE_METHOD, *_PEOPLE]


def test_of_a_payment_that_was_too_small_what_is_missing_can_be_paid() -> None:
    short = replace(EVERYTHING, charge=ChargeState.CHARGED, is_short=True)
    assert kinds(short) == [OfferKind.DIFFERENCE, *_PEOPLE]


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ({"other_methods": ()}, OfferKind.METHOD),
        ({"can_return": False}, OfferKind.DEVICE),
        ({"takes_link_payments": False}, OfferKind.PAYMENT_LINK),
        ({"takes_transfers": False}, OfferKind.TRANSFER),
        ({"has_contacts": False}, OfferKind.PERSON),
        ({"calls_back": False}, OfferKind.CALL_BACK),
        ({"can_hold": False}, OfferKind.LATER),
        ({"declined_for_good": True}, OfferKind.RETRY),
    ],
)
def test_what_the_shop_cannot_do_is_not_offered(lacking: dict[str, object], missing: OfferKind) -> None:
    offered = kinds(replace(EVERYTHING, **lacking))  # type: ignore[arg-type]
    assert set(OfferKind) - _OF_PARTS - set(offered) == {missing}


def test_what_was_shown_is_kept_once_with_its_place_reason_and_what_was_chosen(
    database: Database, clock: Clock
) -> None:
    shown = [Choice(OfferKind.METHOD, "eft", why=offers_for(EVERYTHING)[0].why), Choice(OfferKind.REPORT)]
    with database.write() as session:
        attempt = Cast(session).attempt()
        offers.show(session, attempt, shown, clock.now, cause="no_answer", device_class="phone")
        offers.show(session, attempt, reversed_of(shown), clock.now, cause="other")
        offers.choose(session, attempt, OfferKind.METHOD, clock.now, choice="card")
        rows = session.scalars(sa.select(Offer).order_by(Offer.place)).all()
        assert [(row.kind, row.place, row.cause, row.device_class, row.choice) for row in rows] == [
            ("method", 0, "no_answer", "phone", "card"),
            ("report", 1, "no_answer", "phone", None),
        ]
        assert rows[0].why == "Nothing was charged, so one more try is safe."


def reversed_of(shown: list[Choice]) -> list[Choice]:
    return list(reversed(shown))


def test_a_transfer_that_is_on_its_way_is_shown_and_not_offered_again() -> None:
    announced = replace(EVERYTHING, is_transfer_announced=True)
    shown = next(each for each in offers_for(announced) if each.kind is OfferKind.TRANSFER)

    assert (str(shown.name), str(shown.why)) == ("Show the transfer", "Its details, or take it back.")
