"""What joins comparisons and what tests them, against hand-computed and scipy's own numbers."""

import pytest
import scipy.stats
from claims_worlds import cells, evidence, points
from statsmodels.stats.multitest import multipletests

from resparse.claims.contrast import Term, about_equal, correlated, exceeds, spread_of
from resparse.claims.evidence import Cell
from resparse.claims.judge import ClaimVerdict, verdict_of
from resparse.claims.point import Point
from resparse.claims.support import NOTHING, Support, all_of, any_of, contrary, holm


def cell(*values, method="SET", metric="top1", exact=False):
    return Cell(
        point=Point(artifact="figure3", method=method),
        metric=metric,
        values=tuple(enumerate(values)),
        level="paper",
        protocol="p",
        exact=exact,
    )


def part(p, *, holds=True, against=None):
    return Support(holds=holds, p_for=p, p_against=1 - p if against is None else against, why="w")


A, B = cell(92.9, 93.1, 93.3), cell(92.0, 92.2, 92.4, method="Static")
WIDE = cell(80.0, 90.0, 100.0, 70.0, 110.0, method="wide")
NARROW = cell(92.0, 92.01, 91.99, 92.02, 91.98, method="narrow")


@pytest.mark.parametrize(
    "ps", [[0.01, 0.04, 0.03], [0.5], [0.9, 0.9, 0.001], [0.0, 1.0, 0.2, 0.2], [0.02] * 4]
)
def test_holm_is_statsmodels_own(ps):
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist(), abs=1e-15)


def test_a_conjunction_needs_all_and_one_part_refutes_it():
    joined = all_of([part(0.01), part(0.03), part(0.02)])
    assert joined.holds
    assert joined.p_for == pytest.approx(0.04)  # 0.01 x 3, 0.02 x 2 = 0.04, 0.03: never falling
    assert joined.count == 3
    refuted = all_of([part(0.001), part(0.999, holds=False, against=0.001)])
    assert not refuted.holds
    assert refuted.p_against == pytest.approx(0.002)
    assert verdict_of(refuted) == ClaimVerdict.CONTRADICTED


def test_a_disjunction_needs_one_and_all_refute_it():
    joined = any_of([part(0.01), part(0.9, holds=False)])
    assert joined.holds
    assert joined.p_for == pytest.approx(0.02)
    no = part(0.99, holds=False, against=0.01)
    assert any_of([no, part(0.3, holds=False, against=0.7)]).p_against == pytest.approx(0.7)
    assert any_of([no, no]).p_against == pytest.approx(0.02)
    with pytest.raises(ValueError, match="one or more"):
        any_of([])


def test_nothing_asked_holds_and_weighs_nothing():
    assert all_of([]) == NOTHING
    assert all_of([NOTHING, part(0.04)]) == part(0.04)


def test_the_contrary_of_the_contrary():
    assert contrary(contrary(part(0.2))).p_for == 0.2
    assert contrary(part(0.2)).p_for == 0.8
    assert not contrary(part(0.2)).holds


@pytest.mark.parametrize(
    ("holds", "p_for", "against", "verdict"),
    [
        (True, 0.049, 0.951, "CONFIRMED"),
        (True, 0.05, 0.95, "CONSISTENT"),
        (False, 0.95, 0.05, "UNRESOLVED"),
        (False, 0.951, 0.049, "CONTRADICTED"),
    ],
)
def test_the_verdicts(holds, p_for, against, verdict):
    assert verdict_of(part(p_for, holds=holds, against=against)) == verdict


def test_two_cells_are_compared_by_students_t():
    spread = spread_of([A, B])
    found = exceeds([Term(1, A), Term(-1, B)], 0.0, spread, "A - B")
    ours = scipy.stats.ttest_ind(A.numbers, B.numbers, alternative="greater")
    assert found.p_for == pytest.approx(float(ours.pvalue))
    assert found.holds
    assert "+0.9, asked above 0" in found.why
    assert spread.said() == "t test, top1: pooled variance, df 4"


def test_a_margin_moves_the_test():
    found = exceeds([Term(1, A), Term(-1, B)], 1.0, spread_of([A, B]), "A - B")
    shifted = [value + 1.0 for value in B.numbers]
    ours = scipy.stats.ttest_ind(A.numbers, shifted, alternative="greater")
    assert found.p_for == pytest.approx(float(ours.pvalue))
    assert not found.holds


def test_uneven_variances_are_tested_by_welch():
    spread = spread_of([WIDE, NARROW])
    assert spread.said() == "t test, top1: Welch"
    found = exceeds([Term(1, NARROW), Term(-1, WIDE)], 0.0, spread, "")
    ours = scipy.stats.ttest_ind(
        NARROW.numbers, WIDE.numbers, equal_var=False, alternative="greater"
    )
    assert found.p_for == pytest.approx(float(ours.pvalue))


def test_about_equal_is_tost_and_refuted_by_both_tails():
    spread = spread_of([A, B])
    terms = [Term(1, A), Term(-1, B)]
    near = about_equal(terms, 1.5, spread, "")
    t = scipy.stats.t(4)
    se = 0.2 * (2 / 3) ** 0.5
    assert near.p_for == pytest.approx(float(t.sf((1.5 - 0.9) / se)))
    assert near.holds
    far = about_equal(terms, 0.2, spread, "")
    assert not far.holds
    assert far.p_against == pytest.approx(float(t.sf(0.7 / se) + t.sf(1.1 / se)))
    assert about_equal(terms[::-1], 0.2, spread, "").p_against == far.p_against


def test_a_cell_in_two_terms_counts_by_the_sum_of_its_weights():
    spread = spread_of([A, B])
    once = exceeds([Term(1, A), Term(-1, B)], 0.0, spread, "")
    twice = exceeds([Term(2, A), Term(-1, A), Term(-1, B)], 0.0, spread, "")
    assert twice == once


def test_exact_cells_are_compared_by_digits():
    one, two = cell(0.3, exact=True), cell(0.299, method="Static", exact=True)
    spread = spread_of([one, two])
    assert spread.said().endswith("no test")
    assert about_equal([Term(1, one), Term(-1, two)], 0.001, spread, "").p_for == 0
    assert exceeds([Term(1, two), Term(-1, one)], 0.0, spread, "").p_against == 0


def test_one_seed_tells_no_spread():
    with pytest.raises(ValueError, match="top1: no cell has two seeds"):
        spread_of([cell(93.0)])


def test_correlation_needs_three_pairs_that_vary():
    pairs = [(0.1, 1.0), (0.2, 2.0), (0.3, 2.5)]
    assert correlated(pairs, "").p_for == pytest.approx(
        float(scipy.stats.pearsonr(*zip(*pairs, strict=True), alternative="greater").pvalue)
    )
    for bad in (pairs[:2], [(0.1, 1.0)] * 3):
        with pytest.raises(ValueError, match="three that do"):
            correlated(bad, "")


def test_the_generalisation_error_is_seed_by_seed():
    run = points("figure8", "SET-ITOP", sparsity=0.9)
    found = evidence(cells(run, "top1", 60.0), cells(run, "train_top1", 75.0)).with_derived()
    gap = {cell.metric: cell for cell in found.cells}["gen"]
    assert gap.numbers == pytest.approx([15.1, 15.1, 14.8])  # 75 - 59.9, 75.1 - 60, 74.9 - 60.1


def test_a_seed_without_its_other_half_is_refused():
    run = points("figure8", "SET-ITOP", sparsity=0.9)
    whole = cells(run, "train_top1", 75.0)
    half = [Cell(**{**vars(whole[0]), "values": whole[0].values[:2]})]
    found = evidence(cells(run, "top1", 60.0), half).with_derived()
    assert any("seed 2 is nan" in problem for problem in found.problems())


def test_the_error_of_a_multiple_is_a_multiple_of_the_error():
    spread = spread_of([A, B])
    once = exceeds([Term(1, A), Term(-1, B)], 0.0, spread, "")
    twice = exceeds([Term(2, A), Term(-2, B)], 0.0, spread, "")
    assert twice.p_for == pytest.approx(once.p_for)
