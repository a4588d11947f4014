"""The picture of `resparse bench engines`: step times against density, and memory."""

from pathlib import Path
from typing import Any

from resparse.bench.engines import DENSITIES, MASKED_BYTES, MOST_BYTES, Row

ACROSS = 5  # panels beside each other


def draw(rows: list[Row], path: Path) -> None:
    """Step time and memory against density, as an SVG or PNG file.

    A panel of times for each network and batch, and one of bytes that an active weight takes.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    panels = list(dict.fromkeys((row.what, row.batch) for row in rows))
    high = -(-(len(panels) + 1) // ACROSS)
    wide = min(len(panels) + 1, ACROSS)
    figure, grid = plt.subplots(high, wide, figsize=(3.4 * wide, 3.4 * high), squeeze=False)
    axes = list(grid.flat)
    for unused in axes[len(panels) + 1 :]:
        unused.remove()
    axes = axes[: len(panels) + 1]
    for axis, (what, batch) in zip(axes, panels, strict=False):
        some = [row for row in rows if (row.what, row.batch) == (what, batch)]
        at = [row.density for row in some]
        axis.plot(at, [row.masked_ms for row in some], "s-C0", label="masked fp32")
        if all(row.bf16_ms is not None for row in some):
            axis.plot(at, [row.bf16_ms for row in some], "^-C1", label="masked bf16")
        if all(row.csr_ms is not None for row in some):
            axis.plot(at, [row.csr_ms for row in some], "v-C3", label="PyTorch's CSR, fp32")
        axis.plot(at, [row.sparse_ms for row in some], "o-C2", label="sparse fp32")
        axis.axhline(some[0].dense_ms, color="gray", linestyle="--", label="dense fp32")
        axis.set_title(f"{what}, batch {batch}")
    _draw_memory([row for row in rows if row.bytes_each is not None], axes[-1])
    for axis in axes:
        axis.set(xscale="log", yscale="log", xlabel="density")
        axis.set_xticks(DENSITIES, [f"{density:g}" for density in DENSITIES])
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter("{x:g}")
        for which in (axis.xaxis, axis.yaxis):
            which.set_minor_formatter(NullFormatter())
    for axis in axes[:-1:ACROSS]:
        axis.set_ylabel("ms a step")
    axes[-1].legend(fontsize=8)
    low = 0.35 / figure.get_figheight()  # for the ways, below all panels
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=5)
    figure.tight_layout(rect=(0, low, 1, 1))
    figure.savefig(path)
    plt.close(figure)


def _draw_memory(rows: list[Row], axis: Any) -> None:
    """Bytes of weight, gradient, moment and places or mask, by active weight."""
    at = [row.density for row in rows]
    axis.plot(at, [MASKED_BYTES / density for density in at], "s-C0", label="masked fp32")
    axis.plot(at, [row.bytes_each for row in rows], "o-C2", label="sparse fp32")
    axis.axhline(MOST_BYTES, color="gray", linestyle=":", label="limit")
    axis.set(title=f"{rows[0].what if rows else 'nothing'}, memory", ylabel="bytes a weight")
