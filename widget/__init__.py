"""Unjam: notices when a payment gets stuck at the checkout, and gets the customer unstuck."""

__version__ = "0.1.0"
