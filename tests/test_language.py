"""Languages: who reads what, sentences that are put into words late, and catalogues that are in step with the texts."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from flask.testing import FlaskClient

from tests.cast import Cast
from widget import returns, tickets
from widget.database import Database
from widget.errors import Malformed
from widget.language import LANGUAGES, NAMES, Said, catalogue, counted, direction, language_of, locale_for, say, tag_of
from widget.methods import name_of
from widget.money import Money
from widget.paths import TEMPLATES
from widget.translations.__main__ import TRANSLATED, catalogue_of, extracted
from widget.translations.problems import places_of, problems_of

_JINJA = re.compile(r"{%-?\s*trans\b.*?{%-?\s*endtrans\s*-?%}|{{.*?}}|{%.*?%}|{#.*?#}", re.DOTALL)
_SPOKEN_ATTRIBUTE = re.compile(r'\s(?:aria-label|title|alt|placeholder|label)="([^"]*)"')
_TAG = re.compile(r"<!--.*?-->|<(script|style|svg)\b.*?</\1>|<[^<>]*>", re.DOTALL)
# Attributes that a macro makes, the sign of an answer, and names that are the same in every language.
_UNSAID = re.compile(r"&\w+;|[\w-]+=\"[^\"]*\"|\bRe:|\b(?:Unjam|PIX|UPI|IBAN|BIC|EPC|QR)\b")


@pytest.mark.parametrize(
    ("wishes", "home", "locale"),
    [
        (("de-AT",), "en", "de_AT"),
        (("en-GB",), "en-ZA", "en_ZA"),
        (("",), "fr-CH", "fr_CH"),
        (("sv-SE", "nl"), "en", "nl"),
        (("sv-SE",), "de", "de"),
        (("sv-SE",), "sv-SE", "en"),
        (("pt-BR",), "pt-PT", "pt_PT"),
        (("no such", "<script>", "*"), "af-ZA", "af_ZA"),
        ((None, "ar-EG"), "en", "ar_EG"),
    ],
)
def test_the_first_wish_that_we_speak_counts(wishes: tuple[str, ...], home: str, locale: str) -> None:
    assert locale_for(*wishes, home=home) == locale


def test_arabic_alone_runs_from_right_to_left() -> None:
    assert [language for language in LANGUAGES if direction(language) == "rtl"] == ["ar"]
    assert set(NAMES) == set(LANGUAGES)


def test_values_are_written_as_the_reader_does() -> None:
    said = Said("Pay {due} for {what}.", {"due": Money(124950, "EUR"), "what": Said("order {id}", {"id": "A-1"})})
    assert say(said, "en") == "Pay €1,249.50 for order A-1."
    assert "1.249,50\xa0€" in say(said, "de")
    assert str(said) == say(said, "en")


def test_a_value_keeps_its_own_direction_in_a_text_from_right_to_left() -> None:
    assert say(Said("Order {id}", {"id": "1001-D"}), "ar-EG").endswith("\u20681001-D\u2069")
    assert "\u2068" not in say(Said("Order {id}", {"id": "1001-D"}), "de")


def test_arabic_amounts_have_the_figures_that_shop_and_bank_show() -> None:
    assert "1,249.50" in Money(124950, "EUR").shown("ar-EG")


@pytest.mark.parametrize(("count", "words"), [(1, "1 day"), (2, "2 days"), (0, "0 days")])
def test_a_number_has_its_form(count: int, words: str) -> None:
    assert say(counted("{count} day", "{count} days", count), "en") == words


def test_nothing_is_said_for_nothing() -> None:
    # The empty message id is the header of a catalogue.
    assert say("", "de") == ""


def test_unknown_locales_are_english() -> None:
    assert (language_of("xx-YY"), tag_of(None), tag_of("de_AT")) == ("en", "en", "de-AT")
    assert catalogue("sv").gettext("Continue") == "Continue"


def test_a_method_is_called_as_the_shop_does_where_both_write_the_same_language() -> None:
    assert name_of("card", "Karte oder Debit", "de", "de-AT") == "Karte oder Debit"
    assert name_of("card", "Karte oder Debit", "de", "en") == "Card"
    assert name_of("apple_pay", None, "de", "en") == "Apple Pay"
    assert name_of("my_method", "Mine", "de", "en") == "Mine"


class TestPages:
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        """Which language a page is in does not depend on the database."""
        return sqlite_url

    @pytest.fixture(autouse=True)
    def _cast(self, database: Database) -> None:
        with database.write() as session:
            Cast(session)

    def language(self, client: FlaskClient, address: str = "/start/demo", accept: str = "") -> tuple[str, str]:
        answer = client.get(address, headers={"Accept-Language": accept})
        found = re.search(r'<html lang="([^"]+)" dir="([^"]+)"', answer.text)
        assert found
        assert answer.headers["Content-Language"] == found[1]
        return found[1], found[2]

    def test_a_page_follows_the_browser(self, client: FlaskClient) -> None:
        assert self.language(client, accept="sv,de-AT;q=0.8,en;q=0.5") == ("de-AT", "ltr")

    def test_an_arabic_page_runs_from_right_to_left(self, client: FlaskClient) -> None:
        assert self.language(client, accept="ar-EG") == ("ar-EG", "rtl")

    def test_the_frame_and_a_page_that_is_missing_follow_too(self, client: FlaskClient) -> None:
        assert self.language(client, "/frame/demo", "fr") == ("fr", "ltr")
        assert self.language(client, "/nowhere", "fr") == ("fr", "ltr")

    def test_what_was_chosen_comes_first_and_is_kept(self, client: FlaskClient) -> None:
        assert self.language(client, "/start/demo?lang=nl", "fr")[0] == "nl"
        assert self.language(client, "/start/demo", "fr")[0] == "nl"

    def test_a_choice_that_is_none_is_passed_over(self, client: FlaskClient) -> None:
        assert self.language(client, "/start/demo?lang=klingon", "fr")[0] == "fr"
        assert client.get_cookie("unjam_language") is None

    def test_a_choice_keeps_what_else_the_address_says(self, client: FlaskClient) -> None:
        page = client.get("/start/demo?order=A-1&amount=100&currency=EUR")
        assert 'href="?order=A-1&amp;amount=100&amp;currency=EUR&amp;lang=de"' in page.text

    def test_pages_for_agents_are_in_english(self, client: FlaskClient) -> None:
        assert self.language(client, "/desk/login", "de")[0] == "en"


SPOKEN = sorted(
    path
    for folder in ("public", "mail")
    for path in (TEMPLATES / folder).rglob("*")
    if path.suffix in {".txt", ".html"}
)


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_every_text_of_pages_and_mails_is_marked_for_translation(path: Path) -> None:
    assert unmarked_in(path) == []


def unmarked_in(path: Path) -> list[str]:
    """What stays of a template when everything that is put into the reader's language is taken out."""
    text = _JINJA.sub("", path.read_text())
    texts = _TAG.sub("\n", text).splitlines() + _SPOKEN_ATTRIBUTE.findall(text)
    return [left.strip() for left in texts if re.search(r"[A-Za-z]{2}", _UNSAID.sub("", left))]


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_catalogue_is_broken(language: str) -> None:
    assert list(problems_of(catalogue_of(language), extracted())) == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "untranslated"),
        ("Bestellung {ordre} ist <b>bezahlt</b>.", "places"),
        ("Bestellung ist <b>bezahlt</b>.", "places"),
        ("Bestellung {order ist <b>bezahlt</b>.", "places"),
        ("Bestellung {order} ist bezahlt.", "other tags"),
        (" Bestellung {order} ist <b>bezahlt</b>.", "space"),
    ],
)
def test_what_is_wrong_with_a_translation_is_found(words: str, problem: str) -> None:
    texts, kept = Catalog(), Catalog(locale="de")
    texts.add("Order {order} is <b>paid</b>.")
    kept.add("Order {order} is <b>paid</b>.", words)
    assert next(iter(problems_of(kept, texts))).startswith(problem)


def test_a_percent_sign_in_a_template_is_written_twice() -> None:
    texts, kept = Catalog(), Catalog(locale="de")
    texts.add("All of it", locations=[("templates/public/pay.html", 1)])
    kept.add("All of it", "100 % davon")
    assert list(problems_of(kept, texts)) == ["write %% for a percent sign: '100 % davon'"]


def test_texts_that_are_gone_or_nearly_the_same_are_found() -> None:
    texts, kept = Catalog(), Catalog(locale="de")
    texts.add("Pay now")
    kept.add("Pay now", "Jetzt zahlen", flags=["fuzzy"])
    kept.add("Gone", "Weg")
    assert list(problems_of(kept, texts)) == ["fuzzy: 'Pay now'", "obsolete: 'Gone'"]


@pytest.mark.parametrize(
    ("words", "places"),
    [("{a} and %(b)s", {"a", "b"}), ("100 % sure", set()), ("%(a)s is 5 %", {"a", "broken"}), ("%(a)s 5 %%", {"a"})],
)
def test_places_are_found(words: str, places: set[str]) -> None:
    assert places_of(words) == places


def test_a_latin_currency_symbol_keeps_its_direction_in_arabic() -> None:
    assert "\u2066R$\u2069" in Money(124900, "BRL").shown("ar")
    assert "\u2066" not in Money(124900, "EUR").shown("ar")


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_greeting_is_said_in_every_language(language: str) -> None:
    told = [*returns._WORDS.values(), returns._CAME_BACK, returns._INTERRUPTED, returns._MAY_STILL_RUN]
    assert [each for each in told if say(each, language) == each] == []


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_too_long_a_text_is_refused_in_the_reader_s_language(language: str) -> None:
    with pytest.raises(Malformed) as refused:
        tickets.words_of("x" * 5001)
    assert refused.value.detail == "Please use at most 5000 characters; yours has 5001."
    said = say(refused.value.said, language)
    assert said != refused.value.detail
    assert "5000" in said
    assert "5001" in said
