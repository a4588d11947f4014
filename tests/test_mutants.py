"""The lists of faults: each is where its table says, changes what the code does, and is new."""

import ast
from collections import Counter
from functools import cache

import mutants
import pytest

TABLES = {file.stem: mutants.read(file) for file in mutants.TABLES}
ALL = [fault for table in TABLES.values() for fault in table.faults]
FAULTS = {fault.id: fault for fault in ALL}
COVERED = ("masks", "rules", "families", "distributions", "schedules", "flops", "exploration")
COVERED += ("selection", "method", "trainer", "training", "beginning", "resuming", "watch")
COVERED += ("outcome", "distributed", "consensus", "storage", "views")
COVERED += ("stack", "replicates")
COVERED += tuple(f"engine/{m}" for m in ("__init__", "crossover", "kernels", "layers", "packed"))
COVERED += ("engine/draw", "engine/masking", "engine/pattern", "engine/places", "engine/threads")
COVERED += ("uniform",)
COVERED_DATA = ("data/checked", "data/crops", "data/digits", "data/memory", "data/order")
COVERED_DATA += ("data/protocol", "seeds", "micronet", "flops", "exact", "report_flops")
COVERED_DATA += ("render_flops",)
COVERED_CLAIMS = ("contrast", "evidence", "judge", "listing", "shapes", "support", "sweeps", "view")
COVERED_REPORT = ("kept", *(f"report/{m}" for m in ("details", "html", "latex", "model")))
COVERED_REPORT += ("report/pieces", "report/shortfall")
RS = ("tables/rs_fit", "tables/rs_section")
COVERED_SUITE = ("claims/gathered", "protocols/check", "doctor", "costs")
COVERED_SUITE += ("compare/panel", "compare/baseline", "frozen/retrain", "provenance", "data/cifar")
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


@cache
def code_of(file):
    return code((mutants.ROOT / file).read_text())


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_there_once_compiles_and_changes_code(name):
    fault = FAULTS[name]
    changed = fault.changed(mutants.ROOT)
    compile(changed, fault.file, "exec")
    assert code(changed) != code_of(fault.file)
    assert fault.why


def test_there_are_enough_faults_of_every_module_and_none_is_there_twice():
    assert len(FAULTS) == len(ALL) >= 350
    texts = {(fault.file, fault.changed(mutants.ROOT)) for fault in ALL}
    assert len(texts) == len(ALL)
    methods = {path.stem for path in (mutants.ROOT / "methods").glob("[!_]*.py")}
    models = {path.stem for path in (mutants.ROOT / "resparse/models").glob("*.py")}
    expected = {
        "mutants": {f"resparse/{file}.py" for file in COVERED}
        | {f"methods/{name}.py" for name in methods - set(DECLARED)},
        "mutants_data": {f"resparse/{file}.py" for file in COVERED_DATA}
        | {f"resparse/models/{name}.py" for name in models},
        "mutants_sweeps": {f"resparse/{file}.py" for file in ("sweep", *RS)},
        "mutants_claims": {f"resparse/claims/{file}.py" for file in COVERED_CLAIMS},
        "mutants_report": {f"resparse/{file}.py" for file in COVERED_REPORT},
        "mutants_suite": {f"resparse/{file}.py" for file in COVERED_SUITE},
    }
    for name, table in TABLES.items():
        files = Counter(fault.file for fault in table.faults)
        assert set(files) == expected.pop(name)
        assert min(files.values()) >= 2
    assert not expected


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_tests_that_are_run_exist_and_each_once(table):
    assert len(set(table.tests)) == len(table.tests)
    assert {test for tests in table.first.values() for test in tests} <= set(table.tests)
    assert {fault.first for fault in table.faults} <= {"", *table.tests}
    assert set(table.first) <= {fault.file for fault in table.faults}
    for test in table.tests:
        assert (mutants.ROOT / test).is_file(), test


def test_a_fault_that_is_not_there_or_twice_is_an_error_that_names_it():
    fault = FAULTS["drop-largest"]
    for find, times in (("no such text", 0), ("def ", 2)):
        with pytest.raises(ValueError, match=r"fault drop-largest: .* occurs \d+ times in .*masks"):
            fault._replace(find=find).changed(mutants.ROOT)
        assert (mutants.ROOT / fault.file).read_text().count(find) >= times


def test_a_faults_own_first_tests_come_before_the_others_and_unknown_names_are_refused():
    tables = list(TABLES.values())
    (job,) = mutants.jobs(tables, ["cost-of-one-image"])
    assert (job.fault, job.table) == (FAULTS["cost-of-one-image"], TABLES["mutants"])
    first = job.table.first["resparse/outcome.py"]
    assert job.tests[: len(first)] == first
    assert sorted(job.tests) == sorted(job.table.tests)
    changed = job.fault._replace(first=job.table.tests[-1])
    (own,) = mutants.jobs([job.table._replace(faults=[changed])], [])
    assert own.tests[: 1 + len(first)] == [job.table.tests[-1], *first]
    assert sorted(own.tests) == sorted(job.table.tests)
    assert [job.name for job in mutants.jobs(tables, [])] == list(FAULTS)
    with pytest.raises(
        ValueError, match=r"no fault of-my-own; tests/mutants\*\.toml name them all"
    ):
        mutants.jobs(tables, ["of-my-own"])


def test_without_a_fault_the_tests_of_the_tables_in_question_run_once():
    both, one = list(TABLES.values()), [TABLES["mutants_data"]]
    for tables, ids in ((both, []), (one, ["mirror-channels", "seed-of-one-byte"])):
        whole = mutants.unmutated(mutants.jobs(both, ids))
        assert {job.fault for job in whole} == {None}
        assert len({job.name for job in whole}) == len(whole) == mutants.AT_ONCE * len(tables)
        for table in tables:
            tests = [test for job in whole if job.table is table for test in job.tests]
            assert sorted(tests) == sorted(table.tests)


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
    job = mutants.Job("x", TABLES["mutants"], None, [])
    assert mutants.verdict(mutants.Ended(job, code, test, 1.0, "")) == expected


@pytest.mark.parametrize("code", [3, 4, 5, -9])
def test_a_run_of_tests_that_itself_fails_proves_nothing(code):
    with pytest.raises(RuntimeError, match=f"x: pytest ended with {code}"):
        mutants.verdict(
            mutants.Ended(mutants.Job("x", TABLES["mutants"], None, []), code, "", 1.0, "")
        )
