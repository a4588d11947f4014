"""SET+: SET-ITOP that grows weights never active before first, so that R_s is as large as can be.

Liu et al. 2021 (ITOP), section 4.3. With exact counts its R_s is not random at all.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from resparse.families import Exploring
from resparse.masks import Change, drop_and_grow, grow_count
from resparse.method import Layers


@dataclass(kw_only=True)
class SetPlus(Exploring):
    """Never-active weights first, the remainder uniform over all other candidates."""

    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """Grow by a uniform draw, raised by 1 where a weight was never active."""
        changes = {}
        for name, layer in layers.items():
            grow = self.uniform_like(layer.mask) + (~layer.ever).float()
            fraction, keep = self.drop_fraction(step), layer.weight.abs()
            changes[name] = drop_and_grow(layer.mask, keep, grow, fraction, ties=self.rng)
        return changes

    def random_growth_at(self, step: int) -> dict[str, tuple[int, int]]:
        """Of the weights never active so far, k or all that are left are grown."""
        counts = self.target_counts()
        fresh = {name: self.sizes[name] - count for name, count in counts.items()}
        grown: dict[str, tuple[int, int]] = {}
        for at in range(self.interval - 1, step + 1, self.interval):
            fresh = {name: left - grown[name][0] if grown else left for name, left in fresh.items()}
            for name, count in counts.items():
                k = grow_count(self.drop_fraction(at), count, self.sizes[name])
                grown[name] = (min(k, fresh[name]), fresh[name])
        return grown if self.updates_at(step) else {}
