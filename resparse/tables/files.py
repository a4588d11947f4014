"""A report as files: Markdown, CSV, and a picture of what the terminal shows."""

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from resparse.files import write_atomic
from resparse.tables.render import Report, as_csv, as_markdown, to_terminal

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
    to_terminal(Report(report.artifact, report.header, first, report.sections), console)
    svg: str = console.export_svg(
        title="", theme=DEFAULT_TERMINAL_THEME, code_format=SVG, unique_id="table"
    )
    return svg


def write(report: Report, folder: Path, name: str) -> list[Path]:
    """Write <name>.md, .csv and .svg into ``folder``; returns their paths."""
    written = []
    forms = {"md": as_markdown(report), "csv": as_csv(report), "svg": as_svg(report)}
    for suffix, text in forms.items():
        path = folder / f"{name}.{suffix}"
        write_atomic(path, text)
        written.append(path)
    return written
