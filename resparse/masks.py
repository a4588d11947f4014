"""The only writer of masks, of weights outside masks, and of optimizer moments there."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resparse.selection import NonFinite, best, top_k

__all__ = [
    "Change",
    "Layer",
    "MaskDict",
    "Masks",
    "NonFinite",
    "drop_and_grow",
    "drop_count",
    "grow_count",
    "moments",
    "top_k",
]

INTEGER = {  # of each kind of number, the integer of its size
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}

MaskDict = dict[str, Tensor]


class Layer(NamedTuple):
    """What a method may read, not write, of one layer at a step; all of the weight's shape."""

    mask: Tensor  # bool, before this update; True = kept
    ever: Tensor  # bool, active in any mask so far, this one included (R_s)
    weight: Tensor  # order "replace": before the step left out; "after": after this batch's step
    grad: Tensor | None = None  # dense gradient of the whole batch, before weight decay
    momentum: Tensor | None = None  # the optimizer's first moment


class Change(NamedTuple):
    """A layer's new mask, and where weight and moments become 0 (default: the newly active).

    ``starved``: the scores alone would have emptied the layer, and a rule kept it alive.
    """

    mask: Tensor
    reset: Tensor | None = None
    starved: bool = False


def drop_count(drop_fraction: float, nnz: int) -> int:
    """ceil(fraction * nnz); the small term keeps 0.3 * 10 at 3 whatever the last bit says.

    Up, as ITOP, the RigL reproduction and sparse_learning round; Evci et al.'s code and rigl-torch
    round down. The papers do not say; up, since a layer of few weights then moves at all.

    >>> drop_count(0.3, 10), drop_count(0.31, 10), drop_count(0.0, 10)
    (3, 4, 0)
    """
    return max(0, math.ceil(drop_fraction * nnz - 1e-9))


def grow_count(drop_fraction: float, nnz: int, size: int, *, regrow_dropped: bool = True) -> int:
    """Weights grown at one update: all that were dropped, or as many as there are candidates."""
    dropped = drop_count(drop_fraction, nnz)
    return dropped if regrow_dropped else min(dropped, size - nnz)


def drop_and_grow(
    mask: Tensor,
    keep_score: Tensor,
    grow_score: Tensor,
    drop_fraction: float,
    *,
    ties: torch.Generator,
    regrow_dropped: bool = True,
    reset_regrown: bool = False,
    keep_absolute: bool = False,
    grow_absolute: bool = False,
) -> Change:
    """Drop the lowest ``keep_score`` of the active weights, grow as many by highest ``grow_score``.

    nnz does not change. A just-dropped weight is a candidate unless ``regrow_dropped`` is False
    (all public implementations allow it), and one that returns keeps its value and moments unless
    ``reset_regrown``. Drop ties go by lowest index, growth ties by the generator. The last two
    rank by |score|, as if it had been given.
    """
    nnz, size = int(mask.count_nonzero()), mask.numel()
    k = grow_count(drop_fraction, nnz, size, regrow_dropped=regrow_dropped)
    kept = mask & ~best(keep_score, k, mask, nnz, lowest=True, absolute=keep_absolute)
    candidates, count = (~kept, size - nnz + k) if regrow_dropped else (~mask, size - nnz)
    grown = best(grow_score, k, candidates, count, ties=ties, absolute=grow_absolute)
    return Change(kept | grown, reset=grown if reset_regrown else None)


class Masks:
    """The masks of one model in training: installs changes, keeps everything outside at zero.

    ``weights`` are the maskable parameters by layer name. Once a mask is installed, masking the
    gradient before each step keeps weights and moments outside it at exactly 0 by themselves.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], initial: MaskDict) -> None:
        self.weights = dict(weights)
        self.mask: MaskDict = {}
        self.ever: MaskDict = {n: torch.zeros_like(w, dtype=torch.bool) for n, w in weights.items()}
        self.trained: MaskDict = {n: torch.zeros_like(e) for n, e in self.ever.items()}
        self._factor = {n: torch.empty_like(w, requires_grad=False) for n, w in weights.items()}
        self._nnz: dict[str, int] = {}
        if set(initial) != set(weights):
            raise ValueError(f"masks for {sorted(initial)}, but the layers are {sorted(weights)}")
        self.install({name: Change(mask) for name, mask in initial.items()}, None)

    def install(
        self, changes: Mapping[str, Change], optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Take new masks: zero weights and moments outside them and where they say ``reset``."""
        counts = {name: self._check(name, change) for name, change in changes.items()}
        for name, change in changes.items():
            weight, mask, old = self.weights[name], change.mask.clone(), self.mask.get(name)
            if change.reset is not None:
                keep = mask & ~change.reset
            else:
                keep = mask if old is None else mask & old
            self.ever[name] |= mask
            self._zero_outside(name, keep, (weight.detach(), *moments(optimizer, weight)))
            self._take(name, mask, counts[name])

    def _zero_outside(self, name: str, keep: Tensor, tensors: Iterable[Tensor]) -> None:
        """Make every number +0.0 where ``keep`` is False, in place, whatever it was; others stay.

        By its bits: a product would leave -0.0 and NaN, and a fill costs five times as much.
        """
        bits = self._factor[name].view(INTEGER[self._factor[name].dtype])  # memory that is there
        bits.copy_(keep.view(torch.uint8)).neg_()  # all ones where kept
        for tensor in tensors:
            tensor.view(bits.dtype).bitwise_and_(bits)

    def _take(self, name: str, mask: Tensor, count: int) -> None:
        """From now on ``mask``, which has ``count`` ones."""
        self.mask[name], self._nnz[name] = mask, count
        # a bool as the byte that it is converts more than twice as fast
        self._factor[name].copy_(mask.view(torch.uint8))

    def _check(self, name: str, change: Change) -> int:
        """Active weights of a new mask; raises ValueError where it cannot be installed."""
        if name not in self.weights:
            raise ValueError(f"no layer {name!r}; valid: {', '.join(self.weights)}")
        weight = self.weights[name]
        for what, tensor in (("mask", change.mask), ("reset", change.reset)):
            if tensor is None:
                continue
            if tensor.dtype != torch.bool or tensor.shape != weight.shape:
                raise ValueError(
                    f"layer {name}: {what} is {tensor.dtype} of shape {tuple(tensor.shape)}; "
                    f"valid: torch.bool of shape {tuple(weight.shape)}"
                )
        count = int(change.mask.count_nonzero())
        if count == 0:
            raise ValueError(f"layer {name}: the new mask keeps no weight (layer collapse)")
        return count

    def restore(self, mask: MaskDict, ever: MaskDict, trained: MaskDict) -> None:
        """Take masks and history from a checkpoint whose weights are already in place."""
        for name in self.weights:
            self._take(name, mask[name], self._check(name, Change(mask[name])))
            self.ever[name], self.trained[name] = ever[name], trained[name]

    def mask_gradients(self) -> None:
        """Zero the gradients outside the masks, in place, in one fused call.

        Layers whose mask is full are left out, as all of a dense network's.
        """
        grads = {n: w.grad for n, w in self.weights.items() if self._nnz[n] < w.numel()}
        given = {n: grad for n, grad in grads.items() if grad is not None}
        if given:
            torch._foreach_mul_(list(given.values()), [self._factor[n] for n in given])

    def layers(
        self, grads: Mapping[str, Tensor] | None, optimizer: torch.optim.Optimizer
    ) -> dict[str, Layer]:
        """What a method sees now; ``grads``: dense gradients, None where it asked for none."""
        return {
            name: Layer(
                mask=self.mask[name],
                ever=self.ever[name],
                weight=weight.detach(),
                grad=None if grads is None else grads[name],
                momentum=next(iter(moments(optimizer, weight)), None),
            )
            for name, weight in self.weights.items()
        }

    def nnz(self) -> dict[str, int]:
        """Active weights per layer, counted when the masks were installed."""
        return dict(self._nnz)

    def check_counts(self, expected: int | dict[str, int]) -> None:
        """Raise RuntimeError unless the masks, counted anew, have what the method announced."""
        actual = {name: int(mask.count_nonzero()) for name, mask in self.mask.items()}
        if isinstance(expected, int):
            if sum(actual.values()) != expected:
                raise RuntimeError(f"{sum(actual.values())} active weights, {expected} announced")
            return
        for name, count in actual.items():
            if count != expected[name]:
                raise RuntimeError(
                    f"layer {name}: {count} active weights, {expected[name]} announced"
                )

    def check_outside(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Raise RuntimeError where a weight or a moment outside its mask is not 0."""
        for name, weight in self.weights.items():
            for tensor in (weight.detach(), *moments(optimizer, weight)):
                left = int(((tensor != 0) & ~self.mask[name]).count_nonzero())
                if left:
                    raise RuntimeError(f"layer {name}: {left} numbers outside its mask are not 0")

    def note_trained(self) -> None:
        """The weights active now have been trained for a whole update interval."""
        for name, mask in self.mask.items():
            self.trained[name] |= mask

    def explored(self, history: MaskDict | None = None) -> float:
        """R_s: the share of maskable weights that were ever active (ITOP, section 3, eq. 1).

        With ``history`` = ``trained`` only those count that lived a whole interval, as the paper's
        words "reliably explored" ask; its formula and code count every activation.
        """
        history = self.ever if history is None else history
        total = sum(mask.numel() for mask in history.values())
        return sum(int(mask.count_nonzero()) for mask in history.values()) / total

    def digest(self) -> str:
        """sha256 over all masks, in layer order."""
        digest = hashlib.sha256()
        for name, mask in self.mask.items():
            digest.update(name.encode())
            digest.update(mask.cpu().numpy().tobytes())
        return digest.hexdigest()


def moments(optimizer: torch.optim.Optimizer | None, weight: Tensor) -> Iterable[Tensor]:
    """The optimizer's tensors that run along ``weight``, first moment first."""
    if optimizer is None:
        return []
    state = optimizer.state.get(weight, {})
    return [t for t in state.values() if isinstance(t, Tensor) and t.shape == weight.shape]
