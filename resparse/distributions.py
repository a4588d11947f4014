"""How density is spread over a network's layers: exact integer counts that sum to the budget."""

import math
from collections.abc import Callable, Mapping, Sequence

Shapes = Mapping[str, tuple[int, ...]]


def _er_score(shape: tuple[int, ...]) -> float:
    """(n_in + n_out) / (n_in n_out): Erdos-Renyi (Mocanu et al. 2018, equation 3)."""
    return (shape[0] + shape[1]) / (shape[0] * shape[1])


def _erk_score(shape: tuple[int, ...]) -> float:
    """Sum over product of all dimensions, the kernel's too (RigL, section 3, ERK)."""
    return sum(shape) / math.prod(shape)


def round_to_total(targets: Sequence[float], limits: Sequence[int], total: int) -> list[int]:
    """Integers near ``targets``, none above its limit, that sum to ``total`` (largest remainder).

    >>> round_to_total([1.5, 2.25, 0.25], [4, 4, 4], 4)
    [2, 2, 0]
    """
    counts = [min(int(target + 1e-9), limit) for target, limit in zip(targets, limits, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda i: (counts[i] - targets[i], i))
    missing = total - sum(counts)
    while missing > 0:
        room = [i for i in by_remainder if counts[i] < limits[i]][:missing]
        if not room:
            raise ValueError(f"{total} weights do not fit into layers of {sum(limits)}")
        for i in room:
            counts[i] += 1
        missing -= len(room)
    return counts


def _solve(
    shapes: Shapes, density: float, score: Callable[[tuple[int, ...]], float]
) -> list[float]:
    """Layer densities eps * score, capped at 1, whose weighted mean is ``density``.

    A layer that would exceed 1 becomes dense and the rest is solved again; leaving that loop out
    misses the budget (0.0999 of 0.1, 0.430 of 0.5 on ResNet-50).
    """
    sizes = [math.prod(shape) for shape in shapes.values()]
    scores = [score(shape) for shape in shapes.values()]
    dense: set[int] = set()
    while True:
        budget = density * sum(sizes) - sum(sizes[i] for i in dense)
        free = [i for i in range(len(sizes)) if i not in dense]
        if not free:
            return [1.0] * len(sizes)
        eps = budget / sum(scores[i] * sizes[i] for i in free)
        over = {i for i in free if eps * scores[i] > 1.0}
        if not over:
            return [1.0 if i in dense else eps * scores[i] for i in range(len(sizes))]
        dense |= over


def _uniform(shapes: Shapes, density: float) -> list[float]:
    """The same density everywhere but in the first layer, which stays dense (RigL, section 3)."""
    return [1.0] + [density] * (len(shapes) - 1)


def _dense(shapes: Shapes, density: float) -> list[float]:
    if density != 1.0:
        raise ValueError(f"distribution 'dense' has density 1, not {density}")
    return [1.0] * len(shapes)


DISTRIBUTIONS: dict[str, Callable[[Shapes, float], list[float]]] = {
    "dense": _dense,
    "uniform": _uniform,
    "er": lambda shapes, density: _solve(shapes, density, _er_score),
    "erk": lambda shapes, density: _solve(shapes, density, _erk_score),
}


def layer_counts(kind: str, shapes: Shapes, density: float) -> dict[str, int]:
    """Active weights of every layer; exact integers whose sum is the rounded budget.

    ``shapes`` are weight shapes (out, in, ...) in network order. ``er`` and ``erk`` bind the total
    over all layers, ``uniform`` the total over all but the first, which it keeps dense.

    >>> layer_counts("uniform", {"conv1": (4, 1, 3, 3), "fc": (10, 4)}, 0.1)
    {'conv1': 36, 'fc': 4}

    Raises ValueError for an unknown kind, a density outside (0, 1], or a layer left empty.
    """
    if kind not in DISTRIBUTIONS:
        raise ValueError(f"distribution {kind!r}; valid: {', '.join(DISTRIBUTIONS)}")
    if not 0.0 < density <= 1.0:
        raise ValueError(f"density {density}; valid: above 0, at most 1")
    densities = DISTRIBUTIONS[kind](shapes, density)
    sizes = [math.prod(shape) for shape in shapes.values()]
    targets = [d * n for d, n in zip(densities, sizes, strict=True)]
    counts = round_to_total(targets, sizes, round(sum(targets)))
    result = dict(zip(shapes, counts, strict=True))
    empty = [name for name, count in result.items() if count == 0]
    if empty:
        raise ValueError(f"density {density} ({kind}) leaves no weight in layer {empty[0]}")
    return result
