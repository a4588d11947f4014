"""The only writer of masks, of weights outside masks, and of optimizer moments there."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

MaskDict = dict[str, Tensor]


class Layer(NamedTuple):
    """What a method may read, not write, of one layer at a step; all of the weight's shape."""

    mask: Tensor  # bool, before this update; True = kept
    ever: Tensor  # bool, active in any mask so far, this one included (R_s)
    weight: Tensor  # order "replace": before the step left out; "after": after this batch's step
    grad: Tensor | None = None  # dense gradient of the whole batch, before weight decay
    momentum: Tensor | None = None  # the optimizer's first moment


class Change(NamedTuple):
    """A layer's new mask, and where weight and moments become 0 (default: the newly active)."""

    mask: Tensor
    reset: Tensor | None = None


class NonFinite(ValueError):
    """A score is NaN: weights or gradients have diverged."""


def top_k(
    score: Tensor, k: int, *, among: Tensor | None = None, ties: torch.Generator | None = None
) -> Tensor:
    """Bool mask with exactly ``k`` True: the largest scores inside ``among``.

    Ties go to the lowest flat index, or, with a CPU generator ``ties``, uniformly at random.

    >>> top_k(torch.tensor([3.0, 1.0, 3.0, 2.0]), 2).tolist()
    [True, False, True, False]

    Raises ValueError when ``k`` exceeds the candidates, NonFinite when a score is NaN.
    """
    chosen = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    flat = score.detach().flatten()
    pool = None if among is None else among.flatten().nonzero().squeeze(1)
    values = flat if pool is None else flat[pool]
    if not 0 <= k <= values.numel():
        raise ValueError(f"cannot choose {k} of {values.numel()} candidate weights")
    if bool(values.isnan().any()):
        raise NonFinite("a score is NaN: weights or gradients have diverged")
    if k > 0:
        threshold = values.kthvalue(values.numel() - k + 1).values
        above = values > threshold
        tied = (values == threshold).nonzero().squeeze(1)
        if ties is not None:
            tied = tied[torch.randperm(tied.numel(), generator=ties).to(tied.device)]
        picked = torch.cat([above.nonzero().squeeze(1), tied[: k - int(above.sum())]])
        chosen[picked if pool is None else pool[picked]] = True
    return chosen.view(score.shape)


def drop_count(drop_fraction: float, nnz: int) -> int:
    """ceil(fraction * nnz); the small term keeps 0.3 * 10 at 3 whatever the last bit says.

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
) -> Change:
    """Drop the lowest ``keep_score`` of the active weights, grow as many by highest ``grow_score``.

    nnz does not change. A just-dropped weight is a candidate unless ``regrow_dropped`` is False
    (all public implementations allow it), and one that returns keeps its value and moments unless
    ``reset_regrown``. Drop ties go by lowest index, growth ties by the generator.
    """
    count = grow_count(drop_fraction, int(mask.sum()), mask.numel(), regrow_dropped=regrow_dropped)
    kept = mask & ~top_k(-keep_score, count, among=mask)
    candidates = ~kept if regrow_dropped else ~mask
    grown = top_k(grow_score, count, among=candidates, ties=ties)
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
        self._factor: dict[str, Tensor] = {}
        if set(initial) != set(weights):
            raise ValueError(f"masks for {sorted(initial)}, but the layers are {sorted(weights)}")
        self.install({name: Change(mask) for name, mask in initial.items()}, None)

    def install(
        self, changes: Mapping[str, Change], optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Take new masks: zero weights and moments outside them and where they say ``reset``."""
        for name, change in changes.items():
            self._check(name, change)
        for name, change in changes.items():
            weight = self.weights[name]
            mask = change.mask.clone()
            old = self.mask.get(name)
            reset = change.reset
            if reset is None:
                reset = torch.zeros_like(mask) if old is None else mask & ~old
            self.mask[name] = mask
            self.ever[name] |= mask
            self._factor[name] = mask.to(weight.dtype)
            clear = ~mask | reset
            with torch.no_grad():
                for tensor in (weight, *moments(optimizer, weight)):
                    tensor.masked_fill_(clear, 0.0)

    def _check(self, name: str, change: Change) -> None:
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
        if not bool(change.mask.any()):
            raise ValueError(f"layer {name}: the new mask keeps no weight (layer collapse)")

    def restore(self, mask: MaskDict, ever: MaskDict, trained: MaskDict) -> None:
        """Take masks and history from a checkpoint whose weights are already in place."""
        for name, weight in self.weights.items():
            self._check(name, Change(mask[name]))
            self.mask[name], self.ever[name] = mask[name], ever[name]
            self.trained[name] = trained[name]
            self._factor[name] = mask[name].to(weight.dtype)

    def mask_gradients(self) -> None:
        """Zero the gradients outside the masks, in place, in one fused call."""
        grads = [w.grad for w in self.weights.values() if w.grad is not None]
        torch._foreach_mul_(grads, [self._factor[n] for n in self.weights])

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
        """Active weights per layer."""
        return {name: int(mask.sum()) for name, mask in self.mask.items()}

    def check_counts(self, expected: int | dict[str, int]) -> None:
        """Raise RuntimeError unless the counts are exactly what the method announced."""
        actual = self.nnz()
        if isinstance(expected, int):
            if sum(actual.values()) != expected:
                raise RuntimeError(f"{sum(actual.values())} active weights, {expected} announced")
            return
        for name, count in actual.items():
            if count != expected[name]:
                raise RuntimeError(
                    f"layer {name}: {count} active weights, {expected[name]} announced"
                )

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
        return sum(int(mask.sum()) for mask in history.values()) / total

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
