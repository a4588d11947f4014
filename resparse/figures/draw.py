"""A figure as a picture, SVG and PNG: what all kinds share, and which kind is drawn how."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resparse.artifact import Artifact
from resparse.figures import bars, lines, sweeps
from resparse.figures.figure import Figure, Point
from resparse.files import write_atomic
from resparse.table import report_name

WIDTH, HEIGHT = 3.3, 2.6  # of one axes, inches
LEGEND = 0.6  # inches below


def draw(figure: Figure, level: str, points: Sequence[Sequence[Point]]) -> tuple[bytes, bytes]:
    """(SVG, PNG) of all panels; the same bytes for the same points.

    Along sparsities a panel is one axes, and panels lie side by side. Else each is a row: accuracy
    at all sparsities first, then a sparsity each with R_s on an axis of its own. Bands are a
    standard deviation over seeds to either side. A level that trains other than the paper's network
    says so above each panel.
    """
    import matplotlib as mpl
    import seaborn

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = seaborn.color_palette("colorblind")
    widest = max(len(panel.sparsities) for panel in figure.panels)
    rows, columns, larger = len(figure.panels), 1 + widest, 1.0
    if figure.by_sparsity:
        rows, columns, larger = 1, len(figure.panels), 1.4
    style: Any = {"svg.hashsalt": figure.id, "svg.fonttype": "path", "font.size": 9}
    with mpl.rc_context(style):
        made, axes = plt.subplots(
            rows,
            columns,
            figsize=(larger * WIDTH * columns, larger * HEIGHT * rows + LEGEND),
            squeeze=False,
            layout="constrained",
        )
        for n, (panel, some) in enumerate(zip(figure.panels, points, strict=True)):
            if not figure.by_sparsity:
                sweeps.draw(figure, panel, some, axes[n], colours)
                axes[n][0].set_title(_title(panel, level), fontsize=9)
                continue
            if figure.drawn.shows == "flops":
                bars.draw(figure, panel, some, axes[0][n], colours)
            else:
                lines.draw(figure, panel, some, axes[0][n], colours)
            axes[0][n].set_title(_title(panel, level), fontsize=9)
        _legend(made, 2 + columns if figure.by_sparsity else 6)
        svg, png = io.BytesIO(), io.BytesIO()
        made.savefig(svg, format="svg", metadata={"Date": None})
        made.savefig(png, format="png", dpi=160, metadata={"Software": None})
        plt.close(made)
    return svg.getvalue(), png.getvalue()


def _legend(made: Any, columns: int) -> Any:
    """One for all axes, below them, of as many columns as the figure is wide enough for.

    A name that several axes have stands there once.
    """
    handles: dict[Any, Any] = {}
    for axis in made.axes:  # those of R_s too
        found = zip(*axis.get_legend_handles_labels(), strict=True)
        handles |= {label: handle for handle, label in found}
    shown = list(handles.values()), list(handles)
    for count in range(columns, 0, -1):
        legend = made.legend(*shown, loc="outside lower center", ncols=count, frameon=False)
        if legend.get_window_extent().width <= made.bbox.width or count == 1:
            break
        legend.remove()
    return legend


def _title(panel: Artifact, level: str) -> str:
    """The paper's network and data, and what was trained in their place."""
    here = panel.level(level).workload
    own = here == panel.exact_workload
    return panel.title if own else f"for {panel.title}:\n{here}, level {level}"


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
