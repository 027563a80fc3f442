"""What `unjam check` says about a shop's key at Stripe."""

import pytest

from tests.cast import Cast
from tests.providers.fake_stripe import FakeStripe
from widget import checkup
from widget.database import Database
from widget.providers import ProviderDown
from widget.providers.stripe import Stripe
from widget.settings import Settings


@pytest.mark.parametrize(
    ("trouble", "is_good"), [(None, True), ("Stripe does not let this secret_key cancel", False), (ProviderDown, False)]
)
def test_whether_payments_that_wait_can_be_closed_at_stripe(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, trouble: object, is_good: bool
) -> None:
    def refusal(_self: Stripe) -> object:
        if trouble is ProviderDown:
            raise ProviderDown("Stripe did not answer.")
        return trouble

    fake = FakeStripe()
    monkeypatch.setattr(Stripe, "refusal", refusal)
    with database.write() as session:
        Cast(session, profile={"providers": {"stripe": fake.config}})

    found = [each for each in checkup.findings(settings) if "Stripe" in each.what]
    fake.stop()

    assert [each.is_good for each in found] == [is_good]
    assert bool(found[0].hint) is not is_good
