"""How often a verdict comes, how many seeds decide, and which drop could have been seen."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

# 1, 0, -1 around a mean: sample variance 1. Three such cells pool to variance 1 with 6 df.
from test_verdict import SPREAD_ONLY, cell, spread_by

from resparse import verdict as v
from resparse.verdict import Comparison, Sample, Verdict


def test_chance_reproduced_by_hand():
    # 6 df, se 1: the interval reaches 1.943 to either side, so a margin of 1.943 + 1.440, the
    # t of .90, leaves the difference 1.440 to either side: .80
    assert v.chance_reproduced(3.383, 1.0, 6) == pytest.approx(0.8, abs=1e-3)
    assert v.chance_reproduced(0.3383, 0.1, 6) == pytest.approx(0.8, abs=1e-3)
    assert v.chance_reproduced(1.943, 1.0, 6) == 0.0  # the interval fills the margin
    assert v.chance_reproduced(99.0, 1.0, 6) == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "margin"), [(3, 2.1), (3, 2.6), (6, 1.5)])
def test_chance_reproduced_is_the_share_of_simulated_experiments(n, margin):
    x, y = np.random.default_rng(1).normal(size=(2, 40_000, n))
    test = stats.ttest_ind(x, y, axis=1)
    interval = test.confidence_interval(0.9)
    share = np.mean((interval.low > -margin) & (interval.high < margin))
    assert 0.3 < share < 0.8
    chances = [v.chance_reproduced(margin, se, 2 * n - 2) for se in test._standard_error[:500]]
    assert np.mean(chances) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("known", [True, False])
def test_judge_reproduces_a_faithful_table_as_often_as_it_says(known, monkeypatch):
    monkeypatch.setattr(v, "MOST_SEEDS", 9)  # for speed: that search is not the matter here
    rng = np.random.default_rng(2)
    shares, chances = [], []
    for x in rng.normal(90, 1, (12, 100, 9)):  # tables, cells, our 4 seeds and the paper's 5
        references = [Sample(y.mean(), y.std(ddof=1) if known else None, 5) for y in x[:, 4:]]
        cells = [Comparison(y.tolist(), r, 1.6) for y, r in zip(x[:, :4], references, strict=True)]
        judged = v.judge(cells)
        shares += [j.verdict is Verdict.REPRODUCED for j in judged]
        chances += [j.chance_reproduced for j in judged]
    assert 0.3 < np.mean(shares) < 0.8
    # 1200 cells: a standard error of .014, and .02 too much hope (from 6000 cells) with Welch's df
    assert np.mean(chances) == pytest.approx(np.mean(shares), abs=0.05)


def test_a_difference_as_large_as_the_margin_rarely_deviates(monkeypatch):
    monkeypatch.setattr(v, "MOST_SEEDS", 9)
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels collects at every call: 50 ms
    # One tail alone would say DEVIATES nearly 10 % of the time: the margin is small beside the se.
    rng = np.random.default_rng(3)
    judged = [
        v.judge([Comparison(x.tolist(), Sample(90.0, 0.0, 3), 0.02)])[0].verdict
        for x in rng.normal(90.02, 1, (600, 4))
    ]
    share = np.mean([verdict in ("DEVIATES low", "DEVIATES high") for verdict in judged])
    assert 0.03 < share < 0.075


# ---------------------------------------------------------------- how many seeds would decide


@pytest.mark.parametrize(
    ("mean", "reference", "end"),
    [
        (90.2, Sample(90.0, 0.3, 20), "REPRODUCED"),
        (90.2, Sample(90.0, None, 50), "REPRODUCED"),
        (91.1, Sample(90.0, 0.3, 20), "DEVIATES high"),
        (88.8, Sample(90.0, None, 50), "DEVIATES low"),
    ],
)
@pytest.mark.parametrize("rivals", [(), (96.0, 91.6)])
def test_seeds_to_decide_decide_and_one_fewer_do_not(mean, reference, end, rivals):
    # Of two other cells one is beyond doubt, and one would be were Holm not to count it twice.
    others = [cell(m, Sample(90.0, 0.0, 3), 0.5) for m in rivals]
    first, *rest = v.judge([cell(mean, reference, 0.7), *others], others=SPREAD_ONLY)
    assert [str(r.verdict) for r in rest] == ["DEVIATES high", "INCONCLUSIVE"][: len(rest)]
    assert all(0.05 < r.p < 0.1 for r in rest[1:])
    assert first.verdict in ("WITHIN TOLERANCE", "INCONCLUSIVE")
    n = first.seeds_to_decide
    assert n is not None
    assert 4 < n < 200
    for seeds, verdict in ((n, end), (n - 1, str(first.verdict))):
        values = spread_by(seeds, mean, 1.0)
        again = v.judge([Comparison(values, reference, 0.7), *others], others=SPREAD_ONLY)[0]
        assert again.difference == pytest.approx(first.difference)
        assert again.verdict == Verdict(verdict)


def test_a_decided_cell_needs_no_more_seeds():
    known = Sample(90.0, 0.0, 3)
    judged = v.judge([cell(90.0, known, 5.0), cell(99.0, known, 0.5)])
    assert [j.verdict for j in judged] == [Verdict.REPRODUCED, Verdict.DEVIATES_HIGH]
    assert [j.seeds_to_decide for j in judged] == [3, 3]


def test_one_more_seed_may_be_enough():
    # half the interval is 1.943 / sqrt(3) = 1.122 with 3 seeds, 1.895 / sqrt(4) = .947 with 4
    judged = v.judge([cell(90.0, Sample(90.0, 0.0, 3), 1.0)], others=SPREAD_ONLY)[0]
    assert (judged.verdict, judged.seeds_to_decide) == (Verdict.WITHIN_TOLERANCE, 4)


def test_no_number_of_seeds_outweighs_a_noisy_reference():
    noisy, clear = Sample(90.0, 1.0, 3), Sample(90.0, 1.0, 300)
    for mean in (90.2, 90.9):
        tables = [v.judge([cell(mean, r, 0.5)], others=SPREAD_ONLY)[0] for r in (noisy, clear)]
        assert tables[0].seeds_to_decide is None
        assert tables[1].seeds_to_decide is not None
        values = spread_by(1000, mean, 1.0)
        again = v.judge([Comparison(values, noisy, 0.5)], others=SPREAD_ONLY)[0]
        assert again.verdict is tables[0].verdict


def test_a_difference_equal_to_the_margin_is_never_decided():
    (judged,) = v.judge([cell(90.5, Sample(90.0, 0.0, 3), 0.5)])
    assert (judged.verdict, judged.seeds_to_decide) == (Verdict.WITHIN_TOLERANCE, None)


# ---------------------------------------------------------------- regression against frozen


def test_drop_test_is_scipys_and_its_power_statsmodels():
    ours, frozen = [92.1, 91.4, 92.0], [93.0, 92.7, 91.8, 92.4, 93.3]
    result = v.drop_test(ours, frozen)
    test = stats.ttest_ind(ours, frozen, alternative="less")
    assert result.difference == pytest.approx(np.mean(ours) - np.mean(frozen))
    assert result.p_one_sided == pytest.approx(test.pvalue)
    sigma = math.sqrt(v.pooled_variance([ours, frozen])[0])
    power = TTestIndPower().power(
        result.smallest_visible_drop / sigma, 3, 0.05, ratio=5 / 3, alternative="larger"
    )
    assert power == pytest.approx(0.8, abs=1e-6)
    assert v.drop_test(frozen[:3], ours).p_one_sided > 0.9  # higher is no drop


def test_drop_test_with_a_tables_pool():
    result = v.drop_test([91.0], [93.0], (0.25, 40))  # se = .5 sqrt(2), t = -2.828
    assert result.p_one_sided == pytest.approx(stats.t.cdf(-2 * math.sqrt(2), 40))
    # with 40 df nearly (z.95 + z.80) se = 2.487 * .707
    assert result.smallest_visible_drop == pytest.approx(1.758, abs=0.04)


@pytest.mark.parametrize("df", [1, 2, 10_000])
def test_the_visible_drop_is_found_at_every_df(df):
    drop = v.drop_test([91.0], [93.0], (0.5, df)).smallest_visible_drop  # se = 1
    z, chi2 = np.random.default_rng(4).normal(size=100_000), stats.chi2(df)
    t = (z - drop) / np.sqrt(chi2.rvs(100_000, random_state=5) / df)
    assert np.mean(t < stats.t.ppf(0.05, df)) == pytest.approx(0.8, abs=0.01)


def test_drop_test_without_spread():
    assert v.drop_test([93.0, 93.0], [93.0, 93.0]).p_one_sided == 0.5
    lower = v.drop_test([92.9, 92.9], [93.0, 93.0])
    assert (lower.difference, lower.p_one_sided) == (-0.1, pytest.approx(0.0))
    assert lower.smallest_visible_drop == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("pool", [None, (0.25, 40)])
@pytest.mark.parametrize(
    ("ours", "frozen"), [([], [1.0, 2.0]), ([1.0, 2.0], []), ([math.nan, 1.0], [1.0, 2.0])]
)
def test_drop_test_refuses(ours, frozen, pool):
    with pytest.raises(ValueError, match="at least one"):
        v.drop_test(ours, frozen, pool)


def test_a_table_without_statistical_cells_has_no_judgement():
    assert v.judge([]) == []


# ---------------------------------------------------------------- error rates and chances
