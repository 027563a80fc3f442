"""Stories by provider: what the customer is told, and which ways that take money they are offered.

A table, so that strictness at one provider is seen as well as leniency. The providers are fakes that speak the wire
format; the order is signed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.cast import ORIGIN, Cast, key
from tests.conftest import Clock
from tests.gallery import PROFILE
from tests.providers.fake_adyen import item, webhook
from tests.providers.fake_mollie import KEY as MOLLIE_KEY
from tests.providers.fake_mollie import FakeMollie
from tests.providers.fake_paypal import FakePayPal, capture
from tests.providers.fake_stripe import FakeStripe, card_error
from tests.test_adyen import SETTINGS as ADYEN
from tests.test_adyen import adapter as adyen
from tests.test_panel import heading, offered
from tests.test_paypal import SETTINGS as PAYPAL
from widget import provider_events
from widget.database import Database

NOT_CHARGED, UNKNOWN = "You have not been charged", "We do not know yet if you were charged"
PAID = "You have paid. There is nothing left to do"
ALL = {"retry", "method", "device", "payment_link", "transfer"}
# A bank that gave no reason rarely says yes to the same again.
NO_RETRY = ALL - {"retry"}
PSP = "PSP0000000000001"


@dataclass
class Told:
    """What the shop's checkout has at its provider: the adapter, its settings, the payment its page names."""

    name: str | None
    config: dict[str, Any]
    payment: str | None = None
    webhook: bytes | None = None


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    fake = FakeStripe()
    yield fake
    fake.stop()


@pytest.fixture
def paypal() -> Iterator[FakePayPal]:
    fake = FakePayPal()
    yield fake
    fake.stop()


@pytest.fixture
def mollie() -> Iterator[FakeMollie]:
    fake = FakeMollie()
    yield fake
    fake.stop()


@pytest.fixture
def at(stripe: FakeStripe, paypal: FakePayPal, mollie: FakeMollie, clock: Clock) -> Callable[[str, str], Told]:
    """The state of the world in a story, at a provider."""
    euros = {"value": "1249.00", "currency_code": "ZAR"}
    made = clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def stripe_in(story: str, *, order: str | None) -> Told:
        statuses = {"declined": "requires_payment_method", "authenticating": "requires_action", "taken": "succeeded"}
        intent = stripe.intent(statuses[story], order=order) if story in statuses else None
        if intent and story == "declined":
            intent["last_payment_error"] = card_error("insufficient_funds")
        return Told("stripe", stripe.config, str(intent["id"]) if intent and order is None else None)

    def paypal_in(story: str) -> Told:
        config = PAYPAL | {"api_url": paypal.url}
        if story == "sdk":
            return Told("paypal", config)
        taken = capture("3C679366HH0000001", "COMPLETED", amount=euros, custom_id="D-1001", create_time=made)
        refused = capture("3C679366HH0000001", "DECLINED", amount=euros, custom_id="D-1001", create_time=made)
        status, captures = {
            "declined": ("COMPLETED", [refused]),
            "authenticating": ("PAYER_ACTION_REQUIRED", []),
            "taken": ("COMPLETED", [taken]),
        }.get(story, ("CREATED", []))
        return Told("paypal", config, paypal.has(1, status, *captures, create_time=made, update_time=made))

    def mollie_in(story: str) -> Told:
        status = {"declined": "failed", "authenticating": "open", "taken": "paid"}.get(story)
        if status:
            amount = {"value": "1249.00", "currency": "ZAR"}
            mollie.has(1, status, amount=amount, createdAt=made, **({"paidAt": made} if status == "paid" else {}))
        return Told("mollie", {"api_key": MOLLIE_KEY, "api_url": mollie.url})

    def adyen_in(story: str) -> Told:
        success = {"declined": "false", "taken": "true"}.get(story)
        money = {"value": 124900, "currency": "ZAR"}
        told = webhook(item("AUTHORISATION", PSP, success, amount=money)) if success else None
        return Told("adyen", dict(ADYEN), PSP if success else None, told)

    worlds: dict[str, Callable[[str], Told]] = {
        "stripe, marked": lambda story: stripe_in(story, order="D-1001"),
        "stripe, named": lambda story: stripe_in(story, order=None),
        "paypal": paypal_in,
        "mollie": mollie_in,
        "adyen": adyen_in,
        "none": lambda _story: Told(None, {}),
    }
    return lambda provider, story: worlds[provider](story)


TABLE = {
    ("stripe, marked", "declined"): (NOT_CHARGED, ALL),
    ("stripe, marked", "hung"): (UNKNOWN, set()),
    ("stripe, marked", "taken"): (PAID, set()),
    ("stripe, marked", "sdk"): (NOT_CHARGED, ALL),
    ("stripe, marked", "authenticating"): (NOT_CHARGED, ALL),
    ("stripe, named", "declined"): (NOT_CHARGED, ALL),
    ("stripe, named", "hung"): (UNKNOWN, set()),
    ("stripe, named", "taken"): (PAID, set()),
    ("stripe, named", "sdk"): (NOT_CHARGED, ALL),
    ("stripe, named", "authenticating"): (NOT_CHARGED, ALL),
    ("paypal", "declined"): (NOT_CHARGED, NO_RETRY),
    ("paypal", "hung"): (NOT_CHARGED, ALL),
    ("paypal", "taken"): (PAID, set()),
    ("paypal", "sdk"): (NOT_CHARGED, ALL),
    ("paypal", "authenticating"): (NOT_CHARGED, ALL),
    ("mollie", "declined"): (NOT_CHARGED, ALL),
    ("mollie", "hung"): (UNKNOWN, set()),
    ("mollie", "taken"): (PAID, set()),
    ("mollie", "sdk"): (NOT_CHARGED, ALL),
    ("mollie", "authenticating"): (NOT_CHARGED, ALL),
    ("adyen", "declined"): (NOT_CHARGED, NO_RETRY),
    ("adyen", "hung"): (UNKNOWN, set()),
    ("adyen", "taken"): (PAID, set()),
    ("adyen", "sdk"): (NOT_CHARGED, ALL),
    ("none", "declined"): (UNKNOWN, set()),
    ("none", "hung"): (UNKNOWN, set()),
    ("none", "sdk"): (NOT_CHARGED, ALL - {"payment_link"}),
}


@pytest.mark.parametrize(("provider", "story"), list(TABLE))
def test_what_is_offered_fits_to_what_the_provider_knows(
    client: FlaskClient,
    database: Database,
    clock: Clock,
    at: Callable[[str, str], Told],
    provider: str,
    story: str,
) -> None:
    told = at(provider, story)
    with database.write() as session:
        cast = Cast(session, profile=PROFILE | {"providers": {told.name: told.config} if told.name else {}})
        if told.webhook is not None:
            for happened in adyen().webhook({}, told.webhook):
                provider_events.keep(session, cast.shop, "adyen", happened, clock.now)

    answer = client.post(f"/help/{panel(client, cast, told, story)}/check")

    said, ways = TABLE[provider, story]
    assert (heading(answer), set(offered(answer)) & ALL) == (said, ways)


def panel(client: FlaskClient, cast: Cast, told: Told, story: str) -> str:
    """The page has come as far as the story goes; its frame opens the help. Returns its token."""
    attempt = {"key": key(), "order": cast.context().model_dump(), "method": "card", "provider": told.name}
    attempt["payment"] = told.payment
    stages = ["started", "sdk"] if story == "sdk" else ["started", "submitted"]
    stages += ["authenticating"] if story == "authenticating" else []
    signals = [
        {"seq": seq, "at": seq * 100, "name": "stage", "data": {"stage": stage}} for seq, stage in enumerate(stages)
    ]
    if story == "declined":
        signals.append({"seq": 9, "at": 900, "name": "failed", "data": {"code": "insufficient_funds"}})
    else:
        kind = "sdk" if story == "sdk" else "no_answer"
        signals.append({"seq": 9, "at": 900, "name": "stall", "data": {"kind": kind, "stage": stages[-1]}})
    body = {"v": 1, "id": key(), "site": "demo", "attempt": attempt, "signals": signals}
    assert client.post("/api/v1/beacons", json=body, headers={"Origin": ORIGIN}).status_code == 204
    stage = "failed" if story == "declined" else stages[-1]
    opening = {"site": "demo", "attempt": attempt, "facts": {}, "stage": stage}
    answer = client.post("/panel", json=opening, headers={"Unjam-Frame": "1"})
    return answer.text.split("/help/")[1].split("/")[0]
