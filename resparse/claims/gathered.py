"""Committed records as evidence: at the points that the rows of tables and panels name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resparse import artifact as artifacts
from resparse import kept
from resparse.artifact import ROOT, Artifact, Row
from resparse.claims.evidence import Cell, Evidence
from resparse.claims.point import Point
from resparse.figures import figure
from resparse.record import Record
from resparse.worker import code_of
from resparse.workloads import workload

DENSE = "dense"  # all sparsities share its runs
STILL = (DENSE, "static")  # their R_s is their density, whatever the seed
AS_RECORDED = ("rs", "rs_miss", "rs_fall", "nnz_change", "train_top1")


def gathered(paper: str, out: Path = ROOT / "reports") -> Evidence:
    """What the committed records of a paper say, at every level; raises RunFailed for bad ones."""
    found = Evidence()
    for level in kept.levels(out, paper):
        records = kept.read(kept.file(out, paper, level))
        for table in tables(paper):
            if level in table.levels:
                found = _with(found, evidence_of(table, level, records))
    return found


def tables(paper: str) -> list[Artifact]:
    """Every table of the paper, and every panel of its figures."""
    found: list[Artifact] = []
    for name in (n for n in artifacts.names() if n.startswith(f"{paper}/")):
        found += figure.load(name).panels if figure.is_figure(name) else [artifacts.load(name)]
    return found


def evidence_of(table: Artifact, level: str, records: kept.Kept) -> Evidence:
    """The table's cells at a level, and the points that it plans there.

    A run that diverged is nan, which is refused where a claim is judged and never left out. Without
    any record of the level's dataset there is nothing.
    """
    at = table.level(level)
    problem = workload(at.workload)
    dataset = records.datasets.get(problem.dataset)
    if dataset is None:
        return Evidence()
    by_cell: dict[tuple[str, float], list[Record]] = {}
    stale = set()
    for item in artifacts.plan(table, level, dataset, seeds=at.seeds):
        record = records.record(item.run)
        by_cell.setdefault((item.label, item.sparsity), []).extend([record] if record else [])
        if record is not None and record.fingerprint != code_of(item.run):
            stale.add(record.key)
    protocol = f"{at.workload} at {level}, {problem.dataset}, {dataset[:12]}, {table.accuracy}"
    cells: dict[tuple[Point, str], Cell] = {}
    points: dict[Point, None] = {}
    for (label, sparsity), found in by_cell.items():
        row = table.row(label)
        point = point_of(table, row, sparsity)
        points[point] = None
        there = {record.run.seed for record in found}
        for metric, values in _values(table, row, level, found).items():
            cells[point, metric] = Cell(
                point=point,
                metric=metric,
                values=tuple(values.items()),
                level=level,
                protocol=protocol,
                keys=tuple(record.key for record in found),
                exact=_is_exact(row, metric),
                lacking=tuple(seed for seed in at.seeds if seed not in there),
                stale=tuple(record.key for record in found if record.key in stale),
            )
    return Evidence(tuple(cells.values()), tuple((level, point) for point in points))


def point_of(table: Artifact, row: Row, sparsity: float) -> Point:
    """Where the paper has the row, by its own values, whatever a level puts in their place."""
    network = workload(table.exact_workload)
    known: Mapping[str, Any] = {**row.fields, **row.coordinates}
    dense, panel = row.method == DENSE, table.name.partition("/")[2]
    return Point(
        artifact=panel.partition("_")[0] or table.name,  # of a panel its figure
        method=row.name,
        model=network.model,
        dataset=network.dataset.partition(":")[0],
        distribution=None if dense else row.distribution,
        sparsity=None if dense and panel else sparsity,  # tables print it at each
        alpha=None if dense else known.get("alpha"),
        interval=None if dense else known.get("interval"),
        batch_size=row.coordinates.get("batch_size"),  # type: ignore[arg-type]
        length=row.length,
    )


def _values(
    table: Artifact, row: Row, level: str, records: Sequence[Record]
) -> dict[str, dict[int, float]]:
    """Metric -> seed -> value, where the records have it; nan of a run that diverged."""
    found: dict[str, dict[int, float]] = {}
    for record in records:
        for metric, value in _of_record(table, row, level, record).items():
            found.setdefault(metric, {})[record.run.seed] = value
    return found


def _of_record(table: Artifact, row: Row, level: str, record: Record) -> dict[str, float]:
    outcome = record.outcome
    values = {metric: outcome[metric] for metric in AS_RECORDED if metric in outcome}
    values["top1"] = outcome.get(table.accuracy)
    values["train_flops"] = outcome["train_flops_vs_dense"] * row.length_at(level)
    values["train_flops_total"] = sum(outcome["train_flops"].values())
    values["test_flops"] = outcome["test_flops"] / outcome["dense_forward_flops"]
    values["test_flops_total"] = outcome["test_flops"]
    if outcome.get("rs_expected") is not None:
        values["rs_expected"] = outcome["rs_expected"]
    if record.status == "diverged":  # also of what it did not come to measure
        return dict.fromkeys(values, math.nan)
    return {name: float(value) for name, value in values.items() if value is not None}


def _is_exact(row: Row, metric: str) -> bool:
    """Whether seeds cannot differ in it: what is counted of masks that stay, and what follows."""
    counted = metric in ("rs_expected", "rs_miss", "rs_fall", "nnz_change")
    return counted or "flops" in metric or (metric == "rs" and row.method in STILL)


def _with(one: Evidence, other: Evidence) -> Evidence:
    """Both; a point that two panels of a figure share, with the same runs, is there once."""
    known = {(cell.level, cell.point, cell.metric): cell.keys for cell in one.cells}
    new = [c for c in other.cells if known.get((c.level, c.point, c.metric)) != c.keys]
    planned = dict.fromkeys((*one.planned, *other.planned))
    return replace(one, cells=(*one.cells, *new), planned=tuple(planned))
