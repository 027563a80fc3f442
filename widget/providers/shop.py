"""The shop's own server as the one to ask: for payment providers that Unjam has no adapter for.

Every request of ours is signed over "METHOD target\\n" and the body; every answer has one strict shape. Shops read the
wire format in static/docs/providers.md. A 404 is no answer: it may be a wrong address, not a missing payment.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from widget import clock
from widget.errors import misshapen
from widget.money import MAX_MINOR, Money, currency_code
from widget.providers import (
    NO_ORDER,
    Answer,
    Bill,
    ChargeState,
    GivenUp,
    Happened,
    Hosted,
    Paid,
    ProviderDown,
    ProviderRefused,
    Question,
    Retry,
    StatusFeed,
    WebhookRefused,
    needed,
    signing,
)
from widget.providers.answers import left_of
from widget.providers.asking import send
from widget.providers.bounds import in_time

_Amount = Field(default=None, gt=0, le=MAX_MINOR, strict=True)
_Word = Field(default=None, max_length=100)
# Words of providers for a payment that its customer may still complete, for one whose money may be moving, and for one
# that holds it, where the shop passes them on.
_WAITING = {"open", "requires_action", "requires_confirmation", "payer_action_required"}
_MOVING = {"in_process", "in_progress", "payment_pending", "paymentpending", "pending", "processing", "received"}
_HOLDING = {"authorised", "authorized", "requires_capture"}


class PaidIn(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    payment: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0, le=MAX_MINOR, strict=True)


class StateIn(BaseModel):
    """What the shop says about the money of an order; amounts in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    state: ChargeState
    payment: str | None = _Word
    amount: int | None = _Amount
    currency: str | None = None
    status: str | None = _Word
    code: str | None = _Word
    network_code: str | None = _Word
    retry: Retry | None = None
    is_reversed: bool = False
    is_open: bool = False
    # Whose payment this is, where the shop wants to say so.
    order: str | None = _Word
    detail: str = Field(default="", max_length=1000)
    charged: tuple[PaidIn, ...] = ()

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return None if value is None else currency_code(value)

    @model_validator(mode="after")
    def _says_what_was_taken(self) -> "StateIn":
        has_money = self.amount is not None and self.currency is not None and self.payment is not None
        if self.state in {ChargeState.CHARGED, ChargeState.HELD} and not has_money:
            raise ValueError("charged and held need payment, amount and currency")
        if self.charged and self.state is not ChargeState.CHARGED:
            raise ValueError("a list of charged payments needs the state charged")
        return self

    def answer(self) -> Answer:
        currency = self.currency or ""
        is_doubtful = self.state is ChargeState.NOT_CHARGED and self.word in _MOVING | _HOLDING
        return Answer(
            ChargeState.UNKNOWN if is_doubtful else self.state,
            Money(self.amount, currency) if self.amount and currency else None,
            payment=self.payment,
            detail=self.detail or f"The shop says: {self.state.value}.",
            status=self.status,
            code=self.code,
            network_code=self.network_code,
            retry=self.retry,
            is_reversed=self.is_reversed,
            charged=tuple(Paid(each.payment, Money(each.amount, currency)) for each in self.charged),
            waits=self.waits,
        )

    @property
    def waits(self) -> bool:
        return self.is_open or self.word in _WAITING

    @property
    def word(self) -> str:
        """The provider's own word for the state, to be compared."""
        return (self.status or "").strip().lower()


class LinkIn(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(min_length=1, max_length=100)
    url: str = Field(max_length=2000)
    expires_at: int = Field(gt=0, lt=2**33)

    @field_validator("url")
    @classmethod
    def _opens(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"https", "http"} or not urlsplit(value).hostname:
            raise ValueError("must be an http(s) address")
        return value


class EventIn(StateIn):
    """A push: the state with the id of the event, its order and its time in Unix seconds."""

    id: str = Field(min_length=1, max_length=100)
    order: str = Field(min_length=1, max_length=100)
    kind: str = Field(default="payment", pattern=r"^(payment|refund|dispute|link)$")
    at: int = Field(gt=0, lt=2**33)


class ShopEndpoint:
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "url": "Where the shop's server answers, for instance https://shop.example/unjam.",
        "secret": "What both sides sign with: 32 characters or more.",
        "links": "Optional: true when the shop's server makes payment pages, too.",
    }
    FEED: ClassVar[StatusFeed | None] = None
    TAKES_BY_LOOKING: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        url, self._secret = needed(config, self.SETTINGS, "url", "secret")
        self._url = str(config.get("api_url") or url).rstrip("/")

    @in_time
    def ask(self, question: Question) -> Answer:
        said = self._said(question)
        if said.order not in {None, question.order}:
            return Answer(ChargeState.UNKNOWN, detail="The shop's server answered about another order.")
        return replace(said.answer(), is_of_order=True)

    def link(self, bill: Bill) -> Hosted:
        body = {
            "order": bill.order,
            "amount": bill.money.minor,
            "currency": bill.money.currency,
            "return_url": bill.return_url,
            "cancel_url": bill.cancel_url,
            "expires_at": int(bill.expires_at.timestamp()),
            "locale": bill.locale,
        }
        try:
            made = LinkIn.model_validate(self._send("POST", "/links", body, {"Idempotency-Key": bill.key}))
        except ValidationError as error:
            raise _unreadable(error) from None
        return Hosted(made.id, made.url, datetime.fromtimestamp(made.expires_at, UTC))

    def link_state(self, hosted_id: str) -> Answer:
        return _state(self._send("GET", f"/links/{quote(hosted_id, safe='')}")).answer()

    def revoke(self, hosted_id: str) -> None:
        # 409 says that it was paid or is closed.
        self._send("POST", f"/links/{quote(hosted_id, safe='')}/close", {}, passes=(202, 204, 409))

    @in_time
    def give_up(self, question: Question) -> GivenUp:
        """The shop cannot be told to close anything; it says itself whether something is open."""
        said = self._said(question)
        left = GivenUp.MOVING if said.word in _MOVING else left_of(said.answer())
        return GivenUp.CUSTOMER if said.waits and left is GivenUp.GONE else left

    @in_time
    def health(self) -> str | None:
        """Asks about an order that the shop does not have."""
        try:
            said = self._said(Question(NO_ORDER, None))
        except ProviderRefused:
            return "The shop's server does not accept our signature. Is the secret the same on both sides?"
        except ProviderDown as error:
            raise ProviderDown(f"{error} Of an order that it does not know it has to say not_charged.") from None
        if said.state in {ChargeState.CHARGED, ChargeState.HELD}:
            return f"The shop's server says of {NO_ORDER}, which is no order, that it was {said.state.value}."
        return None

    def webhook(self, headers: Mapping[str, str], body: bytes) -> list[Happened]:
        signing.check(self._secret, body, headers.get(signing.HEADER.lower(), ""))
        try:
            event = EventIn.model_validate_json(body)
        except ValidationError as error:
            raise WebhookRefused(str(_unreadable(error))) from None
        answer, at = event.answer(), datetime.fromtimestamp(event.at, UTC)
        happened = Happened(event.id, event.kind, at, event.order, answer.payment, answer.state, money=answer.money)
        return [replace(happened, status=answer.status, code=answer.code, detail=event.detail)]

    def _said(self, question: Question) -> StateIn:
        wanted = {"order": question.order} | ({"payment": question.payment} if question.payment else {})
        return _state(self._send("GET", f"/payments?{urlencode(wanted)}"))

    def _send(
        self,
        method: str,
        path: str,
        content: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        passes: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        body = json.dumps(content).encode() if content is not None else b""
        target = urlsplit(self._url).path + path
        signed = f"{method} {target}\n".encode() + body
        own = {signing.HEADER: signing.signature_of(self._secret, signed, int(clock.now().timestamp()))}
        if body:
            own["Content-Type"] = "application/json"
        sent = own | dict(headers or {})
        status, found = send(method, self._url + path, body=body or None, headers=sent, is_told_only=bool(passes))
        if status not in {200, 201, *passes}:
            raise ProviderDown(f"The shop's server answered {status}.")
        return found


def _state(found: dict[str, Any]) -> StateIn:
    try:
        return StateIn.model_validate(found)
    except ValidationError as error:
        raise _unreadable(error) from None


def _unreadable(error: ValidationError) -> ProviderDown:
    return ProviderDown(f"The shop's answer has an unknown shape: {misshapen(error, 'the answer')}")
