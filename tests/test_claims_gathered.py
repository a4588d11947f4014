"""Records at the points that claims name, from the rows of tables and panels."""

import math
import random
from collections import Counter

import pytest
from recorded import made_record, outcome

from resparse import artifact, kept
from resparse.claims import gathered
from resparse.claims.claim import load
from resparse.claims.evidence import Evidence
from resparse.claims.judge import SMOKE, ClaimVerdict, judge
from resparse.claims.point import Point
from resparse.workloads import workload

SHA = "5" * 64


def planned(table, level="paper"):
    seeds = table.level(level).seeds
    return artifact.plan(table, level, SHA, seeds=seeds)


def records_of(tables, level="paper", **changes):
    """Made-up records of every run of these tables, of different numbers."""
    found = {}
    for run in (p.run for table in tables for p in planned(table, level)):
        draw = random.Random(run.key).random
        numbers = outcome(70 + 20 * draw(), rs=draw(), rs_expected=0.5, top1_best_test=80 + draw())
        numbers |= {"rs_miss": 0.0, "rs_fall": 0.0, "nnz_change": 0}
        found[run.key] = made_record(run, **{"outcome": numbers} | changes)
    return found


def held(records):
    """Records by key as a file of committed ones is read."""
    return kept.Kept(artifact.ROOT / "made.jsonl", records)


@pytest.fixture(scope="module")
def table1():
    return artifact.load("itop/table1")


def test_a_cell_is_where_the_paper_has_the_row(table1):
    records = held(records_of([table1]))
    evidence = gathered.evidence_of(table1, "paper", records)
    where = Point(
        artifact="table1", method="SET", model="resnet18", dataset="cifar10", distribution="erk",
        sparsity=0.95, alpha=0.5, interval=3000, length=1.0,
    )  # fmt: skip
    cell = next(c for c in evidence.cells if c.point == where and c.metric == "top1")
    row = table1.row("P 0.5 interval 3000")
    runs = [p.run for p in planned(table1) if p.label == row.label]
    assert cell.keys == tuple(run.key for run in runs)
    assert dict(cell.values) == {
        run.seed: records.records[run.key].outcome["top1_last"] for run in runs
    }
    assert (cell.level, cell.exact) == ("paper", False)
    assert len(evidence.planned) == 25


def test_a_point_has_the_papers_values_at_every_level(table1):
    cells = gathered.evidence_of(table1, "smoke", held(records_of([table1], "smoke"))).cells
    assert {cell.point.interval for cell in cells} == {15000, 5000, 3000}
    assert {cell.level for cell in cells} == {"smoke"}


def test_a_panel_decides_its_figure_and_dense_has_no_sparsity_there():
    panel = artifact.load("itop/panels/figure7_mlp")
    dense, longer = panel.row("Dense"), panel.row("SET-ITOP extended")
    assert gathered.point_of(panel, dense, 0.9) == Point(
        artifact="figure7", method="Dense", model="mlp", dataset="cifar10", length=1.0
    )
    point = gathered.point_of(panel, longer, 0.98)
    assert (point.method, point.length, point.sparsity) == ("SET-ITOP", 20.0, 0.98)
    table2 = artifact.load("itop/table2")
    assert gathered.point_of(table2, table2.row("Dense"), 0.9).sparsity == 0.9


def test_the_accuracy_is_the_one_that_the_paper_reports():
    panel = artifact.load("itop/panels/figure7_mlp")
    cells = gathered.evidence_of(panel, "paper", held(records_of([panel]))).cells
    assert all(80 <= value <= 81 for c in cells if c.metric == "top1" for value in c.numbers)


def test_without_a_record_of_its_data_a_table_says_nothing(table1):
    assert gathered.evidence_of(table1, "paper", held({})) == Evidence()


def test_a_run_that_diverged_is_refused_and_not_left_out(table1):
    records = records_of([table1])
    bad = planned(table1)[0].run
    records[bad.key] = made_record(bad, status="diverged", reason="loss is nan at step 3")
    cells = gathered.evidence_of(table1, "paper", held(records)).cells
    first = next(c for c in cells if bad.key in c.keys and c.metric == "top1")
    assert math.isnan(dict(first.values)[bad.seed])
    assert len(first.values) == 3


@pytest.mark.parametrize("best", [{}, {"top1_best_test": None}])
def test_a_run_that_diverged_before_it_was_tested_is_refused_too(best):
    panel = artifact.load("itop/panels/figure7_mlp")
    records = records_of([panel], "mini")
    bad = planned(panel, "mini")[-1].run
    records[bad.key] = made_record(bad, status="diverged", outcome=outcome(10.0) | best)
    evidence = gathered.evidence_of(panel, "mini", held(records))
    assert [said for said in evidence.problems() if "top1 of" in said and "is nan" in said]


def test_a_seed_that_did_not_run_is_said(table1):
    records = records_of([table1])
    lost = planned(table1)[2].run
    del records[lost.key]
    found = gathered.evidence_of(table1, "paper", held(records))
    assert f"not run with seed {lost.seed}; valid: every seed of the level" in found.problems()[0]


def test_records_of_other_code_are_said(table1):
    records = records_of([table1])
    other = planned(table1)[0].run
    records[other.key] = made_record(other, fingerprint="f" * 16)
    found = gathered.evidence_of(table1, "paper", held(records))
    assert f"made by other code (STALE): {other.key}" in found.problems()[0]


def test_half_a_sweep_is_said(table1):
    records = records_of([table1])
    for item in planned(table1):
        if item.label == "P 0.9 interval 3000":
            del records[item.run.key]
    found = gathered.evidence_of(table1, "paper", held(records))
    assert "half a sweep: 1 planned points are not run" in found.problems()[0]


def test_a_point_that_two_panels_share_is_there_once():
    """Figure 5's SET at interval 1500 and the typical time, above and below."""
    whole = Evidence()
    for name in ("figure5_typical", "figure5_extended"):
        panel = artifact.load(f"itop/panels/{name}")
        whole = gathered._with(whole, gathered.evidence_of(panel, "mini", held(mini(panel))))
    times = Counter((cell.point, cell.metric) for cell in whole.cells)
    assert set(times.values()) == {1}
    shared = [p for p, _ in times if (p.method, p.interval, p.length) == ("SET", 1500, 1.0)]
    assert shared
    assert whole.problems() == []


def mini(panel):
    return records_of([panel], "mini")


@pytest.fixture(scope="module")
def everything():
    """Evidence of complete records of the paper level."""
    found = Evidence()
    for table in gathered.tables("itop"):
        records = records_of([table])
        assert {r.config["dataset"] for r in records.values()} == {
            workload(table.level("paper").workload).dataset
        }
        found = gathered._with(found, gathered.evidence_of(table, "paper", held(records)))
    return found


CLAIMS = [c for c in load("itop") if c.entry.decided_by != "printed"]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_complete_records_decide_every_claim(claim, everything):
    judgement = judge(claim, everything, "paper")
    if judgement.verdict == ClaimVerdict.NOT_RUN:
        assert "a rise and a plateau need 2 each" in judgement.why  # of numbers drawn by lot
    else:
        assert judgement.test


@pytest.mark.parametrize(
    ("name", "of", "rows"),
    [
        ("controls_imagenet", "table2", {"RigL", "RigL-ITOP"}),
        ("controls_mlp", "panels/figure3_mlp", {"Dense"}),
    ],
)
def test_what_a_control_is_compared_with_is_trained_once(name, of, rows):
    controls, table = artifact.load(f"itop/{name}"), artifact.load(f"itop/{of}")
    for level in controls.levels:
        known = {p.run.key for p in planned(table, level)}
        shared = [p.label for p in planned(controls, level) if p.run.key in known]
        assert Counter(shared) == dict.fromkeys(rows, 3)


@pytest.mark.parametrize(
    ("name", "control", "of", "changed"),
    [
        ("controls_imagenet", "RigL_ER", "RigL", {"distribution"}),
        (
            "controls_imagenet",
            "RigL-ITOP_bs32",
            "RigL-ITOP",
            {"recipe.batch_size", "recipe.steps", "recipe.lr_drops", "recipe.warmup"},
        ),
        ("controls_mlp", "Dense_lr0.1", "Dense", {"recipe.lr"}),
    ],
)
def test_a_control_differs_in_one_thing(name, control, of, changed):
    controls = artifact.load(f"itop/{name}")
    one, other = (
        {k: v for k, v in p.run.config.items() if k != "recipe"}
        | {f"recipe.{k}": v for k, v in p.run.config["recipe"].items()}
        for row in (control, of)
        for p in artifact.plan(controls, "paper", SHA, seeds=[0], only=[row])
    )
    assert {key for key in one if one[key] != other[key]} == changed


def test_smoke_decides_nothing(table1):
    evidence = gathered.evidence_of(table1, "smoke", held(records_of([table1], "smoke")))
    claim = next(c for c in CLAIMS if c.entry.artifacts == ("table1",))
    judgement = judge(claim, evidence, "smoke")
    assert (judgement.verdict, judgement.why) == (ClaimVerdict.NOT_RUN, SMOKE)
    assert judgement.keys


def test_committed_records_are_gathered_by_level(tmp_path, table1):
    file = kept.file(tmp_path, "itop", "smoke")
    kept.merge(file, records_of([table1], "smoke").values())
    found = gathered.gathered("itop", tmp_path)
    # Table 5 has P 0.5 of Table 1
    assert {cell.point.artifact for cell in found.cells} == {"table1", "table5"}
    assert gathered.gathered("itop", tmp_path / "none") == Evidence()


def test_the_cost_of_an_extended_training_counts_its_length():
    """Twice as long at smoke: twice the FLOPs in units of the typical dense training."""
    records = kept.read(kept.file(artifact.ROOT / "reports", "itop", "smoke"))
    table = artifact.load("itop/panels/figure7_mlp")
    row = table.row("SET-ITOP extended")
    (digest,) = {records.datasets["digits"]}
    planned = artifact.plan(table, "smoke", digest, seeds=[0])
    item = next(item for item in planned if item.label == row.label)
    record = records.record(item.run)
    assert row.length_at("smoke") == 2
    values = gathered._of_record(table, row, "smoke", record)
    assert values["train_flops"] == 2 * record.outcome["train_flops_vs_dense"]
