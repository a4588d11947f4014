"""SNFS, sparse networks from scratch: drop by magnitude, grow by the average dense gradient.

Dettmers & Zettlemoyer 2019. The default is the variant of Evci et al. 2020, whose numbers ITOP's
Table 2 cites: growth inside each layer, the update after the optimizer step. The original and the
RigL reproduction also move weights between layers: ``redistribution = "momentum"``. They rank by
the optimizer's momentum; the average here ranks alike where beta is its momentum and there is no
weight decay (which the optimizer's holds too), and leaves the optimizer's at 0 outside the masks.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from resparse.masks import Change, drop_and_grow
from resparse.method import Layers, Method, require, require_schedule
from resparse.rules import redistributed_update
from resparse.schedules import cosine, is_due


@dataclass(kw_only=True)
class Snfs(Method):
    """Needs the dense gradient of every step, so it saves less than its sparsity says."""

    order: Literal["replace", "after"] = "after"
    interval: int = 100  # delta T, steps
    alpha: float = 0.3  # drop fraction at the start
    t_end: float = 0.78125  # T_end as a share of all steps, included
    beta: float = 0.9  # weight of the past in the gradient average
    redistribution: str = "none"  # none (Evci et al.), momentum (the original)
    grads: ClassVar[Literal["never", "update", "always"]] = "always"

    def check(self) -> None:
        """Valid schedule fields."""
        require_schedule(interval=self.interval, alpha=self.alpha, t_end=self.t_end)
        require(0.0 <= self.beta < 1.0, "beta", self.beta, "from 0, below 1")
        valid = ("none", "momentum")
        found = self.redistribution
        require(found in valid, "redistribution", found, ", ".join(valid))

    def observe(self, step: int, layers: Layers) -> None:
        """average = beta * average + (1 - beta) * dense gradient, while updates may come."""
        if not self.exploring(step):
            return
        for name, layer in layers.items():
            assert layer.grad is not None
            if name not in self.state:
                self.state[name] = torch.zeros_like(layer.grad)
            self.state[name].lerp_(layer.grad, 1.0 - self.beta)

    def updates_at(self, step: int) -> bool:
        """Every delta T steps up to T_end, included."""
        return is_due(step, self.interval) and self.exploring(step)

    def exploring(self, step: int) -> bool:
        """Up to T_end, included."""
        return step + 1 <= round(self.t_end * self.total_steps)

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow the largest averages."""
        fraction = cosine(step + 1, self.t_end * self.total_steps, self.alpha)
        if self.redistribution == "momentum":
            average = self.state
            return redistributed_update(self, layers, fraction, grow=average, worth=average)
        return {
            name: drop_and_grow(
                layer.mask,
                layer.weight,
                self.state[name],
                fraction,
                ties=self.rng,
                keep_absolute=True,
                grow_absolute=True,
            )
            for name, layer in layers.items()
        }

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """Per layer, or the total where weights move between layers."""
        counts = self.target_counts()
        return counts if self.redistribution == "none" else sum(counts.values())
