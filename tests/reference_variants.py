"""Plain NumPy versions of the variants: all layers together, and training where values matter.

As in reference.py: no torch, nothing from resparse, sorted lists in place of masks.
"""

import numpy as np
from reference import decayed, gmp_sparsity, number_dropped, smallest_active, snfs_average


def shares(total, parts, low, high):
    """``total`` in proportion to ``parts``, each from low to high, by bisection; not yet integers.

    Parts of 0 get their least; only when all others are full do they share the rest evenly.
    """
    full = sum(high[i] if part > 0 else low[i] for i, part in enumerate(parts))
    if total > full:  # 1e-30: as good as nothing beside another part
        parts = [part if part > 0 else 1e-30 for part in parts]
    small, large = 0.0, (max(high) + 1) / min(part for part in [*parts, 1.0] if part > 0)
    if not any(parts):
        return [float(least) for least in low]
    for _ in range(300):
        factor = (small + large) / 2
        filled = np.clip(np.multiply(factor, parts), low, high)
        small, large = (small, factor) if filled.sum() > total else (factor, large)
    return [float(x) for x in filled]


def rounded(exact, total):
    """Integers that sum to ``total``: down to the integer, then up by the largest remainder."""
    down = [int(np.floor(x + 1e-9)) for x in exact]
    order = sorted(range(len(exact)), key=lambda i: (down[i] - exact[i], i))
    up = order[: total - sum(down)]
    return [count + (i in up) for i, count in enumerate(down)]


def redistributed(masks, weights, worth, grow, fraction):
    """SNFS (Dettmers & Zettlemoyer 2019, algorithm 1); RigL-SG and RigL-SM of its reproduction.

    What all layers drop is grown by mean |worth| of each layer's active weights; dicts by layer.
    """
    active = {n: {int(i) for i in np.flatnonzero(mask)} for n, mask in masks.items()}
    dropped = {n: number_dropped(fraction, len(active[n])) for n in masks}
    left = {n: active[n] - smallest_active(masks[n], weights[n], dropped[n]) for n in masks}
    total = sum(dropped.values())
    parts = [float(np.mean([abs(worth[n].flat[i]) for i in active[n]])) for n in masks]
    low = [0 if left[n] else 1 for n in masks]
    high = [masks[n].size - len(left[n]) for n in masks]
    new = {}
    for n, count in zip(masks, rounded(shares(total, parts, low, high), total), strict=True):
        others = [i for i in range(masks[n].size) if i not in left[n]]
        best = sorted(others, key=lambda i: -abs(grow[n].flat[i]))[:count]
        new[n] = np.zeros(masks[n].size, dtype=bool)
        new[n][sorted(left[n] | set(best))] = True
        new[n] = new[n].reshape(masks[n].shape)
    return new


def snfs_momentum_update(masks, weights, gradients, t, *, t_end, alpha, beta):
    """SNFS with redistribution, ranked by its own average; ``gradients``: all so far, per layer."""
    average = {n: snfs_average(gradients[n], beta) for n in masks}
    return redistributed(masks, weights, average, average, decayed(t, t_end, alpha))


def rigl_gradient_update(masks, weights, gradients, t, *, t_end, alpha):
    """RigL-SG: this batch's gradient says where weights go, between layers and inside them."""
    now = {n: gradients[n][-1] for n in masks}
    return redistributed(masks, weights, now, now, decayed(t, t_end, alpha))


def rigl_momentum_update(masks, weights, gradients, t, *, t_end, alpha, momentum):
    """RigL-SM: the momentum says how many a layer gets, the gradient which ones."""
    now = {n: gradients[n][-1] for n in masks}
    sums = {n: snfs_average(gradients[n], momentum) / (1 - momentum) for n in masks}
    return redistributed(masks, weights, sums, now, decayed(t, t_end, alpha))


def gmp_global_update(masks, weights, t, *, begin, end, count):
    """GMP over all layers: the largest of all that are left; an emptied layer keeps its best.

    ``count``: all layers' weights at the end.
    """
    size = sum(mask.size for mask in masks.values())
    keep = round((1 - gmp_sparsity(t, begin, end, 1 - count / size)) * size)
    best = {n: max(np.flatnonzero(m), key=lambda i, n=n: abs(weights[n].flat[i]))
            for n, m in masks.items()}  # fmt: skip
    others = [(n, i) for n, m in masks.items() for i in np.flatnonzero(m) if i != best[n]]
    # every layer's best is kept first: the same as filling up those that would have none
    ranked = sorted(others, key=lambda item: -abs(weights[item[0]].flat[item[1]]))
    new = {n: np.zeros(mask.size, dtype=bool) for n, mask in masks.items()}
    for n, i in [*best.items(), *ranked[: keep - len(masks)]]:
        new[n][i] = True
    return {n: mask.reshape(masks[n].shape) for n, mask in new.items()}


class Sgd:
    """One layer under SGD with momentum and weight decay along given gradients, and its mask."""

    def __init__(self, mask, weight, *, rate, momentum, decay):
        self.mask, self.weight = mask, weight * mask
        self.past = np.zeros_like(weight)
        self.rate, self.momentum, self.decay = rate, momentum, decay

    def step(self, gradient):
        """past = momentum past + gradient + decay weight; weight = weight - rate past."""
        self.past = self.momentum * self.past + (gradient + self.decay * self.weight) * self.mask
        self.weight = self.weight - self.rate * self.past

    def update(self, score, fraction, *, reset_regrown):
        """Drop the smallest, grow the highest score; returned weights start anew or go on."""
        active = {int(i) for i in np.flatnonzero(self.mask)}
        k = number_dropped(fraction, len(active))
        left = active - smallest_active(self.mask, self.weight, k)
        others = [i for i in range(self.mask.size) if i not in left]
        grown = set(sorted(others, key=lambda i: -score.flat[i])[:k])
        old = left if reset_regrown else left | (grown & active)
        stays = np.zeros(self.mask.size, dtype=bool)
        stays[sorted(old)] = True
        mask = stays.copy()
        mask[sorted(grown)] = True
        self.mask, stays = (part.reshape(self.weight.shape) for part in (mask, stays))
        self.weight, self.past = self.weight * stays, self.past * stays
