"""Decline advice: every documented code has its row, and suspicion of fraud is never to be seen by a customer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widget.advice import GENERIC, GROUPS, TABLES, Again, advice_for, iso8583
from widget.language import say
from widget.offers import OfferKind
from widget.providers import Retry

CODES = [(provider, code) for provider, table in TABLES.items() for code in table]
FRAUD_LIKE = [(provider, code) for provider, code in CODES if GROUPS[TABLES[provider][code]].is_fraud_like]
# As networks write them; every one of Visa's first category.
NEVER_AGAIN = ["04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1"]


@pytest.mark.parametrize(
    ("provider", "code", "group"),
    [
        ("stripe", "insufficient_funds", "insufficient_funds"),
        ("stripe", "stolen_card", "lost_or_stolen"),
        ("stripe", "merchant_blacklist", "blocked_by_rules"),
        ("demo", "card_declined", "generic"),
        ("adyen", "12", "insufficient_funds"),
        ("adyen", "Not enough balance", "insufficient_funds"),
        ("adyen", "FRAUD", "suspected_fraud"),
        ("paypal", "INSTRUMENT_DECLINED", "generic"),
        ("paypal", "5120", "insufficient_funds"),
        ("paypal", "PPEF", "expired_card"),
        ("mollie", "card_expired", "expired_card"),
        ("mollie", "possible_fraud", "suspected_fraud"),
        (None, "51", "insufficient_funds"),
        ("iso8583", "91", "bank_unavailable"),
        ("yoco", "insufficient_funds", "insufficient_funds"),
    ],
)
def test_a_code_leads_to_its_group(provider: str | None, code: str, group: str) -> None:
    found = advice_for(provider, code)

    assert found is not None
    assert found.group == group


def test_every_row_names_a_group_and_every_group_is_used() -> None:
    assert {group for table in TABLES.values() for group in table.values()} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_has_words_for_customers_and_agents_and_knows_its_offers(group: str) -> None:
    advice = GROUPS[group]

    assert advice.said.text.endswith(".")
    assert advice.agent.endswith(".")
    assert set(advice.prefers) <= set(OfferKind)
    assert "charged" not in advice.said.text
    assert ("retry" in advice.prefers) <= (advice.retry is not Again.NEVER)


@pytest.mark.parametrize(("provider", "code"), FRAUD_LIKE)
@pytest.mark.parametrize("retry", [None, *Retry])
def test_nothing_a_customer_can_notice_tells_suspicion_from_a_plain_decline(
    provider: str, code: str, retry: Retry | None
) -> None:
    found = advice_for(provider, code, None, retry)

    assert found is not None
    assert (found.said, found.retry, found.prefers) == (GENERIC.said, GENERIC.retry, GENERIC.prefers)
    assert found.agent != GENERIC.agent


@pytest.mark.parametrize("locale", ["en", "de", "ar"])
def test_the_words_are_the_same_in_other_languages_too(locale: str) -> None:
    assert (
        len({say(each.said, locale) for each in GROUPS.values() if each.is_fraud_like} | {say(GENERIC.said, locale)})
        == 1
    )


@pytest.mark.parametrize("code", NEVER_AGAIN)
@pytest.mark.parametrize(("provider", "own"), [("stripe", "generic_decline"), ("adyen", "2"), (None, None)])
def test_what_a_network_forbids_is_never_tried_again(provider: str | None, own: str | None, code: str) -> None:
    found = advice_for(provider, own, code, Retry.LATER)

    assert found is not None
    assert found.retry is Again.NEVER
    assert "retry" not in found.prefers
    assert code in iso8583.NEVER


@pytest.mark.parametrize("network_code", ["14", "15", "14 : Invalid card number"])
@pytest.mark.parametrize(
    ("provider", "own"), [("stripe", "incorrect_number"), ("stripe", "invalid_number"), ("adyen", "8")]
)
def test_a_mistyped_number_may_be_corrected_whatever_the_network_says_of_it(
    provider: str, own: str, network_code: str
) -> None:
    assert advice_for(provider, own, network_code) == GROUPS["wrong_number"]


@pytest.mark.parametrize(
    ("own", "network_code", "retry"),
    [
        ("generic_decline", "14", None),
        ("incorrect_number", "41", None),
        ("incorrect_number", "46", None),
        ("incorrect_cvc", "57", None),
        ("incorrect_number", "14", Retry.NEVER),
        ("payment_method_provider_timeout", None, Retry.NEVER),
    ],
)
def test_who_may_not_try_again_is_not_asked_to(own: str, network_code: str | None, retry: Retry | None) -> None:
    found = advice_for("stripe", own, network_code, retry)

    assert found is not None
    assert found.retry is Again.NEVER
    assert found.said == GENERIC.said


def test_what_asks_for_another_card_is_said_also_where_the_same_is_forbidden() -> None:
    found = advice_for("stripe", "expired_card", None, Retry.NEVER)

    assert found is not None
    assert found.said == GROUPS["expired_card"].said


@pytest.mark.parametrize(
    ("code", "network_code", "group"),
    [
        ("generic_decline", "51", "insufficient_funds"),
        ("do_not_honor", "05 : Do not honor", "generic"),
        ("insufficient_funds", "05", "insufficient_funds"),
        ("generic_decline", "43", "lost_or_stolen"),
        ("insufficient_funds", "59", "suspected_fraud"),
        ("stolen_card", "51", "lost_or_stolen"),
        ("generic_decline", "approved", "generic"),
    ],
)
def test_the_more_exact_code_decides_and_suspicion_wins(code: str, network_code: str, group: str) -> None:
    found = advice_for("stripe", code, network_code)

    assert found is not None
    assert found.group == group


@pytest.mark.parametrize(
    ("code", "retry", "again"),
    [
        ("generic_decline", Retry.LATER, Again.LATER),
        ("generic_decline", Retry.AFTER_CHANGE, Again.AFTER_CHANGE),
        ("incorrect_cvc", Retry.LATER, Again.RETYPED),
        ("incorrect_cvc", Retry.NEVER, Again.NEVER),
    ],
)
def test_what_the_provider_advises_fills_what_the_code_leaves_open(code: str, retry: Retry, again: Again) -> None:
    found = advice_for("stripe", code, None, retry)

    assert found is not None
    assert found.retry is again


@given(st.sampled_from([*TABLES, "unheard_of", None]), st.text(min_size=1, max_size=30), st.text(max_size=12))
def test_whatever_comes_is_answered_with_care(provider: str | None, code: str, network_code: str) -> None:
    found = advice_for(provider, code, network_code)

    assert found is not None
    assert found.group in GROUPS


def test_without_a_code_nothing_is_advised() -> None:
    assert advice_for("stripe", None) is None
    assert advice_for("stripe", "", "") is None


def test_an_unknown_code_gets_the_careful_generic_advice() -> None:
    assert advice_for("stripe", "code_of_next_year") == GENERIC
