"""Stripe: PaymentIntents and Checkout Sessions through Stripe's own client, and its signed webhooks.

Stripe can be asked by the id of a payment. By order it can only be searched, in an index that lags behind by a minute
or more; so the payments of the last minutes are listed as well, and what webhooks told is asked about by id.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

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
    needed,
)
from widget.providers.answers import NOT_ASKABLE, are_marked, worst
from widget.providers.bounds import in_time
from widget.providers.stripe import shapes, webhooks
from widget.providers.stripe.calls import Calls, NotSo
from widget.providers.stripe.shapes import OrderKeys, Thing

# The search index usually lags by less than a minute; what is younger than this is listed, which lags by nothing.
INDEX_MAY_LAG = timedelta(minutes=15)
# So far back it is looked whether the shop marks its payments.
LISTED_BACK = timedelta(hours=24)
_MAX_LIST_PAGES = 3
_MAX_ASKED_BY_ID, _MAX_ASKED_IN_ALL = 5, 8
_ASKED_BY_ID = ("pi_", "cs_")


class Stripe:
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "secret_key": "A secret or restricted key (sk_…, rk_…) that writes PaymentIntents and Checkout Sessions.",
        "webhook_secret": "The signing secret of the webhook endpoint (whsec_…).",
        "order_key": "Optional: where a payment's metadata holds the order's number, besides `order` and `order_id`.",
        "marks_orders": "Optional: true when every payment has the order's number in its metadata.",
        "account": "Optional: the connected account (acct_…).",
        "api_url": "Optional: another address than https://api.stripe.com.",
    }
    FEED: ClassVar[StatusFeed | None] = StatusFeed("stripe", "https://status.stripe.com/current/full")
    TAKES_BY_LOOKING: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        (key,) = needed(config, self.SETTINGS, "secret_key")
        self._calls = Calls(key, config.get("api_url"), config.get("account"))
        self._order_keys = OrderKeys(str(config["order_key"]) if config.get("order_key") else None)
        self._marks_orders = config.get("marks_orders") is True
        told = config.get("webhook_secret") or ()
        self._webhook_secrets = (told,) if isinstance(told, str) else tuple(map(str, told))

    @in_time
    def ask(self, question: Question) -> Answer:
        known, found = self._known_by_id(question)
        self._add_searched(known, question)
        if self._is_marked(known, question.order):
            known = {name: each for name, each in known.items() if not self._is_stray(each, question)}
        if any(shapes.state_of(each) is not ChargeState.NOT_CHARGED for each in known.values()):
            asked = frozenset(name for name, intent in found.items() if intent in known)
            return replace(self._furthest(known, question.order), asked=asked)
        missed = [each for each in question.named if each.startswith(_ASKED_BY_ID) and each not in found]
        marks, shows = self._marks_orders or self._is_marked(known, question.order), not missed
        recent, is_complete, is_all = self._recent(question.since if shows and not marks else None)
        known.update({name: each for name, each in recent.items() if self._is_of(each, question.order)})
        marks = marks or self._is_marked(known, question.order) or (shows and is_all and self._marks(recent))
        is_of_order = is_complete and marks
        if not known:
            return self._nothing_found(question, is_of_order)
        if missed and not is_of_order:
            return Answer(ChargeState.UNKNOWN, detail="Stripe knows no such payment of this order as a page has named.")
        if not is_complete and question.payment not in found:
            return Answer(ChargeState.UNKNOWN, detail="Stripe took too many payments lately to look through them all.")
        answer = self._furthest(known, question.order)
        return replace(
            answer, is_of_order=is_of_order, asked=frozenset(name for name, intent in found.items() if intent in known)
        )

    def link(self, bill: Bill) -> Hosted:
        try:
            session = self._calls.create_session(shapes.session_for(bill, clock.now()), bill.key)
        except NotSo as error:
            raise ProviderRefused(f"Stripe refuses to make a payment page ({error}).") from None
        if not isinstance(session.get("url"), str) or not isinstance(session.get("expires_at"), int):
            raise ProviderDown("Stripe's answer has an unknown shape.")
        return Hosted(str(session["id"]), session["url"], datetime.fromtimestamp(session["expires_at"], UTC))

    def link_state(self, hosted_id: str) -> Answer:
        session = self._calls.session(hosted_id)
        if session is None:
            return Answer(ChargeState.UNKNOWN, detail="Stripe does not know this page.")
        return shapes.of_session(session)

    def revoke(self, hosted_id: str) -> None:
        try:
            self._calls.expire_session(hosted_id)
        except NotSo:
            # It was paid, has expired or was never made; or a voucher was chosen on it, which can be paid for days.
            session = self._calls.session(hosted_id)
            if session is not None and not shapes.is_closed(session):
                raise ProviderDown("What was begun on this page of Stripe can still be paid.") from None

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        known, _ = self._known_by_id(question)
        self._add_searched(known, question)
        recent, _, _ = self._recent()
        known = {name: each for name, each in recent.items() if self._is_of(each, question.order)} | known
        return worst([self._given_up(each, question) for each in known.values()])

    def _given_up(self, intent: Thing, question: Question) -> GivenUp:
        """What is left of this payment. One that names something else may be another order's, so it is left alone."""
        if not shapes.may_be_completed(intent) or self._names(intent, question.order) is not None:
            return shapes.left_of(intent)
        self._cancel(str(intent["id"]), question)
        after = self._calls.intent(str(intent["id"]))
        return GivenUp.MOVING if after is None else shapes.left_of(shapes.checked(after))

    @in_time
    def health(self) -> str | None:
        """Tries to close a payment and a page that do not exist: a restricted key may read these and not write."""
        tries = (
            ("cancel PaymentIntents", partial(self._calls.cancel_intent, "pi_unjam_check")),
            ("expire Checkout Sessions", partial(self._calls.expire_session, "cs_test_unjam_check")),
        )
        for wanted, attempted in tries:
            try:
                attempted()
            except NotSo:
                continue
            except ProviderRefused:
                return f"Stripe does not let this secret_key {wanted}. Is it valid, with write access to them?"
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:
        if not self._webhook_secrets:
            raise ProviderRefused(f"The setting 'webhook_secret' is missing: {self.SETTINGS['webhook_secret']}")
        event = webhooks.verified(body, headers.get("stripe-signature", ""), self._webhook_secrets)
        return webhooks.happened(event, self._order_keys)

    def _cancel(self, intent_id: str, question: Question) -> None:
        """Try to; a payment of the shop's own Checkout Session ends with that."""
        named = question.payment or ""
        try:
            if named.startswith("cs_"):
                session = self._calls.session(named) or {}
                if str(shapes.intent_of(session)["id"]) == intent_id:
                    self._calls.expire_session(named)
                    return
            self._calls.cancel_intent(intent_id)
        except NotSo:
            # It was completed a moment ago, or cannot be cancelled; whoever reads it again sees that.
            return

    def _is_marked(self, known: Mapping[str, Thing], order: str) -> bool:
        """Whether the shop itself has written the order's number into one of these, so that it does so with all."""
        return any(self._is_of(each, order) and not shapes.is_ours(each) for each in known.values())

    def _marks(self, recent: Mapping[str, Thing]) -> bool:
        """Whether the shop's latest payments show that it writes the order's number where it has told us that it does.

        What else stands in their metadata may be numbers of something else, and shows nothing.
        """
        theirs = (each for each in recent.values() if not shapes.is_ours(each))
        return are_marked(shapes.own_mark(each, self._order_keys) for each in theirs)

    def _is_of(self, intent: Thing, order: str) -> bool:
        return shapes.is_of(intent, order, self._order_keys)

    def _names(self, intent: Thing, order: str) -> str | None:
        """What it names beside this order, where shops by custom write the order's number."""
        return shapes.whose(intent, order, self._order_keys)[1]

    def _is_stray(self, intent: Thing, question: Question) -> bool:
        """Whether a page still names the payment of an earlier order, at a shop that marks its payments.

        It bears another number, and is older than this order or took nothing and never will. What else bears one may
        be of this order under a number of its own.
        """
        if self._names(intent, question.order) is None:
            return False
        is_older = question.since is not None and shapes.is_before(intent, question.since)
        is_over = shapes.state_of(intent) is ChargeState.NOT_CHARGED and not shapes.may_be_completed(intent)
        return is_older or is_over

    def _furthest(self, known: Mapping[str, Thing], order: str) -> Answer:
        return shapes.furthest(known.values(), order, self._order_keys)

    def _known_by_id(self, question: Question) -> tuple[dict[str, Thing], dict[str, str]]:
        """What can be asked for by id: payments that pages have named, and those that webhooks told of, newest first.

        Beside them their ids by the names under which they were found. Those of another order are left out.
        """
        known: dict[str, Thing] = {}
        told = [each.payment for each in reversed(question.heard)]
        wanted = dict.fromkeys(filter(None, [*question.named[:_MAX_ASKED_BY_ID], *told]))
        asked = {each: self._add(known, each, question) for each in list(wanted)[:_MAX_ASKED_IN_ALL]}
        return known, {name: intent for name, intent in asked.items() if intent is not None}

    def _add(self, known: dict[str, Thing], payment: str, question: Question) -> str | None:
        """The id of the payment of this name, None where there is none or it is of another order."""
        if not payment.startswith(_ASKED_BY_ID):
            return None
        if payment in known:
            return payment
        intent = self._intent(payment)
        if intent is None:
            return None
        is_of_order, names = shapes.whose(intent, question.order, self._order_keys)
        # What a page has named may bear a number of something else. What only we have found may not.
        if is_of_order is False or (names is not None and payment not in question.named):
            return None
        known[str(intent["id"])] = intent
        return str(intent["id"])

    def _intent(self, payment: str) -> Thing | None:
        if payment.startswith("pi_"):
            found = self._calls.intent(payment)
            return shapes.checked(found) if found is not None else None
        session = self._calls.session(payment)
        return shapes.marked(shapes.intent_of(session), session) if session is not None else None

    def _add_searched(self, known: dict[str, Thing], question: Question) -> None:
        """What the index holds may be old, so whatever it does not call charged is read again."""
        query = shapes.query_for(question.order, self._order_keys)
        found = [shapes.checked(each) for each in self._calls.searched(query)]
        for number, intent in enumerate(each for each in found if each["id"] not in known):
            known[intent["id"]] = intent
            if shapes.state_of(intent) is not ChargeState.CHARGED and number < _MAX_ASKED_BY_ID:
                del known[intent["id"]]
                self._add(known, str(intent["id"]), question)

    def _recent(self, since: datetime | None = None) -> tuple[dict[str, Thing], bool, bool]:
        """The shop's payments since then, at least of the last minutes, the latest first.

        Then whether these are all that the index may not hold yet, and all `since` then, where that was asked for.
        """
        young, after, recent = clock.now() - INDEX_MAY_LAG, None, dict[str, Thing]()
        oldest = max(min(since or young, young), clock.now() - LISTED_BACK)
        for _ in range(_MAX_LIST_PAGES):
            try:
                listed, has_more = self._calls.listed(oldest, after)
            except NotSo:
                return recent, False, False
            intents = [shapes.checked(each) for each in listed]
            recent |= {str(each["id"]): each for each in intents}
            if not has_more or not intents:
                return recent, True, since is not None and oldest <= since
            after = str(intents[-1]["id"])
        return recent, shapes.is_before(intents[-1], young), False

    def _nothing_found(self, question: Question, is_of_order: bool) -> Answer:
        if is_of_order:
            return Answer(ChargeState.NOT_CHARGED, detail="Stripe has no payment of this order.", is_of_order=True)
        words = "Stripe finds no payment of this order. That proves nothing: it is searched by the payments' metadata."
        return Answer(ChargeState.UNKNOWN, detail=words, status=None if question.heard else NOT_ASKABLE)
