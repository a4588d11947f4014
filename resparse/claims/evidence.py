"""What was measured or printed at the points of an experiment, and what is wrong with it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from resparse.claims.point import Point

LEVELS = ("smoke", "mini", "paper", "printed")  # printed: the paper's own tables
METRICS = {  # what a cell may hold -> its unit
    "top1": "percent",
    "train_top1": "percent",  # on the training images, at the end
    "top1_std": "percent",  # printed beside a mean
    "rs": "fraction",
    "rs_expected": "fraction",  # by the recursion, at the protocol that the paper states
    "rs_miss": "fraction",  # its distance from a count over the masks of every update
    "rs_fall": "fraction",  # the largest fall of R_s between updates
    "nnz_change": "weights",  # the largest distance of the active count from the first
    "train_flops": "x dense",
    "test_flops": "x dense",
    "train_flops_total": "FLOPs",
    "test_flops_total": "FLOPs",
    "interval": "steps",  # printed in tables of hyperparameters
}
DERIVED = {  # metric -> the metrics that it is made of, seed by seed
    "gen": ("train_top1", "top1"),  # generalisation error: the first minus the second
    "density": (),  # 1 - sparsity of the point
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One metric at one point: (seed, value) pairs of one protocol at one level.

    ``protocol`` names what all cells of one model in one artifact share (recipe, data, selection),
    whatever the sweep varies. ``exact``: a printed or computed number, as FLOPs or R_s of masks
    that stay, that has no spread of seeds. ``keys`` are of its runs.
    """

    point: Point
    metric: str
    values: tuple[tuple[int, float], ...]
    level: str
    protocol: str
    keys: tuple[str, ...] = ()
    exact: bool = False
    lacking: tuple[int, ...] = ()  # seeds that the level asks for and that have not run
    stale: tuple[str, ...] = ()  # keys of its runs that other code made

    @property
    def numbers(self) -> list[float]:
        """The values in the order of their seeds."""
        return [value for _, value in sorted(self.values)]

    @property
    def mean(self) -> float:
        """Over the seeds, in the metric's unit."""
        return sum(self.numbers) / len(self.values)

    def said(self) -> str:
        """For people: metric, point."""
        return f"{self.metric} of {self.point.said()}"


@dataclass(frozen=True)
class Evidence:
    """All cells at hand; ``planned`` are the points that their artifacts are made of, by level."""

    cells: tuple[Cell, ...] = ()
    planned: tuple[tuple[str, Point], ...] = ()

    def of(self, level: str, artifacts: Sequence[str], metrics: Iterable[str]) -> "Evidence":
        """What of it a claim reads: derived metrics bring what they are made of."""
        wanted = {part for name in metrics for part in (DERIVED.get(name) or (name,))}
        return Evidence(
            tuple(
                cell
                for cell in self.cells
                if cell.level == level
                and cell.point.artifact in artifacts
                and cell.metric in wanted
            ),
            tuple((at, p) for at, p in self.planned if at == level and p.artifact in artifacts),
        )

    def problems(self) -> list[str]:
        """Why these cells may not be judged, one sentence each; none of them is averaged over."""
        return [
            *_bad_cells(self.cells),
            *_doubles(self.cells),
            *_protocols(self.cells),
            *_holes(self),
        ]

    def with_derived(self) -> "Evidence":
        """The same, with a cell of every derived metric that can be made, seed by seed."""
        at = {(cell.point, cell.metric): cell for cell in self.cells}
        made = [
            replace(top, metric="gen", values=_differences(train, top))
            for (point, metric), train in at.items()
            if metric == "train_top1" and (top := at.get((point, "top1")))
        ]
        densities = [
            replace(cell, metric="density", values=((0, 1 - point.sparsity),), exact=True)
            for point, cell in {cell.point: cell for cell in self.cells}.items()
            if point.sparsity is not None
        ]
        return replace(self, cells=(*self.cells, *made, *densities))


def _bad_cells(cells: Sequence[Cell]) -> list[str]:
    wrong = []
    for cell in cells:
        where = f"{cell.said()}, {cell.level}"
        if cell.metric not in (*METRICS, *DERIVED) or cell.level not in LEVELS:
            known = f"{', '.join(METRICS)} at {', '.join(LEVELS)}"
            wrong.append(f"{where}: no such metric or level; valid: {known}")
        if not cell.values:
            wrong.append(f"{where}: no value; valid: one a seed")
        if cell.lacking:
            seeds = ", ".join(map(str, cell.lacking))
            wrong.append(f"{where}: not run with seed {seeds}; valid: every seed of the level")
        if cell.stale:
            keys = ", ".join(cell.stale)
            wrong.append(f"{where}: made by other code (STALE): {keys}; valid: today's, run again")
        for seed, times in Counter(seed for seed, _ in cell.values).items():
            if times > 1:
                wrong.append(f"{where}: seed {seed} is there {times} times; valid: each seed once")
        for seed, value in cell.values:
            if not math.isfinite(value):
                wrong.append(f"{where}: seed {seed} is {value}; valid: a run that did not diverge")
    return wrong


def _doubles(cells: Sequence[Cell]) -> list[str]:
    times = Counter((cell.point, cell.metric) for cell in cells)
    return [
        f"{metric} of {point.said()} is given {n} times; valid: once"
        for (point, metric), n in times.items()
        if n > 1
    ]


def _protocols(cells: Sequence[Cell]) -> list[str]:
    found: dict[tuple[str, str | None], set[str]] = {}
    for cell in cells:
        found.setdefault((cell.point.artifact, cell.point.model), set()).add(cell.protocol)
    return [
        f"{artifact}, {model or 'all models'}: records of {len(protocols)} protocols "
        f"({', '.join(sorted(protocols))}); valid: one"
        for (artifact, model), protocols in found.items()
        if len(protocols) > 1
    ]


def _holes(evidence: Evidence) -> list[str]:
    """Planned points without a cell, and metrics that only part of the same artifact has."""
    there = {cell.point for cell in evidence.cells}
    models = {(point.artifact, point.model) for point in there}  # a model not begun is not a hole
    missing = [
        point
        for _, point in evidence.planned
        if (point.artifact, point.model) in models and point not in there
    ]
    if not missing:
        return []
    names = "; ".join(point.said() for point in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return [f"half a sweep: {len(missing)} planned points are not run: {names}{more}"]


def _differences(left: Cell, right: Cell) -> tuple[tuple[int, float], ...]:
    """Seed by seed; a seed that one of them lacks is nan, which is refused, never left out."""
    ours, theirs = dict(left.values), dict(right.values)
    seeds = sorted({*ours, *theirs})
    return tuple((seed, ours.get(seed, math.nan) - theirs.get(seed, math.nan)) for seed in seeds)
