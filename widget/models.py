"""Every table, imported once: for the migrations and wherever the whole metadata is needed."""

from widget import (
    agents,
    attempts,
    beacons,
    charges,
    deadlines,
    followups,
    links,
    mailbox,
    offers,
    orders,
    payments,
    pulses,
    ratings,
    shops,
    signals,
    stalls,
    tickets,
)
from widget.database import Base

__all__ = [
    "Base",
    "agents",
    "attempts",
    "beacons",
    "charges",
    "deadlines",
    "followups",
    "links",
    "mailbox",
    "offers",
    "orders",
    "payments",
    "pulses",
    "ratings",
    "shops",
    "signals",
    "stalls",
    "tickets",
]

metadata = Base.metadata
