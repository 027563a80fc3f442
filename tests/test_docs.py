"""The documents say what the code does: kinds, facts, links, the interface, and code that can be read."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from tests.test_embed_build import TOOLS, Node, node
from widget.browsers import FACTS, MAX_FACT_CHARS
from widget.certainty import STATEMENT_DAYS, statement_days
from widget.cli import main
from widget.deadlines import BOUNDS, SHIPPED
from widget.demo.scenarios import Scenario
from widget.doctor.protection import GRANTED, Relation
from widget.shops import SETTABLE_DEADLINES
from widget.stalls import StallKind

__all__ = ["node"]

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "static" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
INTERFACE = (ROOT / "static" / "embed" / "embed.d.ts").read_text()
_FENCE = re.compile(r"^```(jsx?)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _read(name: str) -> str:
    return (DOCS / name).read_text()


def _rows(text: str, columns: int) -> list[list[str]]:
    """The rows of the tables with so many columns, without their heads."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) == columns]


def _anchors(page: Path) -> set[str]:
    """The places in a page that a link may name, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def _links() -> list[tuple[str, str]]:
    found = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    return [(page.name, target) for page, target in found if "://" not in target]


def _commands() -> list[tuple[str, str]]:
    """Every line that a reader is to type, by the page it stands on; `a|b` stands for each."""
    pages = [*PAGES, ROOT / "README.md"]
    typed = [
        (page.name, line) for page in pages for line in re.findall(r"^ {4,}(unjam .+)$", page.read_text(), re.MULTILINE)
    ]
    single = [(name, part.strip()) for name, line in typed for part in line.split(" # ")[0].split("&&")]
    return [(name, each) for name, part in single for each in _alternatives(part)]


def _alternatives(line: str) -> list[str]:
    found = re.search(r"\S+(?: \| |\|)\S+", line)
    if found is None:
        return [line]
    return [line.replace(found[0], each.strip()) for each in found[0].split("|")]


def _snippets() -> list[tuple[str, str, str]]:
    return [(page.name, *found) for page in PAGES for found in _FENCE.findall(page.read_text())]


def test_all_documents_are_there() -> None:
    assert {page.stem for page in PAGES} >= {"install", "recipes", "detection", "captured", "pci"}


@pytest.mark.parametrize("kind", StallKind)
def test_every_kind_of_stall_is_described(kind: StallKind) -> None:
    described = {row[0] for row in _rows(_read("detection.md"), 5) if all(row)}

    assert f"`{kind}`" in described


def test_the_deadlines_are_those_of_the_code() -> None:
    documented = {row[0]: row[2:] for row in _rows(_read("detection.md").split("## Deadlines")[1], 5)[1:]}

    assert documented == {
        f"`{name}`": [
            f"{seconds:g}",
            "{:g} – {:g}".format(*BOUNDS[name]) if name in BOUNDS else "never",
            "{:g} – {:g}".format(*SETTABLE_DEADLINES[name]),
        ]
        for name, seconds in SHIPPED.items()
    }


def test_every_captured_fact_stands_with_its_reason_and_no_other() -> None:
    documented = [row for row in _rows(_read("captured.md"), 3) if row[0].startswith("`")]

    assert documented == [[f"`{name}`", fact.label, fact.reason] for name, fact in FACTS.items()]


def test_texts_are_as_short_as_the_page_cuts_them() -> None:
    cut = re.search(r"MAX_CHARS = (\d+)", (ROOT / "static" / "embed" / "describe.js").read_text())

    assert cut
    assert set(re.findall(r"(\d+) characters", _read("captured.md"))) == {cut[1]} == {str(MAX_FACT_CHARS)}


def test_the_wallets_are_the_interfaces_that_the_frame_looks_for() -> None:
    asked = re.search(r"WALLETS = \[([^]]+)\]", (ROOT / "static" / "device.js").read_text())

    assert asked
    assert re.findall(r"`(\w+)`", FACTS["wallets"].reason) == re.findall(r'"(\w+)"', asked[1])


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("silent", "killed while it is seen is known to be gone {:g} s after its last heartbeat"),
        ("hidden", "killed in the background is known to be gone only after {:g} minutes"),
    ],
)
def test_how_long_a_killed_tab_stays_unnoticed_is_told(limit: str, words: str) -> None:
    told = " ".join(_read("detection.md").split("## Limits")[1].split())

    assert words.format(SHIPPED[limit] / (60 if "minutes" in words else 1)) in told


@pytest.mark.parametrize("link", _links(), ids=lambda link: f"{link[0]}:{link[1]}")
def test_every_link_between_documents_resolves(link: tuple[str, str]) -> None:
    page, (path, _, anchor) = DOCS / link[0], link[1].partition("#")
    target = (page.parent / path).resolve() if path else page

    assert target.is_file()
    assert not anchor or anchor in _anchors(target)


def test_every_document_is_reached_from_the_first() -> None:
    linked = {target.partition("#")[0] for page, target in _links() if page == "install.md"}

    assert linked >= {page.name for page in PAGES} - {"install.md"}


@pytest.mark.parametrize(
    ("used", "interface"),
    [
        (r"\bUnjam\??\.(\w+)", "UnjamApi"),
        (r"\b(?:attempt|account)\??\.(\w+)\(", "UnjamAttempt"),
    ],
)
def test_every_method_in_a_snippet_is_in_the_interface(used: str, interface: str) -> None:
    declared = INTERFACE.split(f"interface {interface} {{")[1].split("\n}\n")[0]
    methods = set(re.findall(r"^  (\w+)[<(]", declared, re.MULTILINE))

    said = {method for _, _, code in _snippets() for method in re.findall(used, code)}

    assert said - methods == set()
    assert said


@pytest.mark.parametrize("snippet", _snippets(), ids=lambda snippet: f"{snippet[0]}:{snippet[2][:30]!r}")
def test_every_snippet_can_be_read_by_a_machine(snippet: tuple[str, str, str], node: Node, tmp_path: Path) -> None:
    _, language, code = snippet
    file = tmp_path / f"snippet.{language}"
    file.write_text(code)
    if language == "jsx":
        node(str(TOOLS / "node_modules/.bin/esbuild"), str(file), "--log-level=error")
        return
    program = shutil.which("node")
    assert program is not None
    checked = file.rename(file.with_suffix(".mjs"))

    done = subprocess.run([program, "--check", str(checked)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_what_each_browser_grants_is_what_the_doctor_says() -> None:
    head, *rows = [row for row in _rows(_read("install.md"), 4) if not row[0].startswith("-")]
    said = [[re.match(r"\w+", cell.strip("*"))[0] for cell in row[1:]] for row in rows]  # type: ignore[index]

    assert head[1:] == list(GRANTED[Relation.CROSS_SITE])
    assert said == [[each.value for each in granted.values()] for granted in GRANTED.values()]


def test_the_documents_name_no_package_host() -> None:
    assert not any(re.search(r"pypi\.org|npmjs|registry\.", page.read_text()) for page in PAGES)


@pytest.mark.parametrize(("page", "line"), _commands())
def test_every_command_can_be_typed_as_it_stands(page: str, line: str) -> None:
    _unjam, name, *typed = shlex.split(line.replace("[", "").replace("]", ""))
    command = main.commands[name]
    options, left, _ = command.make_parser(click.Context(command)).parse_args(typed)
    wanted = [each.name for each in command.params if isinstance(each, click.Argument) and each.required]

    assert not left
    assert all(options[name] is not None for name in wanted if name)


def test_the_interface_takes_all_that_the_tag_may_say_of_an_order() -> None:
    said = re.search(r'ORDER = "([\w ]+)"', (ROOT / "static" / "embed" / "describe.js").read_text())
    described = re.search(r"interface UnjamOrder \{(.*?)\n\}", INTERFACE, re.DOTALL)

    assert said is not None
    assert described is not None
    assert re.findall(r"^  (\w+)\??:", described[1], re.MULTILINE) == said[1].split()


def test_the_readme_counts_the_scenarios_of_the_demo() -> None:
    found = re.search(r"\((\d+) scenarios", (ROOT / "README.md").read_text())

    assert found
    assert int(found[1]) == len(Scenario)


def test_the_days_that_an_amount_may_show_are_those_of_the_code() -> None:
    rows = _rows(_read("providers.md").split("## How long an amount may show")[1].split("\n## ")[0], 2)
    told = {name.strip(): days for names, days in rows for name in names.replace("and all others", "others").split(",")}
    names = {
        "Apple Pay": "apple_pay",
        "Google Pay": "google_pay",
        "Samsung Pay": "samsung_pay",
        "store account": "store_account",
    }
    documented = {names.get(name, name.lower()): days for name, days in told.items() if " to " in days}

    assert documented == {name: "{} to {}".format(*statement_days(name)) for name in [*STATEMENT_DAYS, "others"]}
