"""A panel along sparsity: a line each method, dashed where it trains longer."""

from collections.abc import Sequence
from typing import Any

from resparse.artifact import Artifact
from resparse.figures.figure import Figure, Point
from resparse.figures.style import MARKERS, dense_line, line

YLABEL = {
    "accuracy": {"top1_last": "test top-1, %", "top1_best_test": "best test top-1, %"},
    "generalisation": {
        "top1_last": "training - test top-1, points",
        "top1_best_test": "training - best test top-1, points",
    },
}


def draw(figure: Figure, panel: Artifact, points: Sequence[Point], axis: Any, colours: Any) -> None:
    """All into one axes, sparsities evenly apart: the highest lie too close for their values."""
    sparsities = sorted(panel.sparsities)
    names = list(dict.fromkeys(p.name for p in points if p.method != "dense"))
    lengths = sorted({p.length for p in points})
    for name in names:
        for length in lengths:
            some = [
                p._replace(x=float(sparsities.index(p.sparsity)))
                for p in points
                if (p.name, p.length) == (name, length) and p.x is not None
            ]
            if some:
                at = names.index(name)
                label = name if length == 1.0 else f"{name}, {length:g} x as long"
                style = "-" if length == 1.0 else "--"
                line(
                    axis,
                    some,
                    colour=colours[at],
                    style=style,
                    marker=MARKERS[at % len(MARKERS)],
                    label=label,
                )
    dense_line(axis, points)
    _longer_dense(points, axis)
    axis.set_xticks(range(len(sparsities)), [f"{s:g}" for s in sparsities])
    axis.set_xlabel(figure.label(panel))
    axis.set_ylabel(YLABEL[figure.drawn.shows][panel.accuracy])
    axis.grid(alpha=0.25)


def _longer_dense(points: Sequence[Point], axis: Any) -> None:
    longer = {p.length: p for p in points if p.method == "dense" and p.length != 1.0}
    for length, point in longer.items():
        label = f"{point.name}, {length:g} x as long"
        axis.axhline(point.mean, color="0.45", ls=":", lw=1.2, label=label)
