"""The only writer of masks, of weights outside masks, and of optimizer moments there."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resparse.selection import NonFinite, best, ones, top_k
from resparse.storage import Full, masked_sum, moments
from resparse.views import Gradients, Layer, Views

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

MaskDict = dict[str, Tensor]


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
    nnz, size = ones(mask), mask.numel()
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

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        initial: MaskDict,
        stored: Mapping[str, Full] | None = None,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        self.weights = dict(weights)
        self.stored = {n: (stored or {}).get(n) or Full(w) for n, w in weights.items()}
        self.mask: MaskDict = {}
        self.ever: MaskDict = {n: torch.zeros_like(w, dtype=torch.bool) for n, w in weights.items()}
        self.trained: MaskDict = {n: torch.zeros_like(e) for n, e in self.ever.items()}
        self._nnz: dict[str, int] = {}
        self._layers: dict[int, list[str]] = {}  # of a parameter: several layers may share one
        for name, weight in self.weights.items():
            self._layers.setdefault(id(weight), []).append(name)
        if set(initial) != set(weights):
            raise ValueError(f"masks for {sorted(initial)}, but the layers are {sorted(weights)}")
        self.install({name: Change(mask) for name, mask in initial.items()}, optimizer)

    def install(
        self, changes: Mapping[str, Change], optimizer: torch.optim.Optimizer | None
    ) -> int:
        """Take new masks: zero weights and moments outside them and where they say ``reset``.

        Returns how many weights are active for the first time.
        """
        found = 0
        counts = {name: self._check(name, change) for name, change in changes.items()}
        for name, change in changes.items():
            mask, old = change.mask.clone(), self.mask.get(name)
            if change.reset is not None:
                keep = mask & ~change.reset
            else:
                keep = mask if old is None else mask & old
            found += ones(mask & ~self.ever[name])
            self.ever[name] |= mask
            self.stored[name].take(mask, keep, change.reset, optimizer)
            self.mask[name], self._nnz[name] = mask, counts[name]
        return found

    def _check(self, name: str, change: Change) -> int:
        """Active weights of a new mask; raises ValueError where it cannot be installed."""
        if name not in self.weights:
            raise ValueError(f"no layer {name!r}; valid: {', '.join(self.weights)}")
        shape = self.stored[name].shape
        for what, tensor in (("mask", change.mask), ("reset", change.reset)):
            if tensor is None:
                continue
            if tensor.dtype != torch.bool or tensor.shape != shape:
                raise ValueError(
                    f"layer {name}: {what} is {tensor.dtype} of shape {tuple(tensor.shape)}; "
                    f"valid: torch.bool of shape {tuple(shape)}"
                )
        count = ones(change.mask)
        if count == 0:
            raise ValueError(f"layer {name}: the new mask keeps no weight (layer collapse)")
        return count

    def restore(
        self,
        mask: MaskDict,
        ever: MaskDict,
        trained: MaskDict,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        """Take masks and history from a checkpoint whose weights and moments are in place."""
        for name in self.weights:
            self._nnz[name] = self._check(name, Change(mask[name]))
            self.mask[name] = mask[name]
            self.stored[name].restore(mask[name], optimizer)
            self.ever[name], self.trained[name] = ever[name], trained[name]

    def mask_gradients(self) -> None:
        """Zero the gradients outside the masks, in place, in one fused call.

        Layers whose weights are all active are left out: a dense network's, and packed ones.
        """
        grads = {n: w.grad for n, w in self.weights.items() if self._nnz[n] < w.numel()}
        given = {n: grad for n, grad in grads.items() if grad is not None}
        if given:
            torch._foreach_mul_(list(given.values()), [self.stored[n].factor for n in given])

    def masked_sums(self, named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
        """The sum of each parameter's gradient, by its name; those of the layers are masked then.

        As ``mask_gradients``, but in the same pass over memory where that is faster.
        """
        sums = {}
        for name, weight in named:
            if (grad := weight.grad) is None:
                continue
            layers = [n for n in self._layers.get(id(weight), ()) if self._nnz[n] < weight.numel()]
            if not layers:
                sums[name] = grad.sum()
                continue
            sums[name] = masked_sum(grad, self.mask[layers[0]], self.stored[layers[0]].factor)
            for layer in layers[1:]:
                grad.mul_(self.stored[layer].factor)
        return sums

    def share(self, places: MaskDict) -> None:
        """Keep the factors of the gradients in ``places``, rows of one tensor for several runs."""
        for name, place in places.items():
            stored = self.stored[name]
            stored.factor = place.copy_(stored.factor)

    def keep_gradients(self, wanted: bool) -> None:
        """Whether the next backward passes leave what ``gradients`` needs; what was kept goes."""
        for stored in self.stored.values():
            stored.keep_gradient(wanted)

    def gradients(self, *, copied: bool) -> Gradients:
        """The dense gradients of the last backward passes; ``copied``: they outlive masking."""
        lasting = {}
        for name, stored in self.stored.items():
            if not stored.is_packed:
                gradient = stored.gradient(name)
                lasting[name] = gradient.clone() if copied else gradient
        return Gradients(self.stored, lasting)

    def layers(self, grads: Mapping[str, Tensor] | None, optimizer: torch.optim.Optimizer) -> Views:
        """What a method sees now; ``grads``: dense gradients, None where it asked for none."""
        return Views(self.stored, self.mask, self.ever, grads, optimizer)

    def dense(self, parameter: nn.Parameter, tensor: Tensor) -> Tensor:
        """A tensor that runs along one of the network's parameters, in the shape of its layer."""
        for name, weight in self.weights.items():
            if weight is parameter:
                return self.stored[name].dense(tensor)
        return tensor

    def nnz(self) -> dict[str, int]:
        """Active weights per layer, counted when the masks were installed."""
        return dict(self._nnz)

    def check_counts(self, expected: int | dict[str, int]) -> None:
        """Raise RuntimeError unless the masks, counted anew, have what the method announced."""
        actual = {name: ones(mask) for name, mask in self.mask.items()}
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
        for name, stored in self.stored.items():
            if left := stored.outside(self.mask[name], optimizer):
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
        return sum(ones(mask) for mask in history.values()) / total

    def digest(self) -> str:
        """sha256 over all masks, in layer order."""
        digest = hashlib.sha256()
        for name, mask in self.mask.items():
            digest.update(name.encode())
            digest.update(mask.cpu().numpy().tobytes())
        return digest.hexdigest()
