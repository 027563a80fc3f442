"""The house rules that a machine can hold: imports go one way, routes and rules stay apart."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "widget"

# From the ground up. A module may import what stands on a lower line, or beside it on its own line.
FLOORS = [
    (
        "errors clock logs paths settings redaction tokens money moments look browsers database leases language"
        " accounts methods openings"
    ),
    "shops feeds audit",
    "agents orders hooks",
    "tellings attempts ledger",
    "signals beacons pulses deadlines codes",
    "stalls providers advice guard health",
    "provider_events charges siblings tries belonging certainty watches diagnosis verdicts",
    "offers links handovers transfers holds ranking",
    "playbooks tickets evidence judgement findings",
    "followups ratings",
    "casework mispayments",
    "payments reversals",
    "digest mailbox addresses silence returns",
    "models",
    "migrations letters mail",
    "enquiry polling telling cashier posting",
    "web worker",
    "server checkup doctor",
    "demo",
    "cli translations",
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts)


def _top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """The modules of this package that a file imports, by the name under `widget`, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "widget":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("widget."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("widget.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    if path.name == "__init__.py" and path.parent == PACKAGE:
        return
    top = _top(path)
    assert top in FLOOR_OF, f"say on which floor {top} stands"
    upward = {name for name in _imported(path) if FLOOR_OF[name] > FLOOR_OF[top]}
    assert upward == set(), f"{top} must not know {upward}"


def test_every_floor_has_its_modules() -> None:
    assert set(FLOOR_OF) == {_top(path) for path in MODULES} - {"__init__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_edges_open_and_end_transactions(path: Path) -> None:
    if FLOOR_OF.get(_top(path), 0) >= FLOOR_OF["migrations"]:
        return
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    forbidden = {"commit", "rollback"} | (set() if path.name == "database.py" else {"begin"})
    assert calls & forbidden == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_one_module_reads_the_wall_clock(path: Path) -> None:
    if path.name == "clock.py":
        return
    readings = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"utcnow", "today"})
        or (
            isinstance(node, ast.Attribute)
            and node.attr == "now"
            and isinstance(node.value, ast.Name)
            and node.value.id == "datetime"
        )
    ]
    assert readings == []


def test_domain_modules_know_neither_requests_nor_templates() -> None:
    web = {"web", "server", "demo", "cli", "letters", "mail"}
    knowing = [str(path) for path in MODULES if _top(path) not in web and "flask" in path.read_text()]
    assert knowing == []
