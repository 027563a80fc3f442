"""What a test may do with a browser, whichever engine it is. All of it is as a person would do it, or as fate would."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# How our frame is found on a shop's page.
FRAME = "iframe[title='Payment help']"

# What a page sees of being hidden, where the driver keeps every page visible.
HIDDEN = """for (const [name, value] of [["hidden", {hidden}], ["visibilityState", {hidden} ? "hidden" : "visible"]])
  Object.defineProperty(document, name, {{configurable: true, value}});
document.dispatchEvent(new Event("visibilitychange", {{bubbles: true}}));"""


class NotPossible(Exception):
    """This engine's driver cannot do it; the text says why."""


class Gone(Exception):
    """The browser or its driver has ended or does not answer. None of its tabs can be used any more."""


@dataclass(frozen=True)
class Conditions:
    """What is special about a browser from its start. Tabs of equal conditions may share one browser."""

    user_agent: str | None = None
    blocks_storage: bool = False
    # A browser for one case alone, because the case kills it, stops it or takes its network away.
    alone: bool = False


class Tab(Protocol):
    """One window with one page. JavaScript is a function body: `return document.title`."""

    def open(self, url: str) -> None:
        """Go to an address. Does not wait for the page."""

    def evaluate(self, body: str) -> Any: ...

    def click(self, css: str, times: int = 1) -> None:
        """Real clicks, one right after the other; nothing that follows from them is waited for."""

    def type(self, css: str, text: str) -> None: ...

    def hold_frame(self) -> None:
        """Get hold of our frame now: the two below work from then on even when the page around it is frozen."""

    def in_frame(self, body: str) -> Any:
        """Evaluate in our frame."""

    def click_in_frame(self, css: str) -> None: ...

    def offline(self, on: bool) -> None: ...

    def throttle(self, rate: float) -> None: ...

    def cover(self) -> None:
        """Another tab comes in front, so that this page is hidden."""

    def uncover(self) -> None: ...

    def back(self) -> None: ...

    def close(self) -> None:
        """Close it as a person does: the page hears `pagehide`."""

    def crash(self) -> None:
        """Kill the process of the page, which hears nothing."""

    def screenshot(self, path: Path) -> None: ...


class Engine(Protocol):
    """A running browser."""

    name: str

    def tab(self) -> Tab: ...

    def addresses(self, besides: Tab) -> list[str]:
        """What all its other windows show. The driver may have to look away from that tab for it."""

    def kill(self) -> None:
        """kill -9 all of it."""

    def suspend(self) -> None:
        """Stop all its processes, as a laptop does that falls asleep."""

    def resume(self) -> None: ...

    def stop(self) -> None:
        """End it and leave nothing behind. May be called again, and after `kill`."""


Launcher = Callable[[Conditions], Engine]
