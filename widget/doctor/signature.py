"""The order context on the tag: whether it is well-formed, whether its signature verifies, and why it might not."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations

from babel.numbers import get_currency_precision
from pydantic import ValidationError

from widget.doctor.checks import Check, broken, skipped, well
from widget.money import MAX_MINOR, Money, is_currency
from widget.orders import OrderContext

NAME = "order"
_FIELDS_OF_V1 = 4
_NO_EMAIL = {
    "v1": "Sign the e-mail as the last line; an empty one where there is none.",
    "v2": "Sign the e-mail as the line before issued_at; an empty one where there is none.",
}
FIELDS = ("order", "amount", "currency", "email", "signature", "issued_at")
_HOW = (
    "Sign `v1`, order, amount, currency and e-mail (or `v2`, the same and issued_at), joined by line feeds, with "
    "HMAC-SHA256, and write it in hex"
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The shop's signing secrets in clear. `retired` ones were accepted once."""

    live: list[str]
    retired: list[str]


def examine(data: Mapping[str, str], secrets: Secrets, site: str) -> Check:
    """The check of the tag's `data-order`, `data-amount`, `data-currency`, `data-email` and `data-signature`."""
    said = {field: data[field] for field in FIELDS if data.get(field)}
    if not said:
        return skipped(
            NAME, "the tag names no order: agents see the attempt without one, and no link to pay is offered"
        )
    missing = [f'data-{field}="…"' for field in FIELDS[:3] if field not in said]
    if missing:
        return broken(NAME, "The order on the tag is not complete.", f"Add to the tag: {' '.join(missing)}")
    try:
        context = OrderContext.model_validate(said)
    except ValidationError as error:
        return _malformed(error, said)
    # `1249.00` would be read as 1249 cents.
    return _signed(context, said, secrets, site) if said["amount"].isdecimal() else _not_minor(said)


def _malformed(error: ValidationError, said: Mapping[str, str]) -> Check:
    first = error.errors()[0]
    field = str(first["loc"][0])
    if field == "amount":
        return _not_minor(said)
    mend = f"Correct data-{field} on the tag: {first['msg'].removeprefix('Value error, ')}."
    return broken(NAME, f'data-{field}="{said.get(field, "")}" cannot be used.', mend)


def _not_minor(said: Mapping[str, str]) -> Check:
    minor = _as_minor(said["amount"], said["currency"].upper())
    mend = f'data-amount="{minor}"' if minor else 'data-amount="124900" for 1 249.00'
    words = f'data-amount="{said["amount"]}" is no whole number of minor units (cents).'
    return broken(NAME, words, f"Write on the tag: {mend}")


def _signed(context: OrderContext, said: Mapping[str, str], secrets: Secrets, site: str) -> Check:
    due = f"order {context.order}, {context.amount} {context.currency} in minor units"
    if not context.signature:
        return skipped(NAME, f"{due}; it is not signed, so agents see it as unverified and it gets no e-mails")
    if context.is_signed_by(secrets.live):
        return well(NAME, f"{due}; the signature verifies")
    if context.is_signed_by(secrets.retired):
        mend = f"Put the newest signing secret on the shop's server; `unjam rotate-key {site} signing` makes one."
        return broken(NAME, "The order is signed with a signing secret that was retired.", mend)
    mend = next((mend for made, mend in _mistakes(context, said, secrets) if made == context.signature), "")
    return broken(NAME, "The signature does not verify.", mend or _unexplained(context, site))


def _unexplained(context: OrderContext, site: str) -> str:
    if len(context.signature) != hashlib.sha256().digest_size * 2:
        return f"{_HOW}: 64 characters, not {len(context.signature)}."
    return (
        f"{_HOW}; check that the server signs the very values that stand on the tag, with the signing secret of {site} "
        f"(us_…). `unjam rotate-key {site} signing` makes a new one."
    )


def _mistakes(context: OrderContext, said: Mapping[str, str], secrets: Secrets) -> Iterator[tuple[str, str]]:
    """Signatures that differ from the right one in one thing, each with what to do about it."""
    right = "\n".join([_version(context), *_parts(context)])
    for secret in [*secrets.live, *secrets.retired]:
        for text, mend in _texts(context, said):
            yield _hmac(secret, text), mend
        for sign, mend in _WAYS:
            yield sign(secret, right), mend


def _texts(context: OrderContext, said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Texts that are likely to have been signed in place of the right one, each with what to do."""
    version, parts = _version(context), _parts(context)
    amount, email = str(context.amount), context.email

    def joined(*lines: str) -> str:
        return "\n".join([version, *lines])

    for written in _in_major_units(context):
        mend = f"Sign the amount in minor units: {amount}, not {written}."
        yield joined(parts[0], written, *parts[2:]), mend
    lower = context.currency.lower()
    mend = f"Sign the currency in capital letters: {context.currency}, not {lower}."
    yield joined(*parts[:2], lower, *parts[3:]), mend
    for other in {"", email.lower(), email.upper(), said.get("email", "")} - {email}:
        mend = f'Sign the e-mail as it stands on the tag: "{email}", not "{other}".'
        yield joined(*parts[:3], other, *parts[4:]), mend
    names = "order, amount, currency, e-mail" + (", issued_at" if len(parts) > _FIELDS_OF_V1 else "")
    for other_order in permutations(parts):
        yield joined(*other_order), f"Sign the fields in this order: {version}, {names}."
    yield "\n".join(parts), f"Begin the signed text with the line `{version}`."
    yield joined(*parts) + "\n", "End the signed text with the last field, without a line feed after it."
    yield joined(*parts[:3], *parts[4:]), _NO_EMAIL[version]
    for glue in ("", ",", "|", ":", ";", "&", " ", "\r\n", ".", "-"):
        yield glue.join([version, *parts]), "Join the signed fields by line feeds."
        yield glue.join(parts), f"Begin the signed text with `{version}` and join the fields by line feeds."
    if version == "v2":
        yield (
            "\n".join(["v1", *parts[:_FIELDS_OF_V1]]),
            "Sign issued_at too, as `v2`, or take data-issued_at off the tag.",
        )
        yield "\n".join(["v1", *parts]), "Begin the signed text with `v2` where issued_at is signed too."


def _in_major_units(context: OrderContext) -> list[str]:
    exact = Money(context.amount, context.currency).major
    return sorted({f"{exact}", f"{exact.normalize():f}", f"{float(exact)}"} - {str(context.amount)})


def _as_minor(amount: str, currency: str) -> int | None:
    """The minor units that an amount such as 1249.00 means; None when it means nothing."""
    try:
        minor = Decimal(amount.replace(",", ".")).scaleb(get_currency_precision(currency))
    except ArithmeticError:
        return None
    return int(minor) if is_currency(currency) and 0 < minor <= MAX_MINOR and minor == int(minor) else None


def _version(context: OrderContext) -> str:
    return "v1" if context.issued_at is None else "v2"


def _parts(context: OrderContext) -> list[str]:
    """The fields that are signed after the version, in their order."""
    parts = [context.order, str(context.amount), context.currency, context.email]
    return parts if context.issued_at is None else [*parts, str(context.issued_at)]


def _hmac(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _in_base64(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _without_key(secret: str, text: str) -> str:
    return hashlib.sha256((secret + text).encode()).hexdigest()


_WAYS: tuple[tuple[Callable[[str, str], str], str], ...] = (
    (lambda secret, text: _hmac(secret, text).upper(), "Write the signature in small letters."),
    (_in_base64, "Write the signature in hex, not in base64."),
    (lambda secret, text: _hmac(secret.removeprefix("us_"), text), "Sign with the whole secret, its us_ included."),
    (_without_key, "Use HMAC-SHA256 with the secret as its key, not a plain SHA-256."),
)
