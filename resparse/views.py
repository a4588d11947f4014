"""What a method may look at, layer by layer, however the layer's numbers are stored."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from resparse.storage import Full, moments


class Layer(NamedTuple):
    """What a method may read, not write, of one layer at a step; all of the weight's shape."""

    mask: Tensor  # bool, before this update; True = kept
    ever: Tensor  # bool, active in any mask so far, this one included (R_s)
    weight: Tensor  # order "replace": before the step left out; "after": after this batch's step
    grad: Tensor | None = None  # dense gradient of the whole batch, before weight decay
    momentum: Tensor | None = None  # the optimizer's first moment


class Gradients(Mapping[str, Tensor]):
    """Dense gradients by layer: of one whose numbers are packed it is formed at each access."""

    def __init__(self, stored: Mapping[str, Full], lasting: Mapping[str, Tensor]) -> None:
        self.stored, self.lasting = stored, lasting

    def __getitem__(self, name: str) -> Tensor:
        """Of the layer's shape."""
        return self.lasting[name] if name in self.lasting else self.stored[name].gradient(name)

    def __iter__(self) -> Iterator[str]:
        """The layers, in network order."""
        return iter(self.stored)

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.stored)


class Views(Mapping[str, Layer]):
    """What a method sees, one layer after the other: of packed ones it is formed when looked at.

    Only the last that was looked at is held, so that no more than one layer is dense at a time.
    """

    def __init__(
        self,
        stored: Mapping[str, Full],
        mask: Mapping[str, Tensor],
        ever: Mapping[str, Tensor],
        grads: Mapping[str, Tensor] | None,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        self.stored, self.mask, self.ever = stored, mask, ever
        self.grads, self.optimizer = grads, optimizer
        self._last: tuple[str, Layer] | None = None

    def __getitem__(self, name: str) -> Layer:
        """The layer now."""
        if self._last is None or self._last[0] != name:
            self._last = None  # before the next is formed
            self._last = name, self._formed(name)
        return self._last[1]

    def _formed(self, name: str) -> Layer:
        stored = self.stored[name]
        moment = next(iter(moments(self.optimizer, stored.weight)), None)
        return Layer(
            mask=self.mask[name],
            ever=self.ever[name],
            weight=stored.dense(stored.weight.detach()),
            grad=None if self.grads is None else self.grads[name],
            momentum=None if moment is None else stored.dense(moment),
        )

    def __iter__(self) -> Iterator[str]:
        """The layers, in network order."""
        return iter(self.stored)

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self.stored)


def standing(layers: Mapping[str, Layer]) -> Iterator[tuple[str, str, Tensor]]:
    """(layer, part, tensor) of all that is not formed for who looks: what one must not write to."""
    for name in layers:
        if isinstance(layers, Views) and layers.stored[name].is_packed:
            yield name, "mask", layers.mask[name]
            yield name, "ever", layers.ever[name]
        else:
            for part, tensor in layers[name]._asdict().items():
                if tensor is not None:
                    yield name, part, tensor
