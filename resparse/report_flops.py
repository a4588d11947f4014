"""What a network costs at a density, per layer and per method: the numbers of `resparse flops`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from resparse import micronet, registry
from resparse.data import describe
from resparse.distributions import layer_counts
from resparse.errors import UsageError, VerdictFailed
from resparse.exact import cost, network, sizes_of
from resparse.flops import forward_flops
from resparse.method import Parent
from resparse.micronet import Count, Geometry, Rules
from resparse.models import build_model

STEPS = 32_000  # of the schedules below: Evci et al. 2020's ImageNet length


def flops_report(
    model: str,
    dataset: str,
    density: float,
    distribution: str,
    *,
    steps: int = STEPS,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """Counts and ratios; ``train_flops_vs_dense`` by each method's own defaults over ``steps``.

    Raises UsageError for an unknown name, a dataset whose images the model does not take or a
    density outside (0, 1]; VerdictFailed where the two counters disagree.
    """
    try:
        shapes, macs, params = network(model, dataset)
        counts = layer_counts(distribution, shapes, density)
    except ValueError as error:
        raise UsageError(str(error)) from error
    sizes = sizes_of(shapes)
    layers = counted_twice(model, dataset, macs)
    rules = rules or Rules()
    sparse = {name: micronet.count(layer, counts[name], rules) for name, layer in layers.items()}
    dense = {name: micronet.count(layer, sizes[name], rules) for name, layer in layers.items()}
    flops, kept = forward_flops(macs, sizes, sizes), forward_flops(macs, counts, sizes)
    return {
        "forward_macs": sum(macs.values()),
        "forward_flops": 2 * sum(macs.values()),
        "forward_flops_vs_dense": kept / flops,
        "train_flops_vs_dense": _training(macs, counts, sizes, steps),
        "params": params,
        "maskable": sum(sizes.values()),
        "nnz": sum(counts.values()),
        "micronet": _micronet(sparse, dense, rules),
        "layers": [
            {
                "name": n,
                "shape": shapes[n],
                "macs": macs[n],
                "nnz": counts[n],
                "density": counts[n] / sizes[n],
                "multiplications": sparse[n].multiplications,
                "additions": sparse[n].additions,
            }
            for n in shapes
        ],
    }


def counted_twice(model: str, dataset: str, macs: Mapping[str, int]) -> dict[str, Geometry]:
    """Layers as the MicroNet counter sees them; raises VerdictFailed where fvcore's MACs differ."""
    images = describe(dataset)
    net = build_model(model, images.classes, images.image_shape, 0)
    layers = micronet.geometries(net, images.image_shape)
    for name, layer in layers.items():
        if layer.macs != macs[name]:
            raise VerdictFailed(
                f"{model} on {dataset}, layer {name}: fvcore counts {macs[name]:,} MACs, the "
                f"MicroNet counter {layer.macs:,}; valid: a layer that multiplies each weight "
                "once a position of its output"
            )
    return layers


def _training(
    macs: dict[str, int], counts: Mapping[str, int], sizes: dict[str, int], steps: int
) -> dict[str, float]:
    """Training FLOPs by method, over dense training; those whose cost is known before training."""
    densities = {name: counts[name] / size for name, size in sizes.items()}
    found = {}
    for name in registry.names():
        cls = registry.load(name)
        if name == "dense" or cls.budget == "global":
            continue
        parent = Parent(masks={}, train_flops=0.0, step=0) if cls.needs_parent else None
        method = registry.build(name, {}, densities, sizes, steps, parent=parent)
        label = f"{name}, its parent apart" if cls.needs_parent else name
        found[label] = round(cost(method, macs, sizes, batch_size=1)["train_flops"], 6)
    return found


def _micronet(
    sparse: Mapping[str, Count], dense: Mapping[str, Count], rules: Rules
) -> dict[str, Any]:
    whole, full = micronet.total(sparse.values()), micronet.total(dense.values())
    flops, dense_flops = micronet.flops(whole, rules), micronet.flops(full, rules)
    return {
        "multiplications": whole.multiplications,
        "additions": whole.additions,
        "flops": flops,
        "dense_flops": dense_flops,
        "flops_vs_dense": flops / dense_flops,
        "storage_bytes": whole.storage_bits / 8,
        "dense_storage_bytes": full.storage_bits / 8,
        "rules": asdict(rules),
    }
