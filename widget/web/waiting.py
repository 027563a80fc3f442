"""A payment that waits for its customer, at the bank or in its provider's window: what to tell of it, and its end."""

from widget import attempts, cashier, certainty, clock
from widget.certainty import Truth
from widget.language import N_, Said
from widget.web.context import services

# Their customers pay in a window that bears this name; with every other provider it is the bank that asks.
_WINDOWS = {"paypal": "PayPal", "mollie": "Mollie"}
_REFUSE = Said(N_("Your bank may still ask you to confirm the first payment. Refuse it there."))
_CLOSE = N_("A payment with {name} is still open in another window. Close that window and do not confirm it.")


def window_of(provider: str | None) -> str | None:
    """The name on the window in which this provider's customers pay, where it has one."""
    return _WINDOWS.get(provider or "")


def warning(truth: Truth) -> Said | None:
    """What whoever pays otherwise has to leave alone, so that they do not pay twice."""
    if truth.waits is None:
        return None
    name = window_of(truth.waits)
    return Said(_CLOSE, {"name": name}) if name else _REFUSE


def let_go(attempt_id: int) -> bool:
    """Close what waits, where its provider can, before the shop's checkout is opened anew for another payment.

    Whether that was closed. Where it was not, its customer is warned.
    """
    if not _is_waiting(attempt_id):
        return False
    cashier.clear(services().database, services().pace, attempt_id, gives_up=True)
    return not _is_waiting(attempt_id)


def _is_waiting(attempt_id: int) -> bool:
    """Whether a payment of this order may still be completed by its customer, as far as the last answer tells."""
    with services().database.read() as session:
        attempt, _shop, order = attempts.with_shop_and_order(session, attempt_id)
        return certainty.waits(session, attempt, order, clock.now()) is not None
