"""A cell against published or frozen numbers -> verdict; scipy and statsmodels compute.

Accuracies, differences, standard deviations, margins: percentage points; ``n`` counts seeds.
"""

import math
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import scipy  # its parts load when they are first used: a second

from resparse.errors import worst

Pool = tuple[float, int]  # a table's variance (percentage points squared), its degrees of freedom
ALPHA = 0.05  # of every test; the interval of TOST therefore covers 1 - 2 ALPHA = 90 %
POWER = 0.8
MOST_SEEDS = 1000
_DIGITS = 9  # decimals of a difference: 93.1 - 92.6 is half a point, not a bit to either side
_LEAST_VARIANCE = 1e-24  # keeps t finite where all values are equal; far below any printed digit
_PRINTED = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.(\d+))?|[1-9](?:\.(\d+))?(e)(?:0|-?[1-9]\d*))")


class Verdict(StrEnum):
    """What a cell says, most serious reason first."""

    FAILED = "FAILED"  # a run crashed or did not verify
    NOT_RUN = "NOT RUN"
    INCOMPLETE = "INCOMPLETE"  # fewer seeds than the protocol asks
    STALE = "STALE"  # made by other code
    NO_REFERENCE = "NO REFERENCE"  # the paper prints no value
    NOT_COMPARABLE = "NOT COMPARABLE"  # the protocol differs from the reference's
    UNSTABLE = "UNSTABLE"  # a run diverged or collapsed
    MISMATCH = "MISMATCH"  # an exact cell that is not as expected, or a difference without reason
    EXACT = "EXACT"
    IDENTICAL = "IDENTICAL"  # bit-equal to the frozen record
    REPRODUCED = "REPRODUCED"
    DEVIATES_LOW = "DEVIATES low"
    DEVIATES_HIGH = "DEVIATES high"
    WITHIN_TOLERANCE = "WITHIN TOLERANCE"
    INCONCLUSIVE = "INCONCLUSIVE"


def exit_code(verdicts: Iterable[Verdict], *, strict: bool = False) -> int:
    """The command's exit code: 2 a run failed, 1 a verdict failed, 3 inconclusive, 0 fine.

    >>> exit_code([Verdict.INCONCLUSIVE]), exit_code([Verdict.INCONCLUSIVE], strict=True)
    (0, 3)
    """
    failed = [Verdict.MISMATCH, Verdict.DEVIATES_LOW, Verdict.DEVIATES_HIGH]
    codes = dict.fromkeys(failed, 1) | {Verdict.FAILED: 2, Verdict.INCONCLUSIVE: 3 * strict}
    return worst([codes.get(verdict, 0) for verdict in verdicts])


def rounded_like(value: float, printed: str) -> str:
    """``value`` with as many decimals, or mantissa decimals before an e, as ``printed`` has.

    >>> rounded_like(0.125, "0.42"), rounded_like(8178368512, "8.2e9"), rounded_like(9.96, "8.2e9")
    ('0.13', '8.2e9', '1.0e1')

    Raises ValueError for a value that is not finite or a text that is no such number.
    """
    form = _PRINTED.fullmatch(printed)
    if form is None:
        raise ValueError(f"printed number {printed!r}; valid: like 42, 0.42 or 8.2e9")
    _finite([value])
    # Half up, as people and LaTeX tables round; format() would send 0.125 to 0.12. Twelve digits
    # first: the last bits of a sum, which depend on its order, must not decide a tie.
    number = Decimal(int(value)) if float(value).is_integer() else Decimal(f"{value:.12g}")
    decimals = len(form[1] or form[2] or "")
    if not form[3]:
        return f"{number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):zf}"
    number = Context(prec=decimals + 1, rounding=ROUND_HALF_UP).plus(number)
    return f"{number.scaleb(-number.adjusted()):.{decimals}f}e{number.adjusted()}"


class ExactResult(NamedTuple):
    """EXACT, NO REFERENCE or MISMATCH, and the sentence that says why."""

    verdict: Verdict
    why: str


def exact(
    computed: float, expected: str, published: str | None, erratum: str | None = None
) -> ExactResult:
    """An exact cell: ``computed`` must print as ``expected`` and, save for errata, ``published``.

    ``expected`` is ours with four digits; ``erratum`` is the id that explains a difference in print
    and is itself a mismatch where there is none to explain. There is no tolerance.

    >>> exact(0.4138, "0.4138", "0.41")
    ExactResult(verdict=<Verdict.EXACT: 'EXACT'>, why='0.4138, printed 0.41')
    >>> exact(0.4138, "0.4138", "0.42").why, exact(0.4138, "0.4138", "0.42", "e3").why
    ('0.4138, printed 0.42: no erratum explains it', '0.4138, printed 0.42: erratum e3')
    """
    ours, text = rounded_like(computed, expected), f"{expected}, printed {published or 'nothing'}"
    if ours != expected:
        return ExactResult(Verdict.MISMATCH, f"computed {ours}, expected {expected}")
    agrees = published is None or rounded_like(computed, published) == published
    if agrees == bool(erratum):
        reason = f"erratum {erratum} is stale" if agrees else "no erratum explains it"
        return ExactResult(Verdict.MISMATCH, f"{text}: {reason}")
    verdict = Verdict.NO_REFERENCE if published is None else Verdict.EXACT
    return ExactResult(verdict, f"{text}: erratum {erratum}" if erratum else text)


class Sample(NamedTuple):
    """Mean, sample standard deviation (ddof 1; None where unknown) and number of seeds."""

    mean: float
    std: float | None
    n: int


def summarise(values: Sequence[float], unstable: Sequence[bool]) -> tuple[Sample, Sample | None]:
    """All runs, and those that neither diverged nor collapsed (None where none); none is dropped.

    >>> summarise([90.0, 91.0, 10.0], [False, False, True])  # doctest: +ELLIPSIS
    (Sample(mean=63.6..., std=46.4..., n=3), Sample(mean=90.5, std=0.707..., n=2))
    """
    stable = [value for value, bad in zip(values, unstable, strict=True) if not bad]
    return _sample(values), _sample(stable) if stable else None


def pooled_variance(groups: Sequence[Sequence[float]]) -> Pool:
    """Variance within ``groups`` (one per stable cell), weighted by n - 1.

    >>> pooled_variance([[1.0, 3.0], [4.0, 5.0, 6.0], [9.0]])  # (2 + 2 + 0) / (1 + 2 + 0)
    (1.3333333333333333, 3)

    Raises ValueError where no group has two values, a group is empty or a value is not finite.
    """
    df = sum(len(_finite(group)) - 1 for group in groups)
    if df < 1:
        raise ValueError("no cell has two seeds, so nothing tells their spread; valid: 2 or more")
    return float(sum(np.var(group) * len(group) for group in groups)) / df, df


def levene(groups: Sequence[Sequence[float]]) -> float | None:
    """p of equal variances (Levene about the median); None where no two groups can tell."""
    # Groups of three or more: a pair lies equally far from its median, which makes p 0.
    usable = [_finite(group) for group in groups if len(group) > 2]
    if len(usable) < 2 or not any(np.ptp(group) > 0 for group in usable):
        return None
    return float(scipy.stats.levene(*usable, center="median").pvalue)


class Comparison(NamedTuple):
    """One statistical cell: our values, one a seed, the reference, and the declared margin."""

    ours: Sequence[float]
    reference: Sample
    margin: float


class Judgement(NamedTuple):
    """Verdict of a statistical cell and what it rests on; ``difference`` is ours - reference."""

    verdict: Verdict
    difference: float
    ci90: tuple[float, float]
    p: float  # of |true difference| <= margin, Holm-adjusted over the table
    chance_reproduced: float  # were the true difference 0
    seeds_to_decide: int | None  # None: no number up to 1000 would; mostly the reference's noise


def judge(
    cells: Sequence[Comparison], *, others: Sequence[Sequence[float]] = ()
) -> list[Judgement]:
    """The verdicts of one table's statistical cells, which share a variance and Holm's correction.

    Our variance is pooled over ``cells`` and ``others`` (stable cells of the table that have no
    reference); the reference's is its printed std, or the pool. Degrees of freedom are Welch's.
    REPRODUCED is TOST (Schuirmann 1987): the 90 % interval lies inside the margin. DEVIATES tests
    |true difference| <= margin (Murphy & Myors 1999). ``seeds_to_decide`` is the smallest n of
    ours, not below the present one, that would bring either, all else staying as it is.

    >>> paper = Sample(93.0, 0.2, 3)
    >>> ours = [92.9, 93.1, 93.0, 93.2, 92.8], [91.0, 91.2, 91.1], [92.5, 92.7, 92.3]
    >>> [str(j.verdict) for j in judge([Comparison(values, paper, 0.6) for values in ours])]
    ['REPRODUCED', 'DEVIATES low', 'WITHIN TOLERANCE']

    Raises ValueError for a margin not above 0, bad numbers, and where no cell has two seeds.
    """
    from statsmodels.stats.multitest import multipletests  # with pandas: where it is needed

    for cell in cells:
        _check(cell)
    if not cells:
        return []
    pool = pooled_variance([*(cell.ours for cell in cells), *others])
    tests = [_test(cell, pool, len(cell.ours)) for cell in cells]
    adjusted = multipletests([float(test.p) for test in tests], ALPHA, "holm")[1]
    waiting = len(cells) - int((adjusted < ALPHA).sum())  # Holm's divisor for the next p
    judgements = []
    for cell, test, p in zip(cells, tests, adjusted.tolist(), strict=True):
        gap, half = test.gap, float(test.half)
        near = Verdict.REPRODUCED if abs(gap) + half < cell.margin else Verdict.WITHIN_TOLERANCE
        side = Verdict.DEVIATES_LOW if gap < 0 else Verdict.DEVIATES_HIGH
        verdict = near if abs(gap) <= cell.margin else side if p < ALPHA else Verdict.INCONCLUSIVE
        chance = chance_reproduced(cell.margin, float(test.se), float(test.df))
        undecided = verdict in (Verdict.WITHIN_TOLERANCE, Verdict.INCONCLUSIVE)
        seeds = _seeds_to_decide(cell, pool, waiting) if undecided else len(cell.ours)
        judgements.append(Judgement(verdict, gap, (gap - half, gap + half), p, chance, seeds))
    return judgements


def chance_reproduced(margin: float, se: float, df: float) -> float:
    """Probability, in [0, 1], that TOST succeeds where the true difference is 0.

    ``se`` (above 0) is the estimated standard error and sets the interval's width; the difference,
    in units of it, follows t. Averaged over tables that is closer to the share of successes than
    the power at sigma = ``se``, which counts the estimate's own variation twice.

    >>> [round(chance_reproduced(0.5, se, 10), 2) for se in (0.1, 0.2, 0.3)]
    [0.99, 0.49, 0.0]
    """
    room = margin / se - scipy.stats.t.ppf(1 - ALPHA, df)
    return max(0.0, float(2 * scipy.stats.t.cdf(room, df) - 1))


class DropTest(NamedTuple):
    """Regression against frozen records; ``difference`` is ours - frozen, a drop is negative."""

    difference: float
    p_one_sided: float
    smallest_visible_drop: float  # positive: true drop found with 80 % power at alpha


def drop_test(
    ours: Sequence[float], frozen: Sequence[float], pool: Pool | None = None, alpha: float = ALPHA
) -> DropTest:
    """Student's t test that ``ours`` is lower; the two must come from disjoint seeds.

    ``pool`` is the table's variance (default: of the two groups). The drop visible at ``alpha`` is
    exact for normal values: the noncentral t distribution solved for its shift.
    """
    gap = round(float(np.mean(_finite(ours)) - np.mean(_finite(frozen))), _DIGITS)
    variance, df = pool or pooled_variance([ours, frozen])
    se = math.sqrt(max(variance, _LEAST_VARIANCE) * (1 / len(ours) + 1 / len(frozen)))
    critical, nct = scipy.stats.t.ppf(1 - alpha, df), scipy.stats.nct
    shift = scipy.optimize.brentq(lambda x: nct.sf(critical, df, x) - POWER, 0, 2 * critical + 4)
    return DropTest(gap, float(scipy.stats.t.cdf(gap / se, df)), float(shift * se))


class _Test(NamedTuple):  # numbers, or arrays over n
    gap: float
    se: Any
    df: Any
    half: Any  # of the 90 % interval
    p: Any  # of |true gap| <= margin, not adjusted


def _test(cell: Comparison, pool: Pool, n: Any) -> _Test:
    """The cell with ``n`` seeds of ours; each beyond the present ones adds to the pool's df.

    p takes both tails at the margin's edge, since the side is chosen after seeing the data: one
    alone errs up to twice as often as it says where the margin is small beside the standard error.
    """
    (mean, std, n_reference), margin, (variance, df) = cell.reference, cell.margin, pool
    df, ours, t = df + n - len(cell.ours), max(variance, _LEAST_VARIANCE) / n, scipy.stats.t
    theirs = (ours * n if std is None else std**2) / n_reference
    if std is not None:  # Welch-Satterthwaite; with one variance for both it is Student's df
        df = (ours + theirs) ** 2 / (ours**2 / df + theirs**2 / (n_reference - 1))
    gap, se = round(float(np.mean(cell.ours)) - mean, _DIGITS), np.sqrt(ours + theirs)
    p = t.sf((abs(gap) - margin) / se, df) + t.sf((abs(gap) + margin) / se, df)
    return _Test(gap, se, df, t.ppf(1 - ALPHA, df) * se, p)


def _seeds_to_decide(cell: Comparison, pool: Pool, waiting: int) -> int | None:
    """The smallest n; all are tried, as Welch's df can fall, and the interval widen, as n grows."""
    n = np.arange(len(cell.ours) + 1, MOST_SEEDS + 1)
    test = _test(cell, pool, n)
    decided = n[(abs(test.gap) + test.half < cell.margin) | (test.p * waiting < ALPHA)]
    return int(decided[0]) if decided.size else None


def _sample(values: Sequence[float]) -> Sample:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Sample(float(np.mean(_finite(values))), std, len(values))


def _finite(values: Sequence[float]) -> Sequence[float]:
    """The values; raises ValueError where there is none or one is not finite."""
    if len(values) == 0 or not all(map(math.isfinite, values)):
        raise ValueError(f"values {list(values)}; valid: at least one, all finite")
    return values


def _check(cell: Comparison) -> None:
    (mean, std, n), margin = cell.reference, cell.margin
    _finite([*_finite(cell.ours), mean])
    if not 0 < margin < math.inf:
        raise ValueError(f"margin {margin}; valid: above 0, in percentage points")
    if n < 1 or (std is not None and not (n > 1 and 0 <= std < math.inf)):
        raise ValueError(f"reference std {std} of n = {n}; valid: 0 or more and n from 2, or None")
