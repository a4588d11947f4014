"""A figure as a picture: accuracy and R_s against an axis, panel by panel; SVG and PNG."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resparse.artifact import Artifact
from resparse.figure import Figure, Point
from resparse.files import write_atomic
from resparse.table import report_name

MARKERS = ("o", "s", "^", "D", "v")  # of sparsities, so that a print in grey is read too
STYLES = ("-.", "--", "-", ":")  # of methods, in the order of the figure's names
WIDTH, HEIGHT = 3.3, 2.6  # of one axes, inches
RS_COLOUR, EXPLORED = "0.35", "$R_s$"


def draw(figure: Figure, level: str, points: Sequence[Sequence[Point]]) -> tuple[bytes, bytes]:
    """(SVG, PNG) of all panels; the same bytes for the same points.

    A row of axes for each panel: accuracy at all sparsities first, then a sparsity each with R_s
    on an axis of its own. Bands are a standard deviation over seeds to either side. A level that
    trains other than the paper's network says so above each panel.
    """
    import matplotlib as mpl
    import seaborn

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = seaborn.color_palette("colorblind")
    columns = 1 + max(len(panel.sparsities) for panel in figure.panels)
    style: Any = {"svg.hashsalt": figure.id, "svg.fonttype": "path", "font.size": 9}
    with mpl.rc_context(style):
        made, axes = plt.subplots(
            len(figure.panels),
            columns,
            figsize=(WIDTH * columns, HEIGHT * len(figure.panels) + 0.6),
            squeeze=False,
            layout="constrained",
        )
        for row, panel, some in zip(axes, figure.panels, points, strict=True):
            _panel(figure, panel, some, row, colours)
            row[0].set_title(_title(panel, level), fontsize=9)
        handles: dict[Any, Any] = {}
        for axis in made.axes:  # those of R_s too
            handles |= {h.get_label(): h for h in axis.get_legend_handles_labels()[0]}
        made.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=6,
            frameon=False,
        )
        svg, png = io.BytesIO(), io.BytesIO()
        made.savefig(svg, format="svg", metadata={"Date": None})
        made.savefig(png, format="png", dpi=160, metadata={"Software": None})
        plt.close(made)
    return svg.getvalue(), png.getvalue()


def _panel(figure: Figure, panel: Artifact, some: Sequence[Point], row: Any, colours: Any) -> None:
    sparsities = panel.sparsities
    for axis in row[1 + len(sparsities) :]:
        axis.set_visible(False)
    for n, sparsity in enumerate(sparsities):
        here = [p for p in some if p.sparsity == sparsity]
        _accuracy(figure, here, row[0], colours[n], MARKERS[n], f"sparsity {sparsity:g}")
        own = row[1 + n]
        _accuracy(figure, here, own, colours[n], MARKERS[n], f"sparsity {sparsity:g}")
        _explored(figure, here, own)
        own.set_title(f"sparsity {sparsity:g}", fontsize=9)
    _dense(figure, some, row[0])
    row[0].set_ylabel("test top-1, %")
    for axis in row[: 1 + len(sparsities)]:
        axis.set_xlabel(figure.drawn.label)
        axis.set_xscale(figure.drawn.scale)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.25)


def _accuracy(
    figure: Figure, some: Sequence[Point], axis: Any, colour: Any, marker: str, name: str
) -> None:
    for method in dict.fromkeys(p.method for p in some):
        style = _style(figure, method)
        swept = sorted((p for p in some if p.method == method and p.x is not None), key=_x)
        label = f"{figure.drawn.names[method]}, {name}"
        if swept:
            at, mean = [p.x for p in swept], [p.top1 for p in swept]
            low = [p.top1 - p.top1_std for p in swept]
            high = [p.top1 + p.top1_std for p in swept]
            axis.plot(at, mean, style, marker=marker, ms=4, color=colour, label=label)
            axis.fill_between(at, low, high, color=colour, alpha=0.18, lw=0)
        elif method != "dense":
            level = next(p for p in some if p.method == method)
            axis.axhline(level.top1, color=colour, ls=style, lw=1.2, label=label)


def _dense(figure: Figure, some: Sequence[Point], axis: Any) -> None:
    """The dense line, once: its runs are the same at every sparsity."""
    dense = next((p for p in some if p.method == "dense"), None)
    if dense is not None:
        axis.axhline(
            dense.top1,
            color="black",
            ls=_style(figure, "dense"),
            lw=1.2,
            label=figure.drawn.names["dense"],
        )


def _explored(figure: Figure, some: Sequence[Point], axis: Any) -> None:
    """R_s on the right, from 0 to 1."""
    other = axis.twinx()
    for method in dict.fromkeys(p.method for p in some if p.x is not None):
        style = _style(figure, method)
        swept = sorted((p for p in some if p.method == method and p.rs is not None), key=_x)
        at, rs = [p.x for p in swept], [p.rs for p in swept]
        other.plot(at, rs, style, marker="x", ms=4, lw=1, color=RS_COLOUR, label=EXPLORED)
    other.set_ylim(0.0, 1.05)
    other.set_ylabel(EXPLORED, color=RS_COLOUR)
    other.tick_params(axis="y", colors=RS_COLOUR)


def _title(panel: Artifact, level: str) -> str:
    """The paper's network and data, and what was trained in their place."""
    here = panel.level(level).workload
    own = here == panel.exact_workload
    return panel.title if own else f"for {panel.title}:\n{here}, level {level}"


def _style(figure: Figure, method: str) -> str:
    return STYLES[list(figure.drawn.names).index(method) % len(STYLES)]


def _x(point: Point) -> float:
    return 0.0 if point.x is None else point.x


def write(
    figure: Figure, level: str, points: Sequence[Sequence[Point]], folder: Path
) -> list[Path]:
    """Write the level's .svg and .png into ``folder``; returns their paths."""
    name = report_name(figure.drawn.name, level)
    paths = []
    for suffix, made in zip(("svg", "png"), draw(figure, level, points), strict=True):
        paths.append(folder / f"{name}.{suffix}")
        write_atomic(paths[-1], made)
    return paths
