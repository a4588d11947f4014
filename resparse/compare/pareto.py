"""The figure of a comparison: accuracy against training FLOPs, and who is on the Pareto front."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resparse.compare.comparison import Setting, Summary
from resparse.compare.contest import pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = ("s", "^", "D", "v", "P", "X", "h", "<", ">", "*")
COLOURS = ("#4b5563", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b5a2b", "#999933")


def figure(label: str, summaries: Sequence[Summary], settings: Sequence[Setting]) -> str:
    """One panel a setting, as SVG, the same file for the same numbers.

    A line joins an entrant's lengths; the bars are one standard deviation over seeds. The axis of
    accuracy begins below the lowest of length 1: what shortened trainings reach lower is cut.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = 2 if len(settings) > 1 else 1
    rows = -(-len(settings) // columns)
    drawn = Figure(figsize=(5.6 * columns, 3.9 * rows), layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False).flatten()
    labels = list(dict.fromkeys(s.label for s in summaries if s.label != label))
    for ax, setting in zip(axes, settings, strict=False):
        here = [s for s in summaries if s.setting == setting]
        for number, name in enumerate(labels):
            style: dict[str, Any] = {
                "color": COLOURS[number % len(COLOURS)],
                "marker": MARKS[number % len(MARKS)],
            }
            _draw(ax, [s for s in here if s.label == name], style, 5)
        _draw(ax, [s for s in here if s.label == label], {"color": "#d00000", "marker": "*"}, 13)
        points = {f"{s.label} {s.length}": (s.train_flops_vs_dense, s.top1) for s in here}
        front = [points[name] for name in pareto(points)]
        ax.step(*zip(*front, strict=True), where="post", color="#bbbbbb", lw=5, zorder=0, alpha=0.6)
        ax.set_xscale("log")
        ax.set_ylim(bottom=_floor(here))
        ticks = [t for t in (0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if _spans(here, t)]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set_xticks([], minor=True)
        ax.set_title(f"{setting[0]}, sparsity {setting[1]:g}", fontsize=10)
        ax.set_xlabel("training FLOPs, dense training = 1")
        ax.set_ylabel("test top-1 (%)")
        ax.grid(alpha=0.25)
    for ax in axes[len(settings) :]:
        ax.set_visible(False)
    handles, names = axes[0].get_legend_handles_labels()
    handles.append(mpl.lines.Line2D([], [], color="#bbbbbb", lw=5, alpha=0.6))
    names.append("Pareto front")
    drawn.legend(handles, names, loc="outside lower center", ncols=min(len(names), 8), fontsize=9)
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "resparse", "svg.fonttype": "none"}):
        drawn.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _floor(summaries: Sequence[Summary]) -> float:
    """Where the axis begins: far shortened trainings would press all others into a corner."""
    lowest = min(s.top1 - s.std for s in summaries if s.length == 1)
    return max(0.0, lowest - 8.0)


def _spans(summaries: Sequence[Summary], tick: float) -> bool:
    costs = [s.train_flops_vs_dense for s in summaries]
    return min(costs) / 1.15 <= tick <= max(costs) * 1.15


def _draw(ax: "Axes", found: Sequence[Summary], style: dict[str, Any], size: int) -> None:
    """Points with their spread, joined in order of cost."""
    found = sorted(found, key=lambda s: s.train_flops_vs_dense)
    ax.errorbar(
        [s.train_flops_vs_dense for s in found],
        [s.top1 for s in found],
        yerr=[s.std for s in found],
        lw=1.2,
        elinewidth=0.8,
        capsize=2,
        ms=size,
        label=found[0].label if found else None,
        **style,
    )
