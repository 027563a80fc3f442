"""The panel in the frame, and the same help as a page of its own: truth first, then the ways out, then the report."""

from widget.web.panel import asking, calling, elsewhere, later, opening, report, screen, taking, transferring
from widget.web.panel.blueprint import blueprint

__all__ = [
    "asking",
    "blueprint",
    "calling",
    "elsewhere",
    "later",
    "opening",
    "report",
    "screen",
    "taking",
    "transferring",
]
