"""What was charged is a part of the order: the rest is asked for only when no other payment of it may be under way."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from tests.cast import PACE, Cast, key
from tests.conftest import Clock
from tests.providers import fake_adyen
from tests.providers.fake_adyen import FakeAdyen, item, webhook
from widget import attempts, cashier, signals
from widget.attempts import AttemptContext, Stage
from widget.database import Database
from widget.money import Money
from widget.providers import Answer, ChargeState
from widget.providers.answers import furthest
from widget.tokens import Purpose
from widget.tries import Tries

FIRST, SECOND = "PSP0000000000001", "PSP0000000000002"


@pytest.fixture
def adyen() -> Iterator[FakeAdyen]:
    fake = FakeAdyen()
    yield fake
    fake.stop()


class Shop:
    """A shop at Adyen, which cannot be asked by order; some customers choose another provider there."""

    def __init__(self, database: Database, clock: Clock, client: FlaskClient, adyen: FakeAdyen) -> None:
        self._database, self._clock, self._client = database, clock, client
        settings = {
            "api_key": fake_adyen.KEY,
            "merchant_account": fake_adyen.ACCOUNT,
            "hmac_key": fake_adyen.HMAC_KEY,
            "api_url": adyen.url,
        }
        with database.write() as session:
            self._cast = Cast(session, profile={"providers": {"adyen": settings}})

    def tried(
        self,
        payment: str | None,
        *,
        provider: str = "adyen",
        leg: int | None = None,
        stage: Stage = Stage.CONFIRMING,
        code: str | None = None,
        signed: bool = True,
    ) -> int:
        with self._database.write() as session:
            self._cast.session = session
            context = AttemptContext(
                key=key(),
                order=self._cast.context(is_signed=signed),
                method="card",
                provider=provider,
                payment=payment,
                leg=leg,
                legs=leg and 2,
            )
            attempt = attempts.open_for(session, self._cast.shop, context, self._clock.now)
            attempt.stage, attempt.error_code = stage.value, code
            signals.note(session, attempt, "stage", self._clock.now, stage="submitted")
            session.flush()
            self._clock.forward(timedelta(seconds=20))
            return attempt.id

    def takes(self, payment: str, amount: int, success: str = "true") -> None:
        told = item("AUTHORISATION", payment, success, amount={"value": amount, "currency": "ZAR"})
        assert self._client.post("/api/v1/webhooks/demo/adyen", data=webhook(told)).status_code == 200
        while cashier.heed_webhooks(self._database, PACE):
            pass
        self._clock.forward(timedelta(seconds=5))

    def panel_of(self, attempt_id: int) -> str:
        token = self._client.application.extensions["unjam"].tokens.sign(Purpose.HELP, str(attempt_id))
        return self._client.post(f"/help/{token}/check").text

    def ways_of(self, attempt_id: int) -> set[str]:
        """The ways to pay that the panel of this try offers."""
        ways = set(re.findall(r"/choose/(\w+)", self.panel_of(attempt_id)))
        return ways & {"difference", "rest", "one_method", "retry", "payment_link"}


@pytest.fixture
def shop(database: Database, clock: Clock, client: FlaskClient, adyen: FakeAdyen) -> Shop:
    return Shop(database, clock, client, adyen)


def test_what_is_missing_is_asked_for_when_only_one_payment_was_begun(shop: Shop) -> None:
    short = shop.tried(FIRST, stage=Stage.FAILED)
    shop.takes(FIRST, 100000)
    assert shop.ways_of(short) == {"difference"}


def test_a_payment_that_no_page_has_named_is_that_of_the_only_try(shop: Shop) -> None:
    short = shop.tried(None)
    shop.takes(FIRST, 100000)
    assert shop.ways_of(short) == {"difference"}


@pytest.mark.parametrize("provider", ["adyen", "payfast"])
def test_what_is_missing_is_not_asked_for_while_another_window_is_past_pay(shop: Shop, provider: str) -> None:
    short = shop.tried(FIRST, stage=Stage.FAILED)
    other = shop.tried(None, provider=provider)
    shop.takes(FIRST, 100000)
    assert (shop.ways_of(short), shop.ways_of(other)) == (set(), set())


@pytest.mark.parametrize("signed", [True, False])
def test_what_was_taken_is_told_while_the_rest_is_not_known_if_the_shop_vouches_for_the_order(
    shop: Shop, *, signed: bool
) -> None:
    short = shop.tried(FIRST, stage=Stage.FAILED, signed=signed)
    shop.tried(None, signed=signed)
    shop.takes(FIRST, 100000)
    panel = shop.panel_of(short)
    tells = "Part of this order is paid" in panel, Money(100000, "ZAR").shown("en") in panel
    assert tells == (signed, signed)
    assert ("We do not know yet if you were charged" in panel) != signed
    assert "Please do not pay again until we know." in panel


def test_nor_while_a_payment_that_was_named_has_not_been_heard_of(shop: Shop) -> None:
    short = shop.tried(FIRST, stage=Stage.FAILED)
    shop.tried(SECOND)
    shop.takes(FIRST, 100000)
    assert shop.ways_of(short) == set()
    shop.takes(SECOND, 124900, "false")
    assert shop.ways_of(short) == {"difference"}


def test_two_tries_without_a_name_need_two_payments(shop: Shop) -> None:
    short = shop.tried(None)
    shop.tried(None)
    shop.takes(FIRST, 40000)
    assert shop.ways_of(short) == set()
    shop.takes(SECOND, 40000)
    assert shop.ways_of(short) == {"difference"}


@pytest.mark.parametrize("code", ["NetworkError", "TypeError", "Error", "500", "408", "timed_out", None])
def test_a_leg_whose_answer_was_lost_was_not_refused(shop: Shop, code: str | None) -> None:
    shop.tried(FIRST, leg=1, stage=Stage.PAID)
    second = shop.tried(None, leg=2, stage=Stage.FAILED, code=code)
    shop.takes(FIRST, 100000)
    assert shop.ways_of(second) == set()


def test_a_leg_that_was_refused_leaves_a_rest(shop: Shop) -> None:
    shop.tried(FIRST, leg=1, stage=Stage.PAID)
    second = shop.tried(None, leg=2, stage=Stage.FAILED, code="Refused")
    shop.takes(FIRST, 100000)
    assert "rest" in shop.ways_of(second)


@pytest.mark.parametrize(
    ("provider", "code", "is_refused"),
    [
        ("adyen", "Refused", True),
        ("adyen", "limit_reached", False),
        ("store", "limit_reached", True),
        ("store", "402", True),
        ("store", "503", False),
        ("store", "ConnectionError", False),
        ("store", "processing_error", False),
        ("store", None, False),
    ],
)
def test_a_refusal_is_a_word_of_the_providers_or_of_the_shops_own(
    shop: Shop, database: Database, clock: Clock, provider: str, code: str | None, is_refused: bool
) -> None:
    tried = shop.tried(None, provider=provider, stage=Stage.FAILED, code=code)
    with database.read() as session:
        attempt = attempts.by_id(session, tried)
        assert Tries(session, attempt, attempts.order_of(session, attempt), clock.now).is_refused(attempt) is is_refused


def test_a_leg_that_is_tried_once_more_elsewhere_leaves_none(shop: Shop) -> None:
    shop.tried(FIRST, leg=1, stage=Stage.PAID)
    second = shop.tried(SECOND, leg=2, stage=Stage.FAILED, code="Refused")
    shop.tried(None, leg=2)
    shop.takes(FIRST, 100000)
    shop.takes(SECOND, 24900, "false")
    assert shop.ways_of(second) == set()


@pytest.mark.parametrize("other", [ChargeState.UNKNOWN, ChargeState.HELD])
def test_an_answer_says_that_beside_what_was_charged_more_moves(other: ChargeState) -> None:
    charged = Answer(ChargeState.CHARGED, Money(100000, "ZAR"), "pi_1")
    assert furthest([charged, Answer(other, payment="pi_2")]).moves  # type: ignore[union-attr]
    assert not furthest([charged, Answer(ChargeState.NOT_CHARGED, payment="pi_2")]).moves  # type: ignore[union-attr]
