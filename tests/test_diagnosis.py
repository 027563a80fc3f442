"""Diagnosis: the cause of a case by table; every kind of stall has its row, and no word speaks of money that moved."""

from datetime import UTC, datetime
from typing import Any

import pytest

from widget.diagnosis import KINDS, RULES, Case, Side, diagnose, diagnose_kind
from widget.feeds import FeedView, Indicator
from widget.health import Rate
from widget.stalls import StallKind

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAILS = Rate(worked=1, failed=9, is_failing=True)
WORKS = Rate(worked=19, failed=1)
IPHONE: dict[str, Any] = {"method": "apple_pay", "method_label": "Apple Pay", "os": "ios", "device_class": "phone"}
HANGS: dict[str, Any] = {"symptom": "no_answer", "seconds": 10.04}


def feed(indicator: Indicator, *, is_stale: bool = False) -> FeedView:
    return FeedView(indicator, "Elevated errors", ("API: major outage",), NOW, is_stale, None)


def case(kind: StallKind | None, evidence: dict[str, Any] | None = None, **known: Any) -> Case:
    return Case(kind=kind, evidence=evidence or {}, **({"provider": "stripe", "provider_label": "Stripe"} | known))


CASES: list[tuple[str, Side, Case]] = [
    ("asked", Side.UNKNOWN, case(None)),
    ("decline:insufficient_funds", Side.BANK, case(StallKind.DECLINED, code="insufficient_funds")),
    ("decline:wrong_code", Side.CUSTOMER, case(StallKind.DECLINED, {"code": "incorrect_cvc"})),
    ("decline:generic", Side.BANK, case(StallKind.DECLINED_AGAIN, code="stolen_card")),
    ("decline:shop_setup", Side.SHOP, case(StallKind.DECLINED, code="payment_method_unactivated")),
    ("declined", Side.BANK, case(StallKind.DECLINED)),
    ("split", Side.PROVIDER, case(StallKind.SPLIT, {"leg": 2, "legs": 2}, feed=feed(Indicator.MAJOR))),
    ("provider_outage", Side.PROVIDER, case(StallKind.NO_ANSWER, HANGS, feed=feed(Indicator.MAJOR))),
    ("provider_outage", Side.PROVIDER, case(StallKind.SDK, {"why": "hang"}, feed=feed(Indicator.CRITICAL))),
    ("provider_trouble", Side.PROVIDER, case(StallKind.NO_ANSWER, HANGS, feed=feed(Indicator.MINOR))),
    ("no_answer", Side.PROVIDER, case(StallKind.NO_ANSWER, HANGS, feed=feed(Indicator.MAJOR, is_stale=True))),
    ("offline", Side.NETWORK, case(StallKind.OFFLINE, feed=feed(Indicator.MAJOR))),
    ("method_failing_here", Side.PROVIDER, case(StallKind.WALLET, HANGS, rates={"apple_pay": FAILS}, **IPHONE)),
    ("csp_violation", Side.SHOP, case(StallKind.SDK, {"why": "csp", "host": "js.stripe.com"})),
    ("csp_violation", Side.SHOP, case(StallKind.CHALLENGE, violations=(("frame-src", "bank.example"),))),
    ("sdk_blocked_by_extension", Side.CUSTOMER,
     case(StallKind.SDK, {"why": "error", "host": "js.stripe.com"}, method="card", overall={"card": WORKS})),
    ("csp_violation", Side.SHOP, case(StallKind.NO_ANSWER, HANGS, violations=(("connect-src", "api.stripe.com"),))),
    ("no_answer", Side.PROVIDER, case(StallKind.NO_ANSWER, HANGS, violations=(("script-src", "stats.example"),))),
    ("sdk_refused", Side.NETWORK, case(StallKind.SDK, {"why": "error", "host": "js.stripe.com"})),
    ("sdk_missing", Side.PROVIDER, case(StallKind.SDK, {"why": "error", "status": 503})),
    ("sdk_broken", Side.SHOP, case(StallKind.SDK, {"why": "global", "status": 200})),
    ("sdk_hanging", Side.NETWORK, case(StallKind.SDK, {"why": "hang"})),
    ("frozen_by_script", Side.SHOP, case(StallKind.FROZEN, {"frozen_ms": 6100}, busiest=("cdn.example", 6000.0))),
    ("frozen", Side.SHOP, case(StallKind.FROZEN, {"silent_ms": 2300})),
    ("bank_check_open", Side.BANK, case(StallKind.CHALLENGE, {"symptom": "no_answer", "seconds": 120})),
    ("challenge", Side.BANK, case(StallKind.CHALLENGE, {"symptom": "failed", "code": "authentication_failed"})),
    ("wallet_unsupported", Side.CUSTOMER, case(StallKind.WALLET, {"name": "NotSupportedError"}, **IPHONE)),
    ("wallet_misconfigured", Side.SHOP, case(StallKind.WALLET, {"code": "DEVELOPER_ERROR"}, **IPHONE)),
    ("wallet_account", Side.CUSTOMER, case(StallKind.WALLET, {"code": "BUYER_ACCOUNT_ERROR"}, **IPHONE)),
    ("wallet_push_unanswered", Side.CUSTOMER, case(StallKind.WALLET, HANGS, method="samsung_pay")),
    ("wallet_push_unanswered", Side.CUSTOMER, case(StallKind.WALLET, HANGS, method="samsungpay")),
    ("merchant_session_missing", Side.SHOP, case(StallKind.WALLET, HANGS, **IPHONE)),
    ("merchant_session_missing", Side.SHOP, case(StallKind.WALLET, HANGS, **IPHONE | {"method": "applepay"})),
    ("wallet", Side.PROVIDER, case(StallKind.WALLET, {"message": "Odd."}, **IPHONE)),
    ("server_error", Side.SHOP, case(StallKind.NO_ANSWER, HANGS | {"failing": "api.shop.example 500"})),
    ("slow_connection", Side.NETWORK, case(StallKind.NO_ANSWER, HANGS, facts={"connection": "2g 0.1Mb/s 900ms"})),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "side", "known"), CASES, ids=[f"{each[0]}-{n}" for n, each in enumerate(CASES)])
def test_the_cause_of_a_case(cause: str, side: Side, known: Case) -> None:
    found = diagnose(known)

    assert (found.cause, found.side) == (cause, side)
    assert 0 < found.confidence <= 0.95
    assert "{" not in str(found.said) + found.noted + "".join(str(each) for each in found.evidence)


def test_every_row_decides_some_case() -> None:
    decided = {diagnose(known).cause for _, _, known in CASES}

    assert {rule.cause for rule in RULES} <= decided


def test_every_kind_of_stall_has_its_row_and_no_other() -> None:
    assert [rule.cause for rule in KINDS] == [kind.value for kind in StallKind]


@pytest.mark.parametrize("rule", [*RULES, *KINDS], ids=lambda rule: rule.cause)
def test_no_word_about_the_cause_speaks_of_money_that_moved(rule: Any) -> None:
    words = rule.said + " ".join(text if isinstance(text, str) else text.text for text, _ in rule.evidence)

    assert not {"charged", "paid", "taken", "refund", "booked"} & set(words.lower().replace(".", "").split())
    assert rule.said.endswith(".") or rule.cause == StallKind.ASKED
    assert rule.noted.endswith(".")


def test_the_evidence_counts_devices_like_this_one_and_names_what_works() -> None:
    known = case(
        StallKind.WALLET,
        HANGS,
        rates={"apple_pay": FAILS, "card": WORKS},
        overall={"apple_pay": Rate(worked=30, failed=9), "card": WORKS},
        labels={"card": "Card"},
        **IPHONE,
    )

    found = diagnose(known)

    assert [str(each) for each in found.evidence] == [
        "Apple Pay has failed for 9 of the last 10 iPhones here.",
        "Card works: 19 of the last 20 tries got through.",
    ]
    assert found.avoid == {"apple_pay"}


@pytest.mark.parametrize(
    ("os", "device_class", "said"),
    [("android", "phone", "Android phones"), ("ios", "tablet", "tablets"), ("mac", "desktop", "computers")],
)
def test_the_evidence_names_the_kind_of_device(os: str, device_class: str, said: str) -> None:
    known = case(StallKind.NO_ANSWER, HANGS, method="card", os=os, device_class=device_class, rates={"card": FAILS})

    assert f"of the last 10 {said} here." in str(diagnose(known).evidence[0])


def test_while_few_devices_like_this_have_tried_all_of_them_count() -> None:
    known = case(StallKind.WALLET, HANGS, rates={"apple_pay": Rate(failed=1)}, overall={"apple_pay": FAILS}, **IPHONE)

    assert str(diagnose(known).evidence[0]) == "Apple Pay has failed for 9 of the last 10 customers here."


def test_the_engineer_gets_the_directive_the_host_and_the_line_to_add() -> None:
    violations = (("script-src-elem", "js.stripe.com"),)

    noted = diagnose(case(StallKind.SDK, {"why": "csp", "host": "js.stripe.com"}, violations=violations)).noted

    assert "Directive: script-src-elem; blocked: js.stripe.com." in noted
    assert "Line to add: script-src-elem https://js.stripe.com;" in noted


@pytest.mark.parametrize("kind", [StallKind.DECLINED, StallKind.DECLINED_AGAIN])
@pytest.mark.parametrize("code", ["stolen_card", "fraudulent", "merchant_blacklist", "pickup_card"])
def test_a_customer_sees_the_same_of_suspicion_and_of_a_plain_decline(kind: StallKind, code: str) -> None:
    suspected, plain = (diagnose(case(kind, code=each)) for each in (code, "generic_decline"))

    assert (suspected.cause, suspected.said, suspected.side) == (plain.cause, plain.said, plain.side)
    assert (suspected.evidence, suspected.confidence) == (plain.evidence, plain.confidence)
    assert code in suspected.noted


def test_a_code_of_the_page_is_used_while_the_provider_gives_none() -> None:
    found = diagnose(case(StallKind.DECLINED, {"code": "expired_card"}))

    assert found.advice is not None
    assert found.advice.group == "expired_card"


def test_without_a_case_around_it_a_kind_says_what_it_said() -> None:
    assert str(diagnose_kind(StallKind.FROZEN).said) == "The payment page stopped responding."
    assert diagnose_kind(None).said.text == ""


def test_a_feed_that_is_old_accuses_nobody() -> None:
    known = feed(Indicator.CRITICAL, is_stale=True)

    assert not known.tells_outage
