"""The context of an attempt: what the page says about it, taken for what it is worth."""

import re
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from widget.orders import OrderContext
from widget.redaction import has_card_number

KEY_PATTERN = r"^[0-9a-f]{32}$"
MAX_WORD_CHARS = 40
_NO_WORD = re.compile(r"[^a-z0-9_]")


class AttemptContext(BaseModel):
    """What the page says about an attempt. `key` is a random, opaque id made in the browser.

    Everything else is optional, and what is not usable is dropped: a page that names its method oddly must not lose
    the help for the payment. The script on the page is small because this is forgiving.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    key: str = Field(pattern=KEY_PATTERN)
    order: OrderContext | None = None
    method: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    provider: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,40}$")
    # The provider's own id of this payment, which the shop's page knows (a PaymentIntent id, for instance).
    payment: str | None = Field(default=None, pattern=r"^[!-~]{1,100}$")
    # Of a payment in several legs (part by store account, the rest by card): which one this is, of how many.
    leg: int | None = Field(default=None, ge=1, le=9)
    legs: int | None = Field(default=None, ge=1, le=9)

    @field_validator("method", "provider", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> str | None:
        word = _NO_WORD.sub("_", value.lower())[:MAX_WORD_CHARS] if isinstance(value, str) else ""
        return None if not word or has_card_number(word) else word

    @field_validator("order", "payment", "leg", "legs", mode="wrap")
    @classmethod
    def _if_usable(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            return None

    @field_validator("legs")
    @classmethod
    def _holds_the_leg(cls, legs: int | None, others: ValidationInfo) -> int | None:
        leg = others.data.get("leg")
        return legs if leg is not None and legs is not None and leg <= legs else None
