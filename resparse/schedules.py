"""When masks move, how much of them, and the learning rate: pure functions of the step.

``t`` counts finished optimizer steps and may be a fraction; the 0-based step s ends at t = s + 1.
"""

import math
from collections.abc import Sequence

LR_SHAPES = ("cosine", "steps")


def is_due(step: int, interval: int) -> bool:
    """Whether the 0-based ``step`` is the last of an update interval (delta T).

    >>> [s for s in range(8) if is_due(s, 3)]
    [2, 5]
    """
    return (step + 1) % interval == 0


def cosine(t: float, end: float, start: float, floor: float = 0.0) -> float:
    """Drop fraction at ``t``: from ``start`` at 0 along half a cosine to ``floor`` at ``end``.

    RigL (Evci et al. 2020, section 3, "f_decay"); ITOP's released code sets the floor to 0.005.

    >>> cosine(0, 10, 0.3), round(cosine(5, 10, 0.3), 6), cosine(10, 10, 0.3, 0.005)
    (0.3, 0.15, 0.005)
    """
    share = min(max(t / end, 0.0), 1.0)
    return floor + (start - floor) * 0.5 * (1.0 + math.cos(math.pi * share))


def cubic(t: float, begin: float, end: float, final: float, initial: float = 1.0) -> float:
    """Density at ``t`` under gradual pruning (Zhu & Gupta 2017, equation 1, in densities).

    >>> cubic(0, 0, 10, 0.2), cubic(5, 0, 10, 0.2), cubic(10, 0, 10, 0.2)
    (1.0, 0.30000000000000004, 0.2)
    """
    if t <= begin:
        return initial
    if t >= end:
        return final
    return final + (initial - final) * (1.0 - (t - begin) / (end - begin)) ** 3


def learning_rate(
    step: int,
    *,
    base: float,
    total: int,
    shape: str,
    drops: Sequence[int] = (),
    factor: float = 0.1,
    warmup: int = 0,
) -> float:
    """Learning rate of the 0-based ``step``: linear warm-up, then ``cosine`` to 0 or ``steps``.

    ``drops`` are the steps at which the rate is multiplied by ``factor``.

    >>> [learning_rate(s, base=1.0, total=9, shape="steps", drops=(4, 6)) for s in (3, 4, 8)]
    [1.0, 0.1, 0.010000000000000002]
    """
    if shape not in LR_SHAPES:
        raise ValueError(f"learning-rate schedule {shape!r}; valid: {', '.join(LR_SHAPES)}")
    if step < warmup:
        return base * (step + 1) / warmup
    if shape == "cosine":
        return base * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    rate = base
    for drop in drops:
        rate *= factor if step >= drop else 1.0
    return rate
