"""A finished table as terminal text, Markdown, CSV and JSON; every form says the same."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from resparse.artifact import Artifact
from resparse.cells import TableRow
from resparse.files import write_atomic
from resparse.frozen import Cell

COLUMNS = {
    "top1": "top-1, % (epoch)",
    "rs": "R_s",
    "train_flops": "training FLOPs, x dense",
    "test_flops": "test FLOPs, x dense",
    "counts": "nnz / maskable / total",
}
FIELDS = (
    "row",
    "sparsity",
    "metric",
    "ours",
    "std",
    "n",
    "seeds",
    "published",
    "published_std",
    "verdict",
    "frozen_verdict",
    "erratum",
    "note",
)


@dataclass(frozen=True)
class Report:
    """A table's header lines and rows."""

    artifact: Artifact
    header: dict[str, str]
    rows: list[TableRow]

    @property
    def verdicts(self) -> dict[str, int]:
        """Cells by verdict, the frozen ones apart."""
        counts: dict[str, int] = {}
        for row in self.rows:
            for cell in row.cells.values():
                counts[str(cell.verdict)] = counts.get(str(cell.verdict), 0) + 1
                if cell.frozen_verdict:
                    name = f"{cell.frozen_verdict} (frozen)"
                    counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))


def number(cell: Cell, metric: str) -> str:
    """Our value as text, "-" where there is none."""
    if cell.value is None:
        return "-"
    if metric.startswith("top1"):
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


def _verdict(cell: Cell) -> str:
    return str(cell.verdict) + (f", {cell.erratum}" if cell.erratum else "")


def lines(row: TableRow, column: str) -> list[str]:
    """The text lines of one table cell."""
    cells = row.cells
    if column == "counts":
        where = {"paper": "paper's net", "here": "trained here"}
        numbers = {where[k]: " / ".join(f"{v:,}" for v in c) for k, c in row.counts.items()}
        return [line for name, counts in numbers.items() for line in (f"{name}:", counts)]
    if column == "top1":
        if "top1_last" not in cells:
            return ["-"]
        last, best = cells["top1_last"], cells["top1_best_val"]
        found = [f"last {number(last, 'top1')}", f"best-val {number(best, 'top1')}"]
        found += [paper(last), _verdict(last)]
        if last.frozen_verdict:
            found.append(f"frozen: {last.frozen_verdict}")
        return found + ([last.note] if last.note else [])
    if column == "rs":
        found = []
        if "rs" in cells:
            exactly = "" if cells["rs"].seeds else "paper's net "
            found = [f"{exactly}{number(cells['rs'], 'rs')}", paper(cells["rs"])]
            found += [_verdict(cells["rs"])] + (
                cells["rs"].note.split(", ") if cells["rs"].seeds else []
            )
        if "rs_trained_here" in cells:
            here = cells["rs_trained_here"]
            found += [f"trained here {number(here, 'rs_trained_here')}", *here.note.split(", ")]
        return [line for line in found if line] or ["-"]
    cell = cells[column]
    found = [number(cell, column), paper(cell), _verdict(cell)]
    whole = cells.get(f"{column}_total")
    if whole is not None:
        found += [f"= {number(whole, f'{column}_total')} FLOPs", paper(whole), _verdict(whole)]
    return found


def footnotes(report: Report) -> list[str]:
    """Errata that cells name, and what the reader must know of the numbers."""
    used = {cell.erratum for row in report.rows for cell in row.cells.values() if cell.erratum}
    notes = [f"{name}: {report.artifact.errata[name]}" for name in sorted(used)]
    network = [r.cells["test_flops_total"].value for r in report.rows if r.label == "Dense"]
    if network and network[0]:
        epochs = 3 * network[0] * 1_281_167 * 100
        notes.append(
            f"Dense training is printed as 3.2e18: 32,000 steps of 4096 images give 3.216e18, "
            f"100 epochs of 1,281,167 images {epochs:.3g} (E-ITOP-20)."
        )
    ratios = [c for c, r in _ratio_cells(report) if r.label != "Dense" and c.published]
    differing = sum(c.erratum is not None for c in ratios)
    if ratios:
        notes.append(
            f"{differing} of {len(ratios)} printed FLOP ratios differ from the count; "
            "each of them names its erratum."
        )
    notes.append(
        "FLOPs: convolutions and linear layers, 2 x MACs, of the paper's own network; SET, GMP and "
        "LTR are uniform with a dense first layer, the other sparse rows ERK. LTR's training "
        "includes its parent's."
    )
    return notes


def _ratio_cells(report: Report) -> list[tuple[Cell, TableRow]]:
    return [
        (row.cells[metric], row)
        for row in report.rows
        for metric in ("train_flops", "test_flops")
        if metric in row.cells
    ]


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
    for note in footnotes(report):
        console.print(note, highlight=False, markup=False)
    console.print(f"cells: {summary(report)}", highlight=False, markup=False)


# Plain: no window, no font from elsewhere (rich's own template fetches one).
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: DejaVu Sans Mono, Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def as_svg(report: Report) -> str:
    """What the terminal shows of the first sparsity, as a picture; the same file for one report."""
    first = [row for row in report.rows if row.sparsity == report.rows[0].sparsity]
    console = Console(record=True, width=162, file=io.StringIO(), force_terminal=True)
    to_terminal(Report(report.artifact, report.header, first), console)
    svg: str = console.export_svg(
        title="", theme=DEFAULT_TERMINAL_THEME, code_format=SVG, unique_id="table"
    )
    return svg


def as_markdown(report: Report) -> str:
    """One page: header, a table a sparsity, footnotes, verdict counts."""
    text = [f"# {report.artifact.title}", ""]
    text += [f"- **{key}**: {_escape(value)}" for key, value in report.header.items()]
    for sparsity in dict.fromkeys(row.sparsity for row in report.rows):
        text += ["", f"## Sparsity {sparsity}", ""]
        text += ["| row | " + " | ".join(COLUMNS.values()) + " |", "|---" * 6 + "|"]
        for row in report.rows:
            if row.sparsity == sparsity:
                cells = ["<br>".join(_escape(x) for x in lines(row, c)) for c in COLUMNS]
                text.append("| " + " | ".join([_escape(row.label), *cells]) + " |")
    text += ["", "## Notes", ""] + [f"- {_escape(note)}" for note in footnotes(report)]
    text += ["", f"Cells: {summary(report)}.", ""]
    return "\n".join(text)


def _escape(text: str) -> str:
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
    return json.dumps(
        {"artifact": report.artifact.id, "header": report.header, "rows": rows}, indent=1
    )


def write(report: Report, folder: Path, name: str) -> list[Path]:
    """Write <name>.md, .csv and .svg into ``folder``; returns their paths."""
    written = []
    forms = {"md": as_markdown(report), "csv": as_csv(report), "svg": as_svg(report)}
    for suffix, text in forms.items():
        path = folder / f"{name}.{suffix}"
        write_atomic(path, text)
        written.append(path)
    return written
