"""GMP, gradual magnitude pruning: dense at first, pruned along a cubic curve.

Zhu & Gupta 2017. Per layer, as in Evci et al. 2020 and Gale et al. 2019; the RigL reproduction
prunes all layers together, which is another method under the same name: ``scope = "global"``.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from resparse.masks import Change, MaskDict, top_k
from resparse.method import Layers, Method, require
from resparse.rules import keep_largest
from resparse.schedules import cubic, is_due


@dataclass(kw_only=True)
class Gmp(Method):
    """Masks only shrink: a pruned weight never returns."""

    order: Literal["replace", "after"] = "after"
    scope: str = "layer"  # layer (Evci et al.), global (the RigL reproduction)
    begin: float = 0.3125  # shares of all steps: 10,000 and 25,000 of 32,000
    end: float = 0.78125
    interval: int = 500  # steps between prunings
    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def check(self) -> None:
        """0 <= begin < end <= 1, a positive interval, a known scope."""
        require(self.scope in ("layer", "global"), "scope", self.scope, "layer, global")
        require(self.interval >= 1, "interval", self.interval, "1 or more steps")
        require(0.0 <= self.begin < 1.0, "begin", self.begin, "from 0, below 1")
        require(self.begin < self.end <= 1.0, "end", self.end, "above begin, at most 1")
        pruned = self.total_steps == 1 or self.updates_at(round(self.end * self.total_steps) - 1)
        require(pruned, "end", self.end, f"a whole step after begin, of {self.total_steps} steps")

    def init_masks(self, layers: Layers) -> MaskDict:
        """Full masks."""
        return {name: torch.ones_like(layer.mask) for name, layer in layers.items()}

    def updates_at(self, step: int) -> bool:
        """Every interval after begin, and at the end itself, so that the target is reached."""
        t, end = step + 1, round(self.end * self.total_steps)
        return self.begin * self.total_steps < t <= end and (
            is_due(step, self.interval) or t == end
        )

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Keep the largest weights of each layer, or of all together.

        There each layer keeps one; those that would not have are named as starved.
        """
        counts = self.nnz_at(step)
        scores = {name: layer.weight.abs() for name, layer in layers.items()}
        masks = {name: layer.mask for name, layer in layers.items()}
        if isinstance(counts, int):
            kept, starved = keep_largest(scores, counts, among=masks)
            return {n: Change(mask, starved=n in starved) for n, mask in kept.items()}
        return {n: Change(top_k(scores[n], counts[n], among=masks[n])) for n in scores}

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """The cubic's density at the last pruning, never under the target."""
        t, end = step + 1, round(self.end * self.total_steps)
        last = end if t >= end else t - t % self.interval  # the last step at which pruning was due
        begin = self.begin * self.total_steps
        if self.scope == "global":
            size = sum(self.sizes.values())
            density = sum(self.target_counts().values()) / size
            return round(cubic(last, begin, end, density) * size)
        return {
            name: round(cubic(last, begin, end, self.densities[name]) * size)
            for name, size in self.sizes.items()
        }
