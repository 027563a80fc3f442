"""Findings: what is gathered about an attempt, from every table that knows something of it."""

from datetime import timedelta
from typing import Any

import pytest

from tests.cast import Cast
from tests.conftest import Clock
from tests.test_health import IPHONE
from widget import charges, evidence, feeds, findings, health, signals, stalls
from widget import clock as clocks
from widget.attempts import Attempt, Stage
from widget.database import Database
from widget.diagnosis import Diagnosis
from widget.feeds import Feed, Indicator, Source, Status
from widget.health.cells import HealthCell, moment_of, slot_of
from widget.language import say
from widget.providers import Answer, ChargeState, Retry
from widget.stalls import SeenBy, StallKind


class Investigation:
    """One attempt by iPhone at a shop with two methods and Stripe, and what comes to be known of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        methods = [{"id": "card", "label": "Card"}, {"id": "apple_pay", "label": "Apple Pay"}]
        with database.write() as session:
            self.cast = Cast(session, profile={"methods": methods, "providers": {"stripe": {}}})
            attempt = self.cast.attempt()
            attempt.method, attempt.provider, attempt.user_agent = "apple_pay", "stripe", IPHONE
            self.shop_id, self.attempt_id = self.cast.shop.id, attempt.id

    def stall(self, kind: StallKind, **evidence: Any) -> None:
        with self.database.write() as session:
            attempt = session.get_one(Attempt, self.attempt_id)
            stalls.record(session, attempt, kind, Stage.SUBMITTED, SeenBy.PAGE, clocks.now(), evidence)

    def see(self, name: str, **data: Any) -> None:
        with self.database.write() as session:
            signals.note(session, session.get_one(Attempt, self.attempt_id), name, clocks.now(), **data)

    def answer(self, **known: Any) -> None:
        with self.database.write() as session:
            attempt = session.get_one(Attempt, self.attempt_id)
            charges.record(session, attempt, Answer(ChargeState.NOT_CHARGED, **known), clocks.now())

    def others(self, method: str, os: str, device: str, worked: int, failed: int, provider: str = "stripe") -> None:
        with self.database.write() as session:
            place = {"method": method, "provider": provider, "browser": "safari", "os": os, "device": device}
            since = moment_of(slot_of(clocks.now()))
            session.add(HealthCell(shop_id=self.shop_id, since=since, worked=worked, failed=failed, **place))

    def status(self, indicator: Indicator) -> None:
        with self.database.write() as session:
            url = "https://status.example/api"
            feeds.want(session, Source.model_validate({"shape": "statuspage", "url": url}), "stripe", clocks.now())
            feed = session.query(Feed).one()
            feeds.answered(feed, Status(indicator, "API errors"), None, clocks.now(), timedelta(hours=1))

    def found(self) -> Diagnosis:
        with self.database.read() as session:
            return findings.of(session, session.get_one(Attempt, self.attempt_id), clocks.now())

    def shown(self, *, locale: str = "en", is_for_agent: bool = False) -> str:
        with self.database.read() as session:
            attempt = session.get_one(Attempt, self.attempt_id)
            found = evidence.gather(session, self.cast.shop, attempt, locale, is_for_agent=is_for_agent)
            return str((found.payment, found.device, found.timeline))


@pytest.fixture
def investigation(database: Database, clock: Clock) -> Investigation:
    return Investigation(database)


def test_nothing_known_is_said_to_be_nothing_known(investigation: Investigation) -> None:
    assert (investigation.found().cause, investigation.found().confidence) == ("asked", 0.2)


def test_the_health_of_devices_like_this_one_explains_a_stall(investigation: Investigation) -> None:
    investigation.stall(StallKind.WALLET, symptom="no_answer", seconds=120)
    investigation.others("apple_pay", "ios", "phone", 1, 9)
    investigation.others("apple_pay", "mac", "desktop", 30, 0)
    investigation.others("card", "ios", "phone", 12, 0)

    found = investigation.found()

    assert found.cause == "method_failing_here"
    assert str(found.evidence[0]) == "Apple Pay has failed for 9 of the last 10 iPhones here."
    assert str(found.evidence[1]) == "Card works: 12 of the last 12 tries got through."
    assert found.avoid == {"apple_pay"}


def test_a_method_that_the_device_cannot_have_is_not_said_to_work(investigation: Investigation) -> None:
    investigation.stall(StallKind.WALLET, symptom="no_answer", seconds=120)
    investigation.others("apple_pay", "ios", "phone", 1, 9)
    investigation.others("samsung_pay", "android", "phone", 40, 0)
    investigation.others("card", "ios", "phone", 11, 1)

    found = investigation.found()

    assert [str(each) for each in found.evidence[1:]] == ["Card works: 11 of the last 12 tries got through."]


def test_what_fails_elsewhere_only_is_not_held_against_this_device(investigation: Investigation) -> None:
    investigation.stall(StallKind.WALLET, symptom="failed", message="Odd.")
    investigation.others("apple_pay", "mac", "desktop", 0, 9)
    investigation.others("apple_pay", "ios", "phone", 20, 0)

    assert investigation.found().cause == "wallet"


def test_what_fails_with_this_provider_explains_a_stall_though_another_gets_the_method_through(
    investigation: Investigation,
) -> None:
    investigation.stall(StallKind.WALLET, symptom="no_answer", seconds=120)
    investigation.others("apple_pay", "ios", "phone", 1, 9)
    investigation.others("apple_pay", "ios", "phone", 60, 0, provider="adyen")

    found = investigation.found()

    assert found.cause == "method_failing_here"
    said = [str(each) for each in found.evidence]
    assert said == ["Apple Pay through Stripe has failed in 9 of the last 10 tries like yours."]
    assert "Only tries through Stripe were counted." in found.noted


def test_what_fails_with_another_provider_only_is_not_held_against_this_one(investigation: Investigation) -> None:
    investigation.stall(StallKind.WALLET, symptom="failed", message="Odd.")
    investigation.others("apple_pay", "ios", "phone", 20, 0)
    investigation.others("apple_pay", "ios", "phone", 0, 60, provider="adyen")

    assert investigation.found().cause == "wallet"


def test_a_provider_of_whom_little_is_known_goes_by_all(investigation: Investigation) -> None:
    investigation.stall(StallKind.WALLET, symptom="failed", message="Odd.")
    investigation.others("apple_pay", "ios", "phone", 2, 0)
    investigation.others("apple_pay", "ios", "phone", 0, 60, provider="adyen")

    found = investigation.found()

    assert found.cause == "method_failing_here"
    assert "Only tries through" not in found.noted


def test_the_status_page_explains_a_stall_until_its_answer_is_old(investigation: Investigation, clock: Clock) -> None:
    investigation.stall(StallKind.NO_ANSWER, symptom="no_answer", seconds=10)
    investigation.status(Indicator.MAJOR)

    assert investigation.found().cause == "provider_outage"
    assert "The status page of Stripe says: API errors" in [str(each) for each in investigation.found().evidence]
    clock.forward(timedelta(minutes=16))
    assert investigation.found().cause == "no_answer"


def test_the_provider_s_code_explains_a_decline(investigation: Investigation) -> None:
    investigation.stall(StallKind.DECLINED, symptom="failed", code="card_declined")
    investigation.answer(code="generic_decline", network_code="51", retry=Retry.LATER)

    found = investigation.found()

    assert found.cause == "decline:insufficient_funds"
    assert found.advice is not None
    assert found.advice.group == "insufficient_funds"


def test_the_page_s_own_policy_is_found_among_the_signals(investigation: Investigation) -> None:
    investigation.stall(StallKind.SDK, why="csp", host="js.stripe.com")
    investigation.see("violation", directive="img-src", host="stats.example")
    investigation.see("violation", directive="script-src-elem", host="js.stripe.com")

    assert "Line to add: script-src-elem https://js.stripe.com;" in investigation.found().noted


def test_the_script_that_froze_the_page_is_named(investigation: Investigation) -> None:
    investigation.stall(StallKind.FROZEN, silent_ms=2400)
    investigation.see("long_frame", ms=300, script="cdn.example")
    investigation.see("long_frame", ms=6100, script="chat.example")

    assert "Script host: chat.example, 6100 ms." in investigation.found().noted


def test_odd_things_that_a_page_may_send_are_passed_over(investigation: Investigation) -> None:
    investigation.stall(StallKind.FROZEN, silent_ms="x", frozen_ms={"a": 1})
    investigation.see("long_frame", ms="much", script=["x"])
    investigation.see("violation", directive=None, host=7)

    assert investigation.found().cause == "frozen"


def test_an_attempt_without_provider_is_at_the_only_one_the_shop_has(investigation: Investigation) -> None:
    investigation.stall(StallKind.NO_ANSWER)
    investigation.status(Indicator.CRITICAL)
    with investigation.database.write() as session:
        session.get_one(Attempt, investigation.attempt_id).provider = None

    assert investigation.found().cause == "provider_outage"


@pytest.mark.parametrize("code", ["stolen_card", "fraudulent", "lost_card"])
def test_a_shopper_is_shown_nothing_that_suspects_them_and_an_agent_everything(
    investigation: Investigation, code: str
) -> None:
    investigation.see("failed", code=code, message="Reported stolen: possible fraud")
    investigation.answer(code=code, detail=f"The payment was refused ({code}).")
    with investigation.database.write() as session:
        attempt = session.get_one(Attempt, investigation.attempt_id)
        attempt.error_code, attempt.error_message = code, "Reported stolen"

    assert not {code, "stolen", "fraud"} & set(investigation.shown().replace("(", " ").replace(")", " ").split())
    assert code not in investigation.shown()
    assert "card declined" in investigation.shown()
    assert code in investigation.shown(is_for_agent=True)


def test_the_evidence_is_in_the_language_of_its_reader(investigation: Investigation) -> None:
    with investigation.database.read() as session:
        attempt = session.get_one(Attempt, investigation.attempt_id)
        found = evidence.gather(session, investigation.cast.shop, attempt, "en")

    assert [fact.label for fact in found.payment][:2] == ["Amount", "Method"]
    assert "The payment page was open" in [fact.value for fact in found.payment]


def test_a_browser_without_wallets_is_said_to_have_none(investigation: Investigation) -> None:
    with investigation.database.write() as session:
        session.get_one(Attempt, investigation.attempt_id).facts = {"wallets": ""}

    assert "label='Wallets', value='none'" in investigation.shown()
    assert "value='keine'" in investigation.shown(locale="de")


def test_a_shopper_reads_words_where_agents_read_codes(investigation: Investigation) -> None:
    investigation.see("stall", kind="sdk", seen_by="frame", why="hang")
    investigation.see("offer", kind="method", method="card")
    investigation.answer(detail="No payment of this order was found.")
    with investigation.database.write() as session:
        attempt = session.get_one(Attempt, investigation.attempt_id)
        attempt.method, attempt.user_agent, attempt.facts = "card", None, {"protection": "server only"}

    shown = investigation.shown(locale="de")

    for words in (
        "Karte",
        "Das Zahlungsformular",
        "keine Antwort",
        "vom Hilfefenster",
        "nicht abgebucht",
        "nicht bekannt",
    ):
        assert words in shown
    for code in ("Card", "sdk", "frame", "hang", "unknown", "not charged", "No payment", "server only"):
        assert f"'{code}" not in shown
        assert f" {code}" not in shown
    assert "sdk" in investigation.shown(is_for_agent=True)


def test_what_the_browser_says_of_itself_is_shown_as_it_stands(investigation: Investigation) -> None:
    assert f"label='Browser says', value='{IPHONE}'" in investigation.shown()
    assert f"label='Browser says', value='{IPHONE}'" in investigation.shown(is_for_agent=True)
    assert f"value='{IPHONE}'" in investigation.shown(locale="de")
    with investigation.database.write() as session:
        session.get_one(Attempt, investigation.attempt_id).user_agent = None

    assert "Browser says" not in investigation.shown()


def test_the_cause_calls_a_method_as_its_reader_does(investigation: Investigation) -> None:
    investigation.others("card", "ios", "phone", 1, 9)
    investigation.stall(StallKind.WALLET, symptom="no_answer", seconds=120)
    with investigation.database.write() as session:
        session.get_one(Attempt, investigation.attempt_id).method = "card"

    found = investigation.found()

    assert say(found.said, "de").startswith("Karte ")
    assert say(found.evidence[0], "de") == "Karte scheiterte hier bei 9 der letzten 10 iPhones."
    assert str(found.said).startswith("Card ")


def test_a_number_has_its_form_in_the_evidence(investigation: Investigation) -> None:
    investigation.stall(StallKind.RAGE, clicks=1)

    assert str(investigation.found().evidence[0]) == "Pay was pressed 1 time."


def test_rates_and_findings_agree_about_what_works(investigation: Investigation) -> None:
    investigation.others("apple_pay", "ios", "phone", 0, 5)
    with investigation.database.read() as session:
        rates = health.rates(session, investigation.shop_id, clocks.now())

    assert investigation.found().avoid == {"apple_pay"}
    assert not rates.works_now("apple_pay", "phone")
