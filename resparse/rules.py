"""Mask rules that several methods share, as functions, so that no method inherits from another."""

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resparse.masks import (
    Change,
    MaskDict,
    NonFinite,
    drop_and_grow,
    drop_count,
    grow_count,
    top_k,
)
from resparse.method import Layers, Method


def random_update(
    method: Method,
    layers: Layers,
    fraction: float,
    *,
    regrow_dropped: bool = True,
    reset_regrown: bool = False,
) -> dict[str, Change]:
    """SET's rule (Mocanu et al. 2018): drop the smallest weights, grow uniformly at random."""
    return {
        name: drop_and_grow(
            layer.mask,
            layer.weight,
            method.uniform_like(layer.mask),
            fraction,
            keep_absolute=True,
            ties=method.rng,
            regrow_dropped=regrow_dropped,
            reset_regrown=reset_regrown,
        )
        for name, layer in layers.items()
    }


def random_growth(
    method: Method, fraction: float, *, regrow_dropped: bool = True
) -> dict[str, tuple[int, int]]:
    """k weights grown of C candidates per layer under ``random_update``: for the exact R_s."""
    result = {}
    for name, nnz in method.target_counts().items():
        size = method.sizes[name]
        k = grow_count(fraction, nnz, size, regrow_dropped=regrow_dropped)
        result[name] = (k, size - nnz + (k if regrow_dropped else 0))
    return result


def gradient_update(
    method: Method, layers: Layers, fraction: float, *, reset_regrown: bool = False
) -> dict[str, Change]:
    """RigL's rule (Evci et al. 2020, algorithm 1): grow where the dense gradient is largest."""
    changes = {}
    for name, layer in layers.items():
        assert layer.grad is not None
        changes[name] = drop_and_grow(
            layer.mask,
            layer.weight,
            layer.grad,
            fraction,
            keep_absolute=True,
            grow_absolute=True,
            ties=method.rng,
            reset_regrown=reset_regrown,
        )
    return changes


def redistributed_update(
    method: Method,
    layers: Layers,
    fraction: float,
    *,
    grow: Mapping[str, Tensor],
    worth: Mapping[str, Tensor],
) -> dict[str, Change]:
    """Drop the smallest weights of each layer, grow the same total where weights are worth most.

    A layer's part is the mean |worth| of its weights active before the update (Dettmers &
    Zettlemoyer 2019, algorithm 1); inside a layer the largest |grow| comes first. A layer that
    loses all it has keeps one weight; where its part alone would not give it one, it is starved.
    """
    dropped = {n: drop_count(fraction, int(layer.mask.sum())) for n, layer in layers.items()}
    kept = {
        name: layer.mask & ~top_k(-layer.weight.abs(), dropped[name], among=layer.mask)
        for name, layer in layers.items()
    }
    parts = {name: float(worth[name].abs()[layer.mask].mean()) for name, layer in layers.items()}
    room = {name: int((~mask).sum()) for name, mask in kept.items()}
    lost = {name: int(not mask.any()) for name, mask in kept.items()}
    total, nothing = sum(dropped.values()), dict.fromkeys(lost, 0)
    grown = share_out(total, parts, room=room, at_least=lost)
    free = share_out(total, parts, room=room, at_least=nothing) if any(lost.values()) else grown
    changes = {}
    for name, mask in kept.items():
        new = top_k(grow[name].abs(), grown[name], among=~mask, ties=method.rng)
        changes[name] = Change(mask | new, starved=bool(lost[name]) and free[name] == 0)
    return changes


def share_out(
    total: int, parts: Mapping[str, float], *, room: Mapping[str, int], at_least: Mapping[str, int]
) -> dict[str, int]:
    """Integers that sum to ``total`` in proportion to ``parts``, each from at_least to room.

    What a full layer cannot take goes to the others in their proportion, and what a layer needs to
    have its least comes from the others likewise. Parts, 0 or more, that are all 0 count as equal.
    Largest remainders are rounded up, ties in the order given.

    >>> share_out(10, {"a": 1.0, "b": 3.0}, room={"a": 9, "b": 5}, at_least={"a": 0, "b": 0})
    {'a': 5, 'b': 5}

    Raises ValueError where the bounds cannot hold the total, NonFinite for a part that is NaN.
    """
    if not all(map(math.isfinite, parts.values())):
        raise NonFinite(f"a layer's worth is not finite: {dict(parts)}")
    possible = all(at_least[name] <= room[name] for name in parts)
    if not (possible and sum(at_least.values()) <= total <= sum(room.values())):
        raise ValueError(
            f"{total} weights do not fit layers that take from {dict(at_least)} to {dict(room)}"
        )
    exact = _bounded(total, parts, room, at_least)
    given = {name: math.floor(exact[name]) for name in parts}
    rest = total - sum(given.values())
    for name in sorted(parts, key=lambda n: given[n] - exact[n])[:rest]:
        given[name] += 1
    return given


def _bounded(
    total: int, parts: Mapping[str, float], room: Mapping[str, int], at_least: Mapping[str, int]
) -> dict[str, Fraction]:
    """share_out before rounding: max(at_least, min(room, c part)), with the c that gives the total.

    Layers beyond a bound are fixed on it and the others share the rest again: those beyond room if
    they exceed it by more than is missing elsewhere (c will grow), else those short (c will fall).
    Each round fixes a layer, so there are no more rounds than layers. Fractions make sums exact.
    """
    fixed: dict[str, Fraction] = {}
    while True:
        left = total - sum(fixed.values())
        weight = {name: Fraction(part) for name, part in parts.items() if name not in fixed}
        if not any(weight.values()):
            weight = dict.fromkeys(weight, Fraction(1))
        whole = sum(weight.values())
        exact = {name: left * part / whole for name, part in weight.items()}
        over = {n: x - room[n] for n, x in exact.items() if x > room[n]}
        short = {n: at_least[n] - x for n, x in exact.items() if x < at_least[n]}
        if not over and not short:
            return fixed | exact
        if sum(over.values()) >= sum(short.values()):
            fixed |= {name: Fraction(room[name]) for name in over}
        else:
            fixed |= {name: Fraction(at_least[name]) for name in short}


class Kept(NamedTuple):
    """Masks of one global budget, and the layers that it would have starved."""

    masks: MaskDict
    starved: list[str]


def keep_largest(
    scores: Mapping[str, Tensor], total: int, *, among: MaskDict | None = None, at_least: int = 1
) -> Kept:
    """The ``total`` largest scores of all layers together, exactly; ties by lowest index.

    A layer that would be left with fewer than ``at_least`` weights (layer collapse) keeps its best
    ``at_least`` (or all it has), the others share the rest; its name is returned. 0 lets it die.

    >>> kept = keep_largest({"a": torch.tensor([9.0, 8.0, 7.0]), "b": torch.tensor([1.0])}, 2)
    >>> [mask.tolist() for mask in kept.masks.values()], kept.starved
    ([[True, False, False], [True]], ['b'])

    Raises ValueError where the budget cannot give every layer its share.
    """
    pool = among or {name: torch.ones_like(s, dtype=torch.bool) for name, s in scores.items()}
    floors = {name: min(at_least, int(mask.sum())) for name, mask in pool.items()}
    if not sum(floors.values()) <= total:
        raise ValueError(f"{total} weights for {len(scores)} layers that keep {at_least} or more")
    starved: dict[str, Tensor] = {}
    while True:
        free = {name: score for name, score in scores.items() if name not in starved}
        rest = total - sum(int(mask.sum()) for mask in starved.values())
        flat = torch.cat([score.flatten() for score in free.values()])
        inside = torch.cat([pool[name].flatten() for name in free])
        chosen = top_k(flat, rest, among=inside)
        parts = torch.split(chosen, [score.numel() for score in free.values()])
        masks = {n: part.view(s.shape) for (n, s), part in zip(free.items(), parts, strict=True)}
        poor = [name for name, mask in masks.items() if int(mask.sum()) < floors[name]]
        if not poor:
            every = {name: starved.get(name, masks.get(name)) for name in scores}
            return Kept({n: m for n, m in every.items() if m is not None}, list(starved))
        starved |= {n: top_k(scores[n], floors[n], among=pool[n]) for n in poor}


def fix_counts(method: Method, kept: Kept) -> MaskDict:
    """Make the counts of a global budget the method's own, and note the layers it starved."""
    counts = [int(kept.masks[name].sum()) for name in method.sizes]
    method.state["counts"] = torch.tensor(counts)
    method.state["starved"] = torch.tensor([name in kept.starved for name in method.sizes])
    return kept.masks


def sensitive_masks(
    method: Method, layers: Layers, at_least: int, *, together: bool = True
) -> Kept:
    """SNIP's rule (Lee et al. 2019, equation 5): the largest |w dL/dw| of all layers together.

    Not ``together``: of each layer, which keeps the count of its own density.
    """
    scores = {}
    for name, layer in layers.items():
        assert layer.grad is not None
        scores[name] = (layer.weight * layer.grad).abs()
    counts = method.target_counts()
    if not together:
        return Kept({name: top_k(score, counts[name]) for name, score in scores.items()}, [])
    return keep_largest(scores, sum(counts.values()), at_least=at_least)


def largest_of_parent(method: Method, at_least: int, *, whole: Collection[str] = ()) -> Kept:
    """One-shot global magnitude pruning of the parent's final weights (Frankle & Carbin 2019).

    Layers in ``whole`` keep all their weights; the others share what is left of the total.
    """
    assert method.parent is not None
    total = sum(method.target_counts().values()) - sum(method.sizes[name] for name in whole)
    scores = {name: method.parent.weights[name].abs() for name in method.sizes}
    full = {name: torch.ones_like(scores.pop(name), dtype=torch.bool) for name in whole}
    masks, starved = keep_largest(scores, total, at_least=at_least)
    every = masks | full
    return Kept({name: every[name] for name in method.sizes}, starved)


REINIT = ("none", "xavier_normal")


def reinitialise(model: nn.Module, how: str, rng: torch.Generator) -> None:
    """New weights in convolutions and linear layers, drawn on the CPU from ``rng``, or as is."""
    for module in model.modules():
        if how == "xavier_normal" and isinstance(module, nn.Conv2d | nn.Linear):
            weight = torch.empty(module.weight.shape)
            nn.init.xavier_normal_(weight, generator=rng)
            with torch.no_grad():
                module.weight.copy_(weight)
