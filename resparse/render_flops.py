"""The report of `resparse flops` as text: one row a layer, the sums, one row a method."""

from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 120  # where the output is no terminal


def print_flops(report: dict[str, Any], title: str, steps: int) -> None:
    """Print both tables and what their numbers mean; ``steps`` are of the training."""
    console = Console(width=None if Console().is_terminal else WIDTH)
    training = f"training, {steps:,} steps, each method's defaults (masks save no time):"
    for part in (layer_table(report, title), *sums(report), training, method_table(report)):
        console.print(part, highlight=False, markup=False)


def layer_table(report: dict[str, Any], title: str) -> Table:
    """A row a layer: its weights, what is kept, MACs of the dense layer, operations of the sparse.

    The last row sums them. Where a terminal is too narrow, numbers are folded, never cut.
    """
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("layer", "total", overflow="fold")
    micronet = report["micronet"]
    for name, footer in {
        "weights": f"{report['maskable']:,}",
        "kept": f"{report['nnz']:,}",
        "density": f"{report['nnz'] / report['maskable']:.4f}",
        "MACs, dense": f"{report['forward_macs']:,}",
        "mults, sparse": f"{micronet['multiplications']:,}",
        "adds, sparse": f"{micronet['additions']:,}",
    }.items():
        table.add_column(name, footer, justify="right", overflow="fold")
    for layer in report["layers"]:
        table.add_row(
            layer["name"],
            "x".join(map(str, layer["shape"])),
            f"{layer['nnz']:,}",
            f"{layer['density']:.4f}",
            *(f"{layer[key]:,}" for key in ("macs", "multiplications", "additions")),
        )
    return table


def sums(report: dict[str, Any]) -> list[str]:
    """What the network costs, by both counters, and by which rules."""
    found, rules = report["micronet"], report["micronet"]["rules"]
    bits = f"{rules['multiplication_bits']}-bit multiplications, {rules['addition_bits']}-bit"
    biases = "one addition each" if rules["bias"] else "uncounted"
    return [
        f"parameters: {report['params']:,}; maskable {report['maskable']:,}, kept "
        f"{report['nnz']:,}",
        f"forward, an image: {report['forward_macs']:,} MACs dense (two counters agree), "
        f"{report['forward_flops']:,} FLOPs; sparse {report['forward_flops_vs_dense']:.4f} x dense",
        f"MicroNet: {found['flops']:,.0f} FLOPs of {found['dense_flops']:,.0f} dense "
        f"({found['flops_vs_dense']:.4f} x), {found['storage_bytes'] / 1e6:,.3f} MB of "
        f"{found['dense_storage_bytes'] / 1e6:,.3f} MB",
        f"rules of that count: biases {biases}; batch norm {rules['batch_norm']}; ReLU "
        f"{rules['relu_multiplications']} multiplication an output of every layer; {bits} "
        f"additions, {rules['weight_bits']}-bit weights, {rules['mask_bits']}-bit masks",
    ]


def method_table(report: dict[str, Any]) -> Table:
    """Training FLOPs of each method over those of dense training."""
    table = Table()
    table.add_column("method")
    table.add_column("FLOPs, x dense", justify="right")
    for name, ratio in report["train_flops_vs_dense"].items():
        table.add_row(name, f"{ratio:.4f}")
    return table
