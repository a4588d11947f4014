"""SET, sparse evolutionary training: drop by magnitude, grow at random.

Mocanu et al. 2018, algorithm 1. Defaults are those of Evci et al. 2020 (appendix C), whose numbers
ITOP's Table 2 cites: alpha 0.3, delta T 100, cosine decay, T_end 25,000 of 32,000 steps (their code
ends SET, SNFS and RigL there alike), the update after the optimizer step.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from resparse.masks import Change
from resparse.method import Layers, Method, require, require_schedule
from resparse.rules import random_growth, random_update
from resparse.schedules import cosine, is_due


@dataclass(kw_only=True)
class Set(Method):
    """Exact counts; the released codes draw each growth by a coin, so small layers die out.

    Growth by a coin is not offered even as a field: nnz_at announces every count exactly.
    """

    order: Literal["replace", "after"] = "after"
    interval: int = 100  # delta T, steps
    alpha: float = 0.3  # drop fraction at the start
    t_end: float = 0.78125  # T_end as a share of all steps, included; Evci et al.'s, as RigL's
    floor: float = 0.0  # drop fraction at T_end
    regrow_dropped: bool = True  # may a just-dropped weight return at once? All public codes: yes
    reset_regrown: bool = False  # does it then start at 0? The RigL reproduction: yes
    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def check(self) -> None:
        """Valid schedule fields."""
        require_schedule(
            interval=self.interval, alpha=self.alpha, t_end=self.t_end, floor=self.floor
        )
        void = self.reset_regrown and not self.regrow_dropped
        require(not void, "reset_regrown", True, "false with regrow_dropped = false")

    def updates_at(self, step: int) -> bool:
        """Every delta T steps up to T_end, included."""
        return is_due(step, self.interval) and step + 1 <= round(self.t_end * self.total_steps)

    def drop_fraction(self, step: int) -> float:
        """Cosine from alpha to the floor at T_end."""
        return cosine(step + 1, self.t_end * self.total_steps, self.alpha, self.floor)

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Drop the smallest weights, grow uniformly at random without replacement."""
        fraction = self.drop_fraction(step)
        return random_update(
            self,
            layers,
            fraction,
            regrow_dropped=self.regrow_dropped,
            reset_regrown=self.reset_regrown,
        )

    def random_growth_at(self, step: int) -> dict[str, tuple[int, int]]:
        """k weights grown of C candidates per layer: what the exact R_s needs."""
        fraction = self.drop_fraction(step)
        return random_growth(self, fraction, regrow_dropped=self.regrow_dropped)
