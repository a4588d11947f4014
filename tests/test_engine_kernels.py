"""What kernels are run on: threads that stay torch's, rows that weigh alike."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from checkout import ROOT

from resparse.engine import kernels, places
from resparse.engine.layers import SparseLinear


def test_kernels_leave_torch_the_threads_that_it_has():
    """Numba starts its own once a process, so in a new one; their OpenMP may be torch's."""
    code = """
import numba
import torch
from resparse.engine.pattern import Pattern
torch.set_num_threads(1)
pattern = Pattern(torch.ones(9, 9, dtype=torch.bool))
pattern.forward(torch.ones(81), None, torch.ones(1, 9, 40))
print(torch.get_num_threads(), numba.get_num_threads())
torch.set_num_threads(2)
pattern.forward(torch.ones(81), None, torch.ones(1, 9, 40))
print(torch.get_num_threads(), numba.get_num_threads() == min(2, numba.config.NUMBA_NUM_THREADS))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["1", "1", "2", "True"]


def test_rows_are_shared_out_by_their_weights():
    ptr = np.array([0, 1000, 1000, 1001, 1002, 2000], np.int32)
    rows = places.chunks_of(ptr)
    assert rows[0] == 0
    assert rows[-1] == 5
    assert (np.diff(rows) >= 0).all()
    assert len(rows) == places.CHUNKS + 1
    assert kernels.BITS in (256, 512)


@pytest.mark.parametrize(
    "features", [1, 16, 35]
)  # less than a line of the cache, one, two and more
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_images_become_feature_major(features, kind):
    images = torch.arange(3 * features, dtype=kind).view(3, features)
    for given in (images, images.t().contiguous().t(), torch.cat([images] * 2, 1)[:, :features]):
        found = SparseLinear.feature_major(given)
        assert found.is_contiguous()
        assert found.shape == (1, features, 3)
        assert (found[0].t() == images).all()
