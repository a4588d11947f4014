"""What whole families of methods share: ITOP's exploration, random growth, one global ranking.

Bases, not methods: a method in methods/ may stand on one or two of them, never on another method.
Exploration comes first, since the later base's fields give way to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from resparse.masks import Change, MaskDict
from resparse.method import Layers, Method, require, require_schedule
from resparse.rules import (
    REINIT,
    fix_counts,
    largest_of_parent,
    random_growth,
    random_update,
    reinitialise,
    sensitive_masks,
)
from resparse.schedules import cosine, is_due


@dataclass(kw_only=True)
class Exploring(Method):
    """ITOP's schedule (Liu et al. 2021, section 4.1): explore to the end, no tuned T_end.

    Updates follow the step, at the last step too, as in the released code.
    """

    order: Literal["replace", "after"] = "after"
    interval: int = 1500  # delta T, steps
    alpha: float = 0.5  # P, the pruning rate at the start
    floor: float = 0.0  # the paper anneals to 0, the released code to 0.005

    def check(self) -> None:
        """Valid schedule fields."""
        super().check()
        require_schedule(interval=self.interval, alpha=self.alpha, t_end=1.0, floor=self.floor)

    def updates_at(self, step: int) -> bool:
        """Every delta T steps, the last step included."""
        return is_due(step, self.interval)

    def drop_fraction(self, step: int) -> float:
        """Cosine from P to the floor at the end."""
        return cosine(step + 1, self.total_steps, self.alpha, self.floor)


@dataclass(kw_only=True)
class RandomlyExploring(Exploring):
    """ITOP's schedule with SET's rule (Mocanu et al. 2018)."""

    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow uniformly at random."""
        return random_update(self, layers, self.drop_fraction(step))

    def random_growth_at(self, step: int) -> dict[str, tuple[int, int]]:
        """For the exact R_s."""
        return random_growth(self, self.drop_fraction(step))


@dataclass(kw_only=True)
class Ranked(Method):
    """A mask from one ranking of all weights together: the total is bound, not the layers."""

    at_least: int = 1  # weights each layer keeps; 0: an emptied layer ends the run
    budget: ClassVar[Literal["layer", "global"]] = "global"
    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def check(self) -> None:
        """A count from 0."""
        super().check()
        require(self.at_least >= 0, "at_least", self.at_least, "0 or more weights a layer")

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """The total; per layer once the ranking is known."""
        counts = self.target_counts()
        return counts if "counts" in self.state else sum(counts.values())


@dataclass(kw_only=True)
class RankedBySensitivity(Ranked):
    """SNIP's start (Lee et al. 2019, equation 5): the largest |w dL/dw| over one batch."""

    reinit: str = "none"  # xavier_normal: score a re-initialised copy (mil-ad's code, ITOP's rows)
    scope: str = "global"  # layer: each keeps its own count, as in Evci et al.'s code
    scores_at_init: ClassVar[bool] = True

    def check(self) -> None:
        """A known re-initialisation, a known scope."""
        super().check()
        require(self.scope in ("global", "layer"), "scope", self.scope, "global, layer")
        require(self.reinit in REINIT, "reinit", self.reinit, ", ".join(REINIT))

    def prepare_scoring(self, model: nn.Module) -> None:
        """Draw the copy's weights anew where ``reinit`` says so."""
        reinitialise(model, self.reinit, self.rng)

    def init_masks(self, layers: Layers) -> MaskDict:
        """The largest sensitivities of all layers together, or of each."""
        together = self.scope == "global"
        return fix_counts(self, sensitive_masks(self, layers, self.at_least, together=together))

    def train_flops(self, dense: float, sparse: Callable[[int], float]) -> dict[str, float]:
        """The training's, and one dense forward and backward for the scores."""
        return {**super().train_flops(dense, sparse), "init": 3 * dense}


@dataclass(kw_only=True)
class RankedByParent(Ranked):
    """One-shot pruning of a trained dense network, from its own start (Frankle & Carbin 2019)."""

    # convolutions: linear layers stay dense, as in the code behind ITOP's rows. That code prunes
    # the share S of the convolutions; here they pay for the linear layers, and the density is kept
    scope: str = "all"
    needs_parent: ClassVar[bool] = True

    def check(self) -> None:
        """A known scope."""
        super().check()
        require(self.scope in ("all", "convolutions"), "scope", self.scope, "all, convolutions")

    def init_masks(self, layers: Layers) -> MaskDict:
        """The parent's largest final weights, over all layers together, or all convolutions."""
        linear = [name for name, layer in layers.items() if layer.mask.dim() == 2]
        whole = linear if self.scope == "convolutions" else []
        require(len(whole) < len(layers), "scope", self.scope, "all, without a convolution")
        return fix_counts(self, largest_of_parent(self, self.at_least, whole=whole))
