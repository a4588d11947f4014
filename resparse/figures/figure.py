"""A figure: panels, each reproduced like a table, and how their cells are drawn together."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from resparse import artifact as artifacts
from resparse.artifact import ROOT, Artifact, Row
from resparse.errors import Missing, UsageError
from resparse.reading import Some, Table, Text, distinct, read, read_text, toml
from resparse.sweep import LENGTH
from resparse.tables.cells import sample_std

EXPLORED = ("rs_trained_here", "rs")  # metrics of a panel's CSV
SPARSITY = "sparsity"  # the axis that is no sweep's
DENSE = "dense"  # the method whose runs all sparsities share
Lines = Mapping[tuple[str, float, str], Mapping[str, str]]  # of a CSV, by row, sparsity and metric
Kind = Literal["accuracy", "generalisation", "flops"]


class Drawn(Table):
    """The table [figure]: panels from top to bottom, and the axis of their sweeps.

    ``axis`` and ``label`` are one for all panels, or a list of one each. ``shows``: the accuracy
    that the panels' paper reports; the generalisation error, which is training accuracy minus that;
    or the training FLOPs of the shortest training that is as accurate as dense.
    """

    paper: Text
    name: Text
    title: Text
    panels: Some[Text]
    axis: Text | Some[Text]  # of the sweeps, like interval; or sparsity
    label: Text | Some[Text]  # of that axis, with its unit
    scale: Literal["linear", "log"] = "linear"
    shows: Kind = "accuracy"
    says: Text  # what the figure is to show, and what of it is a choice of ours


class File(Table):
    """A whole file."""

    figure: Drawn


@dataclass(frozen=True)
class Figure:
    """How it is drawn, and its panels."""

    drawn: Drawn
    panels: tuple[Artifact, ...]

    @property
    def id(self) -> str:
        """Like itop/figure3."""
        return f"{self.drawn.paper}/{self.drawn.name}"

    @property
    def by_sparsity(self) -> bool:
        """Whether sparsities lie along its axis: else each has axes of its own."""
        return self.drawn.axis == SPARSITY

    def at(self, level: str) -> "Figure":
        """Of the panels that have the level; raises UsageError where none has it."""
        found = [n for n, panel in enumerate(self.panels) if level in panel.levels]
        if not found:
            valid = dict.fromkeys(name for panel in self.panels for name in panel.levels)
            raise UsageError(f"unknown level {level!r} of {self.id}; valid: {', '.join(valid)}")
        drawn = self.drawn.model_copy(
            update={
                key: given if isinstance(given, str) else tuple(given[n] for n in found)
                for key, given in (("axis", self.drawn.axis), ("label", self.drawn.label))
            }
        )
        return Figure(drawn, tuple(self.panels[n] for n in found))

    def axis(self, panel: Artifact) -> str:
        """What the panel's sweeps are drawn along."""
        return self._of(panel, self.drawn.axis)

    def label(self, panel: Artifact) -> str:
        """Of that axis, with its unit."""
        return self._of(panel, self.drawn.label)

    def _of(self, panel: Artifact, given: str | tuple[str, ...]) -> str:
        return given if isinstance(given, str) else given[self.panels.index(panel)]


class Point(NamedTuple):
    """A mean over seeds; ``x`` is None of a row that is not swept, whose mean is a level line."""

    name: str  # of its line: what the paper calls the row, and on what other axes it lies
    method: str
    length: float  # the level's
    sparsity: float
    x: float | None
    mean: float  # percent, or for generalisation percentage points
    std: float
    rs: float | None
    flops: float | None  # of training that long, x dense, of the paper's network
    seeds: int
    verdict: str = ""  # the cell's
    note: str = ""  # the cell's: seeds that diverged or collapsed


def is_figure(name: str) -> bool:
    """Whether an artifact's file is of a figure; raises UsageError for an unknown name."""
    if name not in (*artifacts.names(), *artifacts.panels()):
        artifacts.load(name)  # says what is valid
    return "figure" in _toml(name)


def _toml(name: str) -> dict[str, Any]:
    where = f"benchmarks/{name}.toml"
    return toml(read_text(ROOT / where, where), where)


def load(name: str) -> Figure:
    """Read benchmarks/<name>.toml and its panels; raises UsageError naming file and key."""
    where = f"benchmarks/{name}.toml"
    drawn = read(File, _toml(name), where).figure
    if f"{drawn.paper}/{drawn.name}" != name:
        said = f"{drawn.paper}/{drawn.name}"
        raise UsageError(f"{where}: figure paper and name = {said!r}; valid: {name!r}")
    distinct(drawn.panels, "panel", f"{where}: figure.panels")
    for key, given in (("axis", drawn.axis), ("label", drawn.label)):
        if not isinstance(given, str) and len(given) != len(drawn.panels):
            raise UsageError(
                f"{where}: {key} has {len(given)} values for {len(drawn.panels)} panels; valid: "
                "one for all, or one each"
            )
    tables = tuple(artifacts.load(f"{drawn.paper}/panels/{panel}") for panel in drawn.panels)
    figure = Figure(drawn, tables)
    for found in tables:
        axis = figure.axis(found)
        if axis not in (SPARSITY, *(axis for row in found.rows for axis in _axes(row))):
            raise UsageError(f"{where}: axis = {axis!r}, which no sweep of {found.id} has")
        if drawn.shows == "generalisation" and "train_top1" not in found.measured:
            raise UsageError(f"{where}: shows = {drawn.shows!r}; {found.id} measures no train_top1")
        if not any(row.method == DENSE for row in found.rows):
            raise UsageError(f"{where}: {found.id} has no dense row; valid: one, for its line")
    return figure


def _axes(row: Row) -> Iterator[str]:
    yield from row.coordinates


def points(figure: Figure, panel: Artifact, level: str, folder: Path) -> list[Point]:
    """A panel's points, from the CSV that its report wrote into ``folder``, sparsity by sparsity.

    A row that has no accuracy, since it was left out or a run of it failed, has no point. Raises
    Missing where there is no such file.
    """
    name = panel.file(level)
    file = folder / f"{name}.csv"
    if not file.is_file():
        raise Missing(f"no {name}.csv: resparse reproduce {panel.id} --level {level} writes it")
    cells = {
        (line["row"], float(line["sparsity"]), line["metric"]): line
        for line in csv.DictReader(io.StringIO(file.read_text()))
    }
    found = []
    for sparsity in panel.sparsities:
        for row in panel.rows:
            values = _values(figure, panel, cells, row.label, sparsity)
            if not values:
                continue
            of = (cells.get((row.label, sparsity, metric)) for metric in EXPLORED)
            explored = next((cell for cell in of if cell and cell["seeds"]), None)
            flops = cells.get((row.label, sparsity, "train_flops"))
            found.append(
                Point(
                    name=_name(figure.axis(panel), row, level),
                    method=row.method,
                    length=row.length_at(level),
                    sparsity=sparsity,
                    x=_x(figure.axis(panel), row, level, sparsity),
                    mean=fmean(values),
                    std=sample_std(values) if len(values) > 1 else 0.0,
                    rs=float(explored["ours"]) if explored else None,
                    flops=_flops(flops, row, level),
                    seeds=len(values),
                    verdict=cells[row.label, sparsity, panel.accuracy]["verdict"],
                    note=cells[row.label, sparsity, panel.accuracy]["note"],
                )
            )
    return found


def _name(axis: str, row: Row, level: str) -> str:
    others = {a: value for a, value in row.coordinates_at(level).items() if a not in (axis, LENGTH)}
    return ", ".join([row.name, *(f"{a.replace('_', ' ')} {v}" for a, v in others.items())])


def _flops(cell: Mapping[str, str] | None, row: Row, level: str) -> float | None:
    """The cell's are of the paper's length; they are in proportion to it."""
    if cell is None or not cell["ours"]:
        return None
    return float(cell["ours"]) * row.length_at(level) / row.length


def _x(axis: str, row: Row, level: str, sparsity: float) -> float | None:
    if axis == SPARSITY:
        return None if row.method == DENSE else sparsity
    if axis == LENGTH:
        return row.length_at(level)
    x = row.coordinates_at(level).get(axis)
    return None if x is None else float(x)


def _values(
    figure: Figure, panel: Artifact, cells: Lines, label: str, sparsity: float
) -> list[float]:
    """What is drawn, seed by seed; a seed that lacks a part of it has no value."""
    top1 = _seeds(cells.get((label, sparsity, panel.accuracy)))
    if figure.drawn.shows != "generalisation":
        return list(top1.values())
    train = _seeds(cells.get((label, sparsity, "train_top1")))
    return [train[seed] - top1[seed] for seed in train if seed in top1]


def _seeds(cell: Mapping[str, str] | None) -> dict[str, float]:
    """Seed -> value, of a CSV's line."""
    pairs = (pair.split(":") for pair in (cell["seeds"] if cell else "").split())
    return {seed: float(value) for seed, value in pairs}
