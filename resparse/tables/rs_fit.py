"""The printed R_s against protocols: which of them they can be the outcome of, and which not.

R_s of random growth, and of growth that prefers weights never active, follows from densities,
alpha, interval and length alone; so a printed value is the outcome of some protocols only.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

import scipy  # its parts load when they are first used: a second

from resparse import registry
from resparse.artifact import PROTOCOL, Artifact, Row, recipe_of
from resparse.distributions import layer_counts
from resparse.exact import sizes_of
from resparse.exploration import Expectation, expected_explored
from resparse.table import Reading
from resparse.tables.cells import PUBLISHED_SEEDS, Z_LIMIT
from resparse.workloads import workload

COARSE, FINE = 25, 25  # lengths tried over a range; steps to which the best is then found
DENSITIES = (0.5, 1.5)  # where a fitted density is sought, times the nominal one


class Printed(NamedTuple):
    """A printed R_s: its row, and half a unit of its last digit."""

    row: Row
    sparsity: float
    value: float
    half_unit: float


class Residual(NamedTuple):
    """Expected - printed, the share of the expected that the print lacks, and whether it may be.

    ``beyond``: further apart than rounding and chance, four standard deviations of the mean of the
    paper's runs, can part them.
    """

    difference: float
    lacking: float
    beyond: bool


@dataclass(frozen=True)
class Fit:
    """A reading held against the printed values, with what was fitted to them."""

    reading: Reading
    steps: int
    densities: dict[float, float]  # by sparsity
    residuals: Sequence[Residual] = field(repr=False)

    @property
    def parameters(self) -> int:
        """Numbers fitted to the print: a length, and a density for each sparsity."""
        lengths = isinstance(self.reading.steps, tuple)
        return int(lengths) + len(self.densities) * (self.reading.densities == "fitted")

    @property
    def rms(self) -> float:
        """Root of the mean squared difference, in R_s."""
        return rms(self.residuals)

    @property
    def worst(self) -> float:
        """The largest difference, in R_s."""
        return max(abs(x.difference) for x in self.residuals)

    @property
    def beyond(self) -> int:
        """Values that rounding and chance do not explain."""
        return sum(x.beyond for x in self.residuals)


def rms(residuals: Sequence[Residual]) -> float:
    """Root of the mean squared difference.

    >>> rms([Residual(0.003, 0.1, True), Residual(-0.004, 0.1, True)])  # sqrt(25 / 2) / 1000
    0.0035355339059327377
    """
    return math.sqrt(sum(x.difference**2 for x in residuals) / len(residuals))


def printed_rs(artifact: Artifact) -> list[Printed]:
    """The printed R_s of the rows whose R_s is computed, in table order."""
    found = []
    for (label, sparsity, metric), cell in artifact.cells.items():
        if metric == "rs" and cell.published and cell.expected:
            decimals = len(cell.published.partition(".")[2])
            half = 0.5 * 10.0**-decimals
            found.append(Printed(artifact.row(label), sparsity, float(cell.published), half))
    return found


def expected(artifact: Artifact, row: Row, density: float, steps: int) -> Expectation:
    """R_s of a row of the paper's network after ``steps``, masks of ``density`` at the start."""
    fields = registry.resolve_fields(row.method, row.fields_at(PROTOCOL))
    given = json.dumps(fields, sort_keys=True)
    return _expected(artifact.exact_workload, row.method, given, row.distribution, density, steps)


@cache  # every report of a table asks for the same ones, thousands of them
def _expected(
    problem: str, name: str, given: str, distribution: str, density: float, steps: int
) -> Expectation:
    shapes, fields = workload(problem).shapes, json.loads(given)
    sizes, counts = sizes_of(shapes), layer_counts(distribution, shapes, density)
    start = {layer: counts[layer] / size for layer, size in sizes.items()}
    method = registry.build(name, fields, start, sizes, steps)
    every = int(fields.get("interval", 1))
    due = (s for s in range(every - 1, steps, every) if method.updates_at(s))
    return expected_explored(counts, sizes, (method.random_growth_at(s) or {} for s in due))


def residual(found: Expectation, printed: Printed) -> Residual:
    """How a printed value, the mean of the paper's runs, lies to its expectation.

    >>> residual(Expectation(0.25, 0.0), Printed(None, 0.9, 0.2, 0.0005))  # 1/5 lower
    Residual(difference=0.04999999999999999, lacking=0.19999999999999996, beyond=True)
    """
    difference = found.mean - printed.value
    chance = Z_LIMIT * found.std / math.sqrt(PUBLISHED_SEEDS)
    beyond = abs(difference) > printed.half_unit + chance
    return Residual(difference, difference / found.mean, beyond)


def fit(artifact: Artifact, reading: Reading) -> Fit:
    """Hold a reading against the table's printed R_s; what is fitted minimises the rms."""
    printed = printed_rs(artifact)
    nominal = {p.sparsity: round(1.0 - p.sparsity, 9) for p in printed}
    own = {p.row.label: recipe_of(artifact, p.row, PROTOCOL).steps for p in printed}

    def residuals(steps: int, densities: dict[float, float]) -> list[Residual]:
        return [
            residual(expected(artifact, p.row, densities[p.sparsity], steps), p) for p in printed
        ]

    if isinstance(reading.steps, tuple):
        low, high = reading.steps
        steps = best_whole(lambda at: rms(residuals(at, nominal)), low, high)
    else:
        steps = reading.steps or next(iter(own.values()))
        if not reading.steps and len(set(own.values())) > 1:
            raise ValueError(f"rows of {len(set(own.values()))} lengths; valid: steps = one length")
    densities = dict(nominal)
    if reading.densities == "fitted":
        for sparsity, density in nominal.items():
            of = [p for p in printed if p.sparsity == sparsity]
            bounds = tuple(share * density for share in DENSITIES)
            cost = partial(_density_cost, artifact, of, steps)
            densities[sparsity] = float(
                scipy.optimize.minimize_scalar(
                    cost, bounds=bounds, method="bounded", options={"xatol": 1e-5}
                ).x
            )
    return Fit(reading, steps, densities, residuals(steps, densities))


def _density_cost(artifact: Artifact, of: Sequence[Printed], steps: int, density: float) -> float:
    return rms([residual(expected(artifact, p.row, density, steps), p) for p in of])


def best_whole(cost: Callable[[int], float], low: int, high: int) -> int:
    """The whole number in [low, high] of least ``cost``, to FINE: a grid, then closer about it.

    The cost may have more than one valley, if none is narrower than the grid.

    >>> best_whole(lambda steps: abs(steps - 62_500), 40_000, 100_000)
    62500
    """
    places = sorted({round(low + (high - low) * n / (COARSE - 1)) for n in range(COARSE)})
    costs = {place: cost(place) for place in places}
    width = (high - low) // (COARSE - 1)
    while width > FINE:
        width = max(FINE, width // 4)
        best = min(costs, key=costs.__getitem__)
        near = (best + n * width for n in range(-3, 4))
        costs |= {place: cost(place) for place in near if low <= place <= high and place != best}
    return min(costs, key=costs.__getitem__)


def conclusions(fits: Sequence[Fit]) -> Iterator[str]:
    """What the printed R_s refuse and what they leave open, a sentence each, from the numbers."""
    stated = [fit for fit in fits if fit.reading.stated]
    for fit in stated:
        n = len(fit.residuals)
        if not fit.beyond:
            yield f"{fit.reading.says}: all {n} printed R_s agree, within rounding and chance."
            continue
        lower = sum(x.difference > 0 for x in fit.residuals)
        shares = [100 * x.lacking for x in fit.residuals]
        yield (
            f"Not {fit.reading.says}: {fit.beyond} of {n} printed R_s differ from it by more than "
            f"rounding and chance; {lower} are lower than expected ({min(shares):.0f} to "
            f"{max(shares):.0f} %)."
        )
    if any(not fit.beyond for fit in stated):
        return
    least = min((fit.rms for fit in stated), default=math.inf)
    closer = [fit for fit in fits if not fit.reading.stated and fit.rms < least]
    if not closer:
        yield "None of the other protocols comes closer."
        return
    best = min(closer, key=lambda fit: fit.rms)
    named = "; ".join(fit.reading.says for fit in closer)
    yield (
        f"Closer, with numbers fitted to the print: {named}. Best is {best.reading.says}, "
        f"{least / best.rms:.0f} times as close by rms."
    )
    whole = [fit for fit in closer if not fit.beyond]
    lengths = sorted({fit.steps for fit in (whole or closer)})
    if len(whole) == 1:
        yield f"Only {whole[0].reading.says} explains every printed value."
        return
    span = f"{lengths[0]:,}" + (f" to {lengths[-1]:,}" if len(lengths) > 1 else "")
    every = f"{len(whole)} of them explain" if whole else "none of them explains"
    yield (
        f"But {every} every printed value within rounding and chance, and they are of {span} "
        "steps: evidence against what is stated, no proof of what was run."
    )
