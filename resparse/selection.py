"""The k best of many scores: exact counts, exact ties, and no more ranking than that takes."""

import math

import numpy as np
import torch
from torch import Tensor


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
    count = score.numel() if among is None else ones(among)
    return best(score, k, among, count, ties=ties)


def best(
    score: Tensor,
    k: int,
    among: Tensor | None,
    count: int,
    *,
    ties: torch.Generator | None = None,
    lowest: bool = False,
    absolute: bool = False,
) -> Tensor:
    """``top_k`` of ``count`` candidates, or the lowest, by score or by its absolute value.

    Only scores that may matter are ranked, and large copies avoided: the absolute values of all
    cost more than the choice.
    """
    flat = score.detach().flatten()
    pool = None if among is None else among.flatten()
    if pool is not None and 4 * count < pool.numel():  # few candidates: look at them alone
        inside, chosen = _places(pool), torch.zeros_like(pool)
        values = flat.index_select(0, inside)
        picked = best(values, k, None, count, ties=ties, lowest=lowest, absolute=absolute)
        chosen[_those(inside, picked)] = True
        return chosen.view(score.shape)
    if not 0 <= k <= count:
        raise ValueError(f"cannot choose {k} of {count} candidate weights")
    _require_numbers(flat, pool)
    few = 2 * k <= count  # rank the chosen, or rank the others and leave them out
    rank, lower = (k, lowest) if few else (count - k + 1, not lowest)
    if k == 0:
        return torch.zeros_like(score, dtype=torch.bool)
    places, values = _outermost(flat, pool, rank, count, lower, absolute)
    at = rank if lower else values.numel() - rank + 1
    threshold = values.kthvalue(at).values  # the k-th best score
    better = values < threshold if lowest else values > threshold
    tied = _those(places, values == threshold)
    if ties is not None:
        tied = tied[torch.randperm(tied.numel(), generator=ties).to(tied.device)]
    if few:
        chosen = torch.zeros_like(flat, dtype=torch.bool)
        chosen[_those(places, better)] = True
    else:
        chosen = torch.ones_like(flat, dtype=torch.bool) if pool is None else pool.clone()
        chosen[_those(places, ~better)] = False
    sure = ones(better) + (0 if few else count - values.numel())
    chosen[tied[: k - sure]] = True
    return chosen.view(score.shape)


def _require_numbers(flat: Tensor, pool: Tensor | None) -> None:
    """Raise NonFinite for a NaN among the candidates; a maximum is NaN where anything is."""
    if flat.numel() and bool(flat.max().isnan()):
        values = flat if pool is None else flat[pool]
        if bool(values.isnan().any()):
            raise NonFinite("a score is NaN: weights or gradients have diverged")


_LARGE, _SAMPLE_EVERY = 2**15, 97  # a prime: strides of kernels and rows are no multiples of it


def _outermost(
    flat: Tensor, pool: Tensor | None, rank: int, count: int, lower: bool, absolute: bool
) -> tuple[Tensor, Tensor]:
    """Places and scores of candidates beyond a bound: the ``rank`` outermost, their ties, few more.

    A sample guesses the bound (the whole is ranked where it guesses too high), since to compare
    once is several times faster than to rank millions.
    """
    sample = flat[::_SAMPLE_EVERY]
    sample = sample if pool is None else sample[pool[::_SAMPLE_EVERY]]
    sample = sample.abs() if absolute else sample
    expected = sample.numel() * rank / count
    depth = int(expected + 4 * math.sqrt(expected)) + 4  # 4 standard deviations
    places = None
    if flat.numel() >= _LARGE and depth < sample.numel():
        bound = sample.kthvalue(depth if lower else sample.numel() - depth + 1).values
        beyond = flat <= bound if lower else flat >= bound
        if absolute:
            beyond = (
                beyond.logical_and_(flat >= -bound) if lower else beyond.logical_or_(flat <= -bound)
            )
        beyond = beyond if pool is None else beyond.logical_and_(pool)
        places = _places(beyond)
    if places is None or places.numel() < rank:
        places = torch.arange(flat.numel(), device=flat.device) if pool is None else _places(pool)
    values = flat.index_select(0, places)
    return places, values.abs() if absolute else values


def _those(places: Tensor, mask: Tensor) -> Tensor:
    """``places[mask]``, several times faster."""
    return places.index_select(0, _places(mask))


def ones(mask: Tensor) -> int:
    """How many of a mask are True; on the CPU NumPy counts them three times as fast."""
    if mask.device.type == "cpu" and mask.dtype == torch.bool:
        return int(np.count_nonzero(mask.numpy()))
    return int(mask.count_nonzero())


def _places(mask: Tensor) -> Tensor:
    """Flat indices of the ones, ascending; on the CPU NumPy finds them twice as fast."""
    if mask.device.type == "cpu":
        return torch.from_numpy(mask.numpy().nonzero()[0])
    return mask.nonzero().squeeze(1)
