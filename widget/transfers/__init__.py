"""Bank transfers: an account, an amount, a reference and the QR code that banks of that country read."""

from widget.transfers.instructions import Instructions, can_take, instructions
from widget.transfers.references import shown_reference
from widget.transfers.transfer import (
    AWAITED_FOR,
    Transfer,
    announce,
    announced,
    awaited,
    by_id,
    by_reference,
    cancel_open,
    count_awaited,
    give_up,
    is_announced,
    is_coming,
    named_in,
    of,
    open_for,
    overdue,
    receive,
    take_back,
)

__all__ = [
    "AWAITED_FOR",
    "Instructions",
    "Transfer",
    "announce",
    "announced",
    "awaited",
    "by_id",
    "by_reference",
    "can_take",
    "cancel_open",
    "count_awaited",
    "give_up",
    "instructions",
    "is_announced",
    "is_coming",
    "named_in",
    "of",
    "open_for",
    "overdue",
    "receive",
    "shown_reference",
    "take_back",
]
