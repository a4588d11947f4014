"""The papers' printed numbers: one CSV a table, a unit on every number."""

import csv
from dataclasses import dataclass

from resparse.errors import UsageError

UNITS = {
    "top1": "percent",
    "rs": "fraction",
    "train_flops": "x dense",
    "test_flops": "x dense",
    "train_flops_total": "FLOPs",
    "test_flops_total": "FLOPs",
}


@dataclass(frozen=True)
class Published:
    """One printed number; ``expected`` is ours in four digits where the cell is exact."""

    published: str | None
    std: float | None
    expected: str | None
    erratum: str | None
    provenance: str


def read_published(text: str, where: str) -> dict[tuple[str, float, str], Published]:
    """(row, sparsity, metric) -> printed number; each must carry the unit of its metric."""
    cells = {}
    for number, line in enumerate(csv.DictReader(text.splitlines()), start=2):
        metric = line["metric"]
        if metric not in UNITS:
            raise UsageError(f"{where}:{number}: metric {metric!r}; valid: {', '.join(UNITS)}")
        if line["unit"] != UNITS[metric]:
            raise UsageError(
                f"{where}:{number}: {line['row']} {metric} {line['published'] or '(empty)'} has "
                f"unit {line['unit']!r}; valid: {UNITS[metric]!r}"
            )
        cells[(line["row"], float(line["sparsity"]), metric)] = Published(
            published=line["published"] or None,
            std=float(line["std"]) if line["std"] else None,
            expected=line["expected"] or None,
            erratum=line["erratum"] or None,
            provenance=f"{line['provenance']}, {line['source']}",
        )
    return cells
