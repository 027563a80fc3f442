"""What the doctor says of one thing: well, broken with what to do, or not to be judged and why."""

from dataclasses import dataclass
from enum import StrEnum


class Unable(Exception):
    """The doctor cannot work at all; the text says why and what to do, in one or two sentences."""


class Verdict(StrEnum):
    OK = "ok"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Check:
    """`mend` is the exact line to add or command to run; only a failure has one."""

    name: str
    verdict: Verdict
    said: str
    mend: str = ""

    @property
    def is_broken(self) -> bool:
        return self.verdict is Verdict.FAIL

    @property
    def line(self) -> str:
        """For people: `FAIL  frame  what is wrong`, and below it what to do."""
        mend = f"\n{'':18}{self.mend}" if self.mend else ""
        return f"{self.verdict:<6}{self.name:<12}{self.said}{mend}"


def well(name: str, said: str) -> Check:
    return Check(name, Verdict.OK, said)


def broken(name: str, said: str, mend: str) -> Check:
    return Check(name, Verdict.FAIL, said, mend)


def skipped(name: str, why: str) -> Check:
    return Check(name, Verdict.SKIP, why)
