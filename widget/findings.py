"""Findings: why an attempt is stuck, from everything that is known of it. The one place where a case is gathered."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from widget import charges, feeds, health, signals, stalls
from widget.attempts import Attempt, Stage
from widget.browsers import kin_of
from widget.charges import Charge
from widget.diagnosis import Case, Diagnosis, diagnose
from widget.health import FEW_TRIES, Rates
from widget.methods import is_out_of_reach
from widget.providers import Retry
from widget.shops import Profile, Shop
from widget.signals import Signal
from widget.stalls import Stall, StallKind

_MAX_SIGNALS = 200
_MAX_VIOLATIONS = 5
# How providers write their own names, where that is not the capitalised id.
_PROVIDERS = {"paypal": "PayPal", "amazon_pay": "Amazon Pay"}


def of(session: Session, attempt: Attempt, now: datetime) -> Diagnosis:
    """The diagnosis of an attempt as things are now."""
    return diagnose(case_of(session, attempt, charges.latest(session, attempt.id), now))


def case_of(session: Session, attempt: Attempt, charge: Charge | None, now: datetime) -> Case:
    """What the rules judge by. `charge` is the provider's last word."""
    profile = session.get_one(Shop, attempt.shop_id).settled
    seen = stalls.of(session, attempt.id)
    told = signals.named(session, [attempt.id], ["violation", "long_frame"], _MAX_SIGNALS) if seen else []
    provider = (charge.provider if charge else None) or attempt.provider or _only_provider(profile)
    kin, rates = kin_of(attempt.user_agent, attempt.facts), health.rates(session, attempt.shop_id, now)
    through = {attempt.method: _through(rates, attempt)}
    methods = {*rates.methods, *(each.id for each in profile.methods)}
    return Case(
        kind=_kind_of(seen),
        stage=Stage(seen[0].stage) if seen else None,
        evidence=seen[0].evidence if seen else {},
        method=attempt.method,
        method_label=profile.method_name(attempt.method) if attempt.method else None,
        provider=provider,
        provider_label=provider_label(provider),
        browser=kin.browser,
        os=kin.os,
        device_class=kin.device_class,
        code=charge.code if charge else None,
        network_code=charge.network_code if charge else None,
        retry=_retry_of(charge),
        declines=sum(each.kind in {StallKind.DECLINED, StallKind.DECLINED_AGAIN} for each in seen),
        feed=feeds.view(session, provider, profile.providers, now),
        rates={
            method: rates.of(method, provider=through.get(method), os=kin.os or None, device=kin.device_class or None)
            for method in methods
        },
        overall={method: rates.of(method, provider=through.get(method)) for method in methods},
        through=provider_label(through[attempt.method]),
        labels={method: profile.method_name(method) for method in methods},
        facts=attempt.facts,
        out_of_reach=frozenset(each for each in methods if is_out_of_reach(each, attempt.user_agent, attempt.facts)),
        violations=_violations(told),
        busiest=_busiest(told),
    )


def provider_label(provider: str | None) -> str | None:
    return _PROVIDERS.get(provider, provider.replace("_", " ").capitalize()) if provider else None


def _kind_of(seen: Sequence[Stall]) -> StallKind | None:
    return StallKind(seen[0].kind) if seen and seen[0].kind in set(StallKind) else None


def _through(rates: Rates, attempt: Attempt) -> str | None:
    """The attempt's provider, where its method goes through others too and enough is known of this one.

    Then its tries alone tell how the method goes for this attempt: what fails with another provider does not fail here.
    """
    method, provider = attempt.method, attempt.provider
    if not method or not provider or len(rates.providers(method)) < 2:
        return None
    return provider if rates.of(method, provider=provider).tries >= FEW_TRIES else None


def _only_provider(profile: Profile) -> str | None:
    """Whom the shop must mean when the page does not say."""
    return next(iter(profile.providers)) if len(profile.providers) == 1 else None


def _retry_of(charge: Charge | None) -> Retry | None:
    return Retry(charge.advice) if charge is not None and charge.advice in set(Retry) else None


def _violations(told: Sequence[Signal]) -> tuple[tuple[str, str], ...]:
    """Directive and host of what was blocked, each once, in the order it happened."""
    said = [(each.data.get("directive"), each.data.get("host")) for each in told if each.name == "violation"]
    known = {(directive, str(host or "")): None for directive, host in said if isinstance(directive, str)}
    return tuple(known)[:_MAX_VIOLATIONS]


def _busiest(told: Sequence[Signal]) -> tuple[str, float] | None:
    """The script that kept the page busy longest, by its host."""
    frames = [(each.data.get("script"), each.data.get("ms")) for each in told if each.name == "long_frame"]
    named = [(script, float(ms)) for script, ms in frames if isinstance(script, str) and isinstance(ms, int | float)]
    return max(named, key=lambda each: each[1], default=None)
