"""RigL-ITOP: RigL that explores to the end, at long intervals and small batches.

Liu et al. 2021 (ITOP), section 4.4 and appendix B: P 0.5, delta T 4000, no tuned end.
"""

from collections.abc import Callable
from dataclasses import dataclass

from resparse.families import Exploring
from resparse.masks import Change
from resparse.method import Layers
from resparse.rules import gradient_update


@dataclass(kw_only=True)
class RiglItop(Exploring):
    """Updates after the step, by that step's dense gradient, to the last step (released code)."""

    interval: int = 4000  # delta T, steps

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow the largest dense gradients."""
        return gradient_update(self, layers, self.drop_fraction(step))

    def train_flops(self, dense: float, sparse: Callable[[int], float]) -> dict[str, float]:
        """RigL's formula at this interval (RigL, appendix H); the table prints RigL's own cell."""
        forward = self.mean_forward(sparse)
        step = (3 * forward * self.interval + 2 * forward + dense) / (self.interval + 1)
        return {"init": 0.0, "train": step * self.total_steps, "parent": 0.0}
