"""Which tellings are one payment: pure rules over what the channels say, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widget import ledger
from widget.ledger import Balance, Payment, Source
from widget.money import Money

DUE = Money(1000, "EUR")


def told(source: str, payment: str | None, amount: int, currency: str = "EUR", provider: str | None = None) -> Payment:
    facts = {"source": source, "payment": payment, "amount": amount, "currency": currency, "provider": provider}
    return Payment(**facts, is_proven=True)


def balance(*tellings: Payment) -> Balance:
    return Balance(DUE, ledger.taken(tellings))


@pytest.mark.parametrize(
    ("tellings", "is_paid"),
    [
        ([told("page", None, 1000)], True),
        ([told("provider", "pi_1", 999)], False),
        ([told("provider", "pi_1", 1000, "USD")], False),
        ([told("shop", "pi_1", 500), told("page", "pi_1", 500)], False),
        ([told("shop", None, 500), told("provider", "pi_1", 500)], False),
        ([told("shop", "pi_1", 600), told("shop", "pi_1", 400)], True),
        # Told twice under two idempotency keys, it is still one payment.
        ([told("shop", "pi_1", 600), told("shop", "pi_1", 600)], False),
        # The provider says what a payment amounts to by then, not what was added.
        ([told("provider", "pi_1", 400), told("provider", "pi_1", 600)], False),
        ([told("provider", "pi_1", 400), told("provider", "pi_2", 600)], True),
        # Our own link for the difference comes on top, unless it is the payment that the other channel told of.
        ([told("provider", "pi_1", 600), told("link", "pi_2", 400)], True),
        ([told("provider", "pi_2", 600), told("link", "pi_2", 600)], False),
        ([told("shop", None, 600), told("link", "pi_2", 600)], False),
        ([told("page", None, 600), told("link", "pi_2", 600)], False),
    ],
)
def test_an_order_is_paid_when_one_channel_tells_of_the_whole(tellings: list[Payment], is_paid: bool) -> None:
    assert ledger.is_covered(tellings, DUE) is is_paid


@pytest.mark.parametrize(
    ("tellings", "spare", "is_proven"),
    [
        ([told("page", "pi_1", 1000), told("shop", "pi_1", 1000), told("provider", "pi_1", 1000)], [], False),
        ([told("shop", None, 1000), told("provider", "pi_1", 1000), told("link", "pi_1", 1000)], [], False),
        ([told("provider", "pi_1", 1000), told("provider", "pi_2", 1000)], ["pi_2"], True),
        ([told("shop", "pi_1", 1000), told("shop", "pi_2", 1000)], ["pi_2"], True),
        ([told("link", "pi_1", 1000), told("link", "pi_2", 1000)], ["pi_2"], True),
        # Two channels: the shop may call a payment by another name than the provider does.
        ([told("shop", "ch_1", 1000), told("provider", "pi_1", 1000)], ["pi_1"], False),
        ([told("shop", "A", 1000, provider="paypal"), told("link", "pi_1", 1000, provider="stripe")], ["pi_1"], True),
        # A page runs at the customer's, who could make it claim a payment that is to be refunded.
        ([told("page", "pi_1", 1000), told("page", "pi_2", 1000)], [], False),
        ([told("page", "pi_9", 1000), told("provider", "pi_1", 1000)], [], False),
        # What was needed to reach the amount is not too much.
        ([told("provider", "pi_1", 600), told("provider", "pi_2", 400)], [], False),
        ([told("provider", "pi_1", 600), told("provider", "pi_2", 1000)], ["pi_1"], True),
        ([told("provider", "pi_1", 1000), told("provider", "pi_2", 1000, "USD")], ["pi_2"], True),
        ([told("provider", str(number), 1000) for number in range(3)], ["2", "1"], True),
    ],
)
def test_what_is_paid_twice_is_known_by_the_provider_s_ids_alone(
    tellings: list[Payment], spare: list[str], is_proven: bool
) -> None:
    found = balance(*tellings)
    assert [each.payment for each in found.superfluous] == spare
    assert found.is_proven_twice is is_proven


@pytest.mark.parametrize(
    ("tellings", "missing", "excess"),
    [
        ([], None, None),
        ([told("provider", "pi_1", 1000)], None, None),
        ([told("provider", "pi_1", 900)], 100, None),
        ([told("provider", "pi_1", 1100)], None, 100),
        ([told("provider", "pi_1", 900, "USD")], None, None),
        ([told("page", "pi_1", 900)], None, None),
        # The same payment told twice is not twice the money.
        ([told("shop", "pi_1", 1000), told("shop", "pi_1", 1000)], None, None),
    ],
)
def test_both_figures_of_a_wrong_amount(tellings: list[Payment], missing: int | None, excess: int | None) -> None:
    found = balance(*tellings)
    assert found.missing == (Money(missing, "EUR") if missing else None)
    assert found.excess == (Money(excess, "EUR") if excess else None)


_tellings = st.builds(
    told, st.sampled_from(list(Source)), st.sampled_from([None, "pi_1", "pi_2", "pi_3"]), st.integers(1, 2000)
)


@given(st.lists(_tellings, max_size=8))
def test_what_is_left_after_every_refund_still_pays_the_order(tellings: list[Payment]) -> None:
    found = balance(*tellings)
    refunded = sum(each.money.minor for each in found.superfluous)
    assert found.total - refunded >= DUE.minor or not found.superfluous
    assert len(found.superfluous) < max(1, len(found.taken))


@given(st.lists(st.builds(told, st.sampled_from(list(Source)), st.none() | st.just("pi_1"), st.integers(1, 2000))))
def test_one_payment_told_by_whomever_and_however_often_is_never_two(tellings: list[Payment]) -> None:
    assert balance(*tellings).superfluous == ()
