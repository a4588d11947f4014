"""The command `reproduce` for a figure: each panel like a table, then the picture of all."""

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace

from resparse.artifact import Artifact
from resparse.asked import Options
from resparse.errors import UsageError, worst
from resparse.figures import draw
from resparse.figures import figure as figures
from resparse.figures.figure import Figure, Point
from resparse.files import require_writable, write_atomic
from resparse.reproduce import reproduce
from resparse.table import report_name
from resparse.verdict import Verdict

ENDS = ("diverged", "collapsed")  # of runs that keep their numbers


def reproduce_figure(options: Options) -> int:
    """Do what ``options`` ask of every panel; returns the worst exit code.

    Runs that panels share are trained once. The picture is drawn where the panels' own files are
    written, and of those alone. Raises UsageError for a choice of rows: they are a panel's.
    """
    whole = figures.load(options.name)
    figure = whole.at(options.level)
    absent = [panel.id for panel in whole.panels if panel not in figure.panels]
    if absent and not options.json:
        print(f"{whole.id} at level {options.level} has no {', '.join(absent)}: not drawn")
    if options.only or options.sparsities:
        chosen = "--only" if options.only else "--sparsity"
        valid = ", ".join(panel.id for panel in figure.panels)
        raise UsageError(f"{chosen} with {figure.id}; valid: with one of its panels, {valid}")
    codes, said = [], []
    for panel in figure.panels:
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard) if options.json else contextlib.nullcontext():
            codes.append(reproduce(replace(options, name=panel.id)))
        said.append(heard.getvalue())
    files = []
    if not (options.partial or options.plan_only or options.rehearse or options.exact_only):
        files = [] if options.slurm else _write(figure, options)
    if options.json:
        panels = [json.loads(text) for text in said if text]
        print(json.dumps({"figure": figure.id, "panels": panels, "files": files}, indent=1))
    elif files:
        print(f"written: {', '.join(files)}")
    return worst(codes)


def _write(figure: Figure, options: Options) -> list[str]:
    """The picture as SVG and PNG, and the page that holds it."""
    folder = options.out / figure.drawn.paper
    require_writable(folder)
    found = [figures.points(figure, panel, options.level, folder) for panel in figure.panels]
    name = report_name(figure.drawn.name, options.level)
    paths = draw.write(figure, options.level, found, folder)
    page = folder / f"{name}.md"
    write_atomic(page, _page(figure, options.level, name, found))
    return [str(path) for path in (*paths, page)]


def _page(figure: Figure, level: str, name: str, found: Sequence[Sequence[Point]]) -> str:
    """Markdown: the picture, what it shows, what it lacks, and where each panel's numbers are."""
    lines = [f"# {figure.drawn.title}", "", f"![{figure.drawn.title}, level {level}]({name}.svg)"]
    lines += ["", f"{figure.drawn.says}.", "", "| panel | level | what it shows | numbers |"]
    lines += ["|---|---|---|---|"]
    lines += [_line(panel, level) for panel in figure.panels]
    given = "" if level == "smoke" else f" -- --level {level}"
    lines += ["", f"Made by `nox -s {figure.drawn.name}{given}`; a panel alone by the command in"]
    lines += ["its page. Bands are one standard deviation over seeds to either side of the mean."]
    pairs = zip(figure.panels, found, strict=True)
    lines += [line for panel, some in pairs for line in _lacking(panel, level, some)]
    return "\n".join([*lines, ""])


def _lacking(panel: Artifact, level: str, found: Sequence[Point]) -> list[str]:
    """What a reader of the points must know: seeds and points that are not there, or not sound."""
    asked, lines = len(panel.level(level).seeds), []
    fewer = sum(point.seeds < asked for point in found)
    rows = [row for row in panel.rows if not row.at(level).left_out]
    absent = sum(row.has(s) for row in rows for s in panel.sparsities) - len(found)
    if fewer:
        lines.append(f"{panel.title}: {fewer} of {len(found)} means are of fewer than {asked} runs")
    unstable = sum(any(f" {end}:" in point.note for end in ENDS) for point in found)
    if unstable:
        lines.append(f"{panel.title}: {unstable} means hold a run that diverged or collapsed")
    if stale := sum(point.verdict == Verdict.STALE for point in found):
        lines.append(f"{panel.title}: {stale} points are of runs that other code made (STALE)")
    if absent:
        lines.append(f"{panel.title}: {absent} points are not drawn: no run of them has ended")
    return [text for line in lines for text in ("", f"{line}.")]


def _line(panel: Artifact, level: str) -> str:
    name, at = panel.file(level), panel.level(level)
    links = f"[cells]({name}.md), [CSV]({name}.csv)"
    return f"| {panel.title} | {level} ({at.workload}) | {at.shows} | {links} |"
