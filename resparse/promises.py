"""What a training must cost and leave at its end: the same of the contract's trial and of a run."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from resparse.method import Method

NEAREST = ("resparse.methods.small_dense",)  # keeps whole channels: its count is near the budget
ROUNDING = 1e-9  # of a cost


def cost_fault(
    method: Method,
    parts: object,
    *,
    dense: float,
    sparse: Callable[[int], float],
    due: Sequence[int],
    first: int,
) -> str | None:
    """What is wrong with an answer of ``train_flops``, in words, or None.

    ``dense`` and ``sparse`` are what it was asked with, ``due`` the steps at which masks came,
    ``first`` the first step that is trained (a parent's rewind step).
    """
    if not isinstance(parts, dict) or parts.keys() != {"init", "train", "parent"}:
        return f"train_flops gave {parts!r}; valid: a dict of init, train, parent"
    low, why = least_train_flops(method, dense=dense, sparse=sparse, due=due, first=first)
    scored = 3 * dense if method.scores_at_init else 0.0
    above = method.parent.train_flops if method.parent is not None else 0.0
    for name, least, most, valid in (
        ("train", low, 3 * dense * (method.total_steps - first), why),
        ("init", scored, math.inf, "3 dense or more with scores_at_init, else 0 or more"),
        ("parent", above, above, "parent.train_flops, 0 without a parent"),
    ):
        value = parts[name]
        known = isinstance(value, int | float) and math.isfinite(value)
        if not known or not least * (1 - ROUNDING) <= value <= most * (1 + ROUNDING):
            said = f"train_flops gives {name} = {value}, not within {least} and {most}"
            return f"{said}; valid: {valid}"
    return None


def least_train_flops(
    method: Method,
    *,
    dense: float,
    sparse: Callable[[int], float],
    due: Sequence[int],
    first: int,
) -> tuple[float, str]:
    """The cost that no training goes under, and what it is, in words.

    3 f_S a step, f_S being of the masks that it trains; where the weights' gradient is dense, f_D
    in place of one f_S (RigL, appendix H). That formula spreads one dense gradient over delta T + 1
    steps though one is taken every delta T: no more than its share is required of any method.
    """
    total = method.total_steps
    steps = total - first
    each = [sparse(step - 1) for step in range(total)]
    forward = min(sum(each[first:]), sum(each) * steps / total)
    if method.grads == "always":
        return 2 * forward + dense * steps, "2 sparse(s - 1) + dense to 3 dense for each step s"
    why = "3 sparse(s - 1) to 3 dense for each step s"
    taken = [step for step in due if step >= first]
    if method.grads == "never" or not taken:
        return 3 * forward, why
    apart = min(after - before for before, after in pairwise([-1, *taken]))
    gradients = min(len(taken) * apart, steps) / (apart + 1)
    extra = gradients * max(0.0, dense - max(each))
    return 3 * forward + extra, f"{why}, and dense for sparse once at each update"


def count_fault(
    method: Method, counts: Mapping[str, int], asked: Mapping[str, int], announced: object
) -> tuple[str | None, str] | None:
    """(layer, in words) where the last masks are not of the density asked for, or None.

    Per layer, or in total where that alone is bound: by ``budget`` or by what nnz_at ``announced``.
    """
    if type(method).__module__ in NEAREST:
        return None
    pairs: list[tuple[str | None, int, int]]
    if method.budget == "layer" and isinstance(announced, Mapping):
        pairs = [(name, counts[name], count) for name, count in asked.items()]
    else:
        pairs = [(None, sum(counts.values()), sum(asked.values()))]
    for layer, count, budget in pairs:
        if count != budget:
            return layer, (
                f"{count} active weights at the end, where the densities ask for {budget}; valid: "
                'exactly as many in every layer, or in total with budget = "global"'
            )
    return None
