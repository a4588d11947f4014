"""The page of a paper: what it counts, what it refuses, and the command behind every number."""

import json
import shlex

import pytest
from recorded import IMAGES, PROVENANCE, made_record, planned, reports

from resparse import artifact, data, kept
from resparse.__main__ import main, parser
from resparse.errors import Missing, RunFailed, UsageError
from resparse.files import canonical, sha256
from resparse.report.model import build
from resparse.verdict import Verdict

NAMES = ["itop/table1", "itop/figure3"]
POINT = "P 0.9 interval 3000"


@pytest.fixture(scope="module")
def few():
    """The paper has one table and one figure: computing all of them takes half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact, "names", lambda: NAMES)
        patch.setattr(data, "load", unread)
        yield


def unread(name, root):
    raise Missing(f"{name} was asked for: a page needs no images")


@pytest.fixture(scope="module")
def made(few, tmp_path_factory):
    """A folder of reports with made-up records, and the page of it."""
    out = reports(tmp_path_factory.mktemp("reports"))
    return out, build("itop", out)


@pytest.fixture
def page(made):
    return made[1]


def views(page):
    return {(view.artifact.name, view.level): view for p in page.pieces for view in p.views}


def cell(page, table, level, row, metric="top1_last", sparsity=0.95):
    entries = views(page)[table, level].entries
    found = [e for e in entries if (e.row, e.sparsity, e.metric) == (row, sparsity, metric)]
    assert len(found) == 1
    return found[0]


def test_a_number_is_the_mean_of_its_records_beside_the_papers(page):
    entry = cell(page, "table1", "smoke", POINT)
    assert entry.cell.value == pytest.approx(61.0)  # of 60, 61, 62
    assert entry.cell.std == pytest.approx(1.0)
    assert (entry.cell.published, entry.source) == (
        "93.78",
        "measured, this paper (mean of 3 runs)",
    )
    keys = {seed: run.key for (label, _, seed), run in planned("itop/table1", "smoke").items()
            if label == POINT}  # fmt: skip
    assert entry.cell.keys == keys
    assert not entry.computed
    exact = cell(page, "table1", "smoke", POINT, "rs")
    assert (exact.computed, exact.cell.verdict, exact.cell.published) == (True, "EXACT", "0.353")


def test_every_number_has_the_command_that_plans_its_very_runs(page):
    """The command line is read by the parser itself and planned: no other run, none too few."""
    seen, line = 0, parser()
    for view in views(page).values():
        table, runs = view.artifact, {}
        for entry in view.entries:
            program, *words = shlex.split(entry.command)
            given = line.parse_args(words)
            assert (program, given.command, given.artifact) == ("resparse", "reproduce", table.id)
            asked = {"only": given.only, "sparsities": [float(s) for s in given.sparsity]}
            assert asked == {"only": [entry.row], "sparsities": [entry.sparsity]}
            place = (given.level, entry.row, entry.sparsity)
            if place not in runs:
                seeds = table.level(given.level).seeds
                some = artifact.plan(table, given.level, IMAGES, seeds=seeds, **asked)
                runs[place] = {p.run.seed: p.run.key for p in some}
            assert given.exact_only == entry.computed
            if entry.cell.keys:
                assert given.level == view.level
                assert entry.cell.keys.items() <= runs[place].items()
                assert all(key in page.records for key in entry.cell.keys.values())
                seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("row", "metric", "verdict", "note"),
    [
        (POINT, "top1_last", Verdict.NOT_COMPARABLE, ""),
        (POINT, "top1_best_val", Verdict.NO_REFERENCE, ""),
        ("P 0.5 interval 15000", "top1_last", Verdict.INCOMPLETE, ""),
        ("P 0.5 interval 3000", "top1_last", Verdict.STALE, ""),
        ("P 0.9 interval 15000", "top1_last", Verdict.NOT_COMPARABLE, "seed 1 diverged: <script>"),
        ("P 0.7 interval 3000", "top1_last", Verdict.NOT_RUN, "left out at level smoke"),
    ],
)
def test_what_is_amiss_is_said_in_its_cell(page, row, metric, verdict, note):
    found = cell(page, "table1", "smoke", row, metric).cell
    assert found.verdict is verdict
    assert found.note.startswith(note)
    assert bool(found.note) == bool(note)


def test_of_half_a_sweep_the_missing_half_is_not_run_and_no_claim_is_judged(page):
    missing = cell(page, "panels/figure3_mlp", "smoke", "SET interval 800").cell
    assert (missing.value, missing.verdict, missing.keys) == (None, Verdict.NOT_RUN, {})
    assert cell(page, "panels/figure3_mlp", "smoke", "SET interval 100").cell.value is not None
    judged = {s.claim.id: s.mini for s in page.claims}["itop-fig3-rise"]
    assert judged.verdict == "NOT RUN"
    assert judged.problems[0].startswith("half a sweep: ")


def test_a_run_that_diverged_before_it_was_tested_has_no_best_epoch(page):
    place = ("panels/figure3_mlp", "smoke", "SET interval 100")
    last, best = (cell(page, *place, m, 0.8).cell for m in ("top1_last", "top1_best_test"))
    assert sorted(last.seeds) == [0, 1, 2]
    assert sorted(best.seeds) == [0, 2]
    assert best.note.startswith("seed 1 diverged: loss; without: ")


def test_a_record_of_another_protocol_is_listed_and_in_no_number(page):
    (level, (record,)), = page.unplanned.items()  # fmt: skip
    assert (level, record.config["seed"]) == ("smoke", 77)
    used = {key for v in views(page).values() for e in v.entries for key in e.cell.keys.values()}
    assert record.key not in used
    assert record.key in page.records


def test_what_was_not_run_is_counted_by_table_and_level_with_its_cost(page):
    lacks = {(lack.table, lack.level): lack for lack in page.lacks}
    assert (lacks["itop/table1", "smoke"].there, lacks["itop/table1", "smoke"].runs) == (26, 27)
    assert lacks["itop/table1", "smoke"].rows == ("P 0.5 interval 15000",)
    assert "P 0.7 interval 3000" in lacks["itop/table1", "smoke"].left_out
    paper = lacks["itop/table1", "paper"]
    runs = {run.key for run in planned("itop/table1", "paper").values()}
    assert (paper.there, paper.runs, paper.said) == (0, len(runs), "all rows")
    assert paper.command == "nox -s table1 -- --level paper --plan"
    panel = lacks["itop/panels/figure3_mlp", "mini"]
    runs = planned("itop/panels/figure3_mlp", "mini")
    there = {run.key for (label, *_), run in runs.items() if label == "Static"}
    assert (panel.there, panel.runs) == (len(there), len({run.key for run in runs.values()}))
    assert (len(there), panel.rows[0]) == (9, "Dense")
    assert panel.command == "resparse reproduce itop/panels/figure3_mlp --level mini --plan"
    assert parser().parse_args(panel.command.split()[1:]).plan


def test_numbers_are_counted_once_and_computed_ones_not_again_at_another_level(page):
    entries = [(v, e) for v in views(page).values() for e in v.entries]
    measured = sum(not e.computed for _, e in entries)
    computed = {(v.artifact.id, e.row, e.sparsity, e.metric) for v, e in entries if e.computed}
    twice = [1 for v, e in entries if e.computed and v.level == "mini"]
    assert len(twice) == 2 * 30  # training and test FLOPs of ten rows at three sparsities
    assert sum(page.cells_by_verdict.values()) == measured + len(computed)
    assert page.cells_by_verdict["EXACT, not as printed"] == 25
    assert page.cells_by_verdict["STALE"] == 3  # two accuracies and R_s of one point
    assert sum(page.claims_by_verdict.values()) == len(page.claims) == 68


def test_environments_are_told_apart_and_counted(page):
    counts = {dict(e.facts)["device"]: e.records for e in page.environments}
    assert len(page.environments) == 2
    assert counts.pop("cpu") == len(page.records) - 1
    assert list(counts.values()) == [1]
    facts = {dict(e.facts)["lock_sha256"] for e in page.environments}
    assert facts == {PROVENANCE["lock_sha256"]}


def test_the_command_writes_all_forms_and_says_what_it_found(made, capsys):
    out, page = made
    assert main(["report", "itop", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["claims"] == page.claims_by_verdict
    assert said["numbers"] == page.cells_by_verdict
    assert said["not_run"] == sum(lack.runs - lack.there for lack in page.lacks)
    names = [name.rpartition("/itop/")[2] for name in said["files"]]
    forms = ["index.html", "index.md", "index.csv", "badge.json"]
    tables = [f"latex/{name}.tex" for name in ("table1", "figure3_mlp", "figure3_mlp-mini")]
    assert sorted(names) == sorted([*forms, *tables])
    assert all((out / "itop" / name).stat().st_size > 1000 for name in names if "badge" not in name)
    badge = json.loads((out / "itop/badge.json").read_text())
    assert badge["label"] == "itop claims"
    assert badge["message"].startswith(f"{page.claims_by_verdict['NOT RUN']} not run, ")


def test_without_records_the_page_says_so(few, tmp_path, capsys):
    assert main(["report", "itop", "--out", str(tmp_path)]) == 0
    assert "index.html, and 4 files beside it" in capsys.readouterr().out
    text = (tmp_path / "itop" / "index.html").read_text()
    assert "from 0 committed records" in text
    assert "No records: see" in text  # of the figure; the table has what is computed


def test_an_unknown_paper_is_refused_with_the_valid_ones(capsys):
    assert main(["report", "itopp"]) == 5
    assert "no paper 'itopp'; valid: itop" in capsys.readouterr().err


def rewritten(text, **changes):
    """The first line's record with other fields, its hash made right again."""
    first, rest = text.split("\n", 1)
    value = json.loads(first)["record"]
    value |= {name: value[name] | x if isinstance(x, dict) else x for name, x in changes.items()}
    return canonical({"record": value, "sha256": sha256(canonical(value))}) + "\n" + rest


@pytest.mark.parametrize(
    ("forge", "line", "said"),
    [
        (lambda text: text.replace('"top1_last":60.0', '"top1_last":99.0', 1), "", "its sha256 is"),
        (lambda text: text + text.splitlines(keepends=True)[0], "", "is given twice"),
        (lambda text: text.replace('"top1_last":60.0', '"top1_last":NaN', 1), "", "no record"),
        (lambda text: rewritten(text, outcome={"top1_last": 1e9}), "1", "top1_last = 1000000000.0"),
        (lambda text: rewritten(text, config={"seed": 5}), "1", "does not belong to its config"),
        (lambda text: text[:-300], "", "torn"),
    ],
    ids=["edited", "twice", "nan", "impossible", "other-config", "torn"],
)
def test_records_that_are_not_as_written_are_refused_by_file_and_line(
    few, tmp_path, capsys, forge, line, said
):
    path = kept.file(tmp_path, "itop", "smoke")
    runs = planned("itop/table1", "smoke")
    kept.merge(path, [made_record(run, 60.0) for run in list(runs.values())[:4]])
    path.write_text(forge(path.read_text()))
    with pytest.raises(RunFailed, match=said):
        build("itop", tmp_path)
    assert main(["report", "itop", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"resparse: {path}:{line}")
    assert "restore the file with git" in error
    assert not (tmp_path / "itop" / "index.html").exists()


def test_records_of_a_level_that_no_table_has_are_refused(few, tmp_path):
    kept.merge(kept.file(tmp_path, "itop", "huge"), [])
    with pytest.raises(UsageError, match=r"huge.jsonl: level 'huge'; valid: smoke, paper, mini"):
        build("itop", tmp_path)
