"""The command `flops`: what a network costs at a density, per layer and per method."""

from typing import Any

from resparse import registry
from resparse.distributions import layer_counts
from resparse.errors import UsageError
from resparse.exact import cost, network, sizes_of
from resparse.flops import forward_flops
from resparse.method import Parent

STEPS = 32_000  # of the schedules below: Evci et al. 2020's ImageNet length


def flops_report(
    model: str, dataset: str, density: float, distribution: str, *, steps: int = STEPS
) -> dict[str, Any]:
    """Counts and ratios; ``train_flops_vs_dense`` by each method's own defaults over ``steps``.

    Raises UsageError for an unknown name or a density outside (0, 1].
    """
    try:
        shapes, macs, total = network(model, dataset)
        counts = layer_counts(distribution, shapes, density)
    except ValueError as error:
        raise UsageError(str(error)) from error
    sizes = sizes_of(shapes)
    densities = {name: counts[name] / size for name, size in sizes.items()}
    train = {}
    for name in registry.names():
        cls = registry.load(name)
        if name == "dense" or cls.budget == "global":
            continue
        parent = Parent(masks={}, train_flops=0.0, step=0) if cls.needs_parent else None
        method = registry.build(name, {}, densities, sizes, steps, parent=parent)
        label = f"{name}, its parent apart" if cls.needs_parent else name
        train[label] = round(cost(method, macs, sizes, batch_size=1)["train_flops"], 6)
    dense, sparse = forward_flops(macs, sizes, sizes), forward_flops(macs, counts, sizes)
    return {
        "forward_macs": sum(macs.values()),
        "forward_flops": 2 * sum(macs.values()),
        "forward_flops_vs_dense": sparse / dense,
        "train_flops_vs_dense": train,
        "params": total,
        "maskable": sum(sizes.values()),
        "nnz": sum(counts.values()),
        "layers": [
            {
                "name": n,
                "shape": shapes[n],
                "macs": macs[n],
                "nnz": counts[n],
                "density": densities[n],
            }
            for n in shapes
        ],
    }
