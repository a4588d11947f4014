"""A gradient looked at and masked in one pass over its memory, compiled for this CPU."""

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from resparse.engine.threads import run

PART = 2**15  # numbers that one thread sums
# sums in any order: whether one is finite does not depend on it
compiled = njit(parallel=True, nogil=True, cache=True, fastmath={"reassoc", "nsz"})


@compiled
def masked(grad, mask, sums):  # type: ignore[no-untyped-def]
    """sums (parts,): of the parts of grad (n,), which is multiplied by mask (n,) 0 or 1 then."""
    for part in prange(len(sums)):
        numbers = grad[part * PART : (part + 1) * PART]  # slices: no place is negative
        kept = mask[part * PART : (part + 1) * PART]
        total = numbers.dtype.type(0)
        for i in range(len(numbers)):
            number = numbers[i]
            total += number
            numbers[i] = number * numbers.dtype.type(kept[i])
        sums[part] = total


def masked_sum(grad: Tensor, mask: Tensor) -> Tensor:
    """The sum of ``grad``, which is multiplied by ``mask`` in place; both contiguous."""
    parts = -(-grad.numel() // PART)
    sums = np.empty(parts, grad.numpy().dtype)
    run(masked, grad.view(-1), mask.view(torch.uint8).view(-1), sums)
    return torch.from_numpy(sums).sum()
