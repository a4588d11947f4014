"""The density below which a sparse layer is faster than a dense one: measured, once a machine.

What was measured lies in crossover.json below XDG_CACHE_HOME (default: ~/.cache), so that all runs
of a machine choose alike; delete it to measure again.
"""

import copy
import fcntl
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numba
import torch
from torch import Tensor

from resparse.engine.layers import Sparse, SparsePointwise
from resparse.engine.packed import Packed
from resparse.files import read_json, write_json, writing
from resparse.masks import Masks
from resparse.seeds import generator
from resparse.storage import Full

DENSITIES = (0.05, 0.25)  # a sparse step's time is a line through these
REPEATS, WARMUP = 7, 2


def of(layer: Sparse, batch: int, positions: int) -> float:
    """From 0 (never sparse) to 1, for ``batch`` images of ``positions`` places each.

    Known from an earlier run on this machine, or measured now: a second or a few. Raises Missing
    where the cache cannot be written.
    """
    name = f"{layer} x {batch} x {positions}, {layer.weight.dtype}, {_machine()}"
    file = _file()
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_suffix(".lock").open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one measures, the others wait
        known = _known(file)
        if name not in known:
            known[name] = measured(layer, batch, positions)
            write_json(file, known)
    return known[name]


def _file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "resparse" / "crossover.json"


def _known(file: Path) -> dict[str, float]:
    """What was measured before; nothing where the file is damaged."""
    try:
        known = read_json(file)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _machine() -> str:
    """What the times depend on."""
    return (
        f"{torch.get_num_threads()} threads, {_cpu()}, torch {torch.__version__}, "
        f"numba {numba.__version__}"
    )


def _cpu() -> str:
    """The processor's name, as Linux has it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measured(layer: Sparse, batch: int, positions: int) -> float:
    """The density at which a step of the sparse layer takes as long as one of the masked."""
    dense = step_s(layer, batch, positions, DENSITIES[0], packed=False)
    low, high = (step_s(layer, batch, positions, d, packed=True) for d in DENSITIES)
    slope = (high - low) / (DENSITIES[1] - DENSITIES[0])
    if slope <= 0:  # times too short to differ
        return 1.0 if high < dense else 0.0
    return round(min(max(DENSITIES[0] + (dense - low) / slope, 0.0), 1.0), 3)


def step_s(layer: Sparse, batch: int, positions: int, density: float, *, packed: bool) -> float:
    """Median seconds of forward, backward, masking and optimizer step of one layer alone."""
    known = copy.deepcopy(layer)
    rng = generator(0, "crossover")
    mask = torch.rand(known.shape, generator=rng) < density
    mask.view(-1)[0] = True
    optimizer = torch.optim.SGD(
        known.parameters(), lr=1e-4, momentum=0.9, nesterov=True, fused=True
    )
    stored: dict[str, Full] = {"layer": Packed(known, 1.0)} if packed else {}
    masks = Masks({"layer": known.weight}, {"layer": mask}, stored)
    x = given(known, batch, positions, rng).requires_grad_()

    def step() -> None:
        optimizer.zero_grad()
        y = known(x)
        y.backward(torch.ones_like(y))
        masks.mask_gradients()
        optimizer.step()

    return timed(step)


def given(layer: Sparse, batch: int, positions: int, rng: torch.Generator) -> Tensor:
    """Random images of a layer's input; a linear one's as a sparse layer before it gives them."""
    kind, features = layer.weight.dtype, layer.shape[1]
    if isinstance(layer, SparsePointwise):
        down, right = layer.stride
        shape = (batch, features, down, positions * right)
        return torch.randn(shape, generator=rng, dtype=kind)
    return torch.randn(features, batch * positions, generator=rng, dtype=kind).t()


def timed(step: Callable[[], object]) -> float:
    """Median seconds of a call."""
    took = []
    for at in range(WARMUP + REPEATS):
        began = time.perf_counter()
        step()
        if at >= WARMUP:
            took.append(time.perf_counter() - began)
    return median(took)
