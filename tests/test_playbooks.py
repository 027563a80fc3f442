"""Playbooks: the order and the words of what is open, for the usual cases first, and never more than 16 words."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_offers import EVERYTHING, situations
from widget import playbooks
from widget.advice import GROUPS, Again
from widget.language import LANGUAGES, say
from widget.money import Money
from widget.offers import Choice, OfferKind, Situation, offers_for
from widget.playbooks import Rate, Scene
from widget.providers import ChargeState
from widget.stalls import StallKind

MOST_WORDS = 16
_LABELS = {"eft": "Instant EFT", "apple_pay": "Apple Pay", "card": "Card"}
scenes = st.builds(
    Scene,
    kind=st.none() | st.sampled_from(StallKind),
    method=st.none() | st.sampled_from(["card", "apple_pay", "samsung_pay", "google_pay", "eft"]),
    labels=st.just(_LABELS),
    rates=st.dictionaries(st.sampled_from(list(_LABELS)), st.builds(Rate, st.just(48), st.just(50))),
    retry=st.none() | st.sampled_from(list(Again)),
    prefers=st.lists(st.sampled_from([*(kind.value for kind in OfferKind), "unknown"]), max_size=3).map(tuple),
    is_split=st.booleans(),
)


def order(scene: Scene, situation: Situation = EVERYTHING) -> list[str]:
    return [each.kind.value for each in playbooks.arranged(offers_for(situation), scene)]


@pytest.mark.parametrize(
    ("scene", "name", "first"),
    [
        (Scene(StallKind.ERROR, "card"), "error_message", ["method", "payment_link", "retry"]),
        (Scene(StallKind.WALLET, "apple_pay"), "apple_pay", ["method", "retry", "payment_link", "device"]),
        (Scene(StallKind.NO_ANSWER, "samsung_pay"), "samsung_pay", ["method", "retry", "device"]),
        (Scene(StallKind.NO_ANSWER, "samsungpay"), "samsung_pay", ["method", "retry", "device"]),
        (Scene(StallKind.NO_ANSWER, "paywithgoogle"), "wallet", ["method", "retry"]),
        (Scene(StallKind.DECLINED, "card", retry="never"), "declined_for_good", ["method", "transfer"]),
        (Scene(StallKind.IN_APP, "card"), "in_app", ["device", "payment_link"]),
        (Scene(StallKind.FROZEN, "card"), "broken_page", ["payment_link", "retry"]),
        (Scene(None, "card"), "any", ["retry", "method", "device"]),
    ],
)
def test_the_usual_cases_have_an_order_of_their_own(scene: Scene, name: str, first: list[str]) -> None:
    assert playbooks.playbook_for(scene).name == name
    assert order(scene)[: len(first)] == first


def test_a_split_payment_leads_with_the_rest_and_its_amount() -> None:
    part = replace(EVERYTHING, is_part_paid=True, has_rest=True)
    scene = Scene(StallKind.SPLIT, "card", is_split=True, rest=Money(24900, "ZAR"))
    choices = playbooks.arranged(offers_for(part), scene)
    assert say(choices[0].name, "en") == "Pay the rest: ZAR249.00"


def test_what_a_declines_advice_prefers_comes_first() -> None:
    assert order(Scene(StallKind.DECLINED, "card", prefers=("later", "unheard_of")))[0] == "later"


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (
            ["wrong_number", "wrong_code", "wrong_expiry", "wrong_pin", "wrong_address", "wrong_details"],
            "Nothing was charged. Check your details first.",
        ),
        (["needs_authentication", "authentication_failed"], "Nothing was charged. Have your phone or bank app ready."),
        (["cancelled", "expired_session"], "Nothing was charged, so one more try is safe."),
        (
            ["bank_unavailable", "try_later", "processing_error"],
            "Nothing was charged. Wait a few minutes first.",
        ),
        (
            ["expired_card", "ask_bank", "insufficient_funds", "over_limit", "too_many_tries", "wallet_account"],
            "With another card, or after a word with your bank.",
        ),
    ],
)
@pytest.mark.parametrize("kind", [StallKind.DECLINED, StallKind.DECLINED_AGAIN])
def test_after_a_decline_trying_again_is_worded_as_its_advice_is(kind: StallKind, groups: list[str], why: str) -> None:
    advices = [GROUPS[group] for group in groups]
    scenes = [Scene(kind, "card", retry=str(each.retry), prefers=each.prefers) for each in advices]
    retries = [_retry_of(scene) for scene in scenes]

    assert [str(each.why) for each in retries] == [why] * len(groups)


def test_every_group_that_may_be_tried_again_is_worded() -> None:
    worded = {retry for retry in Again if retry is not Again.NEVER}

    assert {advice.retry for advice in GROUPS.values()} - {Again.NEVER} == worded


def _retry_of(scene: Scene) -> Choice:
    arranged = playbooks.arranged(offers_for(EVERYTHING), scene)
    return next(each for each in arranged if each.kind is OfferKind.RETRY)


@given(situations, scenes)
def test_a_playbook_opens_and_closes_nothing_and_leaves_the_report_last(situation: Situation, scene: Scene) -> None:
    is_open = offers_for(situation)
    arranged = playbooks.arranged(is_open, scene)
    assert sorted(each.key for each in arranged) == sorted(each.key for each in is_open)
    assert arranged[-1].kind is OfferKind.REPORT


@given(situations, scenes, st.lists(st.sampled_from([*(kind.value for kind in OfferKind), "method:eft"])))
def test_ranking_cannot_open_what_safety_has_closed(situation: Situation, scene: Scene, keys: list[str]) -> None:
    arranged = playbooks.arranged(offers_for(situation), scene)
    ranked = playbooks.ranked(arranged, keys)
    assert sorted(each.key for each in ranked) == sorted(each.key for each in arranged)
    assert ranked[-1].kind is OfferKind.REPORT


def test_ranking_moves_the_ways_that_recover_money_and_leaves_people_after_them() -> None:
    ranked = playbooks.ranked(playbooks.arranged(offers_for(EVERYTHING), Scene()), ["later", "method:eft"])
    assert [each.kind.value for each in ranked[:2]] == ["later", "method"]
    assert [each.kind.value for each in ranked[-3:]] == ["person", "call_back", "report"]


def test_a_method_is_offered_with_the_figures_that_speak_for_it() -> None:
    scene = Scene(labels=_LABELS, rates={"eft": Rate(48, 50)})
    method = next(each for each in playbooks.arranged(offers_for(EVERYTHING), scene) if each.choice == "eft")
    assert say(method.why, "en") == "Instant EFT works now: 48 of 50 tries went through."


def test_few_tries_are_no_figures() -> None:
    scene = Scene(labels=_LABELS, rates={"eft": Rate(4, 4)})
    method = next(each for each in playbooks.arranged(offers_for(EVERYTHING), scene) if each.choice == "eft")
    assert say(method.why, "en") == "For example: Instant EFT."


def test_the_first_way_of_a_playbook_is_expected_to_recover_most() -> None:
    expected = [
        prior.a / (prior.a + prior.b)
        for prior in playbooks.priors(playbooks.arranged(offers_for(EVERYTHING), Scene())).values()
    ]
    assert expected == sorted(expected, reverse=True)
    assert len(set(expected)) == len(expected)


def _wordings() -> list[Choice]:
    """Every offer in every wording that a playbook can give it."""
    scenes = [
        Scene(
            kind,
            method,
            _LABELS,
            rates,
            retry=retry,
            is_split=split,
            rest=Money(124900, "ZAR"),
            missing=Money(124900, "ZAR"),
            is_staffed=staffed,
            staffed_until="17:00",
            staffed_from="Wednesday, 08:00",
        )
        for kind, method, rates, retry, split, staffed in itertools.product(
            [None, *StallKind],
            ["card", "apple_pay", "samsung_pay"],
            [{}, {"eft": Rate(48, 50)}],
            [None, *Again],
            [True, False],
            [True, False],
        )
    ]
    situations = [
        EVERYTHING,
        replace(EVERYTHING, is_part_paid=True, has_rest=True),
        replace(EVERYTHING, charge=ChargeState.CHARGED, is_short=True),
    ]
    made = itertools.chain.from_iterable(
        playbooks.arranged(offers_for(situation), scene) for scene in scenes for situation in situations
    )
    return list({(str(each.name), str(each.why)): each for each in made}.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_offer_needs_more_than_sixteen_words(language: str) -> None:
    wordings = _wordings()
    counts = {
        f"{say(each.name, language)} | {say(each.why, language)}": len(
            f"{say(each.name, language)} {say(each.why, language)}".split()
        )
        for each in wordings
    }
    assert len(counts) > len(OfferKind)
    assert {words: count for words, count in counts.items() if count > MOST_WORDS} == {}
