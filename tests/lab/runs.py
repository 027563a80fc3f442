"""A run of a case in a real browser: a generator that yields whenever it has to wait, so that others can go on."""

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from typing import Any

from playwright.sync_api import Error as PlaywrightError

from tests.engines import Engine, Gone, NotPossible, Tab
from tests.engines.w3c import Refused
from tests.lab.cases import Case
from tests.lab.lab import SCALED, Lab, Seen
from widget.deadlines import SHIPPED

Waiting = Generator[None, None, None]
_TROUBLE = (Refused, PlaywrightError, NotPossible)

_ARMED_WITHIN_SECONDS = 20
_UNTIL_WITHIN_SECONDS = 20
# How much later than it should be a stall is still waited for, to say how late it was.
_LOOKS_LONGER_SECONDS = 6
# A symptom may not be reported before its time: who is told "stuck" too early was told wrong.
_EARLIEST_SECONDS = -0.25
# The deadlines of the server's switch, which count from the page's last pulse.
_SWITCH = {"silent", "hidden", "closed", "away"}
_FROZEN_FOR_SECONDS = 5
_PILL = "return document.querySelector('#pill-text').textContent.trim()"
_CALM = "Payment help"
_ARMED = "return document.readyState === 'complete' && document.querySelector('#pill').offsetHeight > 0"


@dataclass
class Result:
    """How a run of a case went. Goes through JSON from a worker of the test run to the process that reports."""

    case: str
    kind: str
    engine: str
    run: str
    found: bool = False
    seconds: float | None = None
    kind_right: bool = False
    problems: list[str] = field(default_factory=list)
    # Played by itself, after it had failed among others.
    is_again: bool = False

    @property
    def is_good(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(eq=False)
class Run:
    """One run of a case in one tab. `zero` is when the shopper did the last thing, from which deadlines count."""

    lab: Lab
    case: Case
    engine: Engine
    slot: int
    name: str
    values: dict[str, str]
    result: Result = field(init=False)
    tab: Tab = field(init=False)
    zero: float = field(init=False, default=0)
    earliest: float = field(init=False, default=_EARLIEST_SECONDS)
    other: Tab | None = field(init=False, default=None)
    opened: list[Tab] = field(init=False, default_factory=list)
    is_browser_gone: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.result = Result(self.case.id, str(self.case.kind or "healthy"), self.engine.name, self.name)
        self.lab.values[self.name] = self.values

    def play(self) -> Waiting:
        """Open the page, do the steps, look at what was noticed."""
        try:
            yield from self._steps()
            yield from self._look() if self.case.kind else self._watch()
        except _TROUBLE as error:
            self._stumble(error)
        except Gone as error:
            self.is_browser_gone = True
            self._stumble(error)
        finally:
            self._leave()

    def _steps(self) -> Waiting:
        self.tab = self._new_tab()
        self.zero = time.time()
        self.tab.open(self.lab.checkout_url(self.case, self.name, self.slot))
        yield from self._until_armed()
        for step in self.case.steps:
            verb, _, rest = self._filled(step).partition(" ")
            yield from _VERBS[verb](self, rest)

    def _new_tab(self) -> Tab:
        tab = self.engine.tab()
        self.opened.append(tab)
        return tab

    def _until_armed(self) -> Waiting:
        if not self.case.waits_for_frame:
            yield from pause(1)
            return
        until = time.monotonic() + _ARMED_WITHIN_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(*_TROUBLE):
                if self.tab.in_frame(_ARMED):
                    # The page still has to hear the frame's first words.
                    yield from pause(0.4)
                    return
            yield from pause(0.1)
        self.result.problems.append("the frame did not come up")

    def _look(self) -> Waiting:
        """Wait for the stall, and hold what was found against what the case expects."""
        due = self.zero + self.case.begins_after + self._limit()
        # At least one look after the time is up: the machine may have been busy with another run until then.
        is_last = False
        while True:
            seen = [each for each in self.lab.seen(self.name) if not each.is_withdrawn]
            if is_last or any(self._is_expected(each) for each in seen):
                break
            is_last = time.time() > due + self.case.tolerance + _LOOKS_LONGER_SECONDS
            yield from pause(0.15)
        self._judge(seen, due)
        if self.case.kind == "frozen":
            # A driver waits for a frozen page that it is told to close, and all other runs would wait with it.
            yield from pause(_FROZEN_FOR_SECONDS)
        if self.result.found and self.case.shows == "asks" and self.case.seen_by != "server":
            yield from self._until_it_asks()

    def _judge(self, seen: list[Seen], due: float) -> None:
        expected = [each for each in seen if self._is_expected(each)]
        others = [
            f"{each.kind} at {each.stage} by {each.seen_by}"
            for each in seen
            if not self._is_expected(each) and each.kind not in self.case.also
        ]
        self.result.found = bool(seen)
        self.result.kind_right = bool(expected) and not others
        first = min((each.known_at for each in expected or seen), default=None)
        if first is None:
            self.result.problems.append("nothing was found")
            return
        noticed = self._noticed_by_page() if self.case.timed_by_page else first.timestamp()
        if self.case.limit in _SWITCH and (last := self.lab.last_pulse(self.name)) is not None:
            due = last.timestamp() + self._limit()
        self.result.seconds = round(noticed - due, 2)
        if not self.result.kind_right:
            self.result.problems.append(f"expected {self.case.kind} at {self.case.stage}; found {others}")
        if not self.earliest <= self.result.seconds <= self.case.tolerance:
            self.result.problems.append(f"{self.result.seconds:+.2f} s from its deadline")

    def _noticed_by_page(self) -> float:
        return float(self.tab.evaluate("return Math.min(...window.seen.map((each) => each.at))")) / 1000

    def _is_expected(self, seen: Seen) -> bool:
        if self.case.kind in self.case.also and seen.known_at.timestamp() < self.zero:
            return False
        is_right_eye = self.case.seen_by is None or seen.seen_by == self.case.seen_by
        return seen.kind == self.case.kind and seen.stage == self.case.stage and is_right_eye

    def _limit(self) -> float:
        if self.case.limit_seconds is not None:
            return self.case.limit_seconds
        if self.case.limit is None:
            return 0
        scaled = {} if self.case.is_unscaled else SCALED | self.case.deadlines
        return {**SHIPPED, **scaled}[self.case.limit]

    def _until_it_asks(self) -> Waiting:
        until = time.monotonic() + 3
        said = _CALM
        while said == _CALM and time.monotonic() < until:
            with contextlib.suppress(*_TROUBLE):
                said = self.tab.in_frame(_PILL)
            yield from pause(0.1)
        if said == _CALM:
            self.result.problems.append(f"the pill still says {said!r}")

    def _watch(self) -> Waiting:
        """A healthy page: nothing may be noticed, neither now nor when the server has thought about it."""
        yield from pause(self.case.watch)
        until = time.monotonic() + _UNTIL_WITHIN_SECONDS
        while not self.lab.is_digested() and time.monotonic() < until:
            yield from pause(0.2)
        false = [
            f"{each.kind} at {each.stage} by {each.seen_by}"
            for each in self.lab.seen(self.name)
            if not each.is_withdrawn
        ]
        self.result.found, self.result.kind_right = bool(false), not false
        if false:
            self.result.problems.append(f"cried wolf: {false} with {self.values}")

    def _stumble(self, error: Exception) -> None:
        self.result.problems.append(f"{type(error).__name__}: {error}"[:400])

    def _leave(self) -> None:
        if self.is_browser_gone:
            return
        for tab in self.opened:
            with contextlib.suppress(*_TROUBLE, Gone):
                tab.close()

    def _filled(self, step: str) -> str:
        for name, value in (
            self.values
            | {"PROVIDER": self.lab.provider, "SHOP": self.lab.shop(self.slot), "RUN": self.name, "CASE": self.case.id}
        ).items():
            step = step.replace(f"${name}", value)
        return step

    def act(self, do: Callable[[], object]) -> Waiting:
        self.zero = time.time()
        do()
        yield

    def click(self, rest: str) -> Waiting:
        css, _, times = rest.partition(" x")
        yield from self.act(lambda: self.tab.click(css, int(times or 1)))
        if times:
            # The driver comes back from all clicks at once; what they cause may have been noticed at any of them.
            began, self.zero = self.zero, time.time()
            self.earliest = began - self.zero + _EARLIEST_SECONDS

    def until(self, expression: str) -> Waiting:
        until = time.monotonic() + _UNTIL_WITHIN_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(*_TROUBLE):
                if self.tab.evaluate(f"return Boolean({expression})"):
                    return
            yield from pause(0.1)
        self.result.problems.append(f"never came true: {expression}")

    def known(self, _: str) -> Waiting:
        """Wait until the server knows of the attempt: what a person sees before a tab dies takes longer than this."""
        until = time.monotonic() + _UNTIL_WITHIN_SECONDS
        while not self.lab.attempts(self.name) and time.monotonic() < until:
            yield from pause(0.1)

    def vanish(self, do: Callable[[], object]) -> Waiting:
        self.opened.remove(self.tab)
        yield from self.act(do)

    def sleep(self, seconds: str) -> Waiting:
        yield from self.act(self.engine.suspend)
        yield from pause(float(seconds))
        self.engine.resume()

    def open(self, path: str) -> Waiting:
        address = path if path.startswith("http") else self.lab.shop(self.slot) + path
        yield from self.act(lambda: self.tab.evaluate(f"setTimeout(() => {{ location.href = {address!r} }}, 0)"))

    def rejoin(self, _: str) -> Waiting:
        self.tab.offline(False)
        yield

    def peer(self, rest: str) -> Waiting:
        """Another tab with the same order: `peer` opens it, `peer click #pay` acts in it."""
        first = self.tab
        if self.other is None:
            self.other = self._new_tab()
            self.other.open(self.lab.checkout_url(self.case, self.name, self.slot))
        self.tab = self.other
        try:
            if rest:
                yield from self.click(rest.removeprefix("click "))
            else:
                yield from self._until_armed()
        finally:
            self.tab = first

    def fill(self, rest: str) -> Waiting:
        css, _, text = rest.partition(" ")
        self.tab.type(css, text)
        yield

    def mark(self, expression: str) -> Waiting:
        """Count from now, or from the time that the page noted itself."""
        self.zero = float(self.tab.evaluate(f"return {expression}")) / 1000 if expression else time.time()
        yield


_VERBS: dict[str, Callable[[Run, str], Waiting]] = {
    "click": Run.click,
    "type": Run.fill,
    "wait": lambda run, seconds: pause(float(seconds)),
    "until": Run.until,
    "known": Run.known,
    "mark": Run.mark,
    "open": Run.open,
    "evaluate": lambda run, body: run.act(lambda: run.tab.evaluate(body)),
    "reload": lambda run, _: run.act(lambda: run.tab.evaluate("setTimeout(() => location.reload(), 0)")),
    "back": lambda run, _: run.act(run.tab.back),
    "offline": lambda run, _: run.act(lambda: run.tab.offline(True)),
    "online": lambda run, _: run.act(lambda: run.tab.offline(False)),
    "cover": lambda run, _: run.act(run.tab.cover),
    "uncover": lambda run, _: run.act(run.tab.uncover),
    "throttle": lambda run, rate: run.act(lambda: run.tab.throttle(float(rate))),
    "suspend": Run.sleep,
    "close": lambda run, _: run.vanish(run.tab.close),
    "crash": lambda run, _: run.vanish(run.tab.crash),
    "kill": lambda run, _: run.vanish(run.engine.kill),
    "halt": lambda run, _: run.vanish(run.engine.suspend),
    "rejoin": Run.rejoin,
    "peer": Run.peer,
}


def pause(seconds: float) -> Waiting:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
