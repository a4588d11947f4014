"""A figure: panels, each reproduced like a table, and how their cells are drawn together."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from resparse import artifact as artifacts
from resparse.artifact import ROOT, Artifact
from resparse.errors import Missing, UsageError
from resparse.reading import Some, Table, Text, distinct, read, read_text, toml

ACCURACY, EXPLORED = "top1_last", ("rs_trained_here", "rs")  # metrics of a panel's CSV


class Drawn(Table):
    """The table [figure]: panels from top to bottom, and the axis that their sweeps share."""

    paper: Text
    name: Text
    title: Text
    panels: Some[Text]
    axis: Text  # of the sweeps, like interval
    label: Text  # of that axis, with its unit
    scale: Literal["linear", "log"] = "linear"
    names: Annotated[dict[str, Text], Field(min_length=1)]  # of methods, as the legend says them
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


class Point(NamedTuple):
    """A mean over seeds; ``x`` is None of a row that is not swept, whose mean is a level line."""

    method: str
    sparsity: float
    x: float | None
    top1: float
    top1_std: float
    rs: float | None
    seeds: int


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
    panels = []
    for panel in drawn.panels:
        found = artifacts.load(f"{drawn.paper}/panels/{panel}")
        if not any(drawn.axis in row.coordinates for row in found.rows):
            raise UsageError(f"{where}: axis = {drawn.axis!r}, which no sweep of {found.id} has")
        for row in found.rows:
            if row.method not in drawn.names:
                raise UsageError(f"{where}: names has no {row.method!r}, a method of {found.id}")
        panels.append(found)
    return Figure(drawn, tuple(panels))


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
            accuracy = cells.get((row.label, sparsity, ACCURACY))
            if accuracy is None or not accuracy["ours"]:
                continue
            of = (cells.get((row.label, sparsity, metric)) for metric in EXPLORED)
            explored = next((cell for cell in of if cell and cell["seeds"]), None)
            x = row.coordinates_at(level).get(figure.drawn.axis)
            found.append(
                Point(
                    method=row.method,
                    sparsity=sparsity,
                    x=None if x is None else float(x),
                    top1=float(accuracy["ours"]),
                    top1_std=float(accuracy["std"] or 0.0),
                    rs=float(explored["ours"]) if explored else None,
                    seeds=int(accuracy["n"]),
                )
            )
    return found
