"""A method against a baseline, seed by seed -> difference, interval, verdict; numbers only.

Accuracies, differences and margins are percentage points, costs are FLOPs of a whole training.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are first used: a second

from resparse.verdict import ALPHA, POWER

_DIGITS = 9
_LEAST_STD = 1e-12  # keeps t finite where all differences are equal; far below any printed digit
_COVERED = 1.02  # how far beyond a baseline's cheapest and dearest training a cost may lie


class Standing(StrEnum):
    """What a comparison says of the method."""

    BETTER = "BETTER"  # beyond chance
    WORSE = "WORSE"
    EQUIVALENT = "EQUIVALENT"  # the 90 % interval lies inside the margin (TOST)
    INCONCLUSIVE = "INCONCLUSIVE"


class Pairs(NamedTuple):
    """Accuracies of the method and of a baseline, one a seed, in the same order of seeds."""

    ours: Sequence[float]
    theirs: Sequence[float]


class Result(NamedTuple):
    """``difference`` is ours - theirs, ``p`` two-sided and adjusted."""

    standing: Standing
    difference: float
    ci95: tuple[float, float]
    p: float
    smallest_visible: (
        float  # true difference found with 80 % power at the strictest of Holm's steps
    )


def compare_pairs(family: Sequence[Pairs], margin: float, *, tries: int = 1) -> list[Result]:
    """Paired t tests of one family: Holm over it, times ``tries``, the configurations tried so far.

    Who tries k settings and shows the best one has k chances; the factor (Bonferroni) takes them
    back. EQUIVALENT is TOST (Schuirmann 1987) at the margin.

    >>> ours, theirs = [93.0, 94.0, 95.0, 94.2], [90.0, 91.2, 91.9, 91.0]
    >>> better = compare_pairs([Pairs(ours, theirs)], 0.5)[0]
    >>> str(better.standing), round(better.difference, 3), better.p < 0.001
    ('BETTER', 3.025, True)

    Raises ValueError for unequal or fewer than two seeds, values that are not finite, a margin not
    above 0 or fewer than one try.
    """
    from statsmodels.stats.multitest import multipletests  # with pandas: where it is needed

    if not 0 < margin < math.inf or tries < 1:
        raise ValueError(f"margin {margin}, tries {tries}; valid: above 0, at least 1")
    tests = [_test(pairs) for pairs in family]
    if not tests:
        return []
    raw = [min(1.0, test.p * tries) for test in tests]
    adjusted = multipletests(raw, ALPHA, "holm")[1].tolist()
    level = ALPHA / (len(tests) * tries)
    results = []
    for test, p in zip(tests, adjusted, strict=True):
        half = float(scipy.stats.t.ppf(1 - ALPHA / 2, test.df) * test.se)
        inside = abs(test.gap) + float(scipy.stats.t.ppf(1 - ALPHA, test.df) * test.se) < margin
        standing = Standing.EQUIVALENT if inside else Standing.INCONCLUSIVE
        if p < ALPHA:
            standing = Standing.BETTER if test.gap > 0 else Standing.WORSE
        ends = (test.gap - half, test.gap + half)
        seen = smallest_visible(test.se, test.df, level)
        results.append(Result(standing, test.gap, ends, float(p), seen))
    return results


class _Test(NamedTuple):
    gap: float
    se: float
    df: int
    p: float


def _test(pairs: Pairs) -> _Test:
    gaps = np.subtract(pairs.ours, pairs.theirs)  # raises ValueError for unequal lengths
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        raise ValueError(f"differences {gaps.tolist()}; valid: two or more seeds, all finite")
    gap, df = round(float(gaps.mean()), _DIGITS), len(gaps) - 1
    se = max(float(gaps.std(ddof=1)), _LEAST_STD) / math.sqrt(len(gaps))
    return _Test(gap, se, df, float(2 * scipy.stats.t.sf(abs(gap) / se, df)))


def smallest_visible(se: float, df: int, level: float) -> float:
    """The true difference that a two-sided t test at ``level`` finds with 80 % power."""
    critical, nct = scipy.stats.t.ppf(1 - level / 2, df), scipy.stats.nct
    shift = scipy.optimize.brentq(lambda x: nct.sf(critical, df, x) - POWER, 0, 4 * critical + 8)
    return float(shift * se)


def at_cost(curve: Mapping[float, Sequence[tuple[float, float]]], cost: float) -> list[float] | str:
    """A baseline's accuracies, one a seed, were its training to cost ``cost`` FLOPs.

    ``curve`` maps lengths to (cost, accuracy) per seed. Between the two nearest lengths accuracy is
    linear in log cost, seed by seed. A text says why where no two lengths enclose the cost.

    >>> at_cost({1: [(100.0, 90.0)], 2: [(200.0, 92.0)]}, 100 * 2**0.5)
    [91.0]
    >>> at_cost({1: [(100.0, 90.0)]}, 50.0)
    'its cheapest training costs 2.0 times as much'
    """
    means = {length: float(np.mean([c for c, _ in runs])) for length, runs in curve.items()}
    low, high = min(means.values()), max(means.values())
    if cost * _COVERED < low:
        return f"its cheapest training costs {low / cost:.1f} times as much"
    if cost > high * _COVERED:
        return f"its longest training costs {high / cost:.2f} of it"
    order = sorted(curve, key=lambda length: means[length])
    above = next((n for n in order if means[n] >= cost), order[-1])
    below = order[max(order.index(above) - 1, 0)]
    found = []
    for (c0, y0), (c1, y1) in zip(curve[below], curve[above], strict=True):
        share = 1.0 if c0 == c1 else math.log(cost / c0) / math.log(c1 / c0)
        found.append(round(y0 + (y1 - y0) * min(max(share, 0.0), 1.0), _DIGITS))
    return found


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points no other beats in both: cheaper or as cheap, and more accurate or as.

    >>> pareto({"a": (1.0, 90.0), "b": (2.0, 89.0), "c": (3.0, 95.0)})
    ['a', 'c']
    """
    return [
        name
        for name, (cost, top1) in sorted(points.items(), key=lambda item: item[1])
        if not any(c <= cost and y >= top1 and (c, y) != (cost, top1) for c, y in points.values())
    ]
