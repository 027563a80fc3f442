"""The finer causes, most certain first: the first row that applies decides, else the kind of the stall does."""

from collections.abc import Mapping
from typing import Any

from widget.diagnosis.case import Case, Side
from widget.diagnosis.rule import AGREED, LIKELY, SEEN, Rule, Sentence, figure, named_method, named_provider, whole
from widget.diagnosis.tallies import FAILED_FOR, WORKS
from widget.feeds import Indicator
from widget.language import N_, counted
from widget.methods import known_as
from widget.stalls import StallKind

# Kinds that a fault of the provider, or of one method, would look like.
_OF_PROVIDER = {
    StallKind.NO_ANSWER,
    StallKind.UNSETTLED,
    StallKind.SDK,
    StallKind.WALLET,
    StallKind.CHALLENGE,
    StallKind.ERROR,
    StallKind.NO_RETURN,
}
_OF_METHOD = _OF_PROVIDER | {StallKind.FROZEN, StallKind.POPUP, StallKind.DEAD_BUTTON, StallKind.RAGE}
_SLOW = ("slow-2g", "2g")


def _has(*words: str) -> Any:
    """Whether what failed says one of these words."""

    def says(case: Case) -> bool:
        said = " ".join(str(case.evidence.get(name) or "") for name in ("code", "name", "message")).lower()
        return any(word in said for word in words)

    return says


def _blocked_host(case: Case) -> Mapping[str, Any] | None:
    return {"host": case.blocking[1]} if case.blocking and case.blocking[1] else None


def _works_elsewhere(case: Case) -> bool:
    """Whether others get through with this method now, so that the provider's script is there for them."""
    rate = case.overall.get(case.method or "")
    return rate is not None and rate.tries >= 4 and not rate.is_failing


def _is_in_trouble(case: Case) -> bool:
    feed = case.feed
    return feed is not None and not feed.is_stale and feed.indicator is Indicator.MINOR


def _status_page(case: Case) -> Mapping[str, Any] | None:
    if case.feed is None or not case.feed.said:
        return None
    return {**named_provider(case), "words": case.feed.said}


_PAGE_SAYS: Sentence = (N_("The status page of {provider} says: {words}"), _status_page)
_STATUS_PAGE = ("Status page: {status_page}.", "Parts: {parts}.", "Its last good answer: {answered_at}.")
_WAITED: Sentence = (
    counted("The page waited {count} second for an answer.", "The page waited {count} seconds for an answer.", 0),
    whole("seconds"),
)

RULES: tuple[Rule, ...] = (
    Rule(
        "csp_violation",
        lambda case: case.blocking is not None,
        Side.SHOP,
        N_("The shop’s page blocks a part that this payment needs. Pay another way for now."),
        "The shop’s own Content-Security-Policy blocks what the payment needs. Add the host to that directive.",
        SEEN,
        evidence=((N_("The shop’s page does not let {host} in."), _blocked_host),),
        measured=(
            "Directive: {directive}; blocked: {blocked}.",
            "Line to add: {directive} https://{blocked};",
        ),
    ),
    Rule(
        "provider_outage",
        lambda case: case.kind in _OF_PROVIDER and case.feed is not None and case.feed.tells_outage,
        Side.PROVIDER,
        N_("{provider}, which takes this payment, reports an outage."),
        "The provider’s status page reports an outage, and the stall is of a kind that it would cause.",
        AGREED,
        with_values=named_provider,
        evidence=(_PAGE_SAYS, *FAILED_FOR, _WAITED),
        measured=(*_STATUS_PAGE, "It waited {seconds} s.", "Failing: {failing}."),
    ),
    Rule(
        "method_failing_here",
        lambda case: case.kind in _OF_METHOD and case.fails_here(case.method),
        Side.PROVIDER,
        N_("{method} is failing for many customers with a device like yours right now."),
        "Live health: this method fails for most tries on devices like this one. It is not this customer alone.",
        AGREED,
        with_values=named_method,
        evidence=(*FAILED_FOR, WORKS),
        measured=(
            "Method: {method}.",
            "Only tries through {through} were counted.",
            "Host: {host}.",
            "Why: {why}.",
            "Failing: {failing}.",
            "It said {code}.",
        ),
    ),
    Rule(
        "provider_trouble",
        lambda case: case.kind in _OF_PROVIDER and _is_in_trouble(case),
        Side.PROVIDER,
        N_("{provider}, which takes this payment, reports trouble with a part of its service."),
        "The provider’s status page reports trouble with a part; whether it is the part that this payment needs is not "
        "known.",
        LIKELY,
        with_values=named_provider,
        evidence=(_PAGE_SAYS, _WAITED),
        measured=(*_STATUS_PAGE, "Failing: {failing}."),
    ),
    Rule(
        "sdk_blocked_by_extension",
        lambda case: (
            case.kind is StallKind.SDK and case.why == "error" and not _status(case) and _works_elsewhere(case)
        ),
        Side.CUSTOMER,
        N_("Something in your browser, such as an ad blocker, blocks the payment form. Switch it off for this page."),
        "The provider’s script was refused without an HTTP status while others load it: an extension or a filter on "
        "the customer’s network blocks it.",
        AGREED,
        evidence=((N_("Your browser did not load {host}; other customers’ browsers do."), figure("host")),),
        measured=("Host: {host}.",),
    ),
    Rule(
        "sdk_refused",
        lambda case: case.kind is StallKind.SDK and case.why == "error" and not _status(case),
        Side.NETWORK,
        N_("The payment form could not be loaded: the connection to it was refused."),
        "The provider’s script failed without an HTTP status: blocked by an extension, a filter, DNS or the network.",
        LIKELY,
        evidence=((N_("Your browser could not load {host}."), figure("host")),),
        measured=("Host: {host}.",),
    ),
    Rule(
        "sdk_missing",
        lambda case: case.kind is StallKind.SDK and _status(case) >= 400,
        Side.PROVIDER,
        N_("The payment form could not be loaded: its server answers with an error."),
        "The provider’s script was answered with an error status.",
        SEEN,
        evidence=((N_("The server {host} answered with an error."), figure("host")),),
        measured=("Host: {host}.", "Status: {status}."),
    ),
    Rule(
        "sdk_broken",
        lambda case: case.kind is StallKind.SDK and case.why == "global",
        Side.SHOP,
        N_("The payment form was loaded but did not start."),
        "The provider’s script was loaded but did not define its global: another version, an error in it, or the page "
        "removed it.",
        LIKELY,
        measured=("Host: {host}.", "Status: {status}."),
    ),
    Rule(
        "sdk_hanging",
        lambda case: case.kind is StallKind.SDK and case.why == "hang",
        Side.NETWORK,
        N_("The payment form is taking too long to load."),
        "The provider’s script was asked for and nothing came back.",
        LIKELY,
        evidence=((N_("{host} has not answered."), figure("host")),),
        measured=("Host: {host}.", "Connection: {connection}."),
    ),
    Rule(
        "frozen_by_script",
        lambda case: case.kind is StallKind.FROZEN and case.busiest is not None and bool(case.busiest[0]),
        Side.SHOP,
        N_("The payment page stopped responding."),
        "A script kept the main thread of the shop’s page busy.",
        SEEN,
        evidence=(
            (
                counted(
                    "A script from {script} kept the page busy for {count} second.",
                    "A script from {script} kept the page busy for {count} seconds.",
                    0,
                ),
                lambda case: _busy(case),
            ),
        ),
        measured=("Script host: {busy_script}, {busy_ms} ms.", "It lasted {frozen_ms} ms."),
    ),
    Rule(
        "bank_check_open",
        lambda case: case.kind is StallKind.CHALLENGE and case.is_hanging,
        Side.BANK,
        N_("Your bank’s security check is still open."),
        "The bank’s check was shown and has not ended: the customer has not confirmed, or the bank’s page hangs.",
        LIKELY,
        evidence=(
            (
                counted(
                    "The bank’s check has been open for {count} second.",
                    "The bank’s check has been open for {count} seconds.",
                    0,
                ),
                whole("seconds"),
            ),
        ),
        measured=("It waited {seconds} s.",),
    ),
    Rule(
        "wallet_unsupported",
        lambda case: case.kind is StallKind.WALLET and _has("notsupported", "not supported", "not_supported")(case),
        Side.CUSTOMER,
        N_("This browser cannot show {method}. Use another browser or device, or pay another way."),
        "The browser says that it does not support this wallet. Show its button only where it is available.",
        SEEN,
        with_values=named_method,
        measured=("It said {code}.", "It said: {message}", "Wallets of this browser: {wallets}."),
    ),
    Rule(
        "wallet_misconfigured",
        lambda case: (
            case.kind is StallKind.WALLET
            and _has("developer_error", "merchant_account_error", "securityerror", "merchant validation", "domain")(
                case
            )
        ),
        Side.SHOP,
        N_("{method} is not set up correctly in this shop. Pay another way."),
        "The wallet refuses the shop: check the merchant id, the registered domain and the merchant session.",
        SEEN,
        with_values=named_method,
        measured=("It said {code}.", "It said: {message}"),
    ),
    Rule(
        "wallet_account",
        lambda case: case.kind is StallKind.WALLET and _has("buyer_account_error")(case),
        Side.CUSTOMER,
        N_("Your {method} account cannot make this payment. Check it, or pay another way."),
        "The wallet refuses the customer’s account.",
        SEEN,
        with_values=named_method,
        measured=("It said {code}.", "It said: {message}"),
    ),
    Rule(
        "wallet_push_unanswered",
        lambda case: case.kind is StallKind.WALLET and known_as(case.method) == "samsung_pay" and case.is_hanging,
        Side.CUSTOMER,
        N_("{method} waits for you to approve on your phone. The request there may have run out."),
        "Samsung Pay on a computer sends a request to the phone, which has its own time limit.",
        LIKELY,
        with_values=named_method,
        evidence=(_WAITED,),
        measured=("It waited {seconds} s.",),
    ),
    Rule(
        "merchant_session_missing",
        lambda case: case.kind is StallKind.WALLET and known_as(case.method) == "apple_pay" and case.is_hanging,
        Side.SHOP,
        N_("{method} did not get an answer from the shop in time."),
        "The Apple Pay sheet waits: the merchant session was not given within its 30 s, or completePayment was not "
        "called. A session can be used once and expires after 5 min.",
        LIKELY,
        with_values=named_method,
        evidence=(_WAITED,),
        measured=("It waited {seconds} s.", "Failing: {failing}."),
    ),
    Rule(
        "server_error",
        lambda case: case.kind in {StallKind.NO_ANSWER, StallKind.UNSETTLED} and bool(case.evidence.get("failing")),
        Side.SHOP,
        N_("The payment was started, but a server answered with an error."),
        "A request since Pay was answered with an error, and the page did not handle it.",
        LIKELY,
        evidence=((N_("This answered with an error: {failing}"), figure("failing")), _WAITED),
        measured=("Failing: {failing}.", "It waited {seconds} s."),
    ),
    Rule(
        "slow_connection",
        lambda case: case.kind is StallKind.NO_ANSWER and str(case.facts.get("connection") or "").startswith(_SLOW),
        Side.NETWORK,
        N_("Your internet connection is very slow. Use another network if you can."),
        "The browser reports a connection of 2G speed.",
        LIKELY,
        evidence=(_WAITED,),
        measured=("Connection: {connection}.", "It waited {seconds} s."),
    ),
)


def _status(case: Case) -> int:
    status = case.evidence.get("status")
    return int(status) if isinstance(status, int | float) else 0


def _busy(case: Case) -> Mapping[str, Any] | None:
    return {"script": case.busiest[0], "count": max(1, round(case.busiest[1] / 1000))} if case.busiest else None
