"""Small-Dense: every layer dense but narrower, with as many weights as the sparse network has.

The control of Evci et al. 2020 and of the RigL reproduction: channels scaled alike, by about
sqrt(density). The masks keep a block of channels; what is left out feeds nothing, so the network
is the narrower one, but for its start: weights are drawn with the fans of the wide network, so they
are smaller than the narrow one's own initialisation would have them. A linear layer right after a
convolution is taken to read its flattened maps; further from it, inputs are cut by their order.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch

from resparse.masks import MaskDict
from resparse.method import Layers, Method
from resparse.rules import Kept, fix_counts


@dataclass(kw_only=True)
class SmallDense(Method):
    """The first layer keeps all inputs, the last all outputs; the count is as near as widths go."""

    budget: ClassVar[Literal["layer", "global"]] = "global"
    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def init_masks(self, layers: Layers) -> MaskDict:
        """The first channels of every layer, by the width whose count is nearest the budget."""
        shapes = {name: tuple(layer.mask.shape) for name, layer in layers.items()}
        channels = {n for shape in shapes.values() for n in shape[:2]}
        steps = sorted({(k + 0.5) / n for n in channels for k in range(n)} | {0.0, 1.0})
        widths = [(low + high) / 2 for low, high in pairwise(steps)]  # roundings change between
        budget = sum(self.target_counts().values())

        def miss(width: float) -> tuple[int, float]:
            blocks = kept_channels(shapes, width)
            count = sum(o * i * math.prod(shapes[name][2:]) for name, (o, i) in blocks.items())
            return abs(count - budget), width

        masks = {}
        for name, (outputs, inputs) in kept_channels(shapes, min(widths, key=miss)).items():
            masks[name] = torch.zeros_like(layers[name].mask)
            masks[name][:outputs, :inputs] = True
        return fix_counts(self, Kept(masks, []))

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """Per layer once the widths are set; the budget before."""
        counts = self.target_counts()
        return counts if "counts" in self.state else sum(counts.values())


def kept_channels(shapes: dict[str, tuple[int, ...]], width: float) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each layer at a share of its channels, at least one.

    A linear layer after a convolution keeps the whole maps of the channels that are kept.

    >>> kept_channels({"conv1": (8, 3, 3, 3), "conv2": (8, 8, 3, 3), "fc": (10, 8)}, 0.5)
    {'conv1': (4, 3), 'conv2': (4, 4), 'fc': (10, 4)}
    """
    first, last = next(iter(shapes)), next(reversed(shapes))
    kept: dict[str, tuple[int, int]] = {}
    before: tuple[int, ...] = ()
    for name, shape in shapes.items():
        outputs, inputs = (max(1, round(width * channels)) for channels in shape[:2])
        if len(shape) == 2 and len(before) == 4 and shape[1] % before[0] == 0:
            inputs = max(1, round(width * before[0])) * (shape[1] // before[0])
        kept[name] = (
            shape[0] if name == last else outputs,
            shape[1] if name == first else inputs,
        )
        before = shape
    return kept
