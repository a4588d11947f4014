"""How the lines of all figures look: what tells them apart in colour, in grey and at half size."""

from collections.abc import Iterable, Sequence
from typing import Any

from resparse.figures.figure import Point

MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", ":", (0, (3, 1, 1, 1)), (0, (7, 1)))
DENSE_DASH, STATIC_DASH = "-.", "--"
BAND = 0.18  # opacity


def moving(points: Iterable[Point]) -> list[str]:
    """The lines whose masks move, in the order of the panels' rows."""
    return list(dict.fromkeys(p.name for p in points if p.method not in ("dense", "static")))


def dash(point: Point, names: Sequence[str]) -> Any:
    """A line style of the point's line; ``names``: those of the figure whose masks move."""
    if point.method == "dense":
        return DENSE_DASH
    if point.method == "static":
        return STATIC_DASH
    return DASHES[names.index(point.name) % len(DASHES)]


def line(
    axis: Any,
    points: Sequence[Point],
    *,
    colour: Any,
    style: Any,
    marker: str,
    label: str,
    hollow: bool = False,
) -> None:
    """Means along the axis, and a band of a standard deviation to either side."""
    swept = sorted((p for p in points if p.x is not None), key=lambda p: p.x or 0.0)
    at, mean = [p.x for p in swept], [p.mean for p in swept]
    low, high = [p.mean - p.std for p in swept], [p.mean + p.std for p in swept]
    fill = {"mfc": "white"} if hollow else {}
    axis.plot(at, mean, ls=style, marker=marker, ms=4, lw=1.4, color=colour, label=label, **fill)
    axis.fill_between(at, low, high, color=colour, alpha=BAND, lw=0)


def dense_line(axis: Any, points: Sequence[Point], label: str = "Dense") -> None:
    """The level of dense training of typical length, whose runs are the same at every sparsity."""
    dense = next((p for p in points if p.method == "dense" and p.length == 1.0), None)
    if dense is not None:
        axis.axhline(dense.mean, color="black", ls=DENSE_DASH, lw=1.2, label=label)
