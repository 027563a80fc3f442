"""Methods by whatever name a page passes on: a provider's spelling, ours, or the shop's own id, which comes back."""

import re

import pytest
from flask.testing import FlaskClient

from tests.cast import Cast, key
from tests.conftest import Clock
from tests.fake_provider import FakeProvider
from tests.test_panel import open_panel
from tests.test_verdicts import PRESSED, found, hear, hung, told
from widget import attempts, certainty, methods
from widget.attempts import AttemptContext
from widget.database import Database
from widget.methods import known_as, name_of, own_id, spellings_of
from widget.shops import Profile


@pytest.mark.parametrize(
    ("said", "ours", "label"),
    [
        ("scheme", "card", "Card"),
        ("creditcard", "card", "Card"),
        ("applepay", "apple_pay", "Apple Pay"),
        ("googlepay", "google_pay", "Google Pay"),
        ("paywithgoogle", "google_pay", "Google Pay"),
        ("samsungpay", "samsung_pay", "Samsung Pay"),
        ("klarna_account", "klarna", "Klarna"),
        ("banktransfer", "bank_transfer", "Bank transfer"),
        ("us_bank_account", "direct_debit", "Direct debit"),
        ("sepadirectdebit", "sepa", "SEPA"),
        ("apple_pay", "apple_pay", "Apple Pay"),
        ("credit_card", "credit_card", "Credit card"),
        ("mb_way", "mb_way", "Mb way"),
    ],
)
def test_what_a_provider_calls_a_method_is_known_by_our_name(said: str, ours: str, label: str) -> None:
    assert known_as(said) == ours
    assert name_of(said, None, "en", "en") == label
    assert Profile().method_label(said) == ours.replace("_", " ").capitalize()
    assert certainty.statement_days(said) == certainty.statement_days(ours)


def test_our_names_are_nobodys_spelling() -> None:
    assert all(known_as(ours) == ours for ours in methods._SPELLINGS)
    assert known_as(None) == ""


@pytest.mark.parametrize(
    ("said", "ids", "own"),
    [
        ("applepay", ["apple_pay", "card"], "apple_pay"),
        ("apple_pay", ["applepay", "card"], "applepay"),
        ("applepay", ["applepay", "apple_pay"], "applepay"),
        ("paywithgoogle", ["gpay"], "gpay"),
        ("scheme", ["eft", "card"], "card"),
        ("scheme", ["scheme", "card"], "scheme"),
        ("scheme", ["cards", "creditcard"], "scheme"),
        ("creditcard", ["credit_card", "card"], "credit_card"),
        ("scheme", [], "scheme"),
        ("eft", ["bank"], "eft"),
    ],
)
def test_the_shops_own_id_is_found_where_only_one_can_be_meant(said: str, ids: list[str], own: str) -> None:
    assert own_id(said, ids) == own
    assert (said in spellings_of(own, ids)) is (own != said)


def profile(*ids: str) -> dict[str, object]:
    return {"methods": [{"id": each, "label": each.capitalize()} for each in ids]}


@pytest.mark.parametrize(("own", "said"), [("card", "scheme"), ("applepay", "apple_pay"), ("apple_pay", "applePay")])
def test_the_shops_own_id_comes_back_to_its_page(
    database: Database, client: FlaskClient, provider: FakeProvider, own: str, said: str
) -> None:
    asked = {"providers": {"demo": {"url": provider.url}}}
    with database.write() as session:
        cast = Cast(session, profile=profile(own, "eft", "account") | asked)
    token = open_panel(client, cast, method=said)
    client.post(f"/help/{token}/check")

    again = client.post(f"/help/{token}/choose/retry")
    others = client.post(f"/help/{token}/choose/method")

    assert re.findall(r'/checkout/D-1001\?method=(\w+)"', again.text) == [own]
    assert re.findall(r'name="method" value="(\w+)"', others.text) == ["eft", "account"]


@pytest.mark.parametrize("said", ["scheme", "mb_way"])
def test_a_method_that_the_shop_does_not_list_comes_back_as_its_page_said_it(
    database: Database, clock: Clock, said: str
) -> None:
    with database.write() as session:
        cast = Cast(session, profile=profile("eft"))
        context = AttemptContext(key=key(), order=cast.context(), method=said)

        assert attempts.open_for(session, cast.shop, context, clock.now).method == said


@pytest.mark.parametrize("ids", [[], ["applepay"], ["apple_pay"]])
@pytest.mark.parametrize("said", ["applepay", "Apple Pay"])
def test_a_wallet_is_one_by_whatever_name(database: Database, clock: Clock, ids: list[str], said: str) -> None:
    attempt = key()
    with database.write() as session:
        cast = Cast(session, profile=profile(*ids))
        hear(session, cast, clock, told(attempt, PRESSED, hung(1, 10), attempt={"method": said}))

        assert found(session, attempt) == [("wallet", "submitted")]
