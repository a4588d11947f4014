"""The list of faults: each is where the table says, changes what the code does, and is new."""

import ast
from collections import Counter

import mutants
import pytest

TABLE = mutants.read()
FAULTS = {fault.id: fault for fault in TABLE.faults}
COVERED = ("masks", "rules", "families", "distributions", "schedules", "flops", "exploration")
COVERED += ("selection", "method", "trainer", "training", "outcome")
# what these methods do stands in resparse/families.py, or in what they inherit
DECLARED = ("dense", "static", "snip", "lth", "set_itop", "snip_set_itop", "lth_set_itop")


def code(text):
    """What Python makes of a file, comments, layout and docstrings apart."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            body[:1] = [] if isinstance(body[0].value, ast.Constant) else body[:1]
    return ast.dump(tree)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_there_once_compiles_and_changes_code(name):
    fault = FAULTS[name]
    changed = fault.changed(mutants.ROOT)
    compile(changed, fault.file, "exec")
    assert code(changed) != code((mutants.ROOT / fault.file).read_text())
    assert fault.why


def test_there_are_enough_faults_of_every_module_and_none_is_there_twice():
    assert len(FAULTS) == len(TABLE.faults) >= 40
    texts = {(fault.file, fault.changed(mutants.ROOT)) for fault in TABLE.faults}
    assert len(texts) == len(TABLE.faults)
    files = Counter(fault.file for fault in TABLE.faults)
    methods = {path.stem for path in (mutants.ROOT / "methods").glob("[!_]*.py")}
    expected = {f"resparse/{name}.py" for name in COVERED}
    expected |= {f"methods/{name}.py" for name in methods - set(DECLARED)}
    assert set(files) == expected
    assert min(files.values()) >= 2


def test_the_tests_that_are_run_exist_and_each_once():
    assert len(set(TABLE.tests)) == len(TABLE.tests)
    assert {test for tests in TABLE.first.values() for test in tests} <= set(TABLE.tests)
    assert {fault.first for fault in TABLE.faults} <= {"", *TABLE.tests}
    assert set(TABLE.first) <= {fault.file for fault in TABLE.faults}
    for test in TABLE.tests:
        assert (mutants.ROOT / test).is_file(), test


def test_a_fault_that_is_not_there_or_twice_is_an_error_that_names_it():
    fault = FAULTS["drop-largest"]
    for find, times in (("no such text", 0), ("def ", 2)):
        with pytest.raises(ValueError, match=r"fault drop-largest: .* occurs \d+ times in .*masks"):
            fault._replace(find=find).changed(mutants.ROOT)
        assert (mutants.ROOT / fault.file).read_text().count(find) >= times


def test_a_faults_own_first_tests_come_before_the_others_and_unknown_names_are_refused():
    (job,) = mutants.jobs(TABLE, ["cost-of-one-image"])
    assert job.fault == FAULTS["cost-of-one-image"]
    first = TABLE.first["resparse/outcome.py"]
    assert job.tests[: len(first)] == first
    assert sorted(job.tests) == sorted(TABLE.tests)
    (own,) = mutants.jobs(TABLE._replace(faults=[job.fault._replace(first=TABLE.tests[-1])]), [])
    assert own.tests[: 1 + len(first)] == [TABLE.tests[-1], *first]
    assert sorted(own.tests) == sorted(TABLE.tests)
    assert [job.name for job in mutants.jobs(TABLE, [])] == list(FAULTS)
    with pytest.raises(ValueError, match=r"no fault of-my-own; mutants\.toml names them all"):
        mutants.jobs(TABLE, ["of-my-own"])


@pytest.mark.parametrize(
    ("code", "test", "expected"),
    [
        (1, "test_x.py::test_y", "test_x.py::test_y"),
        (2, "x (import)", "x (import)"),
        (0, "", ""),
        (None, "", ""),
    ],
)
def test_only_a_failed_test_sees_a_fault(code, test, expected):
    job = mutants.Job("x", None, [])
    assert mutants.verdict(mutants.Ended(job, code, test, 1.0, "")) == expected


@pytest.mark.parametrize("code", [3, 4, 5, -9])
def test_a_run_of_tests_that_itself_fails_proves_nothing(code):
    with pytest.raises(RuntimeError, match=f"x: pytest ended with {code}"):
        mutants.verdict(mutants.Ended(mutants.Job("x", None, []), code, "", 1.0, ""))
