"""Adyen, through its official client (Adyen 16).

Truth: Adyen cannot be asked about a payment by reference, and answers about a session only with a result that just the
shop's page gets. So what its webhooks told is what is known of a payment, and all else is unknown; only payment links
can be asked. A session lets the shopper try again, so a refusal within it says nothing about the try that is stuck:
only a refusal of the very pspReference that the page knows does. The reason goes to agents, never to shoppers.

Of a webhook, Adyen signs eight fields of each item. Nothing else in it may decide about money: not the reason, not the
date, not the id of the link. The library checks only the first item, so each is checked here with its
signature function.
"""

import binascii
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any, ClassVar

from Adyen.util import generate_notification_sig

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
from widget.providers.adyen_calls import Calls, NotSo
from widget.providers.adyen_told import KIND_OF, REFUSED, answers_from
from widget.providers.amounts import read_whole, whole
from widget.providers.answers import NOT_ASKABLE, furthest, key_of, left_of, moment, part, parts, word, worst
from widget.providers.bounds import in_time

# What Adyen keeps of an idempotency key.
LONGEST_KEY = 64
# A webhook holds one item, by Adyen's word; a few more are read, a flood is not.
MOST_ITEMS = 50
LINK_ID = re.compile(r"PL[A-Za-z0-9_-]{4,60}\Z")
_NO_LINK = "PLUNJAMCHECK00000"

# Adyen's own list of decimals; what it does not name has two. It differs from ISO 4217 in CLP, CVE, IDR and ISK.
_NO_DECIMALS = "CVE DJF GNF IDR JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS = dict.fromkeys(_NO_DECIMALS.split(), 0) | dict.fromkeys(_THREE_DECIMALS.split(), 3)
_LINK_STATES = {
    "active": ChargeState.NOT_CHARGED,
    "expired": ChargeState.NOT_CHARGED,
    "paymentPending": ChargeState.UNKNOWN,
}
_OPEN = "active"
_PAID = {"completed", "paid"}
_OVER = {*_PAID, "expired"}
_LOCALES = {"en": "en-US", "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "pt": "pt-PT", "nl": "nl-NL", "ar": "ar"}
_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success")


class Adyen:
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "api_key": "The API key of a web service user that may create payment links.",
        "merchant_account": "The merchant account that takes the payments.",
        "hmac_key": "The HMAC key of the standard webhook, as hexadecimal digits.",
    }
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "environment": "live, or test where nothing is said.",
        "live_prefix": "The prefix of the live endpoint, from the Customer Area. Needed where environment is live.",
        "captures": "immediate, or manual where the shop captures later: then an authorised payment is only held.",
        "api_url": "Another base address than Adyen's own, such as a proxy's.",
    }
    FEED: ClassVar[StatusFeed | None] = None
    TAKES_BY_LOOKING: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._api_key, self._account, self._hmac_key = needed(
            config, self.SETTINGS, "api_key", "merchant_account", "hmac_key"
        )
        self._calls = Calls(config, self._api_key)
        captures = str(config.get("captures") or "immediate")
        if captures not in {"immediate", "manual"}:
            raise ProviderRefused("The setting 'captures' must be immediate or manual.")
        self._taken = ChargeState.HELD if captures == "manual" else ChargeState.CHARGED

    @in_time
    def ask(self, question: Question) -> Answer:
        told = answers_from(question.heard, question.order)
        asked = next((each for names, each in told if question.payment in names), None)
        if question.payment and LINK_ID.match(question.payment) and (asked is None or not _is_settled(asked)):
            asked = self._link_of(question.payment, question.order)
            told = [*told, (frozenset({question.payment}), asked)] if asked is not None else told
        best = furthest(each for _, each in told)
        if best is None:
            reason = "Adyen cannot be asked by order, and has told nothing of it yet."
            return Answer(ChargeState.UNKNOWN, detail=reason, status=None if question.heard else NOT_ASKABLE)
        known = frozenset(name for names, _ in told for name in names)
        if best.state is ChargeState.NOT_CHARGED and not (question.named and known.issuperset(question.named)):
            # What was heard was refused, but nothing says that it was the last try.
            reason = "Adyen has told of refused payments only, none of which is known to be the last."
            return Answer(ChargeState.UNKNOWN, None, None, reason, best.status, best.code, best.network_code)
        answer = asked if asked is not None and asked.state is best.state and not best.charged else best
        return replace(answer, asked=known, moves=best.moves)

    def link(self, bill: Bill) -> Hosted:
        currency = bill.money.currency
        wanted: dict[str, Any] = {
            "merchantAccount": self._account,
            "reference": bill.order,
            "amount": {"value": whole(bill.money, _DECIMALS.get(currency, 2)), "currency": currency},
            "returnUrl": bill.return_url,
            "expiresAt": bill.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reusable": False,
        }
        if bill.email:
            wanted["shopperEmail"] = bill.email
        if bill.locale[:2] in _LOCALES:
            wanted["shopperLocale"] = _LOCALES[bill.locale[:2]]
        key = key_of(bill.key, LONGEST_KEY)
        made = self._calls.send(lambda links: links.payment_links(wanted, idempotency_key=key))
        link_id, url = word(made, "id"), word(made, "url")
        if link_id is None or url is None or not LINK_ID.match(link_id):
            raise ProviderDown("Adyen made a payment link without an address.")
        return Hosted(link_id, url, moment(made, "expiresAt") or bill.expires_at)

    def link_state(self, hosted_id: str) -> Answer:
        """The link's own id stands for its payment, which Adyen does not name here; so do webhooks about it."""
        return self._answer_of(hosted_id, self._known(hosted_id))

    def _link_of(self, link_id: str, order: str) -> Answer | None:
        """The state of a link that a page has named, None when it is another order's."""
        found = self._known(link_id)
        reference = word(found, "reference")
        if reference not in {None, order}:
            return None
        answer = self._answer_of(link_id, found)
        return replace(answer, is_proven=reference == order, waits=answer.status == _OPEN)

    def _answer_of(self, hosted_id: str, found: dict[str, Any]) -> Answer:
        status = word(found, "status")
        if status is None:
            raise ProviderDown("Adyen's payment link has no status.")
        state = self._taken if status in _PAID else _LINK_STATES.get(status, ChargeState.UNKNOWN)
        amount = part(found, "amount")
        money = read_whole(amount.get("value"), _DECIMALS.get(str(amount.get("currency")), 2), amount.get("currency"))
        return Answer(state, money, hosted_id, f"The payment link is {status}.", status)

    def revoke(self, hosted_id: str) -> None:
        """Raises ProviderDown or ProviderRefused while money may still come through the link."""
        status = word(self._known(hosted_id), "status")
        if status in _OVER:
            return
        if status != _OPEN:
            # Once it was expired Adyen would not say any more that a payment by it is on its way.
            raise ProviderDown(f"The payment link of Adyen is {status}, so it may still take money.")
        try:
            self._calls.send(lambda links: links.update_payment_link({"status": "expired"}, hosted_id))
        except ProviderRefused:
            # It was paid or has expired between our two requests, or Adyen really refuses.
            if word(self._known(hosted_id), "status") not in _OVER:
                raise

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        """Nothing of a session can be closed by us. What was told of decides: a refusal is the end of that payment."""
        left = worst(left_of(each) for _, each in answers_from(question.heard, question.order))
        if question.payment and LINK_ID.match(question.payment):
            # A link of the shop's own that is open can be paid, but by its customer alone.
            link = self._answer_of(question.payment, self._known(question.payment))
            return worst([left, GivenUp.CUSTOMER if link.status == _OPEN else left_of(link)])
        return left

    @in_time
    def health(self) -> str | None:
        """Asks for a payment link that does not exist: Adyen says so only to a key that may ask."""
        if not _is_hexadecimal(self._hmac_key):
            return "The setting 'hmac_key' must be hexadecimal digits, as the Customer Area shows them once."
        try:
            self._calls.send(lambda links: links.get_payment_link(_NO_LINK))
        except NotSo:
            return None
        except ProviderRefused as error:
            return f"{error} Is it a key of this environment, whose user has the role for Pay by Link?"
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:  # noqa: ARG002 -- items are signed
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise WebhookRefused("This is not a webhook of Adyen.") from None
        items = [part(each, "NotificationRequestItem") for each in parts(found, "notificationItems")]
        if not items or len(items) > MOST_ITEMS:
            raise WebhookRefused("This is not a webhook of Adyen.")
        for item in items:
            self._verify(item)
        # A webhook of the whole company tells of other merchant accounts too, whose references may be the same.
        return [
            self._happened(item)
            for item in items
            if item["merchantAccountCode"] == self._account and item["eventCode"] in KIND_OF
        ]

    def _verify(self, item: dict[str, Any]) -> None:
        signature = word(part(item, "additionalData"), "hmacSignature")
        amount = part(item, "amount")
        if signature is None or not signature.isascii():
            raise WebhookRefused("An item of Adyen's webhook is not signed.")
        fields: dict[str, Any] = {name: "" if item.get(name) is None else item[name] for name in _SIGNED}
        value, currency = amount.get("value"), amount.get("currency")
        if any(not isinstance(each, str) for each in fields.values()) or isinstance(value, dict | list):
            raise WebhookRefused("An item of Adyen's webhook has an unknown shape.")
        fields["amount"] = {"value": "" if value is None else value, "currency": "" if currency is None else currency}
        try:
            expected = generate_notification_sig(fields, self._hmac_key)
        except (binascii.Error, ValueError):
            raise ProviderRefused("The setting 'hmac_key' must be hexadecimal digits.") from None
        if not hmac.compare_digest(expected, signature.encode()):
            raise WebhookRefused("The signature of Adyen's webhook is wrong.")

    def _happened(self, item: dict[str, Any]) -> Happened:
        code, has_succeeded = str(item["eventCode"]), item.get("success") == "true"
        amount, added = part(item, "amount"), part(item, "additionalData")
        money = None
        if amount.get("value") and amount.get("currency"):
            money = read_whole(amount["value"], _DECIMALS.get(str(amount["currency"]), 2), amount["currency"])
        taken = self._taken if code == "AUTHORISATION" else ChargeState.CHARGED
        named = {"raw": "refusalReasonRaw", "link": "paymentLinkId"}
        details = [f"{label} {word(added, name)}" for label, name in named.items() if word(added, name)]
        return Happened(
            # What Adyen itself names as the mark of a repeated webhook, and what it signs.
            key=f"{item.get('pspReference')}:{code}:{item.get('success')}",
            kind=KIND_OF[code],
            happened_at=moment(item, "eventDate") or clock.now(),
            order=word(item, "merchantReference"),
            payment=word(item, "originalReference") or word(item, "pspReference"),
            # Cards are checked with payments of nothing, which tell nothing about the order's money.
            state=_state_told(code, has_succeeded, taken) if money else None,
            status=code if has_succeeded or code == "AUTHORISATION" else code + REFUSED,
            code=None if has_succeeded else word(item, "reason"),
            money=money,
            detail="; ".join(details),
        )

    def _known(self, link_id: str) -> dict[str, Any]:
        if not LINK_ID.match(link_id):
            raise ProviderRefused("This is not the id of a payment link of Adyen.")
        return self._calls.send(lambda links: links.get_payment_link(link_id))


def _is_hexadecimal(text: str) -> bool:
    try:
        return bool(binascii.a2b_hex(text))
    except ValueError:
        return False


def _is_settled(answer: Answer) -> bool:
    return answer.state in {ChargeState.CHARGED, ChargeState.HELD}


def _state_told(code: str, has_succeeded: bool, taken: ChargeState) -> ChargeState | None:
    """What one event says about the money of its payment, None where it says nothing."""
    if code == "AUTHORISATION":
        return taken if has_succeeded else ChargeState.NOT_CHARGED
    if code == "CAPTURE":
        return taken if has_succeeded else None
    if code in {"PENDING", "CAPTURE_FAILED"}:
        # Adyen captures again by itself after most failures.
        return ChargeState.UNKNOWN
    if code in {"CANCELLATION", "TECHNICAL_CANCEL", "VOID_PENDING_REFUND", "CANCEL_OR_REFUND", "OFFER_CLOSED"}:
        return ChargeState.NOT_CHARGED if has_succeeded else None
    return None
