"""Training FLOPs of the shortest training that is as accurate as dense, sparsity by sparsity."""

from collections.abc import Sequence
from typing import Any

from resparse.artifact import Artifact
from resparse.figures.figure import Figure, Point


def matching(points: Sequence[Point], sparsity: float, margin: float) -> tuple[Point, bool] | None:
    """The cheapest sparse training within ``margin`` points of dense or above, and True.

    Where none is, the costliest that was tried, and False; None where nothing was trained.
    """
    dense = next((p for p in points if p.method == "dense" and p.length == 1.0), None)
    tried = [
        p for p in points if p.sparsity == sparsity and p.method != "dense" and p.flops is not None
    ]
    if dense is None or not tried:
        return None
    as_good = [p for p in tried if p.mean >= dense.mean - margin]
    if as_good:
        return min(as_good, key=lambda p: p.flops or 0.0), True
    return max(tried, key=lambda p: p.flops or 0.0), False


def draw(figure: Figure, panel: Artifact, points: Sequence[Point], axis: Any, colours: Any) -> None:
    """A bar each sparsity, in units of dense training, with the length of its training on it."""
    sparsities = sorted(panel.sparsities)
    name = next((p.name for p in points if p.method != "dense"), "nothing trained")
    kinds = {
        True: (f"{name}, as accurate as dense", {"color": colours[0]}),
        False: (
            f"{name}, not as accurate at any length tried",
            {"facecolor": "white", "edgecolor": colours[1], "hatch": "////"},
        ),
    }
    for reached, (label, style) in kinds.items():
        bars = {
            n: found[0]
            for n, sparsity in enumerate(sparsities)
            if (found := matching(points, sparsity, panel.margin_pp)) and found[1] is reached
        }
        if not bars:
            continue
        heights = [p.flops for p in bars.values()]
        axis.bar(list(bars), heights, width=0.6, label=label, **style)
        for n, point in bars.items():
            said = f"{point.flops:.2g}\n{point.length:g} x as long"
            axis.annotate(said, (n, point.flops), ha="center", va="bottom", fontsize=7)
    axis.axhline(1.0, color="black", ls="-.", lw=1.2, label="Dense")
    axis.margins(y=0.2)
    axis.set_xticks(range(len(sparsities)), [f"{s:g}" for s in sparsities])
    axis.set_xlabel(figure.label(panel))
    axis.set_ylabel("training FLOPs, x dense")
    axis.grid(alpha=0.25, axis="y")
