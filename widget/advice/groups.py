"""Groups of decline codes: what the customer may be told, what agents should know, and what may help. One row each.

The words follow the sentence about the charge, so none of them speaks of money that moved.
"""

from dataclasses import dataclass
from enum import StrEnum

from widget.language import N_, Said


class Again(StrEnum):
    """Whether and when the same payment may be tried again; the offer to do so is worded by it."""

    NOW = "now"
    WITH_BANK = "with_bank"  # now, with what the bank checks the customer by at hand
    RETYPED = "retyped"  # once what the customer typed is corrected
    SOON = "soon"  # in some minutes
    LATER = "later"  # on another day
    AFTER_CHANGE = "after_change"  # with another card, or once the bank or the wallet has been asked
    NEVER = "never"  # not with this card or account


@dataclass(frozen=True, slots=True)
class Advice:
    """`said` is for the customer, `agent` for agents and engineers; `prefers` are kinds of offers, best first.

    Of a fraud-like group everything that a customer can notice (`said`, `retry`, `prefers`) is that of `generic`.
    """

    group: str
    said: Said
    agent: str
    retry: Again
    prefers: tuple[str, ...] = ()
    is_fraud_like: bool = False
    # The way to the bank failed, so this is no answer about the card: live health counts it as a failure.
    is_technical: bool = False


# Another card is the most that a decline without a reason allows. The same goes for all that must look like one.
_GENERIC = Said(N_("Your bank did not approve this payment. Use another card, pay another way, or ask your bank."))
_ELSEWHERE = ("method", "payment_link", "person")
_RETYPED = ("retry", "method", "payment_link")
_WAITED = ("method", "later", "retry")


def _advice(
    group: str, said: str, agent: str, retry: Again, prefers: tuple[str, ...], *, is_technical: bool = False
) -> Advice:
    return Advice(group, Said(said), agent, retry, prefers, is_technical=is_technical)


def _fraud_like(group: str, agent: str) -> Advice:
    return Advice(group, _GENERIC, agent, Again.NEVER, _ELSEWHERE, is_fraud_like=True)


_ROWS = (
    Advice(
        "generic",
        _GENERIC,
        "The bank declined and gave no reason. Only the bank can tell the customer why. The same card rarely works.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _fraud_like(
        "suspected_fraud",
        "Looks like fraud to the bank or the provider. Do not tell the customer so: to them it is a plain decline. "
        "Check the order before it is shipped.",
    ),
    _fraud_like(
        "lost_or_stolen",
        "The card is reported lost or stolen, or is to be kept. Do not tell the customer so: to them it is a plain "
        "decline. Check the order before it is shipped.",
    ),
    _fraud_like(
        "blocked_by_rules",
        "The shop’s own rules or block list at the provider refused it. Do not tell the customer so. If this is an "
        "honest customer, change the rule in the provider’s dashboard.",
    ),
    _fraud_like(
        "security_violation",
        "The bank saw a breach of its security rules. Do not tell the customer so: to them it is a plain decline.",
    ),
    _advice(
        "insufficient_funds",
        N_("The account does not have enough money for this payment. Use another card or pay another way."),
        "Not enough money in the account. Trying again on another day may work.",
        Again.LATER,
        ("method", "later", "payment_link"),
    ),
    _advice(
        "over_limit",
        N_("This payment is over a limit of the card. Raise the limit at your bank, or pay another way."),
        "Over the card’s limit of amount or number of payments. The customer can raise it at their bank.",
        Again.LATER,
        ("method", "later", "payment_link"),
    ),
    _advice(
        "too_many_tries",
        N_("There were too many tries with this card. Wait a day, or pay another way."),
        "Tried too often: the bank or the provider refuses more tries for now.",
        Again.LATER,
        ("method", "payment_link", "later"),
    ),
    _advice(
        "expired_card",
        N_("This card has expired. Use another card."),
        "The card has expired.",
        Again.AFTER_CHANGE,
        _RETYPED,
    ),
    _advice(
        "wrong_number",
        N_("The card number is not right. Check it and type it again."),
        "The card number is mistyped, or no such card exists.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "wrong_code",
        N_("The security code is not right. Check the digits on the card and type them again."),
        "The security code (CVC) does not match.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "wrong_expiry",
        N_("The expiry date is not right. Check the card and type it again."),
        "The expiry date is mistyped or does not match.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "wrong_pin",
        N_("The PIN is not right. Check it, or pay another way."),
        "The PIN is wrong.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "pin_locked",
        N_("The PIN was wrong too often. Pay another way, or ask your bank to unlock the card."),
        "The PIN was wrong too often and is locked.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "wrong_address",
        N_("The address or postcode does not match the card’s. Check it and try again."),
        "The billing address or postcode does not match what the bank has.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "wrong_details",
        N_("Some of the payment details are not right. Check them and try again."),
        "The provider refused what was typed. The code says which part.",
        Again.RETYPED,
        _RETYPED,
    ),
    _advice(
        "needs_authentication",
        N_("Your bank wants to check that it is you. Try again and confirm the payment with your bank."),
        "The bank demands strong customer authentication (3-D Secure), and it was not done.",
        Again.WITH_BANK,
        ("retry", "device", "method"),
    ),
    _advice(
        "authentication_failed",
        N_("Your bank’s security check was not passed. Try again, use another device, or pay another way."),
        "3-D Secure failed, was abandoned or ran out of time.",
        Again.WITH_BANK,
        ("retry", "device", "method"),
    ),
    _advice(
        "cancelled",
        N_("The payment was cancelled. You can start it again."),
        "The customer, or their wallet or bank page, cancelled.",
        Again.NOW,
        ("retry", "method", "later"),
    ),
    _advice(
        "expired_session",
        N_("The payment took too long and has expired. Start it again."),
        "The provider’s session, order or approval ran out before the payment was finished.",
        Again.NOW,
        ("retry", "payment_link", "method"),
    ),
    _advice(
        "not_supported",
        N_("This card or account does not work for this kind of payment. Use another card or pay another way."),
        "The card’s type, brand, currency or country is not supported for this payment.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "not_permitted",
        N_("Your bank does not allow this kind of payment with this card. Use another one, or ask your bank."),
        "The bank does not permit this kind of transaction with this card, for instance online or abroad.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "account_closed",
        N_("This card or account cannot be used any more. Use another one."),
        "The account is closed, unknown, blocked or has a new card.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "stopped",
        N_("Your bank was told to stop payments like this one. Pay another way, or ask your bank."),
        "The cardholder stopped or revoked this payment at the bank. Never try this card again.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "ask_bank",
        N_("Your bank wants to hear from you before it approves this. Call your bank, or pay another way."),
        "The bank refers to the cardholder: they must call it, and may then try again.",
        Again.AFTER_CHANGE,
        ("method", "later", "person"),
    ),
    _advice(
        "already_done",
        N_("A payment just like this one was made a moment ago. Wait until it is known what became of it."),
        "Refused as a duplicate: same amount and card shortly before. Look whether the first one went through.",
        Again.NEVER,
        ("person", "report"),
    ),
    _advice(
        "wrong_amount",
        N_("The bank cannot take this amount in this way. Pay another way."),
        "The amount is not allowed: too small, too large or malformed.",
        Again.NEVER,
        _ELSEWHERE,
    ),
    _advice(
        "bank_unavailable",
        N_("Your bank could not be reached. Try again in a few minutes, or pay another way."),
        "The issuer or the network did not answer. No fault of the card.",
        Again.SOON,
        _WAITED,
        is_technical=True,
    ),
    _advice(
        "try_later",
        N_("The payment could not be processed right now. Try again in a few minutes, or pay another way."),
        "The bank or the provider asks to try again later.",
        Again.SOON,
        _WAITED,
    ),
    _advice(
        "processing_error",
        N_("The payment service could not process the payment. Try again in a few minutes, or pay another way."),
        "A technical fault at the provider or the acquirer.",
        Again.SOON,
        ("method", "retry", "payment_link"),
        is_technical=True,
    ),
    _advice(
        "shop_setup",
        N_("The shop cannot take this kind of payment right now. Pay another way."),
        "The shop’s account or request is not set up for this at the provider. The code says what to mend.",
        Again.NEVER,
        ("method", "transfer", "person"),
        is_technical=True,
    ),
    _advice(
        "wallet_account",
        N_("Your wallet account cannot make this payment. Choose another card in it, or pay another way."),
        "The customer’s wallet or PayPal account is restricted or has no usable funding source.",
        Again.AFTER_CHANGE,
        ("method", "payment_link", "retry"),
    ),
)

GROUPS: dict[str, Advice] = {row.group: row for row in _ROWS}
GENERIC = GROUPS["generic"]
