"""Who may import whom, how long files may be, and where no code may lie."""

import ast
import sys
from pathlib import Path

import pytest
from import_table import MAY, METHOD_MAY, OUTER

ROOT = Path(__file__).resolve().parents[1]
METHODS = sorted((ROOT / "methods").glob("*.py"))
PACKAGE = sorted((ROOT / "resparse").rglob("*.py"))


def module_name(path):
    """Dotted name of a file below ROOT; a method is resparse.methods.<name>."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("resparse", *parts) if parts[0] == "methods" else parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in (*METHODS, *PACKAGE)}


def imports(source):
    """Every module that a source imports anywhere; ``from resparse import x`` is resparse.x."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.add("." * node.level + (node.module or ""))
                continue
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else str(node.module))
    return found


def own(path):
    """The resparse modules that a file imports."""
    return {name for name in imports(path.read_text()) if name.split(".")[0] == "resparse"}


def foreign(path):
    """Top-level names of all else that it imports, but the standard library."""
    tops = {name.split(".")[0] for name in imports(path.read_text())}
    return tops - {"resparse"} - sys.stdlib_module_names


def test_the_walker_sees_every_form():
    source = """
import resparse.trainer, torch.nn as nn
from resparse import record as r, Thing
from resparse.data import digits
def f():
    from . import masks
    from methods import set
"""
    assert imports(source) == {
        "resparse.trainer", "torch.nn", "resparse.record", "resparse", "resparse.data.digits",
        ".", "methods",
    }  # fmt: skip


def test_there_is_something_to_walk():
    assert len(METHODS) >= 8
    assert {"resparse.trainer", "resparse.data.digits", "resparse.methods.set"} <= MODULES.keys()


@pytest.mark.parametrize("path", METHODS, ids=lambda p: p.stem)
def test_a_method_imports_the_contract_and_torch_only(path):
    assert own(path) <= METHOD_MAY
    assert foreign(path) <= {"torch"}


@pytest.mark.parametrize(("module", "may"), MAY.items())
def test_a_module_imports_no_more_than_it_may(module, may):
    assert own(MODULES[f"resparse.{module}"]) <= may


CONTRACT = [name for name in MODULES if f"{name}.".startswith("resparse.contract.")]


def test_the_contract_is_checked_without_a_trainer():
    assert len(CONTRACT) == 9
    for name in CONTRACT:
        assert foreign(MODULES[name]) <= {"torch"}


@pytest.mark.parametrize(
    "module", ["masks", "selection", "schedules", "distributions", "method", "seeds"]
)
def test_the_core_needs_torch_alone(module):
    counts = {"numpy"} if module == "selection" else set()  # three times as fast
    assert foreign(MODULES[f"resparse.{module}"]) <= {"torch"} | counts


@pytest.mark.parametrize(
    "module",
    [
        *("record", "files", "errors", "verdict", "holding", "heartbeat", "history"),
        "status.standing",
        *(f"slurm.{m}" for m in ("arrays", "cluster", "job")),
        *(f"claims.{m}" for m in ("judge", "contrast", "printed", "listing")),
    ],
)
def test_no_torch_where_none_is_needed(module):
    assert "torch" not in foreign(MODULES[f"resparse.{module}"])


@pytest.mark.parametrize(
    "module", ["trainer", "training", "outcome", "workloads", "stack", "replicates"]
)
def test_training_knows_nothing_of_tables(module):
    assert not own(MODULES[f"resparse.{module}"]) & OUTER


@pytest.mark.parametrize("path", [*PACKAGE, *METHODS], ids=module_name)
def test_only_the_registry_imports_methods(path):
    names = imports(path.read_text())
    assert not any(name.startswith(".") for name in names), "imports are absolute"
    wrong = {n for n in names if n.split(".")[0] == "methods" or n.startswith("resparse.methods")}
    assert wrong == set()
    loads = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    } & {"import_module", "__import__", "spec_from_file_location"}
    assert not loads or module_name(path) in ("resparse.registry", "resparse.outside")


def test_no_module_imports_itself_in_a_circle():
    """Import cycles at module level; an import inside a function is not one."""
    arrows = {}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        arrows[name] = imports(ast.unparse(ast.Module(top, []))) & MODULES.keys()
    done = set()
    while ready := {n for n, to in arrows.items() if n not in done and to <= done}:
        done |= ready
    assert sorted(MODULES.keys() - done) == []


def test_nox_sessions_import_neither_torch_nor_the_package():
    path = ROOT / "noxfile.py"
    if not path.exists():
        pytest.skip("no noxfile.py yet")
    assert foreign(path) <= {"nox"}
    assert own(path) == set()


CODE = [*METHODS, *PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), ROOT / "noxfile.py"]


@pytest.mark.parametrize("path", [p for p in CODE if p.exists()], ids=lambda p: p.name)
def test_a_file_has_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


def test_tests_that_need_ffcv_lie_where_they_are_run():
    """.ci/run gives FFCV's environment tests/test_*ffcv*.py alone: collecting all takes longer."""
    marked = [
        path
        for path in (ROOT / "tests").glob("*.py")
        if any(
            getattr(node, "attr", "") == "ffcv" for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert len(marked) >= 4
    assert [path for path in marked if not path.match("test_*ffcv*.py")] == []
    assert "tests/test_*ffcv*.py" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("folder", ["benchmarks", "baselines"])
def test_data_folders_hold_no_code(folder):
    assert [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".sh", ".pyc")] == []
