"""Regression: equality first, then drops by Holm over the panel; exact values; bad endings."""

import json
import math

import pytest
from scipy import stats

from resparse.frozen import regression, retrain
from resparse.frozen.regression import Row, judge
from resparse.record import Record
from resparse.verdict import Verdict, drop_test

OURS, SEEDS = (0, 1, 2), range(10)
STEP = math.sqrt(0.5)  # of values x - s, x, x + s: their sample variance is 0.5


def outcome(top1, **changes):
    """What a run measures; R_s is drawn, so it differs by accuracy here."""
    exact = {"nnz": {"a": 7, "b": 3}, "maskable": 100, "total": 110, "updates": 4}
    exact |= {"dense_forward_flops": 200.0, "test_flops": 20.0, "train_flops_vs_dense": 0.1}
    exact |= {"train_flops": {"init": 0.0, "parent": 0.0, "train": 60.0}}
    return {"top1_last": top1, "rs": top1 / 1000, "weights_sha256": str(top1), **exact, **changes}


def row(label, ours, frozen, *, endings=(), failed=(), change=()):
    """A row from accuracies by seed; ``change`` of our outcomes, ``endings`` by seed."""
    endings = dict(endings)
    records = {
        seed: Record(
            key=f"{label}-{seed}",
            config={},
            fingerprint="f",
            status=endings.get(seed, "completed"),
            reason="because",
            outcome=outcome(top1, **dict(change)),
            curves={},
            provenance={},
        )
        for seed, top1 in enumerate(ours)
        if seed not in dict(failed)
    }
    lines = {s: {"status": "completed", "outcome": outcome(v)} for s, v in enumerate(frozen)}
    return Row(
        label=label,
        workload="digits_mlp",
        sparsity=0.9,
        ours=records,
        frozen=lines,
        failed=dict(failed),
    )


def frozen_at(mean, spread=STEP):
    """Ten values: the first is apart, then three times mean - s, mean, mean + s."""
    return [mean + 5.0, *([mean - spread, mean, mean + spread] * 3)]


def test_rows_equal_to_the_frozen_ones_are_identical_and_nothing_is_tested():
    rows = [row(label, frozen_at(90.0)[:3], frozen_at(90.0)) for label in ("Static", "SET")]
    for finding in judge(rows, 0.5):
        assert finding.verdict is Verdict.IDENTICAL
        assert not finding.regression
        assert (finding.test, finding.p) == (None, None)
    assert retrain.exit_code(judge(rows, 0.5)) == 0


def test_a_number_that_is_not_frozen_does_not_break_identity():
    same = row("SET", frozen_at(90.0)[:3], frozen_at(90.0), change={"new": 1})
    assert judge([same], 0.5)[0].verdict is Verdict.IDENTICAL


def three_rows(gap):
    """SET lower by ``gap`` than seeds 3 to 9, Static off by a bit, RigL identical."""
    others = frozen_at(90.0)[3:]
    mean = sum(others) / 7
    ours = [mean - gap - STEP, mean - gap, mean - gap + STEP]
    return [
        row("Static", [90.001, 89.3, 90.7], frozen_at(90.0)),
        row("SET", ours, frozen_at(90.0)),
        row("RigL", frozen_at(80.0)[:3], frozen_at(80.0)),
    ]


def test_a_drop_beyond_chance_is_a_regression_with_size_p_and_what_could_be_seen():
    findings = judge(three_rows(3.0), 0.5)
    assert [f.verdict for f in findings] == [
        Verdict.WITHIN_TOLERANCE,
        Verdict.DEVIATES_LOW,
        Verdict.IDENTICAL,
    ]
    # by hand: of SET's ten values, three of ours and seven others, whatever the other rows' spread
    seven = frozen_at(90.0)[3:]
    df = 2 + 6
    variance = (2 * 0.5 + sum((x - sum(seven) / 7) ** 2 for x in seven)) / df
    t = -3.0 / math.sqrt(variance * (1 / 3 + 1 / 7))
    found = findings[1]
    assert found.test.difference == pytest.approx(-3.0)
    assert found.test.p_one_sided == pytest.approx(stats.t.cdf(t, df))
    assert found.p == pytest.approx(2 * stats.t.cdf(t, df))  # Holm: the smaller of two
    alone = drop_test([0.0] * 3, [0.0] * 7, (variance, df), 0.025).smallest_visible_drop
    assert found.test.smallest_visible_drop == pytest.approx(alone)
    text = retrain.text(findings, 3)
    line = next(x for x in text.splitlines() if x.startswith("SET"))
    for words in ("digits_mlp", "sparsity 0.9", "REGRESSION", "-3.00", f"p {found.p:.3f}"):
        assert words in line
    assert f"a drop of {alone:.2f} could have been seen" in line
    assert text.endswith("3 rows retrained with 3 seeds each: 1 identical, 1 regression")
    assert retrain.exit_code(findings) == 1


def test_a_drop_that_could_just_be_seen_is_seen_four_times_in_five():
    found = judge(three_rows(3.0), 0.5)[1].test
    df, drop = 8, found.smallest_visible_drop
    se = found.difference / stats.t.ppf(found.p_one_sided, df)
    assert stats.nct.sf(stats.t.ppf(1 - 0.05 / 2, df), df, drop / se) == pytest.approx(0.8)


def test_noise_is_no_regression_but_is_said():
    findings = judge(three_rows(0.3), 0.5)
    assert not any(finding.regression for finding in findings)
    assert findings[1].p > 0.05
    line = retrain.text(findings, 3).splitlines()[1]
    assert "WITHIN TOLERANCE: not identical" in line
    assert "could have been seen" in line
    assert retrain.exit_code(findings) == 0


def test_a_higher_accuracy_is_no_regression():
    assert not judge(three_rows(-3.0), 0.5)[1].regression


def test_holm_is_over_the_rows_that_are_not_identical():
    """A drop of one-sided p .04 alone is a regression, beside one that is not lower it is none."""
    frozen = frozen_at(90.0)
    others = frozen[3:]
    one = [90.0, 90.0 - STEP, 90.0 + STEP]
    variance = (1.0 + sum((x - sum(others) / 7) ** 2 for x in others)) / 8
    gap = -stats.t.ppf(0.04, 8) * math.sqrt(variance * (1 / 3 + 1 / 7))
    low = [sum(others) / 7 - gap + x - 90.0 for x in one]
    (alone,) = judge([row("SET", low, frozen)], 0.5)
    assert alone.p == pytest.approx(0.04)
    assert alone.verdict is Verdict.DEVIATES_LOW
    high = [sum(others) / 7 + gap + x - 90.0 for x in one]
    both = judge([row("SET", low, frozen), row("Static", high, frozen)], 0.5)
    assert both[0].test.p_one_sided == pytest.approx(0.04)
    assert both[0].p == pytest.approx(0.08)
    assert not both[0].regression


def test_a_row_is_tested_with_its_own_spread():
    """A dense row spreads by 0.3 points and a sparse one by 5: neither speaks of the other."""
    low = row("Dense", [89.0 - STEP, 89.0, 89.0 + STEP], frozen_at(90.0))
    wide = row("RigL", [70.0, 60.0, 80.0], frozen_at(70.0, spread=10.0))
    (alone,), both = judge([low], 0.5), judge([low, wide], 0.5)
    assert both[0].test[:2] == alone.test[:2]
    assert both[0].test.smallest_visible_drop > alone.test.smallest_visible_drop  # Holm's price


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_flops": 21.0}, "test_flops is 21.0 at seed 0, frozen 20.0"),
        ({"nnz": {"a": 6, "b": 4}}, "nnz of a is 6 at seed 0, frozen 7"),
        ({"nnz": {"a": 7, "b": 4}}, "nnz is 11 at seed 0, frozen 10"),
        ({"train_flops": {"init": 0.0, "parent": 0.0, "train": 61.0}},
         "train_flops of train is 61.0 at seed 0, frozen 60.0"),
        ({"updates": 5}, "updates is 5 at seed 0, frozen 4"),
    ],
)  # fmt: skip
def test_an_exact_value_that_changed_is_a_regression_by_itself(change, words):
    (finding,) = judge([row("SET", frozen_at(90.0)[:3], frozen_at(90.0), change=change)], 0.5)
    assert finding.verdict is Verdict.MISMATCH
    assert f"exact value changed: {words}" in finding.why
    assert finding.p > 0.05
    assert retrain.exit_code([finding]) == 1


def test_what_the_seed_decides_is_not_exact():
    """R_s differs by seed here; counts that move between layers keep their sum alone."""
    changed = row("SET", frozen_at(90.0)[:3], frozen_at(90.0), change={"rs": 0.777})
    assert regression.exact_changes(changed) == []
    for seed, line in changed.frozen.items():
        line["outcome"] = outcome(90.0, nnz={"a": 7 - seed % 2, "b": 3 + seed % 2})
    moved = row("SET", [90.0] * 3, frozen_at(90.0), change={"nnz": {"a": 5, "b": 5}})
    apart = Row(**{**vars(moved), "frozen": changed.frozen})
    assert regression.exact_changes(apart) == []
    more = row("SET", [90.0] * 3, frozen_at(90.0), change={"nnz": {"a": 5, "b": 6}})
    apart = Row(**{**vars(more), "frozen": changed.frozen})
    assert "nnz is 11" in regression.exact_changes(apart)[0]


@pytest.mark.parametrize("ending", ["diverged", "collapsed"])
def test_a_bad_ending_where_the_frozen_run_completed_is_a_regression(ending):
    bad = row("SET", frozen_at(90.0)[:3], frozen_at(90.0), endings={1: ending})
    (finding,) = judge([bad], 0.5)
    assert finding.verdict is Verdict.UNSTABLE
    assert f"seed 1 {ending} (because), the frozen run completed" in finding.why
    assert finding.regression
    assert retrain.exit_code([finding]) == 1


def test_the_same_bad_ending_as_frozen_is_no_regression_and_in_no_test():
    frozen = [10.0, *frozen_at(90.0)[1:]]
    same = row("SET", [10.0], frozen, endings={0: "diverged"})
    also = row("Static", [10.0, 89.9], frozen, endings={0: "diverged"})  # seed 1 is another
    for made in (same, also):
        made.frozen[0]["status"] = "diverged"
    findings = judge([same, also], 0.5)
    assert findings[0].verdict is Verdict.IDENTICAL
    assert not findings[1].regression
    assert also.values == [89.9]
    assert findings[1].test.difference == pytest.approx(89.9 - sum(frozen[2:]) / 8)


def test_a_run_that_failed_outranks_a_regression():
    lost = row("SET", frozen_at(90.0)[:3], frozen_at(90.0), failed={2: "RunFailed: no space"})
    (finding,) = judge([lost], 0.5)
    assert finding.verdict is Verdict.FAILED
    assert "seed 2 failed: RunFailed: no space" in finding.why
    assert retrain.exit_code([finding, judge(three_rows(3.0), 0.5)[1]]) == 2


def test_without_completed_runs_no_drop_is_tested():
    none = row("SET", [10.0] * 3, frozen_at(90.0), endings=dict.fromkeys(OURS, "collapsed"))
    (finding,) = judge([none], 0.5)
    assert finding.test is None
    assert finding.verdict is Verdict.UNSTABLE
    assert "no drop can be tested on 0 completed runs against 7" in finding.why


def test_json_holds_every_row(capsys):
    text = json.loads(retrain.as_json_text(judge(three_rows(3.0), 0.5), 3, 1))
    assert text["exit_code"] == 1
    assert [r["regression"] for r in text["rows"]] == [False, True, False]
    assert text["rows"][1]["difference"] == pytest.approx(-3.0)
    assert text["rows"][2]["p"] is None


def test_markdown_says_what_got_worse_first_and_no_cell_breaks_the_table():
    findings = judge(three_rows(3.0), 0.5)
    broken = findings[0]._replace(why="a|b\nc")
    lines = retrain.markdown([broken, *findings[1:]], 3, "mini").splitlines()
    assert lines[0] == "3 rows of the panel at level mini, 3 seeds each: 1 regression"
    assert lines[4].startswith("| SET | digits_mlp | 0.9 | **DEVIATES low** | -3.00 | 0.0")
    assert all(line.count("|") == 9 for line in lines[2:])
    assert "a&#124;b c" in lines[5]
