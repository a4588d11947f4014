"""Plain NumPy versions of every rule, written from the papers; what the tests compare against.

No torch, nothing from resparse, no generators: random scores are an argument. Sets of flat
indices and whole sorts in place of masks and thresholds, so that a mistake is not made twice.
"""

import math

import numpy as np


def decayed(t, t_end, alpha, floor=0.0):
    """RigL, section 3: f_decay(t) = alpha/2 (1 + cos(pi t / T_end)); ITOP's code adds a floor."""
    return floor + (alpha - floor) / 2 * (1 + np.cos(np.pi * t / t_end))


def number_dropped(fraction, nnz):
    """The fraction of the active weights, rounded up; a 1e-16 too much is not one weight more."""
    return math.ceil(round(fraction * nnz, 6))


def smallest_active(mask, weight, k):
    """Flat indices of the k smallest magnitudes among the active; first come, first drop."""
    active = [int(i) for i in np.flatnonzero(mask)]
    return set(sorted(active, key=lambda i: (abs(weight.flat[i]), i))[:k])


def replace(mask, weight, score, fraction, regrow_dropped=True):
    """Drop the smallest magnitudes, then activate as many inactive weights by the highest score."""
    active = {int(i) for i in np.flatnonzero(mask)}
    inactive = set(range(mask.size)) - active
    k = number_dropped(fraction, len(active))
    if not regrow_dropped:
        k = min(k, len(inactive))
    dropped = smallest_active(mask, weight, k)
    candidates = inactive | dropped if regrow_dropped else inactive
    grown = sorted(candidates, key=lambda i: -score.flat[i])[:k]
    new = np.zeros(mask.size, dtype=bool)
    new[sorted((active - dropped) | set(grown))] = True
    return new.reshape(mask.shape)


def set_update(mask, weight, uniform, t, *, t_end, alpha, floor=0.0, regrow_dropped=True):
    """SET (Mocanu et al. 2018, algorithm 1): growth at random, here by given uniform scores."""
    return replace(mask, weight, uniform, decayed(t, t_end, alpha, floor), regrow_dropped)


def rigl_update(mask, weight, dense_gradient, t, *, t_end, alpha):
    """RigL (Evci et al. 2020, algorithm 1): growth where the dense gradient is largest."""
    return replace(mask, weight, np.abs(dense_gradient), decayed(t, t_end, alpha))


def rigl_itop_update(mask, weight, dense_gradient, t, *, total, alpha, floor=0.0):
    """RigL-ITOP (Liu et al. 2021): the same, annealed over the whole training."""
    return replace(mask, weight, np.abs(dense_gradient), decayed(t, total, alpha, floor))


def set_plus_update(mask, weight, uniform, ever, t, *, total, alpha, floor=0.0):
    """SET+ (Liu et al. 2021, section 4.3): weights never activated first, then at random."""
    active = {int(i) for i in np.flatnonzero(mask)}
    k = number_dropped(decayed(t, total, alpha, floor), len(active))
    kept = active - smallest_active(mask, weight, k)
    others = [i for i in range(mask.size) if i not in kept]
    fresh = sorted((i for i in others if not ever.flat[i]), key=lambda i: -uniform.flat[i])
    known = sorted((i for i in others if ever.flat[i]), key=lambda i: -uniform.flat[i])
    new = np.zeros(mask.size, dtype=bool)
    new[sorted(kept | set((fresh + known)[:k]))] = True
    return new.reshape(mask.shape)


def best_of_all(scores, total, at_least):
    """The ``total`` best of all layers; one left with fewer than ``at_least`` is filled up first.

    Filled-up layers leave the competition, whose budget shrinks by what they got; so on.
    """
    ranked = sorted(
        ((-value, position, name, i)
         for position, (name, score) in enumerate(scores.items())
         for i, value in enumerate(score.ravel().tolist()))
    )  # fmt: skip
    filled = set()
    while True:
        chosen = {name: [] for name in scores}
        share = {name: min(at_least, scores[name].size) for name in scores}
        left = total - sum(share[name] for name in filled)
        for _, _, name, i in ranked:
            if name in filled and len(chosen[name]) < share[name]:
                chosen[name].append(i)
            elif name not in filled and left > 0:
                chosen[name].append(i)
                left -= 1
        short = {name for name in scores if len(chosen[name]) < share[name]}
        if not short:
            break
        filled |= short
    masks = {name: np.zeros(score.size, dtype=bool) for name, score in scores.items()}
    for name, indices in chosen.items():
        masks[name][indices] = True
    return {name: mask.reshape(scores[name].shape) for name, mask in masks.items()}


def snip_masks(layers, total, at_least=1):
    """SNIP (Lee et al. 2019, eq. 5 and algorithm 1): top-k of |g w| over the whole network."""
    return best_of_all({n: np.abs(w * g) for n, (w, g) in layers.items()}, total, at_least)


def lth_masks(weights, total, at_least=1):
    """One-shot ticket (Frankle & Carbin 2019): the trained weights of largest magnitude, global."""
    return best_of_all({name: np.abs(w) for name, w in weights.items()}, total, at_least)


def snfs_average(gradients, beta):
    """Exponential average of all gradients so far, from 0: sum of (1-b) b^age g."""
    last = len(gradients) - 1
    return sum((1 - beta) * beta ** (last - i) * g for i, g in enumerate(gradients))


def snfs_update(mask, weight, gradients, t, *, t_end, alpha, beta):
    """SNFS (Dettmers & Zettlemoyer 2019) as in Evci et al. 2020: growth by the average."""
    return replace(mask, weight, np.abs(snfs_average(gradients, beta)), decayed(t, t_end, alpha))


def gmp_sparsity(t, begin, end, final):
    """Zhu & Gupta 2017, equation 1: s_f + (s_i - s_f)(1 - (t - t_0)/(n delta t))^3, s_i = 0."""
    passed = min(max((t - begin) / (end - begin), 0.0), 1.0)
    return final - final * (1 - passed) ** 3


def gmp_update(mask, weight, t, *, begin, end, density):
    """GMP, per layer: the weights of largest magnitude stay, pruned ones never return."""
    keep = round((1 - gmp_sparsity(t, begin, end, 1 - density)) * mask.size)
    new = mask.copy().ravel()
    new[sorted(smallest_active(mask, weight, int(mask.sum()) - keep))] = False
    return new.reshape(mask.shape)


def random_mask(uniform, count):
    """Exactly ``count`` weights, those of the largest uniform scores."""
    new = np.zeros(uniform.size, dtype=bool)
    new[np.argsort(-uniform.ravel())[:count]] = True
    return new.reshape(uniform.shape)


def explored(history):
    """R_s (ITOP, section 3): share of weights active in any of the masks (a dict each)."""
    union = {name: np.zeros_like(mask) for name, mask in history[0].items()}
    for masks in history:
        for name, mask in masks.items():
            union[name] = np.logical_or(union[name], mask)
    flat = np.concatenate([mask.ravel() for mask in union.values()])
    return np.count_nonzero(flat) / flat.size


def never_active(size, count, growths):
    """P(u weights of a layer were never active), u = 0..size: a chain of hypergeometric draws."""
    chance = np.zeros(size + 1)
    chance[size - count] = 1.0
    for k, candidates in growths:
        after = np.zeros_like(chance)
        for u in np.flatnonzero(chance):
            for new in range(min(u, k) + 1):
                ways = math.comb(int(u), new) * math.comb(candidates - int(u), k - new)
                after[u - new] += chance[u] * ways / math.comb(candidates, k)
        chance = after
    return chance


def expected_explored(layers):
    """Mean and std of R_s; ``layers`` are (size, count, [(k, C), ...]), independent."""
    total = sum(size for size, _, _ in layers)
    mean = variance = 0.0
    for size, count, growths in layers:
        chance, u = never_active(size, count, growths), np.arange(size + 1)
        mean += float(chance @ (size - u))
        variance += float(chance @ u**2 - (chance @ u) ** 2)
    return mean / total, math.sqrt(max(variance, 0.0)) / total


def raw_probability(kind, shape):
    """1 - s of a layer up to the common factor: ERK sums all dimensions, ER only n_in and n_out."""
    shape = shape if kind == "erk" else shape[:2]
    return sum(shape) / np.prod(shape)


def layer_densities(kind, shapes, density):
    """min(1, eps * p) with eps found by bisection so that the total fits: no capacity loop."""
    sizes = np.array([np.prod(shape) for shape in shapes.values()], dtype=float)
    if kind == "uniform":
        return dict(zip(shapes, [1.0] + [density] * (len(sizes) - 1), strict=True))
    p = np.array([raw_probability(kind, shape) for shape in shapes.values()])
    low, high = 0.0, 1.0 / p.min()
    for _ in range(200):
        eps = (low + high) / 2
        low, high = (
            (low, eps) if np.minimum(1, eps * p) @ sizes > density * sizes.sum() else (eps, high)
        )
    return dict(zip(shapes, np.minimum(1, low * p), strict=True))


def density_without_capacity_loop(shapes, density):
    """What one gets from eps of all layers and a cap after: less than asked (SL issue 20)."""
    sizes = np.array([np.prod(shape) for shape in shapes.values()], dtype=float)
    p = np.array([raw_probability("erk", shape) for shape in shapes.values()])
    eps = density * sizes.sum() / (p @ sizes)
    return float(np.minimum(1, eps * p) @ sizes / sizes.sum())
