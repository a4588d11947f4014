"""Paired comparisons against textbook numbers, and what lies between a baseline's lengths."""

import math

import numpy as np
import pytest
from scipy import stats

from resparse.compare.contest import (
    Pairs,
    Standing,
    at_cost,
    compare_pairs,
    pareto,
    smallest_visible,
)

FOUR = Pairs([93.0, 94.0, 95.0, 94.0], [91.0, 93.0, 92.0, 92.0])  # differences 2, 1, 3, 2


def test_one_pair_is_the_paired_t_test():
    found = compare_pairs([FOUR], 0.5)[0]
    # mean 2, std sqrt(2/3), se sqrt(2/3)/2 = .40825, t 4.899 on 3 degrees of freedom
    assert found.difference == 2.0
    assert found.p == pytest.approx(stats.ttest_rel(*FOUR).pvalue)
    assert found.p == pytest.approx(0.01628, abs=1e-5)
    # 3.1824 is t's 97.5 % point at 3: 2 -+ 1.2992
    assert found.ci95 == pytest.approx((0.7008, 3.2992), abs=1e-4)
    assert found.standing is Standing.BETTER
    worse = compare_pairs([Pairs(FOUR.theirs, FOUR.ours)], 0.5)[0]
    assert worse.standing is Standing.WORSE
    assert worse.difference == -2.0


def test_holm_and_the_number_of_tries_multiply_p():
    weak = Pairs([1.0, 2.0, 3.0, 4.0], [0.5, 2.5, 2.0, 4.5])
    first, second = compare_pairs([FOUR, weak], 0.5)
    assert first.p == pytest.approx(2 * 0.01628, abs=2e-5)
    assert second.p == pytest.approx(stats.ttest_rel(*weak).pvalue)
    three, _ = compare_pairs([FOUR, weak], 0.5, tries=3)
    assert three.p == pytest.approx(6 * 0.01628, abs=6e-5)
    assert first.standing is Standing.BETTER
    assert three.standing is Standing.INCONCLUSIVE  # .098: what one try shows, three do not


def test_a_small_difference_known_well_is_equivalent_unless_it_is_beyond_chance():
    ours = [90.1, 90.2, 89.9, 90.0, 90.1]
    theirs = [90.0, 90.1, 90.1, 90.2, 89.9]
    assert compare_pairs([Pairs(ours, theirs)], 0.5)[0].standing is Standing.EQUIVALENT
    assert compare_pairs([Pairs(ours, theirs)], 0.05)[0].standing is Standing.INCONCLUSIVE
    sure = Pairs([90.3, 90.31, 90.29, 90.3], [90.0, 90.0, 90.0, 90.0])
    assert compare_pairs([sure], 0.5)[0].standing is Standing.BETTER


def test_equal_runs_differ_by_nothing():
    found = compare_pairs([Pairs([90.0, 91.0], [90.0, 91.0])], 0.5)[0]
    assert (found.difference, found.p, found.standing) == (0.0, 1.0, Standing.EQUIVALENT)
    assert math.isfinite(found.smallest_visible)


def test_the_visible_difference_is_found_four_times_in_five():
    rng, n, level = np.random.default_rng(0), 10, 0.05 / 12
    shift = smallest_visible(1.0 / math.sqrt(n), n - 1, level)
    draws = rng.normal(shift, 1.0, (20_000, n))
    p = stats.ttest_1samp(draws, 0.0, axis=1).pvalue
    # 80 % of 20,000, std .28 %; a t whose spread is estimated, as in the test itself
    assert float((p < level).mean()) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(
    ("pairs", "margin", "tries"),
    [
        (Pairs([1.0], [2.0]), 0.5, 1),
        (Pairs([1.0, math.nan], [2.0, 1.0]), 0.5, 1),
        (Pairs([1.0, 2.0, 3.0], [2.0, 1.0]), 0.5, 1),
        (FOUR, 0.0, 1),
        (FOUR, 0.5, 0),
    ],
)
def test_bad_numbers_are_refused(pairs, margin, tries):
    with pytest.raises(ValueError, match=r"valid|broadcast"):
        compare_pairs([pairs], margin, tries=tries)


CURVE = {
    0.5: [(50.0, 80.0), (50.0, 82.0)],
    1: [(100.0, 90.0), (100.0, 90.0)],
    2: [(200.0, 92.0), (200.0, 94.0)],
}


def test_accuracy_at_a_cost_lies_on_the_line_between_the_two_nearest_lengths():
    assert at_cost(CURVE, 100.0) == [90.0, 90.0]
    assert at_cost(CURVE, 50.0 * 2**0.25) == pytest.approx([82.5, 84.0])
    assert at_cost(CURVE, 100.0 * 2**0.5) == pytest.approx([91.0, 92.0])
    assert at_cost(CURVE, 200.0) == [92.0, 94.0]


def test_a_cost_no_two_lengths_enclose_says_so_and_rounding_is_no_reason():
    assert at_cost(CURVE, 25.0) == "its cheapest training costs 2.0 times as much"
    assert at_cost(CURVE, 400.0) == "its longest training costs 0.50 of it"
    assert at_cost(CURVE, 49.5) == [80.0, 82.0]  # 1 % below the cheapest: its own
    assert at_cost(CURVE, 203.0) == [92.0, 94.0]


def test_costs_that_differ_by_seed_are_read_off_seed_by_seed():
    curve = {1: [(100.0, 90.0), (120.0, 90.0)], 2: [(200.0, 92.0), (240.0, 94.0)]}
    cost = 150.0
    first = 90 + 2 * math.log(150 / 100) / math.log(2)
    second = 90 + 4 * math.log(150 / 120) / math.log(2)
    assert at_cost(curve, cost) == pytest.approx([first, second])


def test_the_front_is_what_nothing_beats_in_both():
    points = {"a": (1.0, 80.0), "b": (1.0, 85.0), "c": (2.0, 85.0), "d": (3.0, 90.0), "e": (4, 89)}
    assert pareto(points) == ["b", "d"]
    assert pareto({"x": (1.0, 1.0)}) == ["x"]
