"""Adyen: `refusalReasonCode` by number, and `refusalReason` in words.

Source: Adyen's documentation, "Refusal reasons". The raw answer of the acquirer ("05 : Do not honor") is a network
code.
"""

# Number, the words beside it (as `spelled` writes them), and the group.
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("2", "refused", "generic"),
    ("3", "referral", "ask_bank"),
    ("4", "acquirer_error", "processing_error"),
    ("5", "blocked_card", "lost_or_stolen"),
    ("6", "expired_card", "expired_card"),
    ("7", "invalid_amount", "wrong_amount"),
    ("8", "invalid_card_number", "wrong_number"),
    ("9", "issuer_unavailable", "bank_unavailable"),
    ("10", "not_supported", "not_supported"),
    ("11", "3d_not_authenticated", "authentication_failed"),
    ("12", "not_enough_balance", "insufficient_funds"),
    ("14", "acquirer_fraud", "suspected_fraud"),
    ("15", "cancelled", "cancelled"),
    ("16", "shopper_cancelled", "cancelled"),
    ("17", "invalid_pin", "wrong_pin"),
    ("18", "pin_tries_exceeded", "pin_locked"),
    ("19", "pin_validation_not_possible", "try_later"),
    ("20", "fraud", "suspected_fraud"),
    ("21", "not_submitted", "processing_error"),
    ("22", "fraud_cancelled", "suspected_fraud"),
    ("23", "transaction_not_permitted", "not_permitted"),
    ("24", "cvc_declined", "wrong_code"),
    ("25", "restricted_card", "lost_or_stolen"),
    ("26", "revocation_of_auth", "stopped"),
    ("27", "declined_non_generic", "generic"),
    ("28", "withdrawal_amount_exceeded", "over_limit"),
    ("29", "withdrawal_count_exceeded", "over_limit"),
    ("31", "issuer_suspected_fraud", "suspected_fraud"),
    ("32", "avs_declined", "wrong_address"),
    ("33", "card_requires_online_pin", "needs_authentication"),
    ("34", "no_checking_account_available_on_card", "not_supported"),
    ("35", "no_savings_account_available_on_card", "not_supported"),
    ("36", "mobile_pin_required", "needs_authentication"),
    ("37", "contactless_fallback", "try_later"),
    ("38", "authentication_required", "needs_authentication"),
    ("39", "rreq_not_received_from_ds", "authentication_failed"),
    ("40", "current_aid_is_in_penalty_box", "not_supported"),
    ("41", "cvm_required_restart_payment", "needs_authentication"),
    ("42", "3ds_authentication_error", "authentication_failed"),
    ("43", "online_pin_required", "needs_authentication"),
    ("44", "try_another_interface", "not_supported"),
    ("45", "chip_downgrade_mode", "not_supported"),
    ("46", "transaction_blocked_by_adyen_to_prevent_excessive_retry_fees", "too_many_tries"),
)

CODES: dict[str, str] = {name: group for number, words, group in _ROWS for name in (number, words)}
