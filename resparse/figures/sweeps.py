"""A panel of a sweep: accuracy and R_s along its axis, at all sparsities and at each."""

from collections.abc import Sequence
from typing import Any

from resparse.artifact import Artifact
from resparse.figures.figure import Figure, Point
from resparse.figures.style import DENSE_DASH, MARKERS, dash, dense_line, line, moving
from resparse.sweep import LENGTH

RS_COLOUR, EXPLORED = "0.35", "$R_s$"
TICKS = 6  # at most as many values of the axis stand at it each


def draw(figure: Figure, panel: Artifact, points: Sequence[Point], row: Any, colours: Any) -> None:
    """The row of axes; those that the panel has no sparsity for are not shown."""
    sparsities, names = panel.sparsities, moving(points)
    for axis in row[1 + len(sparsities) :]:
        axis.set_visible(False)
    for n, sparsity in enumerate(sparsities):
        here = [p for p in points if p.sparsity == sparsity and p.method != "dense"]
        own = row[1 + n]
        for axis in (row[0], own):
            _accuracy(here, names, axis, colours[n], MARKERS[n], f"sparsity {sparsity:g}")
        _explored(here, names, own)
        own.set_title(f"sparsity {sparsity:g}", fontsize=9)
    row[0].set_ylabel("test top-1, %")
    along = sorted({p.x for p in points if p.x is not None})
    for axis in row[: 1 + len(sparsities)]:
        _dense(figure.axis(panel), points, axis)
        axis.set_xlabel(figure.label(panel))
        axis.set_xscale(figure.drawn.scale)
        if len(along) <= TICKS:
            axis.set_xticks(along)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
        axis.grid(alpha=0.25)


def _dense(along: str, points: Sequence[Point], axis: Any) -> None:
    """Dense training: along the axis where it is swept too, and its level at the typical time."""
    first = min((p.sparsity for p in points), default=None)
    some = [p for p in points if p.method == "dense" and p.sparsity == first and p.x is not None]
    swept, longer = len(some) > 1, along == LENGTH
    if swept:
        label = "Dense, trained as long" if longer else "Dense"
        line(axis, some, colour="black", style=DENSE_DASH, marker="x", label=label)
    if longer or not swept:
        dense_line(axis, points, "Dense, typical time" if swept else "Dense")


def _accuracy(
    here: Sequence[Point], names: Sequence[str], axis: Any, colour: Any, marker: str, where: str
) -> None:
    for name in dict.fromkeys(p.name for p in here):
        some = [p for p in here if p.name == name]
        style, label = dash(some[0], names), f"{name}, {where}"
        if some[0].x is None:
            axis.axhline(some[0].mean, color=colour, ls=style, lw=1.2, label=label)
        else:
            hollow = name in names[1:]
            line(axis, some, colour=colour, style=style, marker=marker, label=label, hollow=hollow)


def _explored(here: Sequence[Point], names: Sequence[str], axis: Any) -> None:
    """R_s on the right, from 0 to 1; of masks that stay it is the density, and not drawn."""
    other = axis.twinx()
    for name in names:
        some = [p for p in here if p.name == name and p.x is not None and p.rs is not None]
        if not some:
            continue
        some.sort(key=lambda p: p.x or 0.0)
        label = EXPLORED if len(names) == 1 else f"{EXPLORED} of {name}"
        at, rs, style = [p.x for p in some], [p.rs for p in some], dash(some[0], names)
        other.plot(at, rs, ls=style, marker="x", ms=4, lw=1, color=RS_COLOUR, label=label)
    other.set_ylim(0.0, 1.05)
    other.set_ylabel(EXPLORED, color=RS_COLOUR)
    other.tick_params(axis="y", colors=RS_COLOUR)
