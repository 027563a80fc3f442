"""Small pure rules, by tables and by Hypothesis: masking, signing, money, opening hours, colours, tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Clock
from widget.errors import LinkExpired, LinkInvalid
from widget.language import known_locale
from widget.look import MIN_CONTRAST, contrast, ink_on, readable_on, stylesheet
from widget.money import Money
from widget.orders import OrderContext
from widget.redaction import MASK, mask_all, mask_card_numbers, passes_luhn
from widget.settings import Settings
from widget.shops import Profile, origin_of, signature_for
from widget.tokens import LIFETIMES, Purpose, Tokens

digits = st.text("0123456789", min_size=12, max_size=18)
separators = st.sampled_from(["", " ", "-", ".", " - "[:2], "\u00a0"])


def with_check_digit(number: str) -> str:
    return next(number + str(last) for last in range(10) if passes_luhn([int(char) for char in number + str(last)]))


@given(
    digits.filter(lambda number: any(char != "0" for char in number)), separators, st.sampled_from(["x", " a ", "…"])
)
def test_every_card_number_is_masked_however_it_is_written(number: str, separator: str, around: str) -> None:
    card = with_check_digit(number)
    assert card not in mask_card_numbers(around + separator.join(card) + around).replace(separator, "")


@given(st.text(max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask_card_numbers(mask_card_numbers(text)) == mask_card_numbers(text)


def test_masking_reaches_into_every_corner_of_captured_data() -> None:
    card = "4111111111111111"
    assert mask_all({card: [card, int(card), {"a": f"<{card}>"}], "n": 5, "b": True}) == {
        MASK: [MASK, MASK, {"a": f"<{MASK}>"}],
        "n": 5,
        "b": True,
    }


@pytest.mark.parametrize("changed", [{"order": "2"}, {"amount": 2}, {"currency": "USD"}, {"email": "x@example.com"}])
def test_a_signature_is_bound_to_every_field(changed: dict[str, Any]) -> None:
    said: dict[str, Any] = {"order": "1", "amount": 100, "currency": "EUR", "email": "sam@example.com"}
    signature = signature_for("secret", **said)
    assert OrderContext(**said, signature=signature).is_signed_by(["old", "secret"])
    assert not OrderContext(**(said | changed), signature=signature).is_signed_by(["secret"])
    assert not OrderContext(**said, signature="").is_signed_by([])


@pytest.mark.parametrize(
    ("money", "locale", "shown"),
    [
        (Money(124900, "ZAR"), "en-ZA", "R1249,00"),
        (Money(1999, "EUR"), "de", "19,99€"),
        (Money(500, "JPY"), "en", "¥500"),
        (Money(1, "KWD"), "en", "KWD0.001"),
        (Money(1999, "EUR"), "klingon", "€19.99"),
    ],
)
def test_money_is_shown_in_the_readers_locale(money: Money, locale: str, shown: str) -> None:
    # Which kind of space stands in between changes from one release of CLDR to the next.
    assert "".join(money.shown(locale).split()) == shown


@given(st.text(max_size=30))
def test_any_language_tag_leads_to_a_usable_locale(tag: str) -> None:
    assert Money(100, "EUR").shown(known_locale(tag))


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Shop.Example/checkout?x=1", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001"),
        ("http://[::1]:80/", "http://[::1]"),
    ],
)
def test_an_origin_is_read_from_any_address_on_it(address: str, origin: str) -> None:
    assert origin_of(address) == origin


@pytest.mark.parametrize("address", ["shop.example", "javascript:alert(1)", "https://", "file:///etc/passwd"])
def test_what_is_no_web_address_has_no_origin(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        origin_of(address)


def test_hours_are_read_in_the_shops_time_zone() -> None:
    friday = {"day": 4, "opens": "09:00", "closes": "17:00"}
    profile = Profile.model_validate({"time_zone": "Africa/Johannesburg", "hours": [friday]})
    opening = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert profile.is_open(opening)
    assert not profile.is_open(opening - timedelta(seconds=1))
    assert not profile.is_open(opening + timedelta(hours=8))
    assert not profile.is_open(opening + timedelta(days=1))


def test_an_order_reference_cannot_break_out_of_the_checkout_address() -> None:
    profile = Profile(checkout_url="https://shop.example/c/{order}?m={method}")
    assert profile.checkout_for("a/b?c#d e", "eft") == "https://shop.example/c/a%2Fb%3Fc%23d%20e?m=eft"


@given(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}"))
def test_every_shop_colour_becomes_readable_in_both_schemes(colour: str) -> None:
    for surface in ("#ffffff", "#181c22"):
        shade = readable_on(colour, surface)
        assert contrast(shade, surface) >= MIN_CONTRAST
        assert contrast(shade, ink_on(shade)) >= MIN_CONTRAST
    assert stylesheet(colour).count("--accent:") == 2


def test_a_token_opens_only_what_it_was_signed_for(clock: Clock) -> None:
    tokens = Tokens("one key")
    for purpose in Purpose:
        token = tokens.sign(purpose, 7)
        assert tokens.read(purpose, token) == 7
        for other in set(Purpose) - {purpose}:
            with pytest.raises(LinkInvalid):
                tokens.read(other, token)
        with pytest.raises(LinkInvalid):
            Tokens("another key").read(purpose, token)
        with pytest.raises(LinkInvalid):
            tokens.read(purpose, token[:-1] + ("A" if token[-1] != "A" else "B"))


def test_every_token_expires(clock: Clock) -> None:
    tokens = Tokens("one key")
    signed = {purpose: tokens.sign(purpose, 7) for purpose in Purpose}
    for purpose, lifetime in sorted(LIFETIMES.items(), key=lambda item: item[1]):
        clock.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC) + lifetime
        assert tokens.read(purpose, signed[purpose]) == 7
        clock.forward(timedelta(seconds=1))
        with pytest.raises(LinkExpired):
            tokens.read(purpose, signed[purpose])


@pytest.mark.parametrize(("ahead", "is_good"), [(2, True), (60, True), (61, False), (86400, False)])
def test_a_token_of_a_host_whose_clock_is_a_little_ahead_is_good(clock: Clock, ahead: int, is_good: bool) -> None:
    tokens = Tokens("k" * 32)
    clock.forward(timedelta(seconds=ahead))
    token = tokens.sign(Purpose.HELP, 1)
    clock.forward(timedelta(seconds=-ahead))

    if is_good:
        assert tokens.read(Purpose.HELP, token) == 1
    else:
        with pytest.raises(LinkExpired):
            tokens.read(Purpose.HELP, token)


def test_production_refuses_to_start_without_a_secret_key() -> None:
    with pytest.raises(ValueError, match="UNJAM_SECRET_KEY must be set"):
        Settings(environment="production", secret_key="short")  # type: ignore[arg-type]
    assert Settings(environment="production", secret_key="x" * 32).signing_key == "x" * 32  # type: ignore[arg-type]
