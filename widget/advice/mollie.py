"""Mollie: `details.failureReason` of a payment by card, and what a payment's status alone says.

Source: Mollie's documentation, "Credit card failure reasons" and the Payments API.
"""

CODES: dict[str, str] = {
    "authentication_abandoned": "authentication_failed",
    "authentication_failed": "authentication_failed",
    "authentication_required": "needs_authentication",
    "authentication_unavailable_acs": "bank_unavailable",
    "card_declined": "generic",
    "card_expired": "expired_card",
    "inactive_card": "account_closed",
    "insufficient_funds": "insufficient_funds",
    "invalid_card_holder_name": "wrong_details",
    "invalid_card_number": "wrong_number",
    "invalid_card_type": "not_supported",
    "invalid_cvv": "wrong_code",
    "possible_fraud": "suspected_fraud",
    "refused_by_issuer": "generic",
    "unknown_reason": "generic",
    # Statuses.
    "canceled": "cancelled",
    "expired": "expired_session",
    "failed": "generic",
}
