"""RigL: drop by magnitude, grow where the dense gradient is largest.

Evci et al. 2020, algorithm 1; defaults of its ImageNet runs: alpha 0.3, delta T 100, T_end 25,000
of 32,000 steps, cosine decay, an update in place of the optimizer step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from resparse.masks import Change
from resparse.method import Layers, Method, require, require_schedule
from resparse.rules import gradient_update, redistributed_update
from resparse.schedules import cosine, is_due


@dataclass(kw_only=True)
class Rigl(Method):
    """Grows by the gradient of the whole batch at the update step; new weights start at 0."""

    order: Literal["replace", "after"] = "replace"
    interval: int = 100  # delta T, steps
    alpha: float = 0.3  # drop fraction at the start
    # T_end as a share of all steps, excluded: algorithm 1's t < T_end, as the RigL reproduction and
    # rigl-torch have it; Evci et al.'s code and jaxpruner include it, which can add one update
    t_end: float = 0.78125
    # a just-dropped weight that returns at once: keeps its value (Evci et al.'s code, ITOP's), or
    # starts at 0 like all that grow (the RigL reproduction)
    reset_regrown: bool = False
    redistribution: str = "none"  # gradient, momentum: RigL-SG and RigL-SM of the RigL reproduction

    def check(self) -> None:
        """Valid schedule fields."""
        require_schedule(interval=self.interval, alpha=self.alpha, t_end=self.t_end)
        valid, found = ("none", "gradient", "momentum"), self.redistribution
        require(found in valid, "redistribution", found, ", ".join(valid))
        both = self.reset_regrown and found != "none"
        require(not both, "reset_regrown", True, f"false with redistribution = {found!r}")

    def updates_at(self, step: int) -> bool:
        """Every delta T steps before T_end."""
        return is_due(step, self.interval) and step + 1 < round(self.t_end * self.total_steps)

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow the largest dense gradients."""
        fraction = cosine(step + 1, self.t_end * self.total_steps, self.alpha)
        if self.redistribution != "none":
            grads = {n: x.grad for n, x in layers.items() if x.grad is not None}
            moments = {n: x.momentum for n, x in layers.items() if x.momentum is not None}
            worth = grads if self.redistribution == "gradient" else moments
            found = len(worth) == len(layers)
            require(found, "momentum", None, "an optimizer with momentum, after its first step")
            return redistributed_update(self, layers, fraction, grow=grads, worth=worth)
        return gradient_update(self, layers, fraction, reset_regrown=self.reset_regrown)

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """Per layer, or the total where weights move between layers."""
        counts = self.target_counts()
        return counts if self.redistribution == "none" else sum(counts.values())

    def train_flops(self, dense: float, sparse: Callable[[int], float]) -> dict[str, float]:
        """(3 f_S delta T + 2 f_S + f_D) / (delta T + 1) a step (RigL, appendix H).

        The paper's formula; it charges a dense gradient each interval to the end, also past T_end.
        """
        forward = self.mean_forward(sparse)
        step = (3 * forward * self.interval + 2 * forward + dense) / (self.interval + 1)
        return {"init": 0.0, "train": step * self.total_steps, "parent": 0.0}
