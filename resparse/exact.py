"""The columns that need no training: FLOPs, densities, R_s, for the paper's own network."""

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from resparse import registry
from resparse.artifact import PROTOCOL, Artifact, Row, recipe_of
from resparse.data import describe
from resparse.distributions import layer_counts
from resparse.exploration import expected_explored
from resparse.flops import forward_flops, layer_macs
from resparse.method import Method, Parent
from resparse.models import build_model, maskable
from resparse.reading import located
from resparse.workloads import workload

Numbers = dict[str, Any]
COSTS = ("train_flops", "train_parts", "train_flops_total", "test_flops", "test_flops_total")
_known: dict[str, Numbers] = {}  # by all that decides them


@cache
def network(model: str, dataset: str) -> tuple[dict[str, tuple[int, ...]], dict[str, int], int]:
    """(weight shapes, MACs per layer, all parameters) of a model on a dataset's images."""
    shape = describe(dataset)
    net = build_model(model, shape.classes, shape.image_shape, 0)
    shapes = {name: tuple(weight.shape) for name, weight in maskable(net).items()}
    return shapes, layer_macs(net, shape.image_shape), sum(p.numel() for p in net.parameters())


def sizes_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """Weights per layer."""
    return {name: int(torch.Size(shape).numel()) for name, shape in shapes.items()}


class GlobalBudget(ValueError):
    """Which layers hold the weights, and so what they cost, is known once a mask is."""


def cost(
    method: Method, macs: dict[str, int], sizes: dict[str, int], *, batch_size: int
) -> Numbers:
    """Train and test FLOPs of a method from the counts it announces.

    Raises GlobalBudget where it announces a total alone.
    """

    def sparse(step: int) -> float:
        counts = method.nnz_at(step)
        if isinstance(counts, int):
            raise GlobalBudget("a global budget has no FLOPs before training")
        return forward_flops(macs, counts, sizes)

    dense = forward_flops(macs, sizes, sizes)
    flops = method.train_flops(dense, sparse)
    length = 3 * dense * method.total_steps
    last = sparse(method.total_steps - 1)
    return {
        "train_flops": sum(flops.values()) / length,
        "train_parts": {part: value / length for part, value in flops.items()},
        "train_flops_total": sum(flops.values()) * batch_size,
        "test_flops": last / dense,
        "test_flops_total": last,
    }


def require_computable(artifact: Artifact, labels: Sequence[str]) -> None:
    """Compute every exact number that a report of these rows will need; raises UsageError."""
    for row in map(artifact.row, labels):
        for sparsity in filter(row.has, artifact.sparsities):
            row_numbers(artifact, row, sparsity)


def row_numbers(artifact: Artifact, row: Row, sparsity: float) -> Numbers:
    """Exact numbers of one row at one sparsity, by the paper level's protocol.

    FLOP ratios are to dense training of the row's own length before ``length`` stretches it, so
    a 2x row costs twice its 1x row; they are None where a mask that training finds decides them.
    R_s appears where it is exact: dense, static, random growth.

    Raises UsageError naming the row where a number cannot be computed.
    """
    asked = repr((artifact, row, sparsity))
    if asked not in _known:  # ITOP's rows ask for millions of steps
        with located(f"{artifact.id}, row {row.label}, exact, sparsity {sparsity}"):
            found = _row_numbers(artifact, row, sparsity)
            printed = [m for m in COSTS if (row.label, sparsity, m) in artifact.cells]
            if printed and found["test_flops"] is None:
                raise GlobalBudget(
                    f"a global budget has no FLOPs before training; valid: no {printed[0]} of "
                    "this row among the published numbers, or a method that announces its layers"
                )
            _known[asked] = found
    return copy.deepcopy(_known[asked])


def _row_numbers(artifact: Artifact, row: Row, sparsity: float) -> Numbers:
    problem = workload(artifact.exact_workload)
    shapes, macs, total = network(problem.model, problem.dataset)
    sizes = sizes_of(shapes)
    density = 1.0 if row.distribution == "dense" else round(1.0 - sparsity, 9)
    counts = layer_counts(row.distribution, shapes, density)
    recipe = recipe_of(artifact, row, PROTOCOL)
    parent = None
    if row.parent is not None:
        above = _row_numbers(artifact, artifact.row(row.parent.row), sparsity)
        dense_total = 3 * forward_flops(macs, sizes, sizes) * recipe.steps
        parent = Parent(
            masks={},
            train_flops=(above["train_flops"] or 0.0) * dense_total,
            step=round(row.parent.at * recipe.steps),
        )
    method = registry.build(
        row.method,
        registry.resolve_fields(row.method, row.fields_at(PROTOCOL)),
        {name: counts[name] / size for name, size in sizes.items()},
        sizes,
        recipe.steps,
        parent=parent,
    )
    try:
        numbers = cost(method, macs, sizes, batch_size=recipe.batch_size)
        numbers["train_flops"] *= row.length
        numbers["train_parts"] = {k: v * row.length for k, v in numbers["train_parts"].items()}
        known = row.parent is None or above["train_flops"] is not None
    except GlobalBudget:
        known = False
    if not known:
        numbers = dict.fromkeys(COSTS)
    rs = None
    if registry.rs_is_exact(method):
        due = (s for s in range(recipe.steps) if method.updates_at(s))
        growth = (method.random_growth_at(s) or {} for s in due)
        rs = expected_explored(counts, sizes, growth).mean
    return numbers | {
        "rs": rs,
        "nnz": sum(counts.values()),
        "maskable": sum(sizes.values()),
        "total": total,
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
    }
