"""The threads that compiled loops run on: numba's, as many as torch has."""

from functools import cache
from typing import Any

import numba
import torch
from numba import njit
from numba.core import config

# OpenMP's threads are ready at once; others, where they come first, double a short product's time
config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # type: ignore[attr-defined]
compiled = njit(parallel=True, nogil=True, cache=True, error_model="numpy")


@cache
def _launch() -> None:
    """Start numba's threads; where its OpenMP is torch's, torch would have as many afterwards."""
    before = torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(before)


def run(kernel: Any, *given: Any) -> None:
    """A kernel on arrays or tensors, on as many threads as torch has."""
    _launch()
    wanted = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if numba.get_num_threads() != wanted:  # setting takes as long as a small product
        numba.set_num_threads(wanted)
    kernel(*(t.detach().numpy() if isinstance(t, torch.Tensor) else t for t in given))
