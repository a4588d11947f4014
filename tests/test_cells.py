"""Cells of a table from made-up records: failed and unstable runs, and drops judged together."""

import json
import math

import pytest
from scipy import stats

from resparse import artifact
from resparse.frozen import lines as frozen
from resparse.record import Record
from resparse.tables import cells
from resparse.verdict import Verdict, drop_test, exit_code

TABLE = artifact.load("itop/table2")  # its margin is 0.5


def record(label, seed, top1, status="completed", reason=""):
    """A record of a row at sparsity 0.9, smoke."""
    (planned,) = artifact.plan(TABLE, "smoke", "x", seeds=[seed], only=[label], sparsities=[0.9])
    return Record(
        key=planned.run.key,
        config=planned.run.config,
        fingerprint="f",
        status=status,
        reason=reason,
        outcome={
            "top1_last": top1,
            "top1_best_val": None,
            "rs": 0.5,
            "nnz": {"a": 1},
            "maskable": 10,
            "total": 11,
        },
        curves={},
        provenance={},
    )


def built(records, failures=(), *, comparable=False):
    """The top-1 cells by label."""
    labels = list(dict.fromkeys([*records, *failures]))
    table = cells.build(
        TABLE,
        "paper" if comparable else "smoke",
        {(label, 0.9): found for label, found in records.items()},
        {(label, 0.9): why for label, why in dict(failures).items()},
        set(),
        comparable=comparable,
        sparsities=[0.9],
        labels=labels,
    )
    return {row.label: row.cells["top1_last"] for row in table}


@pytest.fixture(autouse=True)
def freeze(monkeypatch, tmp_path):
    """A function that freezes values by row, one a seed; without a call nothing is frozen."""
    monkeypatch.setattr(frozen, "ROOT", tmp_path)

    def write(values):
        lines = []
        for label, tops in values.items():
            for seed, top in enumerate(tops):
                made = record(label, seed, top)
                facts = {"row": label, "sparsity": 0.9, "seed": seed, "key": made.key}
                facts |= {"status": made.status, "fingerprint": "f", "outcome": made.outcome}
                lines.append(json.dumps(facts) + "\n")
        path = tmp_path / "baselines" / "frozen" / "itop" / "table2-smoke.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(lines))

    return write


# ---------------------------------------------------------------- failed and unstable


@pytest.mark.parametrize("seeds", [0, 2])
def test_a_cell_with_a_failed_run_is_failed_and_says_why(seeds):
    found = [record("Static", seed, 60.0) for seed in range(seeds)] + [None]
    others = [record("RigL", seed, 60.0) for seed in range(3)]
    failures = {"Static": "seed 2: the disk is full"}
    table = built({"Static": found, "RigL": others}, failures)
    assert table["Static"].verdict is Verdict.FAILED
    assert "seed 2: the disk is full" in table["Static"].note
    assert table["RigL"].verdict is not Verdict.FAILED
    assert exit_code(cell.verdict for cell in table.values()) == 2


@pytest.mark.parametrize("status", ["diverged", "collapsed"])
def test_an_unstable_cell_names_seed_status_reason_and_the_mean_without_it(status):
    found = [record("RigL", 0, 73.0), record("RigL", 1, 10.0, status, "because of this")]
    found.append(record("RigL", 2, 74.0))
    (cell,) = built({"RigL": found}, comparable=True).values()
    assert cell.verdict is Verdict.UNSTABLE
    assert cell.value == pytest.approx((73.0 + 10.0 + 74.0) / 3)  # no seed is dropped
    for words in ("seed 1", status, "because of this", "without", "73.50"):
        assert words in cell.note
    assert "seed 0" not in cell.note
    assert "seed 2" not in cell.note


def test_a_cell_of_unstable_runs_alone_has_no_mean_without_them():
    found = [record("RigL", seed, 10.0, "collapsed", "at chance") for seed in range(3)]
    (cell,) = built({"RigL": found}, comparable=True).values()
    assert cell.verdict is Verdict.UNSTABLE
    assert cell.note.count("at chance") == 3
    assert "without" not in cell.note


def test_stable_cells_carry_no_such_note():
    (cell,) = built({"RigL": [record("RigL", seed, 73.0) for seed in range(3)]}).values()
    assert cell.verdict is Verdict.NOT_COMPARABLE
    assert cell.note == ""


# ---------------------------------------------------------------- drops against frozen seeds


def around(mean, variance, n):
    """n values of exactly this mean and sample variance."""
    x = [i - (n - 1) / 2 for i in range(n)]
    scale = math.sqrt(variance * (n - 1) / sum(v * v for v in x))
    return [mean + scale * v for v in x]


def with_a_drop(gap, p):
    """(ours, frozen): three and eight seeds, of which five are not ours; a drop of this p.

    Student's t has 2 + 4 degrees of freedom, and both groups the variance that makes gap / se the
    quantile of p.
    """
    se = gap / stats.t.ppf(p, 6)
    variance = se**2 / (1 / 3 + 1 / 5)
    ours, others = around(60.0 + gap, variance, 3), around(60.0, variance, 5)
    assert drop_test(ours, others)[:2] == pytest.approx((gap, p))
    return ours, [59.0, 60.0, 61.0, *others]


def judged(drops, freeze):
    """Frozen verdicts of rows with these (gap, p), in this order."""
    made = {label: with_a_drop(*drop) for label, drop in drops.items()}
    freeze({label: values for label, (_, values) in made.items()})
    ours = {
        label: [record(label, seed, top) for seed, top in enumerate(tops)]
        for label, (tops, _) in made.items()
    }
    return {label: cell.frozen_verdict for label, cell in built(ours).items()}


@pytest.mark.parametrize("order", [["Static", "SET", "RigL"], ["RigL", "SET", "Static"]])
def test_drops_are_judged_by_holm_over_the_table(order, freeze):
    # adjusted by Holm: 3 x .010, 2 x .030, .060 (not below the one before); by Benjamini and
    # Hochberg: 3 x .010, min(3/2 x .030, .040), .040, all below .05
    drops = {"Static": (-2.0, 0.010), "SET": (-0.3, 0.030), "RigL": (-0.8, 0.040)}
    found = judged({label: drops[label] for label in order}, freeze)
    assert found == {
        "Static": Verdict.DEVIATES_LOW,
        "SET": Verdict.WITHIN_TOLERANCE,  # beyond chance alone, not among three
        "RigL": Verdict.INCONCLUSIVE,
    }


@pytest.mark.parametrize("p", [0.030, 0.040])
def test_alone_in_its_table_the_same_drop_is_beyond_chance(p, freeze):
    assert judged({"SET": (-0.3, p)}, freeze) == {"SET": Verdict.DEVIATES_LOW}


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (-0.49, Verdict.WITHIN_TOLERANCE),
        (-0.51, Verdict.INCONCLUSIVE),
        (-5.0, Verdict.INCONCLUSIVE),
    ],
)
def test_a_drop_that_chance_may_explain_is_within_tolerance_only_inside_the_margin(
    gap, verdict, freeze
):
    assert TABLE.margin_pp == 0.5
    assert judged({"SET": (gap, 0.2)}, freeze) == {"SET": verdict}


def test_runs_equal_to_the_frozen_ones_are_identical_whatever_else_is_judged(freeze):
    ours, values = with_a_drop(-2.0, 0.010)
    freeze({"Static": values, "SET": values})
    same = [record("SET", seed, values[seed]) for seed in range(3)]
    lower = [record("Static", seed, top) for seed, top in enumerate(ours)]
    table = built({"Static": lower, "SET": same})
    assert table["SET"].frozen_verdict is Verdict.IDENTICAL
    assert table["Static"].frozen_verdict is Verdict.DEVIATES_LOW
    assert exit_code(c.frozen_verdict for c in table.values()) == 1
