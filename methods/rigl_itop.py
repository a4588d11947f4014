"""RigL-ITOP: RigL that explores to the end, at long intervals and small batches.

Liu et al. 2021 (ITOP), section 4.4 and appendix B: P 0.5, delta T 4000, no tuned end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from resparse.masks import Change, drop_and_grow
from resparse.method import Layers, Method, require_schedule
from resparse.schedules import cosine, is_due


@dataclass(kw_only=True)
class RiglItop(Method):
    """Updates after the step, by that step's dense gradient, to the last step (released code)."""

    order: Literal["replace", "after"] = "after"
    interval: int = 4000  # delta T, steps
    alpha: float = 0.5  # P, the pruning rate at the start
    floor: float = 0.0  # the paper anneals to 0, the released code to 0.005

    def check(self) -> None:
        """Valid schedule fields."""
        require_schedule(interval=self.interval, alpha=self.alpha, t_end=1.0, floor=self.floor)

    def updates_at(self, step: int) -> bool:
        """Every delta T steps, the last step included."""
        return is_due(step, self.interval)

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow the largest dense gradients."""
        fraction = cosine(step + 1, self.total_steps, self.alpha, self.floor)
        changes = {}
        for name, layer in layers.items():
            assert layer.grad is not None
            changes[name] = drop_and_grow(
                layer.mask, layer.weight.abs(), layer.grad.abs(), fraction, ties=self.rng
            )
        return changes

    def train_flops(self, dense: float, sparse: Callable[[int], float]) -> dict[str, float]:
        """RigL's formula at this interval (RigL, appendix H); the table prints RigL's own cell."""
        forward = self.mean_forward(sparse)
        step = (3 * forward * self.interval + 2 * forward + dense) / (self.interval + 1)
        return {"init": 0.0, "train": step * self.total_steps, "parent": 0.0}
