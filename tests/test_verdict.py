"""Verdicts against numbers worked by hand, or by scipy and statsmodels along another path."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from resparse import verdict as v
from resparse.verdict import Comparison, Sample, Verdict

# 1, 0, -1 around a mean: sample variance 1. Three such cells pool to variance 1 with 6 df.
AROUND = (1.0, 0.0, -1.0)
SPREAD_ONLY = [[50.0 + x for x in AROUND]] * 2


def cell(mean: float, reference: Sample, margin: float, scale: float = 1.0) -> Comparison:
    return Comparison([mean + scale * x for x in AROUND], reference, margin)


def spread_by(n: int, mean: float, variance: float) -> list[float]:
    """n values of exactly this mean and sample variance."""
    x = np.arange(n) - (n - 1) / 2
    return [float(value) for value in mean + x * math.sqrt(variance / np.var(x, ddof=1))]


# ---------------------------------------------------------------- names and exit codes


def test_the_names_are_those_of_the_design():
    assert {member.value for member in Verdict} == {
        *("FAILED", "NOT RUN", "INCOMPLETE", "STALE", "NO REFERENCE", "NOT COMPARABLE"),
        *("UNSTABLE", "MISMATCH", "EXACT", "IDENTICAL", "REPRODUCED", "DEVIATES low"),
        *("DEVIATES high", "WITHIN TOLERANCE", "INCONCLUSIVE"),
    }


@pytest.mark.parametrize(
    ("verdicts", "lax", "strict"),
    [
        ([], 0, 0),
        (["EXACT", "IDENTICAL", "REPRODUCED", "WITHIN TOLERANCE", "NO REFERENCE"], 0, 0),
        (["NOT RUN", "INCOMPLETE", "STALE", "NOT COMPARABLE", "UNSTABLE"], 0, 0),
        (["REPRODUCED", "INCONCLUSIVE"], 0, 3),
        (["DEVIATES low"], 1, 1),
        (["DEVIATES high", "INCONCLUSIVE"], 1, 1),
        (["MISMATCH", "EXACT"], 1, 1),
        (["MISMATCH", "FAILED", "INCONCLUSIVE"], 2, 2),
    ],
)
def test_exit_codes(verdicts, lax, strict):
    members = [Verdict(name) for name in verdicts]
    assert (v.exit_code(members), v.exit_code(members, strict=True)) == (lax, strict)


# ---------------------------------------------------------------- exact cells


@pytest.mark.parametrize(
    ("value", "printed", "text"),
    [
        (0.4138, "0.42", "0.41"),
        (0.4138, "0.4138", "0.4138"),
        (25557032, "1", "25557032"),
        (0.6, "0", "1"),
        (3.2e18, "3.2e18", "3.2e18"),
        (8178368512, "8.2e9", "8.2e9"),
        (8178368512, "8.178e9", "8.178e9"),
        (8178368512, "8e9", "8e9"),
        (0.000123, "1.2e-4", "1.2e-4"),
        (9.96e9, "8.2e9", "1.0e10"),  # the mantissa rounds to ten
        (8.2e8, "8.2e9", "8.2e8"),
        (5.0, "8.20e9", "5.00e0"),
        (0.0, "8.2e9", "0.0e0"),
        (-8178368512, "-8.2e9", "-8.2e9"),
        (-0.001, "0.42", "0.00"),  # no minus zero
        (0.125, "0.12", "0.13"),  # ties go up, where format() goes to even
        (0.285, "0.28", "0.29"),  # in binary 0.28499999999999998
        (-0.125, "0.12", "-0.13"),
        (0.1 + 0.2 - 0.175, "0.12", "0.13"),  # 0.12500000000000006, and its like below
        (0.7 + 0.1 - 0.675, "0.12", "0.13"),  # 0.12499999999999989: the order of a sum is no tie
        (1234567890123456, "1", "1234567890123456"),  # counts keep all their digits
        (2.5e9, "8e9", "3e9"),
    ],
)
def test_rounded_like(value, printed, text):
    assert v.rounded_like(value, printed) == text


@pytest.mark.parametrize("printed", ["", "abc", "4.", ".5", "8.2e+9", "8.2e09", "82e8", "1,000"])
def test_a_printed_text_of_another_form_is_refused(printed):
    with pytest.raises(ValueError, match="printed number"):
        v.rounded_like(1.0, printed)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_exact_value_must_be_finite(value):
    with pytest.raises(ValueError, match="finite"):
        v.exact(value, "0.4138", None)


@pytest.mark.parametrize(
    ("computed", "expected", "published", "erratum", "result"),
    [
        (0.41384, "0.4138", "0.41", None, ("EXACT", "0.4138, printed 0.41")),
        (8178368512, "8.178e9", "8.2e9", None, ("EXACT", "8.178e9, printed 8.2e9")),
        (0.41384, "0.4138", "0.42", "e7", ("EXACT", "0.4138, printed 0.42: erratum e7")),
        (0.41384, "0.4138", "0.42", None, ("MISMATCH", "no erratum explains it")),
        (0.41384, "0.4138", "0.42", "", ("MISMATCH", "no erratum explains it")),
        (0.41384, "0.4138", "0.41", "e7", ("MISMATCH", "erratum e7 is stale")),
        (0.41384, "0.4138", None, "e7", ("MISMATCH", "erratum e7 is stale")),
        (0.41384, "0.4138", None, None, ("NO REFERENCE", "0.4138, printed nothing")),
        (0.41386, "0.4138", "0.41", None, ("MISMATCH", "computed 0.4139, expected 0.4138")),
        (0.41386, "0.4138", None, None, ("MISMATCH", "computed 0.4139, expected 0.4138")),
        (0.41386, "0.4138", "0.42", "e7", ("MISMATCH", "computed 0.4139, expected 0.4138")),
        (8178368512, "8.179e9", "8.2e9", None, ("MISMATCH", "computed 8.178e9, expected 8.179e9")),
    ],
)
def test_exact(computed, expected, published, erratum, result):
    verdict, why = v.exact(computed, expected, published, erratum)
    assert verdict == Verdict(result[0])
    assert why.endswith(result[1])


# ---------------------------------------------------------------- samples and spread


def test_summarise_keeps_unstable_runs():
    every, stable = v.summarise([90.0, 92.0, 10.0], [False, False, True])
    assert every == (64.0, pytest.approx(math.sqrt((26**2 + 28**2 + 54**2) / 2)), 3)
    assert stable == (91.0, pytest.approx(math.sqrt(2)), 2)
    assert v.summarise([10.0], [True]) == (Sample(10.0, None, 1), None)
    assert v.summarise([90.0, 10.0], [False, True])[1] == Sample(90.0, None, 1)


def test_summarise_refuses_what_it_cannot_count():
    for values, unstable in (([1.0], []), ([], []), ([math.nan, 1.0], [True, False])):
        with pytest.raises(ValueError):
            v.summarise(values, unstable)


def test_pooled_variance_weighs_by_degrees_of_freedom():
    # sums of squares 2 (df 1), 2 (df 2), 0 (df 0)
    assert v.pooled_variance([[1, 3], [4, 5, 6], [9]]) == (pytest.approx(4 / 3), 3)
    rng = np.random.default_rng(0)
    groups = [rng.normal(90, 1, 5).tolist() for _ in range(4)]  # of equal size: the plain mean
    assert v.pooled_variance(groups) == (pytest.approx(np.var(groups, axis=1, ddof=1).mean()), 16)


def test_without_two_seeds_anywhere_there_is_no_spread():
    with pytest.raises(ValueError, match="two seeds"):
        v.pooled_variance([[1.0], [2.0]])
    with pytest.raises(ValueError, match="two seeds"):
        v.judge([Comparison([93.0], Sample(93.0, 0.2, 3), 0.5)])


def test_levene_is_scipys_over_groups_that_can_tell():
    quiet, loud = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [0.0, 5.0, -5.0, 9.0, -9.0, 2.0]
    p = stats.levene(quiet, loud).pvalue
    assert 0 < p < 0.05
    assert v.levene([quiet, loud, [1.0, 7.0], [3.0]]) == pytest.approx(p)
    assert v.levene([[1.0, 2.0], [1.0, 3.0]]) is None  # scipy would say p = 0
    assert v.levene([quiet]) is None
    assert v.levene([[1.0] * 3, [2.0] * 3]) is None  # scipy would say nan


# ---------------------------------------------------------------- statistical cells


@pytest.mark.parametrize(
    ("mean", "reference", "margin", "verdict"),
    [
        # pool 1 with 6 df; a known reference: se = sqrt(1/3) = .577, t(.95, 6) = 1.943, half 1.122
        (90.0, Sample(90.0, 0.0, 3), 1.13, "REPRODUCED"),
        (90.0, Sample(90.0, 0.0, 3), 1.12, "WITHIN TOLERANCE"),
        (90.5, Sample(90.0, 0.0, 3), 1.63, "REPRODUCED"),
        (90.5, Sample(90.0, 0.0, 3), 1.62, "WITHIN TOLERANCE"),
        (89.5, Sample(90.0, 0.0, 3), 1.62, "WITHIN TOLERANCE"),
        (90.5, Sample(90.0, 0.0, 3), 0.5, "WITHIN TOLERANCE"),  # on the margin
        (90.5, Sample(90.0, 0.0, 3), 0.49, "INCONCLUSIVE"),
        # beyond the margin by 1.943 se, 1.122: .05 in one tail
        (91.7, Sample(90.0, 0.0, 3), 0.5, "DEVIATES high"),
        (91.6, Sample(90.0, 0.0, 3), 0.5, "INCONCLUSIVE"),
        (88.3, Sample(90.0, 0.0, 3), 0.5, "DEVIATES low"),
        (88.4, Sample(90.0, 0.0, 3), 0.5, "INCONCLUSIVE"),
        # the reference's spread unknown: se = sqrt(2/3) = .816, half 1.587
        (90.0, Sample(90.0, None, 3), 1.59, "REPRODUCED"),
        (90.0, Sample(90.0, None, 3), 1.58, "WITHIN TOLERANCE"),
        (90.0, Sample(90.0, None, 1), 2.25, "REPRODUCED"),  # se = sqrt(4/3), half 2.244
        (90.0, Sample(90.0, None, 1), 2.24, "WITHIN TOLERANCE"),
        # and printed: variances 1/3 and 4/3, df = (5/3)^2 / ((1/3)^2/6 + (4/3)^2/2) = 3.06
        (90.0, Sample(90.0, 2.0, 3), 3.04, "REPRODUCED"),
        (90.0, Sample(90.0, 2.0, 3), 2.9, "WITHIN TOLERANCE"),
    ],
)
def test_every_verdict_at_its_border(mean, reference, margin, verdict):
    (judged,) = v.judge([cell(mean, reference, margin)], others=SPREAD_ONLY)
    assert judged.verdict == Verdict(verdict)


@pytest.mark.parametrize(("high", "low", "margin"), [(92.0, 91.6, 0.4), (93.3, 92.6, 0.7)])
def test_a_difference_that_prints_as_the_margin_is_on_it(high, low, margin):
    assert high - low > margin  # by the last bit
    for ours, theirs in ((high, low), (low, high)):
        reference = Sample(theirs, None, 3)
        (judged,) = v.judge([Comparison([ours], reference, margin)], others=SPREAD_ONLY)
        assert judged.verdict is Verdict.WITHIN_TOLERANCE
        assert abs(judged.difference) == margin


def test_interval_and_tost_are_scipys_and_statsmodels():
    ours, theirs = [92.1, 93.0, 92.7, 91.8], [92.5, 92.2, 93.1]
    reference = Sample(float(np.mean(theirs)), float(np.std(theirs, ddof=1)), 3)
    (judged,) = v.judge([Comparison(ours, reference, 0.5)])
    test = stats.ttest_ind(ours, theirs, equal_var=False)  # one cell: the pool is its own variance
    interval = test.confidence_interval(0.9)
    assert judged.ci90 == pytest.approx((interval.low, interval.high))
    assert judged.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
    edge = max(abs(interval.low), abs(interval.high))  # TOST is at .05 there
    assert ttost_ind(ours, theirs, -edge, edge, usevar="unequal")[0] == pytest.approx(0.05)
    for margin, verdict in (
        (edge * 1.001, Verdict.REPRODUCED),
        (edge * 0.999, Verdict.WITHIN_TOLERANCE),
    ):
        (judged,) = v.judge([Comparison(ours, reference, margin)])
        assert judged.verdict is verdict


def test_a_missing_std_makes_it_students_test():
    ours, theirs = [92.1, 93.0, 92.7, 91.8], [92.5, 92.2, 93.1]
    reference = Sample(float(np.mean(theirs)), None, 3)
    (judged,) = v.judge([Comparison(ours, reference, 0.5)], others=[theirs])
    interval = stats.ttest_ind(ours, theirs).confidence_interval(0.9)
    assert judged.ci90 == pytest.approx((interval.low, interval.high))


def test_holm_by_hand():
    # The tail p of the margin's edge, from the distribution itself; three cells, pool 1, df 6.
    se = math.sqrt(1 / 3)
    gaps = (3.0, 1.9, 1.7)
    a, b, c = (stats.t.sf((g - 0.5) / se, 6) + stats.t.sf((g + 0.5) / se, 6) for g in gaps)
    assert a < b < c < 0.05
    assert 2 * b > 0.05
    cells = [cell(90 + g, Sample(90.0, 0.0, 3), 0.5) for g in gaps]
    # smallest times three, next times two, largest as it is; never below a smaller one's
    by_hand = [3 * a, max(3 * a, 2 * b), max(3 * a, 2 * b, c)]
    for order in ([0, 1, 2], [2, 0, 1]):
        judged = v.judge([cells[i] for i in order])
        assert [j.p for j in judged] == pytest.approx([by_hand[i] for i in order])
        names = ["DEVIATES high", "INCONCLUSIVE", "INCONCLUSIVE"]
        assert [j.verdict for j in judged] == [names[i] for i in order]
    # alone in its table, with the same pool, the third cell is beyond chance
    (alone,) = v.judge(cells[2:], others=SPREAD_ONLY)
    assert (alone.verdict, alone.p) == (Verdict.DEVIATES_HIGH, pytest.approx(c))


def test_the_pool_lets_one_seed_be_judged():
    (judged,) = v.judge([Comparison([80.0], Sample(90.0, None, 3), 0.5)], others=SPREAD_ONLY)
    assert judged.verdict is Verdict.DEVIATES_LOW
    half = stats.t.ppf(0.95, 4) * math.sqrt(1 + 1 / 3)
    assert judged.ci90 == pytest.approx((-10 - half, -10 + half))


def test_cells_without_spread_are_judged_by_their_difference():
    known = Sample(90.0, 0.0, 3)
    means = (90.0, 90.4, 90.5, 90.6, 89.4)
    judged = v.judge([cell(m, known, 0.5, scale=0.0) for m in means])
    assert [str(j.verdict) for j in judged] == [
        *("REPRODUCED", "REPRODUCED", "WITHIN TOLERANCE", "DEVIATES high", "DEVIATES low")
    ]
    assert judged[0].chance_reproduced == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Comparison([93.0, 94.0], Sample(93.0, None, 3), 0.0), "margin"),
        (Comparison([93.0, 94.0], Sample(93.0, None, 3), -0.5), "margin"),
        (Comparison([93.0, 94.0], Sample(93.0, None, 3), math.nan), "margin"),
        (Comparison([93.0, 94.0], Sample(93.0, None, 3), math.inf), "margin"),
        (Comparison([], Sample(93.0, None, 3), 0.5), "at least one"),
        (Comparison([93.0, math.nan], Sample(93.0, None, 3), 0.5), "finite"),
        (Comparison([93.0, math.inf], Sample(93.0, None, 3), 0.5), "finite"),
        (Comparison([93.0, 94.0], Sample(math.nan, None, 3), 0.5), "finite"),
        (Comparison([93.0, 94.0], Sample(93.0, None, 0), 0.5), "reference"),
        (Comparison([93.0, 94.0], Sample(93.0, 0.1, 1), 0.5), "reference"),
        (Comparison([93.0, 94.0], Sample(93.0, -0.1, 3), 0.5), "reference"),
        (Comparison([93.0, 94.0], Sample(93.0, math.nan, 3), 0.5), "reference"),
    ],
)
def test_judge_refuses(bad, message):
    good = cell(93.0, Sample(93.0, 0.2, 3), 0.5)
    assert len(v.judge([good])) == 1
    with pytest.raises(ValueError, match=message):
        v.judge([good, bad])
