"""The tables and figures of a paper, each at every level of which there are records."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resparse import artifact as artifacts
from resparse.artifact import PROTOCOL, Artifact, Planned
from resparse.asked import Options
from resparse.cell import Cell
from resparse.figures import figure
from resparse.kept import Kept
from resparse.table import report_name
from resparse.tables import render
from resparse.tables import report as table_report
from resparse.tables.report import Found

Plans = Mapping[tuple[str, str], Sequence[Planned]]  # by table and level


@dataclass(frozen=True)
class Entry:
    """One number of a table: ours beside the paper's, and the command that makes ours.

    ``source`` is where in the paper its number stands; ``computed``: it needs no training.
    """

    id: str
    row: str
    sparsity: float
    metric: str
    cell: Cell
    command: str
    source: str
    computed: bool


@dataclass(frozen=True)
class View:
    """A table at a level; without records only what is computed, and ``level`` says exact.

    ``beside`` are the files of its own report, as far as they are there.
    """

    artifact: Artifact
    level: str
    report: render.Report
    entries: tuple[Entry, ...]
    beside: tuple[str, ...]

    @property
    def name(self) -> str:
        """Like table1-mini or figure3_mlp: of its files, and of what is in them."""
        return Path(self.artifact.file(self.level)).name


@dataclass(frozen=True)
class Piece:
    """A table, or a figure with its panels; ``pictures`` are SVGs by level, ``plans`` all runs."""

    id: str
    title: str
    says: str
    tables: tuple[Artifact, ...]
    is_figure: bool
    views: tuple[View, ...]
    pictures: Mapping[str, str]
    plans: Plans

    @property
    def name(self) -> str:
        """Like table1: its nox session."""
        return self.id.rpartition("/")[2]

    def session(self, level: str) -> str:
        """The nox command that makes all of it at a level."""
        given = {"smoke": "", "exact": " -- --exact-only"}.get(level, f" -- --level {level}")
        return f"nox -s {self.name}{given}"


def pieces(paper: str, out: Path, kept: Mapping[str, Kept]) -> list[Piece]:
    """Tables first, then figures, by number; ``kept`` are the records by level."""
    found = []
    for name in artifacts.of_paper(paper):
        drawn = figure.load(name) if figure.is_figure(name) else None
        tables = drawn.panels if drawn else (artifacts.load(name),)
        short = name.rpartition("/")[2]
        files = {at: out / paper / f"{report_name(short, at)}.svg" for at in kept if drawn}
        plans = {(t.id, at): planned_on(t, at, kept.get(at)) for t in tables for at in t.levels}
        found.append(
            Piece(
                id=name,
                title=drawn.drawn.title if drawn else tables[0].title,
                says=drawn.drawn.says if drawn else "",
                tables=tables,
                is_figure=drawn is not None,
                views=tuple(v for t in tables for v in _views(t, kept, plans, out / paper)),
                pictures={at: file.read_text() for at, file in files.items() if file.is_file()},
                plans=plans,
            )
        )
    return found


def planned_on(table: Artifact, level: str, kept: Kept | None) -> Sequence[Planned]:
    """Every run of the table at a level, on the images that its records there are of."""
    seeds = table.level(level).seeds
    unread = artifacts.plan(table, level, "unread", seeds=seeds)
    digest = kept.datasets.get(unread[0].run.dataset) if kept else None
    return artifacts.plan(table, level, digest, seeds=seeds) if digest else unread


def _views(table: Artifact, kept: Mapping[str, Kept], plans: Plans, folder: Path) -> list[View]:
    """Those with records, else what the paper prints beside what needs no training."""
    made = []
    for level in (name for name in table.levels if name in kept):
        found = table_report.collect(plans[table.id, level], kept[level], {})
        if found.made:
            made.append(_view(table, level, found, folder))
    return made or ([_view(table, "exact", Found(), folder)] if table.cells else [])


def _view(table: Artifact, level: str, found: Found, folder: Path) -> View:
    exact = level == "exact"
    options = Options(name=table.id, level=PROTOCOL if exact else level, exact_only=exact)
    report = table_report.report(table, options, table.level(options.level).seeds, found)
    name = Path(table.file(level)).name
    entries: list[Entry] = []
    for row in report.rows:
        for metric, cell in row.cells.items():
            computed = cell.value is not None and not cell.keys
            print_ = table.cells.get((row.label, row.sparsity, metric.removesuffix("_last")))
            entries.append(
                Entry(
                    id=f"{name}.{len(entries)}",
                    row=row.label,
                    sparsity=row.sparsity,
                    metric=metric,
                    cell=cell,
                    command=_command(table, level, row.label, row.sparsity, computed),
                    source=print_.provenance if print_ and print_.published else "",
                    computed=computed,
                )
            )
    files = (f"{table.file(level)}.{suffix}" for suffix in ("md", "csv"))
    beside = tuple(name for name in files if (folder / name).is_file())
    return View(table, level, report, tuple(entries), beside)


def _command(table: Artifact, level: str, label: str, sparsity: float, computed: bool) -> str:
    """What makes one number: a row that a level leaves out is trained at the paper's."""
    trained = level in table.levels and not table.row(label).at(level).left_out
    how = f"--level {PROTOCOL if computed or not trained else level}{' --exact-only' * computed}"
    return f"resparse reproduce {table.id} {how} --only {shlex.quote(label)} --sparsity {sparsity}"
