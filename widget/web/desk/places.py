"""Places: which part of the queue an agent is looking at, kept in the address so that it survives every click."""

from dataclasses import dataclass
from typing import Any

from flask import Request

from widget.tickets import Status


@dataclass(frozen=True, slots=True)
class View:
    """A filter of the queue. Without statuses it holds every ticket."""

    key: str
    label: str
    statuses: tuple[Status, ...]
    # What an empty queue says.
    empty: str
    hint: str


VIEWS = (
    View(
        "needs-us",
        "Needs us",
        (Status.NEW, Status.OPEN),
        "Nothing waits for you",
        "A ticket that needs an answer appears here by itself.",
    ),
    View(
        "pending-customer",
        "Pending customer",
        (Status.PENDING_CUSTOMER,),
        "No customer owes us an answer",
        "A ticket you set to “Pending customer” waits here until they write.",
    ),
    View(
        "waiting-engineers",
        "Waiting engineers",
        (Status.WAITING_ENGINEERS,),
        "Nothing is with the engineers",
        "A ticket you set to “Waiting engineers” stays here until you move it on.",
    ),
    View(
        "resolved",
        "Resolved",
        (Status.RESOLVED,),
        "Nothing is resolved yet",
        "A ticket comes here when you resolve it, or by itself when the order is paid.",
    ),
    View("closed", "Closed", (Status.CLOSED,), "Nothing is closed yet", "A closed ticket sends no more reminders."),
    View("all", "All", (), "No tickets yet", "The first customer who reports a stuck payment appears here."),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A view, or a search, which looks through every status."""

    view: View
    search: str

    @property
    def statuses(self) -> list[Status]:
        return [] if self.search else list(self.view.statuses)

    @property
    def query(self) -> dict[str, Any]:
        """The arguments that lead back here."""
        query = {"view": self.view.key} if self.view is not VIEWS[0] else {}
        return query | ({"q": self.search} if self.search else {})


def place_of(request: Request) -> Place:
    wanted = request.args.get("view")
    view = next((each for each in VIEWS if each.key == wanted), VIEWS[0])
    return Place(view, request.args.get("q", "").strip()[:200])
