"""Where a matrix's weights are, and what lies there: compiled loops over places, not over sums.

Of row i of a matrix (out, in) the weights are in the columns ``index[ptr[i]:ptr[i + 1]]`` (CSR).
"""

from typing import Any

import numpy as np
from numba import njit, prange

from resparse.engine.threads import compiled

Array = np.ndarray[Any, Any]
CHUNKS = 64  # parts of a matrix with as many weights each, which threads share
LINE = 16  # features that are transposed together: 64 bytes of floats


@compiled
def columns_of(ptr, mask, index):  # type: ignore[no-untyped-def]
    """index (nnz,): the columns of the ones of a mask (out, in), row after row."""
    for row in prange(len(ptr) - 1):
        at = ptr[row]
        for column in range(mask.shape[1]):
            if mask[row, column]:
                index[at] = column
                at += 1


@njit(nogil=True, cache=True)
def transposed(ptr, index, ptr_t, index_t, order):  # type: ignore[no-untyped-def]
    """The same weights by columns: in row j of the transposed those of ``order`` are ``index_t``.

    ``ptr_t`` (in + 1,) comes as zeros.
    """
    for at in range(len(index)):
        ptr_t[index[at] + 1] += 1
    for column in range(len(ptr_t) - 1):
        ptr_t[column + 1] += ptr_t[column]
    free = ptr_t[:-1].copy()
    for row in range(len(ptr) - 1):
        for at in range(ptr[row], ptr[row + 1]):
            to = free[index[at]]
            index_t[to], order[to] = row, at
            free[index[at]] += 1


@compiled
def packed(ptr, index, dense, values):  # type: ignore[no-untyped-def]
    """values (nnz,): what a dense (out, in) has at the weights."""
    for row in prange(len(ptr) - 1):
        for at in range(ptr[row], ptr[row + 1]):
            values[at] = dense[row, index[at]]


@compiled
def unpacked(ptr, index, values, dense):  # type: ignore[no-untyped-def]
    """dense (out, in), which comes as zeros: the values (nnz,) at the weights."""
    for row in prange(len(ptr) - 1):
        for at in range(ptr[row], ptr[row + 1]):
            dense[row, index[at]] = values[at]


@compiled
def moved(ptr, index, values, ptr_to, index_to, to):  # type: ignore[no-untyped-def]
    """to (nnz of the new,): the values at its places, 0 where the old pattern has none."""
    for row in prange(len(ptr) - 1):
        at, end = ptr[row], ptr[row + 1]
        for new in range(ptr_to[row], ptr_to[row + 1]):
            while at < end and index[at] < index_to[new]:
                at += 1
            to[new] = values[at] if at < end and index[at] == index_to[new] else 0


@compiled
def turned(x, y):  # type: ignore[no-untyped-def]
    """y (features, n) = x (n, features) transposed: a cache line of x at a time, in threads."""
    images, features = x.shape
    for part in prange((features + LINE - 1) // LINE):
        first = part * LINE
        if first + LINE <= features:
            for image in range(images):
                for j in range(LINE):  # a constant length: it is unrolled
                    y[first + j, image] = x[image, first + j]
        else:
            for image in range(images):
                for feature in range(first, features):
                    y[feature, image] = x[image, feature]


def chunks_of(ptr: Array) -> Array:
    """CHUNKS + 1 rows between which lie as many weights each: rows may differ greatly in theirs."""
    wanted = np.linspace(0, ptr[-1], CHUNKS + 1)
    rows = np.searchsorted(ptr, wanted, side="left").astype(np.int64)
    rows[0], rows[-1] = 0, len(ptr) - 1
    return rows
