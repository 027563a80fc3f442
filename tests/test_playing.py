"""How the lab plays cases: what befalls one must not fell the others."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.engines import Conditions, Gone, NotPossible
from tests.engines.webkit import WebKit
from tests.lab.cases import Case
from tests.lab.lab import Lab
from tests.lab.playing import play


@dataclass
class Breakable:
    """A browser that is gone for good as soon as one of its tabs opens the page of a case called `breaks`."""

    name: str = "firefox"
    is_gone: bool = False
    opened: list[str] = field(default_factory=list)

    def tab(self) -> "BreakableTab":
        return BreakableTab(self)

    def stop(self) -> None:
        self.is_gone = True


@dataclass
class BreakableTab:
    browser: Breakable

    def open(self, url: str) -> None:
        self.browser.opened.append(url.split("/")[4])
        self.browser.is_gone |= "/breaks/" in url
        self.evaluate("")

    def evaluate(self, _: str) -> bool:
        if self.browser.is_gone:
            raise Gone("broken")
        return True

    def close(self) -> None:
        self.evaluate("")


def looking(name: str) -> Case:
    return Case(id=name, says="Nothing happens.", waits_for_frame=False, steps=("evaluate 1",), watch=0)


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_browser_that_does_not_answer_is_replaced_and_fells_no_other_case(lab: Lab, at_once: int) -> None:
    browsers: list[Any] = []

    def launch(_: Conditions) -> Any:
        browsers.append(Breakable())
        return browsers[-1]

    results = play(lab, launch, "firefox", map(looking, ["first", "breaks", "last"]), at_once=at_once)

    assert {result.case: result.problems for result in results} == {"first": [], "breaks": ["Gone: broken"], "last": []}
    assert len(browsers) == 2
    assert browsers[1].opened == (["last"] if at_once == 1 else ["first", "last"])


def test_webkit_is_not_quietly_played_under_its_own_name() -> None:
    with pytest.raises(NotPossible, match="FBAN"):
        WebKit(Conditions(user_agent="Mozilla/5.0 (iPhone) [FBAN/FBIOS]"))
