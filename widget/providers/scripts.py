"""The scripts that payment providers and wallets put on a checkout: by host, with the global each one defines."""

from collections.abc import Collection

_ADYEN_REGIONS = ("", "-us", "-au", "-apse", "-in", "-nea")

# Provider -> its script hosts and the global, "" where there is none that all of its versions define.
PROVIDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "stripe": (("js.stripe.com",), "Stripe"),
    "adyen": (
        tuple(f"checkoutshopper-live{region}{cdn}.adyen.com" for region in _ADYEN_REGIONS for cdn in ("", ".cdn")),
        "",
    ),
    "paypal": (("www.paypal.com",), "paypal"),
    "braintree": (("js.braintreegateway.com",), "braintree"),
    "klarna": (("x.klarnacdn.net",), "Klarna.Payments"),
    "amazon_pay": (("static-eu.payments-amazon.com", "static-na.payments-amazon.com"), ""),
    "payfast": (("www.payfast.co.za",), "payfast_do_onsite_payment"),
    "peach": (("checkout.peachpayments.com",), "Checkout"),
    "yoco": (("js.yoco.com",), "YocoSDK"),
}
# Wallets work with any provider, so they are watched in every shop.
WALLETS: dict[str, tuple[tuple[str, ...], str]] = {
    "google_pay": (("pay.google.com",), "google.payments.api"),
    "apple_pay": (("applepay.cdn-apple.com",), "ApplePaySession"),
    "samsung_pay": (("img.mpay.samsung.com",), "SamsungPay.PaymentClient"),
}


def watched_for(providers: Collection[str]) -> list[tuple[str, str]]:
    """Host and global of every script to watch: of these providers, or of all when none of them has a known script."""
    named = {name: found for name, found in PROVIDERS.items() if name in providers}
    scripts = [*(named or PROVIDERS).values(), *WALLETS.values()]
    return [(host, place) for hosts, place in scripts for host in hosts]


def is_of_provider(host: str) -> bool:
    """Whether a host belongs to a payment provider or a wallet, its script's or a neighbour of that one."""
    scripts = {script for hosts, _ in PROVIDERS.values() for script in hosts}
    domains = {script.partition(".")[2] for script in scripts}
    wallets = {script for hosts, _ in WALLETS.values() for script in hosts}
    return host in scripts | wallets | domains or any(host.endswith(f".{domain}") for domain in domains)
