"""LTR, lottery ticket with late rewinding: a pruned network trained again from an early step.

Frankle et al. 2020; as in ITOP's Table 2, whose numbers are Evci et al. 2020b's: the parent is the
gradual-pruning run at the same sparsity (a dense run has no mask). Its final mask, its weights at
the rewind step, the schedule continued there, a fresh optimizer.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from resparse.masks import MaskDict
from resparse.method import Layers, Method


@dataclass(kw_only=True)
class Ltr(Method):
    """A static mask taken from the parent run; the trainer starts from the parent's weights."""

    grads: ClassVar[Literal["never", "update", "always"]] = "never"
    needs_parent: ClassVar[bool] = True

    def init_masks(self, layers: Layers) -> MaskDict:
        """The parent's final masks."""
        assert self.parent is not None
        return dict(self.parent.masks)
