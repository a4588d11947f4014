"""A finished table as terminal text, Markdown, CSV and JSON; every form says the same."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from resparse.artifact import Artifact, recipe_of
from resparse.cell import Cell, TableRow
from resparse.tables import section
from resparse.verdict import Verdict
from resparse.workloads import workload

COLUMNS = {
    "top1": "top-1, % (epoch)",
    "rs": "R_s",
    "train_flops": "training FLOPs, x dense",
    "test_flops": "test FLOPs, x dense",
    "counts": "nnz / maskable / total",
}
FIELDS = (
    "row", "sparsity", "metric", "ours", "std", "n", "seeds", "published", "published_std",
    "verdict", "frozen_verdict", "erratum", "note", "frozen_note", "keys",
)  # fmt: skip


NET = "paper's net "
UNASKED = (Verdict.MISMATCH, Verdict.FAILED)  # shown also where the paper prints nothing


@dataclass(frozen=True)
class Report:
    """A table's header lines and rows."""

    artifact: Artifact
    header: dict[str, str]
    rows: list[TableRow]
    sections: tuple[section.Section, ...] = ()

    @property
    def verdicts(self) -> dict[str, int]:
        """Cells by verdict, the frozen ones apart."""
        counts: dict[str, int] = {}
        for row in self.rows:
            for cell in row.cells.values():
                name = counted(cell)
                counts[name] = counts.get(name, 0) + 1
                if cell.frozen_verdict:
                    name = f"{cell.frozen_verdict} (frozen)"
                    counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))


def number(cell: Cell, metric: str) -> str:
    """Our value as text, "-" where there is none."""
    if cell.value is None:
        return "-"
    if "top1" in metric:
        std = f" ± {cell.std:.2f}" if cell.std is not None else ""
        return f"{cell.value:.2f}{std}, n {len(cell.seeds)}"
    if metric.endswith("_total"):
        return f"{cell.value:.4g}"
    if metric == "rs_trained_here" or (metric == "rs" and cell.seeds):
        return f"{cell.value:.3f}, n {len(cell.seeds)}"
    return f"{cell.value:.4f}"


def paper(cell: Cell) -> str:
    """The printed value as text."""
    if cell.published is None:
        return "paper -"
    std = f" ± {cell.published_std:g}" if cell.published_std is not None else ""
    return f"paper {cell.published}{std}"


def counted(cell: Cell) -> str:
    """The verdict; a count that is right where the paper prints another number says so."""
    other = cell.verdict == Verdict.EXACT and cell.erratum
    return f"{cell.verdict}, not as printed" if other else str(cell.verdict)


def _verdict(cell: Cell) -> list[str]:
    return [counted(cell), *([cell.erratum] if cell.erratum else [])]


def lines(row: TableRow, column: str) -> list[str]:
    """The text lines of one table cell."""
    cells = row.cells
    if column == "counts":
        where = {"paper": "paper's net", "here": "trained here"}
        numbers = {where[k]: " / ".join(f"{v:,}" for v in c) for k, c in row.counts.items()}
        return [line for name, counts in numbers.items() for line in (f"{name}:", counts)]
    if column == "top1":
        return _top1(cells) or ["-"]
    if column == "rs":
        return _rs(cells) or ["-"]
    cell = cells[column]
    found = [number(cell, column), paper(cell), *_verdict(cell)]
    whole = cells.get(f"{column}_total")
    if whole is not None:
        found += [f"= {number(whole, f'{column}_total')} FLOPs", paper(whole), *_verdict(whole)]
    return found


def _top1(cells: dict[str, Cell]) -> list[str]:
    if "top1_last" not in cells:
        return []
    last, best = cells["top1_last"], cells["top1_best_val"]
    others = {"best-test": cells.get("top1_best_test"), "train": cells.get("train_top1")}
    found = [f"last {number(last, 'top1')}", f"best-val {number(best, 'top1')}"]
    found += [f"{name} {number(cell, 'top1')}" for name, cell in others.items() if cell]
    found.append(paper(last))
    found += [*_verdict(last), *_notes(last)]
    if (best.frozen_verdict, best.frozen_note) != (last.frozen_verdict, last.frozen_note):
        found += [f"best-val {line}" for line in _frozen(best)]
    return found


def _rs(cells: dict[str, Cell]) -> list[str]:
    found = []
    exact, here = cells.get("rs"), cells.get("rs_trained_here")
    if exact is not None:
        trained = bool(exact.keys)
        found = [f"{'' if trained else NET}{number(exact, 'rs')}", paper(exact)]
        found += [*_verdict(exact), *(_notes(exact) if trained else [])]
    if here is not None:
        found.append(f"trained here {number(here, 'rs_trained_here')}")
        found += _verdict(here) if here.verdict in UNASKED else []
        found += _notes(here)
    return found


def _notes(cell: Cell) -> list[str]:
    return (cell.note.split(", ") if cell.note else []) + _frozen(cell)


def _frozen(cell: Cell) -> list[str]:
    if cell.frozen_verdict is None:
        return []
    return [f"frozen: {cell.frozen_verdict}", *filter(None, cell.frozen_note.split(", "))]


def footnotes(report: Report) -> list[str]:
    """Errata that cells name, and what the reader must know of the numbers."""
    used = {cell.erratum for row in report.rows for cell in row.cells.values() if cell.erratum}
    used |= set(report.artifact.of_all)
    notes = [f"{name}: {report.artifact.errata[name]}" for name in sorted(used)]
    notes += protocols(report)
    ratios = [c for c in _ratio_cells(report) if c.published]
    differing = sum(c.erratum is not None for c in ratios)
    if ratios:
        said = "each of them names its erratum" if differing else "the paper's digits are ours"
        notes.append(
            f"{differing} of {len(ratios)} printed FLOP ratios differ from the count; {said}."
        )
    rows = [report.artifact.row(label) for label in dict.fromkeys(r.label for r in report.rows)]
    note = "FLOPs: convolutions and linear layers, 2 x MACs, of the paper's own network."
    for child in rows:
        if child.parent:
            note += f" {child.label}'s training includes its parent's ({child.parent.row})."
    return [*notes, note]


def protocols(report: Report) -> list[str]:
    """What dense training costs by each of the table's own lengths: one line a (steps, batch)."""
    table = report.artifact
    dense = next((r.cells for r in report.rows if r.label == "Dense"), {})
    total = dense["test_flops_total"].value if "test_flops_total" in dense else None
    if not total:
        return []
    lengths: dict[tuple[int, int], list[str]] = {}
    for row in table.rows:
        if row.length == 1.0 and row.label in {r.label for r in report.rows}:
            recipe = recipe_of(table, row, "paper")
            lengths.setdefault((recipe.steps, recipe.batch_size), []).append(row.label)
    images = workload(table.exact_workload).train_size
    return [
        f"Dense training by the protocol of {', '.join(labels)}: {steps:,} steps of {batch} images "
        f"({steps * batch / images:.2f} epochs) cost {3 * total * steps * batch:.4g} FLOPs."
        for (steps, batch), labels in lengths.items()
    ]


def _ratio_cells(report: Report) -> list[Cell]:
    rows = [row for row in report.rows if row.label != "Dense"]
    return [row.cells[m] for row in rows for m in ("train_flops", "test_flops")]


def summary(report: Report) -> str:
    """Cells by verdict in one line."""
    return "; ".join(f"{count} {name}" for name, count in report.verdicts.items())


def to_terminal(report: Report, console: Console | None = None) -> None:
    """Print the whole table, one block a sparsity."""
    console = console or Console(width=None if Console().is_terminal else 162)
    console.print(f"[bold]{report.artifact.title}[/bold]", highlight=False)
    for key, value in report.header.items():
        console.print(f"{key}: {value}", highlight=False, markup=False)
    for sparsity in dict.fromkeys(row.sparsity for row in report.rows):
        table = Table(title=f"sparsity {sparsity}", show_lines=True, title_justify="left")
        table.add_column("row", no_wrap=True)
        for title in COLUMNS.values():
            table.add_column(title)
        for row in report.rows:
            if row.sparsity == sparsity:
                table.add_row(row.label, *("\n".join(lines(row, c)) for c in COLUMNS))
        console.print(table, markup=False)
    for part in report.sections:
        section.to_terminal(part, console)
    for note in footnotes(report):
        console.print(note, highlight=False, markup=False)
    console.print(f"cells: {summary(report)}", highlight=False, markup=False)


def as_markdown(report: Report) -> str:
    """One page: header, a table a sparsity, footnotes, verdict counts."""
    text = [f"# {report.artifact.title}", ""]
    text += [f"- **{key}**: {escape(value)}" for key, value in report.header.items()]
    for sparsity in dict.fromkeys(row.sparsity for row in report.rows):
        text += ["", f"## Sparsity {sparsity}", ""]
        text += ["| row | " + " | ".join(COLUMNS.values()) + " |", "|---" * 6 + "|"]
        for row in report.rows:
            if row.sparsity == sparsity:
                cells = ["<br>".join(escape(x) for x in lines(row, c)) for c in COLUMNS]
                text.append("| " + " | ".join([escape(row.label), *cells]) + " |")
    for part in report.sections:
        text += section.as_markdown(part, escape)
    text += ["", "## Notes", ""] + [f"- {escape(note)}" for note in footnotes(report)]
    text += ["", f"Cells: {summary(report)}.", ""]
    return "\n".join(text)


def escape(text: str) -> str:
    """Text that Markdown and HTML in it show as it is."""
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("_", "\\_"), ("*", "\\*")):
        text = text.replace(mark, safe)
    return text


def records(report: Report) -> list[dict[str, Any]]:
    """One flat record a cell."""
    return [
        dict(
            zip(
                FIELDS,
                (
                    row.label,
                    row.sparsity,
                    metric,
                    cell.value,
                    cell.std,
                    len(cell.seeds),
                    " ".join(f"{s}:{v:.6g}" for s, v in cell.seeds.items()),
                    cell.published,
                    cell.published_std,
                    str(cell.verdict),
                    str(cell.frozen_verdict or ""),
                    cell.erratum,
                    cell.note,
                    cell.frozen_note,
                    " ".join(f"{s}:{key}" for s, key in cell.keys.items()),
                ),
                strict=True,
            )
        )
        for row in report.rows
        for metric, cell in row.cells.items()
    ]


def as_csv(report: Report) -> str:
    """One line a cell, with its seeds."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(report))
    return buffer.getvalue()


def as_json(report: Report) -> str:
    """rows -> cells -> value, seeds, published, verdict."""
    rows = [
        {
            "row": row.label,
            "sparsity": row.sparsity,
            "counts": row.counts,
            "cells": {metric: vars(cell) for metric, cell in row.cells.items()},
        }
        for row in report.rows
    ]
    whole = {"artifact": report.artifact.id, "header": report.header, "rows": rows}
    return json.dumps(whole | {"sections": [vars(part) for part in report.sections]}, indent=1)
