"""Enquiry: asks the provider what happened to the money.

An edge step: it talks to the network between two transactions, so that no lock is held while another server thinks.
"""

from widget.enquiry.asking import ask, ask_due, hear

__all__ = ["ask", "ask_due", "hear"]
