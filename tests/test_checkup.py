"""What `unjam check` says about the providers of the shops."""

import pytest

from tests.cast import Cast
from tests.providers import fake_mollie
from tests.providers.fake_mollie import FakeMollie
from tests.providers.fake_stripe import FakeStripe
from widget import checkup
from widget.checkup import Finding
from widget.database import Database
from widget.providers import ProviderDown
from widget.providers.stripe import Stripe
from widget.settings import Settings


def found(settings: Settings, database: Database, providers: dict[str, object]) -> list[Finding]:
    with database.write() as session:
        Cast(session, profile={"providers": providers})
    return [each for each in checkup.findings(settings) if each.what.startswith("provider")]


@pytest.mark.parametrize(
    ("trouble", "is_good"), [(None, True), ("Stripe does not let this secret_key cancel", False), (ProviderDown, False)]
)
def test_whether_a_provider_answers_and_what_to_do_where_it_does_not(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, trouble: object, is_good: bool
) -> None:
    def health(_self: Stripe) -> object:
        if trouble is ProviderDown:
            raise ProviderDown("Stripe did not answer.")
        return trouble

    fake = FakeStripe()
    monkeypatch.setattr(Stripe, "health", health)

    (stripe,) = found(settings, database, {"stripe": fake.config})
    fake.stop()

    assert stripe.is_good is is_good
    assert stripe.hint == "" if is_good else stripe.hint.endswith(("or at the provider.", "then check again."))


def test_every_provider_of_a_shop_is_asked(settings: Settings, database: Database) -> None:
    stripe, mollie = FakeStripe(), FakeMollie()
    providers: dict[str, object] = {
        "stripe": stripe.config,
        "mollie": {"api_key": fake_mollie.KEY, "api_url": mollie.url},
        "paypal": {"client_id": "only half of what it needs"},
        "molly": {},
    }

    by_name = {each.what.split()[1]: each for each in found(settings, database, providers)}
    stripe.stop()
    mollie.stop()

    assert {name: each.is_good for name, each in by_name.items()} == {
        "stripe": True,
        "mollie": True,
        "paypal": False,
        "molly": False,
    }
    assert "client_secret" in by_name["paypal"].hint
    assert "there are demo, stripe" in by_name["molly"].hint
