"""Mollie, through its official client (mollie-api-python 4).

Truth: a payment is asked by its id. Mollie has no search, but lists payments newest first, so the others of the order
are looked for in the last 250 by what the shop wrote into `metadata` (`order_field`) or by a description that is just
the reference. A webhook carries nothing but an id and no signature: what it says is what Mollie answers when asked.

Links are payments with a hosted page. Mollie lets few of them be cancelled; the others close by themselves, mostly
after 15 minutes. Idempotency keys are remembered by Mollie for an hour.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from widget import clock
from widget.providers import (
    Answer,
    Bill,
    ChargeState,
    GivenUp,
    Happened,
    Hosted,
    ProviderDown,
    ProviderRefused,
    Question,
    StatusFeed,
    WebhookRefused,
    needed,
)
from widget.providers.amounts import written
from widget.providers.answers import (
    NOT_ASKABLE,
    are_marked,
    furthest,
    key_of,
    left_of,
    moment,
    part,
    word,
    worst,
)
from widget.providers.bounds import in_time
from widget.providers.mollie_calls import OWN_URL, PAYMENT_ID, Calls, Listed
from widget.providers.mollie_told import OrderField, answer_of, happened_of, is_ours, is_promised, is_with_customer

# Beside the payment that is asked about, so many others that webhooks have told of are asked afresh.
OTHERS_ASKED = 3
NAMED_ASKED = 5
LONGEST_KEY = 64

_LOCALES = {"en": "en_GB", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "pt": "pt_PT", "nl": "nl_NL"}


class Mollie:
    SETTINGS: ClassVar[Mapping[str, str]] = {"api_key": "The API key of the website profile: live_… or test_…"}
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "order_field": "The name in a payment's metadata that holds the order reference, such as order_id.",
        "marks_orders": "true when every payment has the order reference there, or as its description.",
        "webhook_url": "Where Mollie tells of payments by our links: the webhook address of this shop.",
        "api_url": "Another base address than Mollie's own, such as a proxy's.",
    }
    FEED: ClassVar[StatusFeed | None] = StatusFeed("instatus", "https://status.mollie.com/summary.json")
    TAKES_BY_LOOKING: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        (key,) = needed(config, self.SETTINGS, "api_key")
        self._calls = Calls(str(config.get("api_url") or OWN_URL), key)
        self._webhook_url = config.get("webhook_url")
        named = config.get("order_field")
        self._field = OrderField(str(named).removeprefix("metadata.") if named else None)
        self._marks_orders = config.get("marks_orders") is True

    @in_time
    def ask(self, question: Question) -> Answer:
        named = question.named[:NAMED_ASKED]
        ids = [*named, *(event.payment for event in reversed(question.heard))]
        known = dict.fromkeys(each for each in ids if each and PAYMENT_ID.match(each))
        payments: dict[str, dict[str, Any] | None] = {}
        listed = Listed([], reaches_back=False)
        silent = None
        try:
            for each in list(known)[: OTHERS_ASKED + max(len(named), 1)]:
                payments[each] = self._unless_of_another(self._calls.payment(each), question)
            listed = self._calls.listed(question.since)
        except ProviderDown as error:
            silent = error
        mine = [each for each in listed.payments if self._is_of(each, question.order)]
        found = [*payments.values(), *(each for each in mine if each.get("id") not in payments)]
        strays = self._strays(found, question)
        best = furthest(self._answer(each, question.order) for each in found if each is not None and each not in strays)
        if silent is not None and (best is None or best.state not in {ChargeState.CHARGED, ChargeState.HELD}):
            raise silent
        asked = frozenset(name for name in payments if payments[name] and payments[name] not in strays)
        if best is not None and best.state is not ChargeState.NOT_CHARGED:
            return replace(best, asked=asked)
        is_missed = any(payments.get(each) is None for each in question.named)
        is_of_order = listed.reaches_back and not is_missed and self._is_marked(found, question.order, listed)
        if best is None:
            return _nothing_found(question, is_of_order)
        if is_missed or not (question.payment or listed.reaches_back):
            # A page knows a payment that Mollie does not, or a busy shop's list ends before the order began.
            return _unknown("Mollie's list does not show every payment of this order.", best.status, best.code)
        return replace(
            best,
            is_of_order=is_of_order,
            asked=asked,
        )

    def link(self, bill: Bill) -> Hosted:
        value = written(bill.money, _decimals(bill.money.currency))
        wanted: dict[str, Any] = {
            "amount": {"value": value, "currency": bill.money.currency},
            "description": bill.order[:255],
            "redirectUrl": bill.return_url,
            "cancelUrl": bill.cancel_url,
            "metadata": {self._field.name: bill.order, "by": "unjam"},
        }
        if bill.locale[:2] in _LOCALES:
            wanted["locale"] = _LOCALES[bill.locale[:2]]
        if self._webhook_url:
            wanted["webhookUrl"] = str(self._webhook_url)
        key = key_of(bill.key, LONGEST_KEY)
        made = self._calls.send(lambda client: client.payments.create(wanted, idempotency_key=key))
        url = word(part(made, "_links", "checkout"), "href")
        if made is None or url is None or not PAYMENT_ID.match(str(made.get("id"))):
            raise ProviderDown("Mollie made a payment without a page.")
        return Hosted(str(made["id"]), url, min(moment(made, "expiresAt") or bill.expires_at, bill.expires_at))

    def link_state(self, hosted_id: str) -> Answer:
        return answer_of(self._calls.known(hosted_id))

    def revoke(self, hosted_id: str) -> None:
        """Raises ProviderDown while money may still come: ask again, a page closes by itself."""
        payment = self._calls.known(hosted_id)
        if payment.get("status") not in {"open", "pending"}:
            return
        if is_promised(payment):
            # Mollie would let it be cancelled, and the transfer would still arrive.
            raise ProviderDown("A bank transfer was chosen on this page of Mollie, and may be on its way.")
        if payment.get("isCancelable") is not True:
            raise ProviderDown("Mollie cannot cancel this payment now. A page that nobody pays on closes by itself.")
        self._calls.send(lambda client: client.payments.delete(hosted_id))

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        """What Mollie does not let us cancel stays open until it expires, mostly after 15 minutes."""
        ids = [question.payment, *(event.payment for event in reversed(question.heard))]
        known = list(dict.fromkeys(each for each in ids if each and PAYMENT_ID.match(each)))[: OTHERS_ASKED + 1]
        asked = {each: self._unless_of_another(self._calls.payment(each), question) for each in known}
        found = {each: payment for each, payment in asked.items() if payment is not None}
        mine = (each for each in self._calls.listed().payments if self._is_of(each, question.order))
        found |= {str(each.get("id")): each for each in mine if each.get("id") not in found}
        return worst([self._given_up(each, question.order) for each in found.values()])

    def _given_up(self, payment: dict[str, Any], order: str) -> GivenUp:
        """What is left of this payment. One that names something else may be another order's, so it is left alone."""
        if is_with_customer(payment) and is_ours(payment):
            # The page of a link of ours, which is closed by itself.
            return GivenUp.GONE
        may_close = payment.get("isCancelable") is True and self._field.whose(payment, order)[1] is None
        if is_with_customer(payment) and may_close:
            self._calls.send(lambda client: client.payments.delete(str(payment["id"])))
            payment = self._calls.known(str(payment["id"]))
        return GivenUp.CUSTOMER if is_with_customer(payment) else left_of(answer_of(payment))

    @in_time
    def health(self) -> str | None:
        try:
            self._calls.newest(1)
        except ProviderRefused as error:
            return f"{error} Copy it anew from Mollie's Dashboard, Developers, API keys."
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:  # noqa: ARG002 -- nothing is signed
        """A form with an id. What happened is asked; an id that Mollie does not know in this account is refused."""
        named = parse_qs(body.decode("ascii", "replace"), max_num_fields=20).get("id", [""])
        if len(named) != 1 or not re.match(r"[a-z]{2,10}_\w{4,60}\Z", named[0]):
            raise WebhookRefused("This is not a webhook of Mollie.")
        if not PAYMENT_ID.match(named[0]):
            return []
        payment = self._calls.payment(named[0])
        if payment is None:
            raise WebhookRefused("Mollie does not know this payment.")
        return [happened_of(payment, self._field.order_of(payment), clock.now())]

    def _answer(self, payment: dict[str, Any], order: str) -> Answer:
        is_of_order, names = self._field.whose(payment, order)
        return replace(answer_of(payment), is_proven=is_of_order is True, names=names)

    def _unless_of_another(self, payment: dict[str, Any] | None, question: Question) -> dict[str, Any] | None:
        if payment is None:
            return None
        is_of_order, names = self._field.whose(payment, question.order)
        # What a page has named may bear a number of something else. What only a webhook has told of may not.
        is_strange = names is not None and payment.get("id") not in question.named
        return None if is_of_order is False or is_strange else payment

    def _is_of(self, payment: dict[str, Any], order: str) -> bool:
        """Whether it names this order itself."""
        return self._field.whose(payment, order)[0] is True

    def _is_marked(self, found: list[dict[str, Any] | None], order: str, listed: Listed) -> bool:
        """Whether the shop marks all its payments: it has said so, has marked one of this order, or its latest ones.

        These only where it has told us that the reference stands; elsewhere it may be a number of something else.
        """
        theirs = (self._field.mark_of(each) for each in listed.payments if not is_ours(each))
        return self._marks_orders or self._has_marked(found, order) or are_marked(theirs)

    def _has_marked(self, found: list[dict[str, Any] | None], order: str) -> bool:
        """Whether the shop itself has written the order's reference into one of these, so that it does so with all."""
        return any(each and not is_ours(each) and self._is_of(each, order) for each in found)

    def _strays(self, found: list[dict[str, Any] | None], question: Question) -> list[dict[str, Any]]:
        """What a page still names of an earlier order, at a shop that marks its payments: it bears another number.

        And it is older than this order, or took nothing and never will. What else bears one may be of this order.
        """
        if not self._has_marked(found, question.order):
            return []
        named = (each for each in found if each and self._field.whose(each, question.order)[1] is not None)
        return [each for each in named if _is_older(each, question.since) or _is_over(each)]


def _decimals(currency: str) -> int:
    return 0 if currency in {"JPY", "ISK"} else 2


def _is_over(payment: dict[str, Any]) -> bool:
    """Whether it took nothing and never will."""
    return answer_of(payment).state is ChargeState.NOT_CHARGED and word(payment, "status") != "open"


def _is_older(payment: dict[str, Any], since: datetime | None) -> bool:
    made = moment(payment, "createdAt")
    return since is not None and made is not None and made < since


def _nothing_found(question: Question, is_of_order: bool) -> Answer:
    if is_of_order:
        return Answer(ChargeState.NOT_CHARGED, detail="Mollie has no payment of this order.", is_of_order=True)
    return _unknown("Mollie lists no payment of this order.", None if question.heard else NOT_ASKABLE)


def _unknown(detail: str, status: str | None = None, code: str | None = None) -> Answer:
    return Answer(ChargeState.UNKNOWN, detail=detail, status=status, code=code)
