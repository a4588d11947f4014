"""Weighted sums of means against a margin: Student's t on pooled variances, Welch's, or digits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import scipy

from resparse.claims.evidence import Cell
from resparse.claims.support import Support
from resparse.verdict import ALPHA, levene, pooled_variance

_DIGITS = 9  # decimals of a difference, as in resparse.verdict: 0.300 - 0.299 is 0.001
_LEAST_VARIANCE = 1e-24


class Term(NamedTuple):
    """``weight`` times the mean of a cell."""

    weight: float
    cell: Cell

    def said(self) -> str:
        """For people, without the sign: ``1.25 x rs of SET``."""
        times = abs(self.weight)
        return self.cell.said() if times == 1 else f"{times:g} x {self.cell.said()}"


@dataclass(frozen=True)
class Spread:
    """The variance of every family of cells (a metric of a model) and whether it is one for all.

    ``pools``: family -> (variance, degrees of freedom). ``welch``: families whose cells differ in
    variance by Levene's test, each of whose cells is tested by its own.
    """

    pools: dict[tuple[str, str | None], tuple[float, int]]
    welch: frozenset[tuple[str, str | None]] = frozenset()

    def said(self) -> str:
        """The test's name, with its degrees of freedom."""
        if not self.pools:
            return "digits as printed or counted: no test"
        return "t test, " + "; ".join(
            f"{metric}{f' of {model}' if model else ''}: "
            + ("Welch" if (metric, model) in self.welch else f"pooled variance, df {df}")
            for (metric, model), (_, df) in self.pools.items()
        )


def spread_of(cells: Sequence[Cell]) -> Spread:
    """Pool the variances of the cells family by family; exact cells have none.

    Raises ValueError where no cell of a family has two seeds.
    """
    families: dict[tuple[str, str | None], list[list[float]]] = {}
    for cell in cells:
        if not cell.exact:
            families.setdefault(_family(cell), []).append(cell.numbers)
    pools = {}
    for (metric, model), groups in families.items():
        try:
            pools[(metric, model)] = pooled_variance(groups)
        except ValueError as error:
            raise ValueError(f"{metric}{f' of {model}' if model else ''}: {error}") from error
    uneven = {
        family
        for family, groups in families.items()
        if all(len(group) > 1 for group in groups) and (levene(groups) or 1.0) < ALPHA
    }
    return Spread(pools, frozenset(uneven))


def _family(cell: Cell) -> tuple[str, str | None]:
    return cell.metric, cell.point.model


def exceeds(terms: Sequence[Term], margin: float, spread: Spread, text: str) -> Support:
    """The weighted sum is above ``margin`` (in the metric's unit; below 0 allows for a loss).

    ``text`` names the two sides for people.
    """
    gap, se, df = _estimate(terms, spread)
    why = f"{text}: {gap:+.4g}, asked above {margin:g}"
    if se == 0:
        return _digits(gap > margin, why)
    t = (gap - margin) / se
    p = float(scipy.stats.t.sf(t, df))
    return Support(holds=gap > margin, p_for=p, p_against=1 - p, why=f"{why} (p = {p:.3g})")


def about_equal(terms: Sequence[Term], margin: float, spread: Spread, text: str) -> Support:
    """The weighted sum lies within ``margin`` of 0 (TOST); against: beyond it on either side.

    Both tails count against it, as in resparse.verdict: the side is chosen after seeing the data.
    """
    gap, se, df = _estimate(terms, spread)
    why = f"{text}: {gap:+.4g}, asked within {margin:g}"
    if se == 0:
        return _digits(abs(gap) <= margin, why)
    sf = scipy.stats.t.sf
    equal = max(float(sf((gap + margin) / se, df)), float(sf((margin - gap) / se, df)))
    apart = float(sf((abs(gap) - margin) / se, df) + sf((abs(gap) + margin) / se, df))
    near = abs(gap) <= margin
    return Support(
        holds=near, p_for=equal, p_against=min(1.0, apart), why=f"{why} (TOST p = {equal:.3g})"
    )


def correlated(pairs: Sequence[tuple[float, float]], text: str) -> Support:
    """Pearson's correlation of the pairs, one a seed and point, is above 0.

    Raises ValueError for fewer than three pairs, and where one of the two never varies.
    """
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    if len(pairs) < 3 or len(set(xs)) < 2 or len(set(ys)) < 2:
        raise ValueError(f"{text}: {len(pairs)} pairs do not vary; valid: three that do, or more")
    r, p = scipy.stats.pearsonr(xs, ys, alternative="greater")
    why = f"{text}: r = {float(r):+.3f} over {len(pairs)} pairs (p = {float(p):.3g})"
    return Support(holds=bool(r > 0), p_for=float(p), p_against=1 - float(p), why=why)


def _digits(holds: bool, why: str) -> Support:
    return Support(holds=holds, p_for=float(not holds), p_against=float(holds), why=why)


def _estimate(terms: Sequence[Term], spread: Spread) -> tuple[float, float, float]:
    """Gap, standard error (0: exact) and Satterthwaite's degrees of freedom."""
    weights: dict[int, float] = {}  # a cell that stands in two terms counts once, by its sum
    cells = {id(term.cell): term.cell for term in terms}
    for weight, cell in terms:
        weights[id(cell)] = weights.get(id(cell), 0.0) + weight
    gap = sum(weight * cells[key].mean for key, weight in weights.items())
    parts: dict[object, tuple[float, float]] = {}  # variance estimate -> its share of se^2, df
    for key, weight in weights.items():
        cell = cells[key]
        if cell.exact or weight == 0:
            continue
        name, (variance, df) = _variance(cell, spread)
        share = max(variance, _LEAST_VARIANCE) * weight**2 / len(cell.values)
        parts[name] = (parts.get(name, (0.0, df))[0] + share, df)
    total = sum(share for share, _ in parts.values())
    if total == 0:
        return round(gap, _DIGITS), 0.0, math.inf
    df = total**2 / sum(share**2 / n for share, n in parts.values())
    return round(gap, _DIGITS), math.sqrt(total), df


def _variance(cell: Cell, spread: Spread) -> tuple[object, tuple[float, float]]:
    """Which estimate of variance a cell has, the estimate, and its degrees of freedom."""
    family = _family(cell)
    if family in spread.welch:
        return (family, cell.point), pooled_variance([cell.numbers])
    return family, spread.pools[family]
