"""What kernels are run on: threads that stay torch's, rows that weigh alike."""

import subprocess
import sys

import numpy as np
from checkout import ROOT

from resparse.engine import kernels


def test_kernels_leave_torch_the_threads_that_it_has():
    """Numba starts its own once a process, so in a new one; their OpenMP may be torch's."""
    code = """
import torch
from resparse.engine.pattern import Pattern
torch.set_num_threads(1)
pattern = Pattern(torch.ones(9, 9, dtype=torch.bool))
pattern.forward(torch.ones(81), None, torch.ones(1, 9, 40))
print(torch.get_num_threads())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "1"


def test_rows_are_shared_out_by_their_weights():
    ptr = np.array([0, 1000, 1000, 1001, 1002, 2000], np.int32)
    rows = kernels.chunks_of(ptr)
    assert rows[0] == 0
    assert rows[-1] == 5
    assert (np.diff(rows) >= 0).all()
    assert len(rows) == kernels.CHUNKS + 1
    assert kernels.BITS in (256, 512)
