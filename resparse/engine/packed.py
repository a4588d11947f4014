"""A layer's weight and moments where its mask is, and nowhere else: the sparse engine's."""

from collections.abc import Callable

import torch
from torch import Tensor

from resparse.engine.layers import Kept, Sparse
from resparse.engine.pattern import Pattern
from resparse.selection import ones
from resparse.storage import Full, Optimizer


def unheard(density: float) -> None:
    """Nobody listens."""


class Packed(Full):
    """(nnz,) numbers, where the mask's density is at most ``crossover``; else all, as ``Full``.

    What a method sees of them, and a dense gradient, is formed when it is asked for. ``tell`` hears
    the density of every new mask.
    """

    def __init__(
        self, module: Sparse, crossover: float, tell: Callable[[float], None] = unheard
    ) -> None:
        self.module, self.crossover, self.tell = module, crossover, tell
        self.weight, self.shape, self.size = module.weight, module.shape, module.weight.numel()

    @property
    def is_packed(self) -> bool:  # type: ignore[override]
        """Now; the density may move."""
        return self.module.pattern is not None

    def take(self, mask: Tensor, keep: Tensor, reset: Tensor | None, optimizer: Optimizer) -> None:
        """As Full's. What ``keep`` leaves out is not there already, but where it is reset."""
        if not self._below(mask):
            self._fill(optimizer)
            return super().take(mask, keep, reset, optimizer)
        pattern = Pattern(mask)
        restarts = None if reset is None else pattern.packed(reset)
        self._store(pattern, optimizer, restarts)
        return None

    def restore(self, mask: Tensor, optimizer: Optimizer) -> None:
        """As Full's, of weights and moments that are there."""
        if self._below(mask):
            self._store(Pattern(mask), optimizer, None)
        else:
            self._fill(optimizer)
            super().restore(mask, optimizer)

    def _below(self, mask: Tensor) -> bool:
        density = ones(mask) / self.size
        self.tell(density)
        return density <= self.crossover

    def _fill(self, optimizer: Optimizer) -> None:
        """Store all numbers."""
        self._move(None, optimizer, self.module.dense)
        self.factor = torch.empty(self.shape, dtype=self.weight.dtype)

    def _store(self, pattern: Pattern, optimizer: Optimizer, restarts: Tensor | None) -> None:
        """Store those of a pattern, 0 where ``restarts`` (nnz,) is True."""
        old = self.module.pattern

        def packed(stored: Tensor) -> Tensor:
            values = pattern.packed(stored) if old is None else old.moved(stored, pattern)
            return values if restarts is None else values.masked_fill_(restarts, 0.0)

        self._move(pattern, optimizer, packed)
        self.factor = torch.empty(0)

    def _move(
        self, pattern: Pattern | None, optimizer: Optimizer, stored: Callable[[Tensor], Tensor]
    ) -> None:
        """Put ``stored`` of weight and moments in their places, one after the other."""
        if optimizer is not None:
            state = optimizer.state[self.weight]
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == self.weight.shape:
                    state[name] = stored(value)
        self.weight.data, self.weight.grad = stored(self.weight), None
        self.module.pattern = pattern

    def dense(self, stored: Tensor) -> Tensor:
        """Formed anew where numbers are packed."""
        return self.module.dense(stored)

    def keep_gradient(self, wanted: bool) -> None:
        """The next backward passes keep inputs and outputs' gradients; what was kept goes."""
        self.module.kept = Kept(self.shape) if wanted and self.is_packed else None

    def gradient(self, name: str) -> Tensor:
        """Formed anew at each call where numbers are packed; RuntimeError as Full's."""
        if not self.is_packed:
            return super().gradient(name)
        if not self.module.kept:
            raise RuntimeError(f"layer {name}: no dense gradient was kept, or it has no part in it")
        return self.module.kept.formed()

    def outside(self, mask: Tensor, optimizer: Optimizer) -> int:
        """Where numbers are packed, the places that are stored but masked, or the other way."""
        pattern = self.module.pattern
        if pattern is None:
            return super().outside(mask, optimizer)
        ones = pattern.unpacked(torch.ones(pattern.nnz)).view(self.shape)
        return int((ones.bool() != mask).count_nonzero())
