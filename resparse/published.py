"""The papers' printed numbers: one CSV a table, a unit on every number."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from resparse.errors import UsageError
from resparse.reading import Share, Table, Text, matching, read

UNITS = {
    "top1": "percent",
    "rs": "fraction",
    "train_flops": "x dense",
    "test_flops": "x dense",
    "train_flops_total": "FLOPs",
    "test_flops_total": "FLOPs",
}
FLOPS = [metric for metric in UNITS if "flops" in metric]  # computed for every row
_NUMBER = r"(0|[1-9]\d*)(\.\d+)?"
Number = Annotated[str, matching(_NUMBER, "a number like 0.23")]
Printed = Annotated[str, matching(rf"{_NUMBER}|[1-9](\.\d+)?e[1-9]\d*", "like 42, 0.42 or 8.2e9")]
FourDigits = Annotated[
    str, matching(r"(0|[1-9]\d*)\.\d{4}|[1-9]\.\d{3}e[1-9]\d*", "four digits: 0.2418 or 3.216e18")
]
Cells = dict[tuple[str, float, str], "Published"]  # by row, sparsity, metric


@dataclass(frozen=True)
class Published:
    """One printed number; ``expected`` is ours in four digits where the cell is exact."""

    published: str | None
    std: float | None
    expected: str | None
    erratum: str | None
    provenance: str


class Line(Table):
    """One line of the CSV; empty columns are None."""

    row: Text
    sparsity: Annotated[Share, Field(strict=False)]
    metric: str
    unit: str | None
    published: Printed | None
    std: Number | None
    expected: FourDigits | None
    erratum: Text | None
    provenance: Text
    source: Text


def read_published(text: str, where: str) -> Cells:
    """(row, sparsity, metric) -> printed number; each must carry the unit of its metric."""
    cells: Cells = {}
    head, *lines = list(csv.reader(text.splitlines())) or [[]]
    if head != list(Line.model_fields):
        raise UsageError(
            f"{where}:1: columns {','.join(head)}; valid: {','.join(Line.model_fields)}"
        )
    for number, values in enumerate(lines, start=2):
        at = f"{where}:{number}"
        if len(values) != len(head):
            raise UsageError(f"{at}: {len(values)} columns; valid: {len(head)}")
        line = read(Line, {k: v or None for k, v in zip(head, values, strict=True)}, at)
        if line.metric not in UNITS:
            raise UsageError(f"{at}: metric {line.metric!r}; valid: {', '.join(UNITS)}")
        if line.unit != UNITS[line.metric]:
            raise UsageError(
                f"{at}: {line.row} {line.metric} {line.published or '(empty)'} has "
                f"unit {line.unit or ''!r}; valid: {UNITS[line.metric]!r}"
            )
        key = (line.row, line.sparsity, line.metric)
        if key in cells:
            raise UsageError(f"{at}: {' '.join(map(str, key))} is given twice; valid: once")
        cells[key] = Published(
            published=line.published,
            std=float(line.std) if line.std else None,
            expected=line.expected,
            erratum=line.erratum,
            provenance=f"{line.provenance}, {line.source}",
        )
    return cells


def check_cells(
    cells: Cells,
    where: str,
    *,
    rows: Mapping[str, bool],
    sparsities: Collection[float],
    errata: Collection[str],
) -> None:
    """Raise UsageError for a cell that the table could not show, or would show without a verdict.

    ``rows`` are the table's, each with whether its R_s is computed; FLOPs always are.
    """
    for (label, sparsity, metric), cell in cells.items():
        at = f"{where}: {label} {sparsity} {metric}"
        if label not in rows:
            raise UsageError(f"{at}: row {label!r}; valid: {', '.join(rows)}")
        if sparsity not in sparsities:
            raise UsageError(f"{at}: sparsity {sparsity}; valid: {', '.join(map(str, sparsities))}")
        if cell.erratum and cell.erratum not in errata:
            raise UsageError(f"{at}: erratum {cell.erratum!r}; valid: {', '.join(errata)}")
        computed = metric in FLOPS or (metric == "rs" and rows[label])
        if cell.expected and not computed:
            raise UsageError(
                f"{at}: expected = {cell.expected!r}; valid: empty, this value is not computed"
            )
        if cell.published and computed and not cell.expected:
            raise UsageError(
                f"{at}: published {cell.published} has no expected; valid: ours in four digits"
            )
